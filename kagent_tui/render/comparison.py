"""The same prompt to several agents, in figures: one row an agent, the best of each column marked. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kagent_tui.chat.blocks import seconds_text
from kagent_tui.chat.metrics import TurnFigures, cost_text
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note
from kagent_tui.safety import cell_width, clean, shorten

__all__ = ["Compared", "comparison_lines"]

_HEADER = ("AGENT", "MODEL", "FIRST TOKEN", "TOTAL", "TOK/S", "IN", "OUT", "COST", "STATE")
_WIDEST = 34


class Compared(NamedTuple):
    """One pane: who answered, with what, and the figures of its last turn; raw texts."""

    agent: str
    model: str
    prompt: str
    answer: str
    state: str
    figures: TurnFigures | None


def comparison_lines(panes: Sequence[Compared]) -> list[Line]:
    """Return the table, then each answer."""
    figures = [pane.figures for pane in panes]
    columns = [
        _numbers([f.first_token if f else None for f in figures], seconds_text, least=True),
        _numbers([f.total if f else None for f in figures], seconds_text, least=True),
        _numbers([f.rate if f else None for f in figures], lambda rate: f"{rate:.0f}", least=False),
        [(f"{f.prompt:,}" if f and f.prompt else "-", False) for f in figures],
        [(_about(f, f"{f.completion:,}") if f and f.completion else "-", False) for f in figures],
        _numbers([f.cost if f else None for f in figures], cost_text, least=True),
        [(pane.state, False) for pane in panes],
    ]
    names = [(shorten(clean(pane.agent, newlines=False), _WIDEST), False) for pane in panes]
    models = [(shorten(clean(pane.model, newlines=False), _WIDEST) or "-", False) for pane in panes]
    cells = [names, models, *columns]
    widths = [
        max([cell_width(title), *(cell_width(text) for text, _ in column)])
        for title, column in zip(_HEADER, cells, strict=True)
    ]
    lines = [line(*(Span(_pad(title, width), Tone.HEAD) for title, width in zip(_HEADER, widths, strict=True)))]
    for row in range(len(panes)):
        parts = [
            Span(_pad(column[row][0], width), Tone.OK if column[row][1] else Tone.PLAIN)
            for column, width in zip(cells, widths, strict=True)
        ]
        lines.append(line(*parts))
    lines += [BLANK, note("costs are list prices, tokens marked ≈ are guessed from characters; the best is marked", 0)]
    for pane in panes:
        lines += [BLANK, head(f"{pane.agent}: {' '.join(pane.prompt.split())[:200]}")]
        lines += [line(text) for text in clean(pane.answer).split("\n")]
    return lines


def _about(figures: TurnFigures, text: str) -> str:
    return f"≈{text}" if figures.guessed else text


def _pad(text: str, width: int) -> str:
    return text + " " * (width - cell_width(text) + 2)


def _numbers(values: list[float | None], show: Callable[[float], str], *, least: bool) -> list[tuple[str, bool]]:
    known = [value for value in values if value is not None]
    best = (min(known) if least else max(known)) if len(known) > 1 else None
    return [("-", False) if value is None else (show(value), value == best) for value in values]
