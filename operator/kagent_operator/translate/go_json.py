"""Write JSON byte for byte as upstream's controller (Go's encoding/json) does.

The bytes go into the config hash, so a different encoder would roll out every agent that upstream's controller made.
Objects keep the order they are given in (Go structs); maps must be passed through ``sorted_map`` first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

__all__ = ["compact", "indented", "sorted_map"]

# encoding/json's HTML escaping, on by default in Go.
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def compact(value: object) -> str:
    """Encode without any white space."""
    return _write(value, "", "")


def indented(value: object) -> str:
    """Encode with two spaces of indentation, as ``json.MarshalIndent(v, "", "  ")``."""
    return _write(value, "  ", "\n")


def sorted_map(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Go map in the order Go writes it."""
    return {key: value[key] for key in sorted(value)}


def _write(value: object, indent: str, newline: str) -> str:
    if isinstance(value, dict):
        items: list[tuple[str, object]] = [(str(key), item) for key, item in value.items()]  # type: ignore[misc] # a JSON object's keys are strings
        if not items:
            return "{}"
        inner = newline + indent
        colon = ": " if indent else ":"
        body = ("," + inner).join(
            f"{_string(key)}{colon}{_write(item, indent, inner if newline else '')}" for key, item in items
        )
        return "{" + inner + body + newline + "}"
    if isinstance(value, list):
        entries: list[object] = value  # type: ignore[assignment] # any list is a list of objects
        if not entries:
            return "[]"
        inner = newline + indent
        body = ("," + inner).join(_write(item, indent, inner if newline else "") for item in entries)
        return "[" + inner + body + newline + "]"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float):
        return _float(value)
    return json.dumps(value)


def _string(value: str) -> str:
    # Backspace and form feed: Go has written \b and \f since 1.22, as Python does.
    return json.dumps(value, ensure_ascii=False).translate(_ESCAPES)


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError("JSON holds no infinite numbers")
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    # Go changes to an exponent below 1e-6, Python below 1e-4; both write the shortest digits that read back the same.
    if 1e-6 <= abs(value) < 1e21:
        return f"{Decimal(repr(value)):f}"
    mantissa, exponent = repr(value).split("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"
