"""ASCII in place of the signs and lines we draw with, cell for cell, for terminals and fonts that have no others."""

from __future__ import annotations

from typing import Final

from kagent_tui.safety.width import cell_width

__all__ = ["to_ascii"]

# The sign for Enter becomes one that is the key of nothing: E would be read as the key E.
_SIGNS: Final = {
    "●": "*", "○": "o", "✖": "x", "▲": "^", "▼": "v", "▸": ">", "▾": "v", "›": ">", "→": ">", "←": "<", "↑": "^",
    "↓": "v", "⏎": "=", "…": "~", "·": ".", "•": "*", "␛": "?", "�": "?", "✓": "+", "⏸": "=", "★": "*", "☆": "-",
    "▌": "|", "▐": "|", "█": "#", "▊": "#", "▉": "#", "▋": "|", "▍": "|", "▎": "|", "▏": "|", "▕": "|", "▔": "-",
    "▁": "_", "▂": "_", "▃": "_", "▄": "_", "▅": "=", "▆": "=", "▇": "#", "▀": "-", "░": ".", "▒": ":", "▓": "#",
    "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "×": "x", "≤": "<", "≥": ">", "▪": "*", "■": "#",
    "◆": "*", "▶": ">", "◀": "<", "╺": "-", "╸": "-", "╾": "-", "╼": "-",
}  # fmt: skip
# Box drawing: lines by their direction, everything else is a crossing.
_LINES: Final = {chr(code): "+" for code in range(0x2500, 0x2580)} | {
    **dict.fromkeys("─━┄┅┈┉╌╍═╴╶╸╺╼╾", "-"), **dict.fromkeys("│┃┆┇┊┋╎╏║╵╷╹╻╽╿", "|"),
}  # fmt: skip
_TABLE: Final = str.maketrans(_LINES | _SIGNS)


def to_ascii(text: str, *, strict: bool) -> str:
    """Replace our own signs; with ``strict`` all that is not ASCII, by as many ``?`` as it is wide."""
    shown = text.translate(_TABLE)
    if not strict or shown.isascii():
        return shown
    return "".join(sign if sign.isascii() else "?" * cell_width(sign) for sign in shown)
