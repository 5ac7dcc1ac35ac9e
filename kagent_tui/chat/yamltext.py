"""JSON values as YAML to read: block style, strings with line breaks as blocks, nothing a YAML reader would misread.

Written by hand because it must take any depth and size of outside data in linear time and never raise.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, cast

__all__ = ["dump"]

_MAX_DEPTH: Final = 32
_PLAIN: Final = re.compile(r"[A-Za-z_/.][\w ./()@+-]*(?:[:][\w./()@+-]+)*")
# YAML 1.1 readers take these for booleans and nulls.
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", ".inf", ".nan", "."})


def dump(value: Any) -> str:
    """Return ``value`` as YAML without a final line break."""
    lines: list[str] = []
    _write(value, 0, "", lines)
    return "\n".join(lines)


def _write(value: Any, depth: int, lead: str, lines: list[str]) -> None:
    """Append ``value``; ``lead`` is what stands before it on its first line (``key:`` or ``-``)."""
    pad = "  " * depth
    if isinstance(value, dict) and value and depth < _MAX_DEPTH:
        _lead(lead, lines)
        for key, item in cast("dict[str, Any]", value).items():
            _write(item, depth + (1 if lead else 0), f"{_deeper(pad, lead)}{_scalar(str(key))}:", lines)
        return
    if isinstance(value, list) and value and depth < _MAX_DEPTH:
        _lead(lead, lines)
        for item in cast("list[Any]", value):
            dash = f"{_deeper(pad, lead)}-"
            begin = len(lines)
            _write(item, depth + (1 if lead else 0), dash, lines)
            if lines[begin] == dash and len(lines) > begin + 1:
                # The first key of an object stands beside its dash.
                lines[begin : begin + 2] = [f"{dash} {lines[begin + 1].lstrip()}"]
        return
    if isinstance(value, str) and _blocks(value):
        keep = "|" if value.endswith("\n") else "|-"
        lines.append(f"{lead} {keep}".lstrip() if not lead.strip() else f"{lead} {keep}")
        inner = "  " * (depth + 1)
        lines += [f"{inner}{line}" if line else "" for line in value.removesuffix("\n").split("\n")]
        return
    text = _scalar(value)
    lines.append(f"{lead} {text}" if lead else text)


def _lead(lead: str, lines: list[str]) -> None:
    if lead:
        lines.append(lead)


def _deeper(pad: str, lead: str) -> str:
    return f"{pad}  " if lead else pad


def _blocks(text: str) -> bool:
    """Tell whether a text can stand as a block of lines."""
    lines = text.split("\n")
    return "\n" in text.strip("\n") and not text.startswith((" ", "\n", "\t")) and all(map(str.isprintable, lines))


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _WORDS and not value.endswith(" "):
            return value
        quoted = json.dumps(value, ensure_ascii=False)
        return quoted if quoted.isprintable() else "".join(map(_escaped, quoted))
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return "…"


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
