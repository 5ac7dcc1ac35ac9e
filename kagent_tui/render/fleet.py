"""Several contexts at once: for each its link, its counts, and what is broken in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cluster.errors import explain
from kagent_tui.cluster.kinds import VIEWS
from kagent_tui.cluster.link import Link
from kagent_tui.render.headline import link_spans
from kagent_tui.render.pulse import Beat
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note, span

__all__ = ["CONTEXT", "Member", "fleet_lines"]

# What a line leads to here: no object, but a context.
CONTEXT: Final = "Context"
_MOST_BROKEN: Final = 6


@dataclass(frozen=True, slots=True)
class Member:
    """One context as it is now; raw texts. ``tone`` is its colour's, None for none."""

    name: str
    tone: Tone | None = None
    link: Link = field(default_factory=Link)
    namespaces: tuple[str, ...] = ()
    beats: Mapping[str, Beat] = field(default_factory=dict[str, Beat])
    failure: KagentError | None = None


def fleet_lines(members: Sequence[Member], now: float) -> list[Line]:
    """Return the screen; ``now`` is monotonic time."""
    lines = [head(f"Contexts ({len(members)})"), BLANK]
    for member in members:
        lines += [*_member(member, now), BLANK]
    return lines if members else [head("Contexts"), note("the kubeconfig has none")]


def _member(member: Member, now: float) -> list[Line]:
    target = ObjectRef(CONTEXT, "", member.name)
    name = span(f" {member.name} ", member.tone or Tone.HEAD)
    where = ",".join(member.namespaces) or "all namespaces"
    state = link_spans(member.link, now) if member.failure is None else [Span("✖ not connected", Tone.BAD)]
    lines = [line(name, Span("  "), *state, span(f"  ns {where}", Tone.DIM), target=target)]
    error = member.failure or member.link.error
    if error is not None:
        told = explain(error)
        lines += [note(told.message, 4), *([note(told.remedy, 4)] if told.remedy else [])]
    counts: list[Span] = [Span("   ")]
    for view, beat in member.beats.items():
        total = beat.working + len(beat.waiting) + len(beat.broken)
        counts.append(span(f" {VIEWS[view].title} {total}", Tone.PLAIN if total else Tone.DIM))
        if beat.broken:
            counts.append(Span(f" ✖{len(beat.broken)}", Tone.BAD))
        counts.append(Span(" "))
    if member.beats:
        lines.append(line(*counts, indent=4))
    broken = [row for beat in member.beats.values() for row in beat.broken]
    for row in broken[:_MOST_BROKEN]:
        reasons = " ".join(cell.text for cell in row.cells if cell.tone is Tone.BAD)
        lines.append(line(span(f"    {row.ref.kind} {row.ref.namespace}/{row.ref.name}  "), Span(reasons, Tone.BAD),
                          indent=6))  # fmt: skip
    if len(broken) > _MOST_BROKEN:
        lines.append(note(f"and {len(broken) - _MOST_BROKEN} more", 4))
    return lines
