"""Health at a glance: how much of every kind works, what is broken, what is starting, the latest warnings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from kagent_tui.cluster.kinds import VIEWS, JsonObject
from kagent_tui.cluster.references import mapping, text
from kagent_tui.render.age import age
from kagent_tui.render.detail import event_time
from kagent_tui.render.row import Row
from kagent_tui.render.text import BLANK, Line, Span, Tone, brief, head, line, note, span

__all__ = ["Beat", "beat", "pulse_lines"]

_BAR: Final = 24
# What does not fit on a screen is no glance any more; the tables have the rest.
_MOST_ROWS: Final = 40
_MOST_WARNINGS: Final = 12


class Beat(NamedTuple):
    """One view's rows, counted."""

    working: int
    waiting: Sequence[Row]
    broken: Sequence[Row]


def beat(rows: Iterable[Row]) -> Beat:
    """Count rows by what their cells say."""
    working, waiting, broken = 0, list[Row](), list[Row]()
    for row in rows:
        tones = {cell.tone for cell in row.cells}
        if row.trouble or Tone.BAD in tones:
            broken.append(row)
        elif Tone.WARN in tones:
            waiting.append(row)
        else:
            working += 1
    return Beat(working, sorted(waiting, key=lambda row: row.ref), sorted(broken, key=lambda row: row.ref))


def pulse_lines(
    beats: Mapping[str, Beat], warnings: Sequence[JsonObject] | None, waiting: int | None, now: float
) -> list[Line]:
    """Return the screen; ``waiting`` counts decisions (None: nobody can tell), ``warnings`` None while unknown."""
    lines = [head("Health")]
    lines += [_gauge(view, counted) for view, counted in beats.items()]
    if waiting:
        lines += [BLANK, line(Span(f"  {waiting} wait for your decision", Tone.WARN), Span("  A shows them", Tone.DIM))]
    for title, rows, empty in (
        ("Broken", [row for counted in beats.values() for row in counted.broken], "nothing"),
        ("Waiting or incomplete", [row for counted in beats.values() for row in counted.waiting], ""),
    ):
        if rows or empty:
            lines += [BLANK, head(f"{title} ({len(rows)})")]
            lines += [_row(row) for row in rows[:_MOST_ROWS]] or [note(empty)]
            if len(rows) > _MOST_ROWS:
                lines.append(note(f"and {len(rows) - _MOST_ROWS} more"))
    lines += [BLANK, head("Latest warnings")]
    if warnings is None:
        return [*lines, note("loading")]
    latest = sorted(warnings, key=event_time, reverse=True)[:_MOST_WARNINGS]
    return [*lines, *([_warning(event, now) for event in latest] or [note("none")])]


def _gauge(view: str, counted: Beat) -> Line:
    total = counted.working + len(counted.waiting) + len(counted.broken)
    title = f"  {VIEWS[view].title:<12}"
    if not total:
        return line(span(f"{title} {0:>6}"), Span("   none", Tone.DIM))
    parts: list[Span] = []
    room = _BAR
    for count, tone in ((len(counted.broken), Tone.BAD), (len(counted.waiting), Tone.WARN)):
        # One broken of a thousand must still be seen.
        size = min(room, max(1, round(count / total * _BAR))) if count else 0
        room -= size
        parts.append(Span(("░" if tone is Tone.BAD else "▒") * size, tone))
    bar = [Span("█" * (room if counted.working else 0), Tone.OK), *reversed(parts)]
    pad = Span(" " * (_BAR - sum(len(part.text) for part in bar)))
    words = [Span(f"   {counted.working} work", Tone.OK if counted.working else Tone.DIM)]
    if counted.waiting:
        words.append(Span(f"  {len(counted.waiting)} wait", Tone.WARN))
    if counted.broken:
        words.append(Span(f"  {len(counted.broken)} broken", Tone.BAD))
    return line(span(f"{title} {total:>6}   "), *bar, pad, *words)


def _row(row: Row) -> Line:
    """Name a row, and the cells that say why it is here."""
    reasons = [cell for cell in row.cells if cell.tone in (Tone.BAD, Tone.WARN)]
    parts = [Span("  "), span(f"{row.ref.kind} ", Tone.DIM), span(f"{row.ref.namespace}/{row.ref.name}", Tone.LINK)]
    for cell in reasons:
        parts += (Span("  "), Span(cell.text, cell.tone))
    return line(*parts, indent=4, target=row.ref)


def _warning(event: JsonObject, now: float) -> Line:
    about = mapping(event.get("involvedObject"))
    return line(
        Span("  "),
        span(f"{age(event_time(event), now):>4} ", Tone.DIM),
        span(f"{text(about.get('kind'))} {text(about.get('namespace'))}/{text(about.get('name'))} ", Tone.DIM),
        span(text(event.get("reason")), Tone.WARN),
        span(f": {brief(text(event.get('message')))}"),
        indent=7,
    )
