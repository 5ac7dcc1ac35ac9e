"""What runs for an agent or a server: Deployment, Pods with their containers, events and last words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import DEPLOYMENT, POD, JsonObject, ref_of
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.cluster.workloads import newest_first, pod_state
from kagent_tui.render.age import age
from kagent_tui.render.conditions import MARK_BAD, MARK_OK, MARK_WAIT, conditions
from kagent_tui.render.detail import events_lines
from kagent_tui.render.text import BLANK, Line, Span, Tone, brief, head, line, note, span

__all__ = ["workload_lines"]


def workload_lines(
    ref: ObjectRef, deployment: JsonObject | None, pods: Sequence[JsonObject] | None,
    events: Sequence[JsonObject] | None, now: float, *, trouble: str = "",
) -> list[Line]:  # fmt: skip
    """Return the screen; None where something has not been read yet. ``trouble`` says what cannot be read."""
    lines = [line(span(f"{ref.kind} ", Tone.DIM), span(f"{ref.namespace}/{ref.name}", Tone.HEAD)), BLANK]
    if trouble:
        lines += [line(span(trouble, Tone.WARN)), BLANK]
    lines += _deployment(deployment, now)
    if pods is not None:
        lines += [head(f"Pods ({len(pods)})")]
        for pod in newest_first(pods):
            lines += _pod(pod, now)
        if not pods:
            lines.append(note("none"))
        lines.append(BLANK)
    if events is not None:
        names = {ref.name, *(ref_of(pod).name for pod in pods or ())}
        lines += events_lines([one for one in events if _about(one, names, ref.name)], now)
    return lines


def _about(event: JsonObject, names: set[str], name: str) -> bool:
    about = mapping(event.get("involvedObject"))
    # A ReplicaSet's name is its Deployment's and a hash.
    replica_set = text(about.get("kind")) == "ReplicaSet" and text(about.get("name")).rpartition("-")[0] == name
    return text(about.get("name")) in names or replica_set


def _deployment(found: JsonObject | None, now: float) -> Iterator[Line]:
    yield head("Deployment")
    if found is None:
        yield note("none: the operator has not made it")
        yield BLANK
        return
    status, spec = mapping(found.get("status")), mapping(found.get("spec"))
    wanted = spec.get("replicas", 1)
    ready, updated = status.get("readyReplicas") or 0, status.get("updatedReplicas") or 0
    mark, tone = (MARK_OK, Tone.OK) if ready == wanted == updated else (MARK_WAIT, Tone.WARN)
    ref = ref_of(found, DEPLOYMENT)
    made = age(mapping(found.get("metadata")).get("creationTimestamp"), now)
    yield line(
        Span("  "), span(ref.name, Tone.LINK), span(f"  {mark} {ready}/{wanted} ready", tone),
        span(f"  {updated} up to date  age {made}", Tone.DIM), indent=4, target=ref,
    )  # fmt: skip
    for container in items(mapping(mapping(spec.get("template")).get("spec")).get("containers")):
        yield note(f"{text(mapping(container).get('name'))}: {text(mapping(container).get('image'))}", 4)
    for one in conditions(found):
        if one.status != "True" or one.type == "ReplicaFailure":
            bad = one.type in ("Progressing", "ReplicaFailure")
            yield line(
                Span("    "), span(f"{MARK_BAD if bad else MARK_WAIT} {one.type} {one.status}",
                                   Tone.BAD if bad else Tone.WARN),
                span(f" {one.reason}: {brief(one.message)}"), indent=6,
            )  # fmt: skip
    yield BLANK


def _pod(pod: JsonObject, now: float) -> Iterator[Line]:
    state = pod_state(pod)
    meta = mapping(pod.get("metadata"))
    leaving = bool(meta.get("deletionTimestamp"))
    mark, tone = (MARK_OK, Tone.OK) if state.well else (MARK_BAD, Tone.BAD) if state.failed else (MARK_WAIT, Tone.WARN)
    words = "Terminating" if leaving else state.reason
    yield line(
        Span("  "), span(state.ref.name, Tone.LINK), span(f"  {mark} {words}", Tone.DIM if leaving else tone),
        span(f"  restarts {state.restarts}", Tone.WARN if state.restarts else Tone.DIM),
        span(f"  age {age(meta.get('creationTimestamp'), now)}", Tone.DIM), indent=4,
        target=ObjectRef(POD, state.ref.namespace, state.ref.name),
    )  # fmt: skip
    if state.message:
        yield line(Span("    "), span(brief(state.message)), indent=4)
    status = mapping(pod.get("status"))
    where = ", ".join(filter(None, (text(mapping(pod.get("spec")).get("nodeName")), text(status.get("podIP")))))
    if where:
        yield note(f"on {where}", 4)
    for one in items(status.get("containerStatuses")):
        yield from _container(mapping(one), now)


def _container(status: JsonObject, now: float) -> Iterator[Line]:
    ready = status.get("ready") is True
    last = mapping(mapping(status.get("lastState")).get("terminated"))
    running = mapping(mapping(status.get("state")).get("running"))
    since = f" for {age(running.get('startedAt'), now)}" if running else ""
    yield line(
        Span("    "), span(f"{MARK_OK if ready else MARK_WAIT} {text(status.get('name'))}",
                           Tone.OK if ready else Tone.WARN),
        span(f"{' running' if running else ''}{since}", Tone.DIM), indent=6,
    )  # fmt: skip
    if last:
        told = text(last.get("reason")) or "ended"
        code = last.get("exitCode")
        yield note(f"before: {told}, exit code {code}, {age(last.get('finishedAt'), now)} ago", 6)
