"""Who one is talking to, as far as a header tells it; made from the cluster's objects, or empty without a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from kagent_api.errors import ObjectRef
from kagent_tui.chat.jsonvalue import JsonObject, object_of, objects_in, text_of
from kagent_tui.cluster.kinds import MCP_SERVER, MODEL_CONFIG, REMOTE_MCP_SERVER
from kagent_tui.cluster.references import references
from kagent_tui.render.conditions import condition

__all__ = ["MODEL_NOTE", "ChatSubject", "subject_of"]

# The demo sets it on a ModelConfig whose answers are not a real model's.
MODEL_NOTE: Final = "kagent-tui.dev/model-note"


@dataclass(frozen=True, slots=True)
class ChatSubject:
    """An agent with what matters before one types. Raw texts.

    ``note`` is said plainly beside the model (``scripted offline model``); ``trouble`` is why the agent may not answer,
    with its ``remedy``; ``missing`` are tools that it is configured to have and does not.
    """

    ref: ObjectRef
    model: str = ""
    note: str = ""
    trouble: str = ""
    remedy: str = ""
    missing: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.ref.namespace}/{self.ref.name}" if self.ref.namespace else self.ref.name


def subject_of(ref: ObjectRef, find: Callable[[ObjectRef], JsonObject | None]) -> ChatSubject:
    """Return what the cluster's objects say about an agent: its model, and the first reason it may not answer."""
    agent = find(ref)
    if agent is None:
        return ChatSubject(ref, trouble="there is no such agent", remedy="kagent-tui get agents -A lists them")
    target = next((each.target for each in references(agent) if each.target.kind == MODEL_CONFIG), None)
    model = find(target) if target is not None else None
    label = text_of(object_of((model or {}).get("spec")).get("model"))
    note = text_of(object_of(object_of((model or {}).get("metadata")).get("annotations")).get(MODEL_NOTE))
    trouble, remedy = "", ""
    if target is not None and model is None:
        trouble, remedy = f"{target} is missing", "create it, or name another in spec.declarative.modelConfig"
    elif target is not None and model is not None and (bad := _bad(model, "Accepted")):
        trouble, remedy = f"{target}: {bad}", "x in the agents table shows the chain of what it needs"
    elif bad := _bad(agent, "Accepted") or _bad(agent, "Ready"):
        trouble, remedy = bad, f"kagent-tui describe agent {ref.name} -n {ref.namespace}"
    return ChatSubject(ref, label, note, trouble, remedy, tuple(_missing(agent, find)))


def _missing(agent: JsonObject, find: Callable[[ObjectRef], JsonObject | None]) -> Iterator[str]:
    """Yield tools that are configured but that no server offers: engines skip them without a word (reference A8)."""
    for reference in references(agent):
        if reference.target.kind not in (MCP_SERVER, REMOTE_MCP_SERVER):
            continue
        server = find(reference.target)
        where = f"{reference.target.namespace}/{reference.target.name}"
        if server is None:
            yield f"everything of {where}, which is not there"
            continue
        status = object_of(server.get("status"))
        if "discoveredTools" not in status:
            if bad := _bad(server, "Accepted"):
                yield f"everything of {where}: {bad}"
            continue
        offered = {text_of(tool.get("name")) for tool in objects_in(status.get("discoveredTools"))}
        yield from (f"{name} of {where}" for name in reference.tools if name not in offered)


def _bad(obj: JsonObject, kind: str) -> str:
    found = condition(obj, kind)
    if found is None or found.status == "True":
        return ""
    word = "not ready" if kind == "Ready" else "not accepted"
    return f"{word}: {found.message or found.reason}"
