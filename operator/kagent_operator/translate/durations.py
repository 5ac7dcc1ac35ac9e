"""Go duration strings (``30s``, ``5m0s``, ``1h2m3.5s``) as seconds."""

from __future__ import annotations

import re

__all__ = ["seconds"]

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def seconds(duration: str) -> float:
    """Return the length of a Go duration.

    Raises ValueError when it is none (Go's time.ParseDuration decides: a unit is needed, "0" is allowed).
    """
    body = duration.removeprefix("-").removeprefix("+")
    if body == "0":
        return 0.0
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f"{duration!r} is no duration such as 30s or 5m0s")
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return round(-total if duration.startswith("-") else total, 9)
