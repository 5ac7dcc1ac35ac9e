"""How long ago, in the few characters that kubectl's columns have (``5m12s``, ``3h``, ``2d4h``)."""

from __future__ import annotations

import datetime

from kagent_localcluster.apiserver.meta import parse_time

__all__ = ["age", "short_duration"]

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3_600, 86_400, 31_536_000


def age(timestamp: object) -> str:
    """Return the time since a timestamp, ``<unknown>`` for none."""
    then = parse_time(timestamp) if isinstance(timestamp, str) else None
    if then is None:
        return "<unknown>"
    return short_duration(int((datetime.datetime.now(datetime.UTC) - then).total_seconds()))


def short_duration(seconds: int) -> str:
    """Return seconds as Kubernetes' HumanDuration writes them: two units while the larger is small."""
    seconds = max(seconds, 0)
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 10 * _MINUTE:
        return _two(seconds, _MINUTE, "m", 1, "s")
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two(seconds, _HOUR, "h", _MINUTE, "m")
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _two(seconds, _DAY, "d", _HOUR, "h")
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    if seconds < 8 * _YEAR:
        return _two(seconds, _YEAR, "y", _DAY, "d")
    return f"{seconds // _YEAR}y"


def _two(seconds: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = seconds % large // small
    return f"{seconds // large}{large_unit}" + (f"{rest}{small_unit}" if rest else "")
