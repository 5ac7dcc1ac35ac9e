"""What the header line says about the context and the link. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kagent_tui.cluster.link import Link
from kagent_tui.render.age import duration
from kagent_tui.render.text import Span, Tone, span

__all__ = ["Headline", "context_spans", "count_spans", "link_spans"]

# Below this a live link needs no age; above, it is told in minutes, so that an idle screen stays still.
_QUIET_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Headline:
    """The facts of the header; texts are raw."""

    context: str = ""
    colour: str = ""
    production: bool = False
    namespaces: tuple[str, ...] = ()
    readonly: bool = False
    banner: str = ""
    trouble: int = 0
    waiting: int = 0


def context_spans(head: Headline) -> list[Span]:
    """Say where we are and what is allowed."""
    badge = Tone(head.colour) if head.colour else Tone.RED if head.production else None
    name = span(f" {head.context} ", badge) if badge else span(head.context or "-", Tone.HEAD)
    spans = [Span("ctx ", Tone.DIM), name]
    spans += (Span("  ns ", Tone.DIM), span(",".join(head.namespaces) or "all"))
    if head.readonly:
        spans.append(Span("  RO", Tone.WARN))
    if head.banner:
        spans += (Span("  "), span(head.banner, Tone.WARN))
    return spans


def count_spans(head: Headline) -> list[Span]:
    """Say what waits for a decision and how much is in trouble; the tabs count the rest."""
    spans: list[Span] = []
    if head.waiting:
        spans.append(Span(f"  approvals {head.waiting}", Tone.WARN))
    if head.trouble:
        spans.append(Span(f"  ✖{head.trouble}", Tone.BAD))
    return spans


def link_spans(link: Link, now: float, wall: float = 0.0) -> list[Span]:
    """Say how the link is; ``now`` is monotonic time, ``wall`` Unix time."""
    silent = max(0.0, now - link.last_event) if link.last_event else 0.0
    if link.cached and link.status in ("connecting", "live", "lost"):
        state = "no connection, trying again" if link.status == "lost" else "connecting"
        return [Span(f"○ cached {duration(max(0.0, wall - link.cached))} ago", Tone.WARN), Span(f", {state}", Tone.DIM)]
    match link.status:
        case "connecting":
            return [Span("○ connecting", Tone.WARN)]
        case "live":
            return [Span("● live", Tone.OK), Span(_quiet(silent), Tone.DIM)]
        case "lost" if not link.last_event:
            return [Span("✖ no connection, trying again", Tone.BAD)]
        case "lost":
            return [Span(f"✖ lost {duration(silent)} ago, trying again", Tone.BAD)]
        case "refused":
            return [Span("✖ refused", Tone.BAD)]
        case "expired":
            return [Span("✖ credentials expired", Tone.BAD)]
        case "failed":
            return [Span("✖ not connected", Tone.BAD)]


def _quiet(silent: float) -> str:
    """Say how long ago the last event was, in whole minutes: an idle screen must not be repainted every second."""
    if silent < _QUIET_SECONDS:
        return ""
    return f" {int(silent // 60)}m" if silent < 7200 else f" {duration(silent)}"
