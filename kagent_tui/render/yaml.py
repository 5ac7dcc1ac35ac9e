"""YAML and differences as coloured lines; a light look at each line, no parser (the text may be broken)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kagent_tui.editing.diffing import DiffLine
from kagent_tui.render.text import Line, Span, Tone, line, span

__all__ = ["diff_lines", "yaml_lines"]

_KEY = re.compile(r"^(\s*(?:- )*)([^\s#'\"][^:]*|\"[^\"]*\"|'[^']*')(:)(\s.*)?$")
_SIGNS = {"same": (" ", Tone.PLAIN), "add": ("+", Tone.ADD), "remove": ("-", Tone.REMOVE), "gap": ("⋯", Tone.DIM)}


def yaml_lines(text: str) -> list[Line]:
    """Return YAML with keys, values and comments told apart."""
    lines: list[Line] = []
    block: int | None = None
    for raw in text.splitlines():
        indent = len(raw) - len(raw.lstrip())
        if block is not None and (not raw.strip() or indent > block):
            lines.append(line(span(raw, Tone.VALUE), indent=indent))
            continue
        block = None
        match = _KEY.match(raw)
        if raw.lstrip().startswith("#"):
            lines.append(line(span(raw, Tone.DIM), indent=indent))
        elif match is None:
            lines.append(line(span(raw, Tone.VALUE), indent=indent))
        else:
            rest = match[4] or ""
            if re.fullmatch(r"\s[|>][-+0-9]*", rest):
                block = indent
            parts = (Span(match[1]), span(match[2], Tone.KEY), Span(":"), span(rest, Tone.VALUE))
            lines.append(line(*parts, indent=indent + 2))
    return lines


def diff_lines(changes: Iterable[DiffLine]) -> list[Line]:
    """Return a difference with signs, so that it reads without colours too."""
    lines: list[Line] = []
    for change in changes:
        sign, tone = _SIGNS[change.sign]
        lines.append(line(Span(f"{sign} ", tone), span(change.text, tone), indent=4))
    return lines
