"""What an approved call would change in the cluster, by a dry run, where that can be known before it runs.

The dry run is made with the person's own rights, not the tool server's; it stores nothing. What a tool really does is
its server's business: this is help for a decision, never a promise.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from kagent_api.errors import InvalidSpec, KagentError, ObjectRef
from kagent_tui.chat.events import PendingCall
from kagent_tui.chat.jsonvalue import JsonObject, object_of, text_of
from kagent_tui.chat.targets_of_calls import target_of
from kagent_tui.editing.diffing import diff
from kagent_tui.editing.document import editable, parse, to_yaml
from kagent_tui.editing.masking import masked
from kagent_tui.render.text import Line, Span, Tone, line, note, span
from kagent_tui.render.yaml import diff_lines

if TYPE_CHECKING:
    from kagent_api.kube import KubeClient, Resource

__all__ = ["Change", "effect_lines", "planned"]

_MOST_OBJECTS: Final = 5
_SECONDS: Final = 10.0
_MOST_LINES: Final = 60


@dataclass(frozen=True, slots=True)
class Apply:
    """Objects to be created or changed."""

    objects: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of one object."""

    ref: ObjectRef
    body: JsonObject
    kind: Literal["merge", "strategic"] = "strategic"


@dataclass(frozen=True, slots=True)
class Delete:
    """The end of one object."""

    ref: ObjectRef


Change: TypeAlias = Apply | Patch | Delete


def planned(call: PendingCall, *, namespace: str) -> Change | None:
    """Return the write to Kubernetes that a call stands for; None for anything that is not plainly one."""
    objects = [found for value in call.arguments.values() for found in _objects(value, namespace)]
    if objects and not _says(call.name, "delete", "remove"):
        return Apply(tuple(objects[:_MOST_OBJECTS]))
    ref = target_of(call.name, call.arguments, namespace=namespace)
    if ref is None:
        return None
    if _says(call.name, "delete", "remove"):
        return Delete(ref)
    replicas = call.arguments.get("replicas")
    if _says(call.name, "scale") and isinstance(replicas, int):
        return Patch(ref, {"spec": {"replicas": replicas}}, "merge")
    for field in ("labels", "annotations"):
        values = object_of(call.arguments.get(field))
        if values and _says(call.name, "label", "annotate"):
            return Patch(ref, {"metadata": {field: values}}, "merge")
    if _says(call.name, "patch"):
        body = _patch(call.arguments.get("patch"))
        return Patch(ref, body) if body else None
    return None


async def effect_lines(client: KubeClient, call: PendingCall, *, namespace: str) -> list[Line]:
    """Return what a call would change, as lines; empty where that cannot be known."""
    change = planned(call, namespace=namespace)
    if change is None:
        return []
    try:
        async with asyncio.timeout(_SECONDS):
            lines = await _tried(client, change)
    except TimeoutError:
        lines = [note("the cluster did not answer the dry run in time", 0)]
    except KagentError as error:
        lines = [line(Span("the dry run was refused: ", Tone.WARN), span(error.message))]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], note(f"{len(lines) - _MOST_LINES} more lines", 0)]
    return [line(Span("a dry run with your rights says:", Tone.DIM)), *lines]


async def _tried(client: KubeClient, change: Change) -> list[Line]:
    match change:
        case Apply(objects):
            lines: list[Line] = []
            for obj in objects:
                lines += await _applied(client, obj)
            return lines
        case Patch(ref, body, kind):
            resource = await _resource(client, ref)
            before = await client.get(resource, ref.name, ref.namespace)
            after = await client.patch(resource, ref.name, body, ref.namespace, kind=kind, dry_run=True)
            return _difference(ref, before, after)
        case Delete(ref):
            found = await _found(client, await _resource(client, ref), ref)
            if found is None:
                return [line(span(f"{ref} is not there: nothing would be deleted", Tone.WARN))]
            since = text_of(object_of(found.get("metadata")).get("creationTimestamp"))
            return [line(span(f"deletes {ref}", Tone.BAD), Span(", which exists since ", Tone.DIM), span(since))]


async def _applied(client: KubeClient, obj: JsonObject) -> list[Line]:
    from kagent_tui.cli.reach import resource_for

    about = object_of(obj.get("metadata"))
    ref = ObjectRef(text_of(obj.get("kind")), text_of(about.get("namespace")), text_of(about.get("name")))
    resource = await resource_for(client, obj)
    before = await _found(client, resource, ref)
    after = await client.apply(
        resource, obj, field_manager="kagent-tui-dry-run", force=True, dry_run=True, field_validation="Warn"
    )
    return _difference(ref, before, after)


async def _found(client: KubeClient, resource: Resource, ref: ObjectRef) -> JsonObject | None:
    from kagent_api.kube import NotFound

    try:
        return await client.get(resource, ref.name, ref.namespace)
    except NotFound:
        return None


async def _resource(client: KubeClient, ref: ObjectRef) -> Resource:
    from kagent_tui.cli.reach import find_resource

    return find_resource(ref.kind)


def _difference(ref: ObjectRef, before: JsonObject | None, after: JsonObject) -> list[Line]:
    old = to_yaml(editable(masked(before))) if before is not None else ""
    # A write of a Secret is shown by its keys: a value must not stand on a screen that others see.
    fresh = to_yaml(editable(masked({**after, "kind": after.get("kind") or ref.kind})))
    changes = diff(old, fresh, around=2)
    if not changes:
        return [line(span(f"{ref} would stay as it is", Tone.DIM))]
    return [line(span(f"{'changes' if before is not None else 'creates'} {ref}", Tone.HEAD)), *diff_lines(changes)]


def _objects(value: object, namespace: str) -> list[JsonObject]:
    """Return the manifests in an argument, as an object or as YAML."""
    if isinstance(value, dict):
        found = [object_of(cast("object", value))]
    elif isinstance(value, str) and "apiVersion" in value and "kind" in value:
        found = [each for text in value.split("\n---") if (each := _parsed(text))]
    else:
        return []
    objects: list[JsonObject] = []
    for obj in found:
        about = object_of(obj.get("metadata"))
        if text_of(obj.get("apiVersion")) and text_of(obj.get("kind")) and text_of(about.get("name")):
            objects.append({**obj, "metadata": {"namespace": namespace, **about}})
    return objects


def _parsed(text: str) -> JsonObject:
    try:
        return parse(text).object
    except InvalidSpec:
        return {}


def _patch(value: object) -> JsonObject:
    if isinstance(value, str):
        try:
            return object_of(json.loads(value))
        except ValueError:
            return _parsed(value)
    return object_of(value)


def _says(tool: str, *words: str) -> bool:
    return any(word in tool.casefold() for word in words)
