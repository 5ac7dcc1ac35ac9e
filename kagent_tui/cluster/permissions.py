"""What RBAC lets this person do, asked of the API server itself (SelfSubjectAccessReview), once per kind and namespace.

Where the server does not answer, nothing is said to be forbidden: the attempt itself will tell.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from kagent_api.errors import KagentError
from kagent_tui.cluster.kinds import AGENT, MCP_SERVER, POD, resource_of
from kagent_tui.cluster.references import mapping

if TYPE_CHECKING:
    from kagent_api.kube import KubeClient

__all__ = ["NEEDS", "Need", "Permissions"]

_log = logging.getLogger(__name__)


class Need(NamedTuple):
    """What an action asks of the API server; no kind means that of the object."""

    verb: str
    kind: str = ""
    subresource: str = ""


# By the dashboard's action. Reading is not here: what may not be read says so in its table.
NEEDS: Final[Mapping[str, Need]] = {
    "edit": Need("update"),
    "editor": Need("update"),
    "delete": Need("delete"),
    "new": Need("create"),
    "clone": Need("create"),
    "logs": Need("get", POD, "log"),
    "pods": Need("list", POD),
}


class Permissions:
    """Answers kept for the life of one connection; ``on_answer`` is called when there is a new one."""

    def __init__(self, client: KubeClient, on_answer: Callable[[], None]) -> None:
        self._client = client
        self._on_answer = on_answer
        self._answers: dict[tuple[str, str], Mapping[Need, bool]] = {}
        self._asking: set[tuple[str, str]] = set()

    def missing(self, action: str, kind: str, namespace: str) -> str:
        """Say which permission an action lacks; "" where it has it, needs none, or nobody knows."""
        need = NEEDS.get(action)
        answers = self._answers.get((kind, namespace))
        if need is None or answers is None or answers.get(need, True):
            return ""
        resource = resource_of(need.kind or kind)
        what = f"{resource.plural}{'/' + need.subresource if need.subresource else ''}.{resource.group}".rstrip(".")
        return f"you may not {need.verb} {what} in namespace {namespace}"

    async def ask(self, kind: str, namespace: str) -> None:
        """Ask about everything that can be done with a kind in a namespace, unless that is known."""
        key = (kind, namespace)
        if key in self._answers or key in self._asking:
            return
        self._asking.add(key)
        try:
            needs = [need for need in dict.fromkeys(NEEDS.values()) if not need.kind or kind in (AGENT, MCP_SERVER)]
            answers = await asyncio.gather(*(self._allowed(need, kind, namespace) for need in needs))
        finally:
            self._asking.discard(key)
        self._answers[key] = dict(zip(needs, answers, strict=True))
        if not all(answers):
            self._on_answer()

    async def _allowed(self, need: Need, kind: str, namespace: str) -> bool:
        from kagent_api.kube import Resource

        resource = resource_of(need.kind or kind)
        wanted = {
            "namespace": namespace, "verb": need.verb, "group": resource.group, "version": resource.version,
            "resource": resource.plural, **({"subresource": need.subresource} if need.subresource else {}),
        }  # fmt: skip
        reviews = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)
        body = {
            "apiVersion": reviews.api_version,
            "kind": reviews.kind,
            "metadata": {},
            "spec": {"resourceAttributes": wanted},
        }
        try:
            answer = await self._client.create(reviews, body, field_validation="")
        except KagentError:
            return True
        except Exception:
            # The outer edge: what a client or a plugin of the kubeconfig does wrong must not end the dashboard.
            _log.exception("asking for permissions failed")
            return True
        return mapping(answer.get("status")).get("allowed") is not False
