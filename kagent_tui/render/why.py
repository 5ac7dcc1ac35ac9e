"""Why something does not work: the chain of what it needs, each link with its state, the broken ones with their reason.

The first lines name the causes: links that are broken although everything below them works. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import AGENT, MCP_SERVER, SECRET, JsonObject
from kagent_tui.cluster.lookups import Known
from kagent_tui.cluster.references import Reference, references, text
from kagent_tui.cluster.workloads import PodState, Workload
from kagent_tui.render.conditions import MARK_BAD, MARK_OK, MARK_WAIT, conditions, waiting_state
from kagent_tui.render.detail import reference_state
from kagent_tui.render.row import World
from kagent_tui.render.text import BLANK, Line, Span, Tone, brief, head, line, note, span
from kagent_tui.render.tools import works

__all__ = ["WITH_PODS", "Facts", "Node", "causes", "chain", "nodes", "own_state", "tree_lines", "why_lines"]

# An agent of agents of agents: deep enough for people, and bounded.
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Facts:
    """What had to be asked for: keys of Secrets and ConfigMaps, and the workloads of links that do not work."""

    known: Mapping[ObjectRef, Known] = field(default_factory=dict[ObjectRef, Known])
    workloads: Mapping[ObjectRef, Workload] = field(default_factory=dict[ObjectRef, Workload])


@dataclass(frozen=True, slots=True)
class Node:
    """One link of the chain. ``tone`` OK, WARN (not known yet) or BAD."""

    ref: ObjectRef
    label: str
    state: str
    tone: Tone
    reasons: tuple[str, ...] = ()
    below: tuple[Node, ...] = ()


def chain(ref: ObjectRef, world: World, facts: Facts) -> Node:
    """Return the tree of what an object needs."""
    return _node(ref, None, world, facts, (), 0)


def nodes(root: Node) -> Iterator[Node]:
    """Yield a tree's nodes, parents first."""
    yield root
    for node in root.below:
        yield from nodes(node)


def causes(root: Node) -> list[Node]:
    """Return the broken links under which nothing else is broken, each object once."""
    found: dict[ObjectRef, Node] = {}
    for node in nodes(root):
        if node.tone is Tone.BAD and not any(below.tone is Tone.BAD for below in node.below):
            found.setdefault(node.ref, node)
    return list(found.values())


def why_lines(root: Node, facts: Facts) -> list[Line]:
    """Return the causes, the chain, and the evidence."""
    broken = causes(root)
    lines: list[Line] = []
    if broken:
        lines.append(head("What is wrong"))
        for node in broken:
            lines.append(
                line(
                    Span(f"{MARK_BAD} ", Tone.BAD),
                    span(node.label, Tone.LINK),
                    span(f"  {node.state.lstrip('✖○● ')}", Tone.BAD),
                    indent=4,
                    target=node.ref,
                )
            )
            lines += [note(reason, 4) for reason in node.reasons]
    elif all(node.tone is Tone.OK for node in nodes(root)):
        lines.append(line(Span(f"{MARK_OK} everything it needs works", Tone.OK)))
    else:
        lines.append(line(Span(f"{MARK_WAIT} nothing is broken; something is still starting", Tone.WARN)))
        for node in nodes(root):
            if node.tone is Tone.WARN and node.reasons:
                lines += [line(Span("  "), span(node.label, Tone.LINK), indent=4, target=node.ref)]
                lines += [note(reason, 4) for reason in node.reasons]
    lines += [BLANK, head("What it needs"), *tree_lines(root, "", "")]
    for ref, workload in facts.workloads.items():
        lines += _evidence(ref, workload)
    return lines


def _node(
    ref: ObjectRef, reference: Reference | None, world: World, facts: Facts, above: tuple[ObjectRef, ...], depth: int
) -> Node:
    label = f"{ref.kind} {ref.namespace}/{ref.name}"
    if reference is not None and reference.key:
        label += f"[{reference.key}]"
    if ref in above:
        return Node(ref, label, f"{MARK_BAD} refers back to itself", Tone.BAD)
    obj = world.find(ref)
    below = tuple(
        _node(one.target, one, world, facts, (*above, ref), depth + 1)
        for one in (references(obj) if obj is not None and depth < _DEEPEST else [])
    )
    if reference is None:
        state, tone = own_state(obj)
    else:
        state, tone = reference_state(reference, world, facts.known)
        tone = Tone.WARN if tone is Tone.DIM else tone
    workload = facts.workloads.get(ref)
    if tone is Tone.WARN and workload is not None and _failing(workload):
        # Upstream's controller only counts Pods; what runs (or does not) says more.
        state, tone = f"{MARK_BAD} {state.lstrip('✖○● ').replace('starting', 'not ready')}", Tone.BAD
    return Node(ref, label, state, tone, tuple(_reasons(ref, obj, facts)) if tone is not Tone.OK else (), below)


def own_state(obj: JsonObject | None) -> tuple[str, Tone]:
    """Say in what state an object is by its own conditions."""
    if obj is None:
        return f"{MARK_BAD} not found", Tone.BAD
    if works(obj):
        return f"{MARK_OK} works", Tone.OK
    bad = next((one for one in conditions(obj) if one.tone is Tone.BAD), None)
    if bad is not None:
        return f"{MARK_BAD} {bad.type} {bad.status}: {bad.reason}", Tone.BAD
    return waiting_state(obj), Tone.WARN


def _failing(workload: Workload) -> bool:
    return bool(workload.trouble) or any(pod.restarts or pod.failed for pod in workload.pods if not pod.well)


def _reasons(ref: ObjectRef, obj: JsonObject | None, facts: Facts) -> Iterator[str]:
    for one in conditions(obj or {}):
        if one.tone is not Tone.OK and one.message:
            yield brief(one.message)
    workload = facts.workloads.get(ref)
    if workload is not None:
        if workload.trouble:
            yield workload.trouble
        for pod in workload.pods:
            if not pod.well:
                yield _pod_words(pod)


def _pod_words(pod: PodState) -> str:
    restarts = f", restarted {pod.restarts} times" if pod.restarts else ""
    return f"Pod {pod.ref.name}: {pod.reason}{restarts}" + (f": {brief(pod.message)}" if pod.message else "")


def tree_lines(node: Node, lead: str = "", branch: str = "") -> Iterator[Line]:
    """Yield a tree, one link a line."""
    follow = node.ref if node.ref.kind not in (SECRET, "ConfigMap") else None
    yield line(
        Span(f"  {lead}{branch}", Tone.DIM), span(node.label, Tone.LINK if follow else Tone.PLAIN), Span("  "),
        span(node.state, node.tone), indent=4 + len(lead), target=follow,
    )  # fmt: skip
    inner = lead + {"├─ ": "│  ", "└─ ": "   "}.get(branch, "")
    for index, below in enumerate(node.below):
        yield from tree_lines(below, inner, "└─ " if index == len(node.below) - 1 else "├─ ")


def _evidence(ref: ObjectRef, workload: Workload) -> list[Line]:
    lines: list[Line] = []
    if workload.warnings:
        lines += [BLANK, head(f"Warnings about {workload.log_of}")]
        lines += [
            line(
                Span("  "),
                span(text(one.get("reason")), Tone.WARN),
                span(f": {brief(text(one.get('message')))}"),
                indent=4,
            )
            for one in workload.warnings
        ]
    if workload.log:
        lines += [BLANK, head(f"Last words of {workload.log_of} ({ref.kind} {ref.name})")]
        lines += [line(Span("  "), span(one), indent=4) for one in workload.log]
    return lines


# Only these run something.
WITH_PODS = frozenset({AGENT, MCP_SERVER})
