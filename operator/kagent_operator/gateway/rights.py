"""What a caller may do, in Kubernetes' words, and who is asked.

In the modes none and trusted-proxy nothing is restricted but sessions, as upstream has it. In Kubernetes mode every
right is a question to the API server with the caller's own token, so ordinary Roles decide and the gateway needs no
right to ask. Seeing an agent is ``get agents``; chatting with it is ``create agents/chat``, a subresource that exists
in Roles only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from kagent_api.kube.resources import JsonObject, Resource
from kagent_operator.gateway.directory import meta
from kagent_operator.gateway.errors import Forbidden
from kagent_operator.gateway.principal import Principal

__all__ = ["AllowAll", "Right", "Rights", "chat_with", "require", "visible"]

_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that may be done: a verb on a resource, in a namespace ("" for all), on one object ("" for any)."""

    verb: str
    group: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @classmethod
    def to(cls, verb: str, resource: Resource, namespace: str = "", name: str = "") -> Right:
        return cls(verb, resource.group, resource.plural, namespace, name)

    def __str__(self) -> str:
        what = f"{self.plural}/{self.subresource}" if self.subresource else self.plural
        what += f".{self.group}" if self.group else ""
        named = f" {self.name}" if self.name else ""
        return f"{self.verb} {what}{named} in {f'namespace {self.namespace}' if self.namespace else 'all namespaces'}"


class Rights(Protocol):
    """Answers whether a caller has a right."""

    async def allow(self, principal: Principal, right: Right) -> bool: ...


class AllowAll:
    """Restricts nothing: upstream's rule."""

    async def allow(self, principal: Principal, right: Right) -> bool:
        del principal, right
        return True


def chat_with(namespace: str, name: str) -> Right:
    """Return the right to talk to an agent."""
    return Right("create", "kagent.dev", "agents", namespace, name, "chat")


async def require(rights: Rights, principal: Principal, right: Right) -> None:
    """Raise Forbidden when a caller lacks a right."""
    if not await rights.allow(principal, right):
        raise Forbidden(
            f"{principal.user_id} may not {right}", remedy="a Role and a RoleBinding that say so would allow it"
        )


async def visible(
    rights: Rights, principal: Principal, resource: Resource, objects: Sequence[JsonObject]
) -> list[JsonObject]:
    """Return those of the objects that a caller may see.

    Whoever may list them in a namespace sees all of it; for the others each object is asked for by name.
    """
    if isinstance(rights, AllowAll) or not objects:
        return [*objects]
    limit = asyncio.Semaphore(_AT_ONCE)

    async def allowed(right: Right) -> bool:
        async with limit:
            return await rights.allow(principal, right)

    everywhere = Right.to("list", resource)
    if await allowed(everywhere):
        return [*objects]
    namespaces = sorted({str(meta(obj).get("namespace", "")) for obj in objects})
    listed = await asyncio.gather(*(allowed(replace(everywhere, namespace=each)) for each in namespaces))
    open_to_them = {namespace for namespace, may in zip(namespaces, listed, strict=True) if may}

    async def seen(obj: JsonObject) -> bool:
        about = meta(obj)
        namespace = str(about.get("namespace", ""))
        if namespace in open_to_them:
            return True
        return await allowed(Right.to("get", resource, namespace, str(about.get("name", ""))))

    shown = await asyncio.gather(*(seen(obj) for obj in objects))
    return [obj for obj, may in zip(objects, shown, strict=True) if may]
