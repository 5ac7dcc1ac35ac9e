"""The overview of one object: what it is, its conditions, what it refers to and in what state, who uses it, its tools.

Pure: raw objects in, lines out, every outside text through ``span``. Events come separately (they arrive later).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import AGENT, CONFIGMAP, MODEL_CONFIG, PROVIDER, SECRET, JsonObject, ref_of
from kagent_tui.cluster.lookups import Known
from kagent_tui.cluster.references import Reference, mapping, references, text
from kagent_tui.render.age import age
from kagent_tui.render.conditions import MARK_BAD, MARK_OK, MARK_WAIT, conditions, waiting_state
from kagent_tui.render.models import model_label, model_note
from kagent_tui.render.prompts import fragments
from kagent_tui.render.providers import provider_models
from kagent_tui.render.row import World
from kagent_tui.render.servers import server_command
from kagent_tui.render.text import BLANK, Line, Span, Tone, brief, head, line, note, span
from kagent_tui.render.tools import server_tools, works

__all__ = ["describe", "event_time", "events_lines", "reference_state"]


def describe(
    obj: JsonObject, world: World, now: float, *, used_by: Sequence[ObjectRef] = (),
    known: Mapping[ObjectRef, Known] | None = None,
) -> list[Line]:  # fmt: skip
    """Return the overview of an object."""
    ref = ref_of(obj)
    if ref.kind == CONFIGMAP:
        return [*_title(obj, ref_of(obj, "Prompt library"), now), *_used_by(used_by), *_library(obj)]
    return [
        *_title(obj, ref, now),
        *_conditions(obj, now),
        *_references(obj, world, known or {}),
        *_spec(obj, ref),
        *_tools(obj, ref, world),
        *_used_by(used_by),
    ]


def events_lines(events: Sequence[JsonObject], now: float) -> list[Line]:
    """Return the events of an object, newest first; empty when there are none."""
    lines = [head("Events")]
    for event in sorted(events, key=event_time, reverse=True):
        warning = text(event.get("type")) == "Warning"
        count = event.get("count")
        times = f" x{count}" if isinstance(count, int) and count > 1 else ""
        who = text(mapping(event.get("involvedObject")).get("kind"))
        lines.append(
            line(
                Span("  "),
                span(f"{age(event_time(event), now):>4} ", Tone.DIM),
                span(text(event.get("reason")) or "Event", Tone.WARN if warning else Tone.PLAIN),
                span(f"{times} {who}: ", Tone.DIM),
                span(brief(text(event.get("message")))),
                indent=7,
            )
        )
    return lines if len(lines) > 1 else [head("Events"), note("none in the last hour or so")]


def reference_state(reference: Reference, world: World, known: Mapping[ObjectRef, Known]) -> tuple[str, Tone]:
    """Say in what state a reference's target is; the word alone must be enough, without colour."""
    target = reference.target
    if target.kind in (SECRET, "ConfigMap"):
        return _keyed_state(reference, known.get(target))
    found = world.find(target)
    if found is None:
        return f"{MARK_BAD} not found", Tone.BAD
    if works(found):
        missing = _missing_tools(reference, found, world)
        if missing:
            return f"{MARK_BAD} does not offer: {', '.join(missing)}", Tone.BAD
        return f"{MARK_OK} works", Tone.OK
    bad = next((one for one in conditions(found) if one.tone is Tone.BAD), None)
    if bad is None:
        return waiting_state(found), Tone.WARN
    return f"{MARK_BAD} {bad.type} {bad.status}: {bad.reason}", Tone.BAD


def _keyed_state(reference: Reference, found: Known | None) -> tuple[str, Tone]:
    if found is None:
        return f"{MARK_WAIT} not looked up", Tone.DIM
    if found.missing:
        return f"{MARK_BAD} {found.trouble}", Tone.BAD
    if found.trouble:
        return f"{MARK_WAIT} {found.trouble}", Tone.WARN
    keys = found.keys or frozenset[str]()
    if reference.key and reference.key not in keys:
        there = ", ".join(sorted(keys)) or "no keys"
        return f"{MARK_BAD} has no key {reference.key!r} (it has: {there})", Tone.BAD
    return f"{MARK_OK} exists", Tone.OK


def _missing_tools(reference: Reference, server: JsonObject, world: World) -> list[str]:
    offered = server_tools(server, world) if reference.tools else None
    return [] if offered is None else sorted(set(reference.tools) - {tool.name for tool in offered})


def _title(obj: JsonObject, ref: ObjectRef, now: float) -> Iterator[Line]:
    meta = mapping(obj.get("metadata"))
    made = age(meta.get("creationTimestamp"), now)
    generation = meta.get("generation")
    parts = [span(f"{ref.kind} ", Tone.DIM), span(f"{ref.namespace}/{ref.name}", Tone.HEAD)]
    yield line(*parts)
    facts = [f"age {made}" if made else "", f"generation {generation}" if isinstance(generation, int) else ""]
    yield note(" · ".join(fact for fact in facts if fact) or "not created yet", 0)
    description = text(mapping(obj.get("spec")).get("description"))
    if description:
        yield line(span(description))
    yield BLANK


def _conditions(obj: JsonObject, now: float) -> Iterator[Line]:
    yield head("Conditions")
    found = conditions(obj)
    if not found:
        yield note("none yet: no controller has looked at this object. Is kagent-operator running and watching here?")
    for one in found:
        mark = {Tone.OK: MARK_OK, Tone.BAD: MARK_BAD}.get(one.tone, MARK_WAIT)
        since = age(one.since, now)
        yield line(
            Span("  "),
            span(f"{mark} {one.type} {one.status}", one.tone),
            span(f" {one.reason}", Tone.PLAIN),
            span(f" {since}" if since else "", Tone.DIM),
            span(" (about an older version of the spec)" if one.stale else "", Tone.WARN),
            indent=4,
        )
        if one.message:
            yield line(
                Span("    "), span(brief(one.message), Tone.DIM if one.tone is Tone.OK else Tone.PLAIN), indent=4
            )
    yield BLANK


def _references(obj: JsonObject, world: World, known: Mapping[ObjectRef, Known]) -> Iterator[Line]:
    found = references(obj)
    if not found:
        return
    yield head("Refers to")
    for reference in found:
        state, tone = reference_state(reference, world, known)
        target = reference.target
        where = f"{target.namespace}/" if target.namespace != ref_of(obj).namespace else ""
        key = f"[{reference.key}]" if reference.key else ""
        yield line(
            Span("  "),
            span(f"{target.kind} ", Tone.DIM),
            span(f"{where}{target.name}{key}", Tone.LINK),
            span(f"  {state}", tone),
            indent=4,
            target=target if target.kind not in (SECRET, "ConfigMap") else None,
        )
        if reference.tools:
            yield note(", ".join(reference.tools), 4)
    yield BLANK


def _spec(obj: JsonObject, ref: ObjectRef) -> Iterator[Line]:
    spec = mapping(obj.get("spec"))
    if ref.kind == AGENT:
        yield from _agent_spec(spec)
    elif ref.kind == MODEL_CONFIG:
        yield head("Model")
        yield line(Span("  "), span(model_label(obj)), span(f" by {text(spec.get('provider')) or 'OpenAI'}", Tone.DIM))
        if model_note(obj):
            yield note(model_note(obj))
        base = next(
            (text(mapping(value).get("baseUrl")) for value in spec.values() if mapping(value).get("baseUrl")), ""
        )
        if base:
            yield line(Span("  at ", Tone.DIM), span(base))
        yield BLANK
    elif ref.kind == PROVIDER:
        yield from _provider(obj, spec)
    elif server_command(obj):
        yield head("Server")
        yield line(Span("  "), span(server_command(obj)), indent=2)
        yield BLANK


def _provider(obj: JsonObject, spec: JsonObject) -> Iterator[Line]:
    yield head("Provider")
    yield line(Span("  "), span(text(spec.get("type")) or "?"))
    if text(spec.get("endpoint")):
        yield line(Span("  at ", Tone.DIM), span(text(spec.get("endpoint"))))
    yield BLANK
    found = provider_models(obj)
    yield head(f"Models ({len(found)})")
    yield from (line(Span("  "), span(name)) for name in found)
    if not found:
        yield note("none found yet")
    yield BLANK


def _library(obj: JsonObject) -> Iterator[Line]:
    for name, content in fragments(obj).items():
        yield head(f"Fragment {name}")
        yield from (line(Span("  "), span(part), indent=2) for part in content.splitlines())
        yield BLANK


def _agent_spec(spec: JsonObject) -> Iterator[Line]:
    declarative = mapping(spec.get("declarative"))
    message = text(declarative.get("systemMessage"))
    if message:
        yield head("Instruction")
        for part in message.splitlines():
            yield line(Span("  "), span(part), indent=2)
        yield BLANK
    deployment = mapping(mapping(spec.get("byo")).get("deployment"))
    if deployment:
        yield head("Own image")
        yield line(Span("  "), span(text(deployment.get("image")) or "?"))
        yield BLANK


def _tools(obj: JsonObject, ref: ObjectRef, world: World) -> Iterator[Line]:
    if ref.kind not in ("RemoteMCPServer", "MCPServer"):
        return
    tools = server_tools(obj, world)
    if tools is None:
        yield head("Tools")
        yield note("not listed yet (an upstream controller lists tools of RemoteMCPServers only)")
    else:
        yield head(f"Tools ({len(tools)})")
        for tool in tools:
            yield line(
                Span("  "), span(tool.name, Tone.KEY), span(f"  {_first_line(tool.description)}", Tone.DIM), indent=4
            )
    yield BLANK


def _used_by(users: Sequence[ObjectRef]) -> Iterator[Line]:
    if not users:
        return
    yield head("Used by")
    for user in users:
        yield line(
            Span("  "), span(f"{user.kind} ", Tone.DIM), span(f"{user.namespace}/{user.name}", Tone.LINK), target=user
        )
    yield BLANK


def _first_line(value: str) -> str:
    return next((part.strip() for part in value.splitlines() if part.strip()), "")


def event_time(event: JsonObject) -> str:
    """Return when an event was last seen, as the API writes it."""
    series = mapping(event.get("series"))
    for value in (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime")):
        if text(value):
            return text(value)
    return text(mapping(event.get("metadata")).get("creationTimestamp"))
