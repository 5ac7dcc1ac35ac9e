"""Ages and times as people read them: `45s`, `12m`, `3h`, `5d`; never a guess where no time is known."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["age", "duration", "seconds_since", "timestamp"]

_STEPS = ((86400 * 2, 86400, "d"), (3600 * 2, 3600, "h"), (120, 60, "m"), (0, 1, "s"))


def timestamp(value: object) -> float | None:
    """Parse an RFC 3339 time of the API into Unix time; None for anything else."""
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def duration(seconds: float) -> str:
    """Write a duration in one unit, the way kubectl's tables do."""
    whole = max(0, int(seconds))
    for least, unit, letter in _STEPS:
        if whole >= least:
            return f"{whole // unit}{letter}"
    return "0s"


def seconds_since(value: object, now: float) -> float | None:
    """Return the seconds between an API time and ``now``."""
    moment = timestamp(value)
    return None if moment is None else now - moment


def age(value: object, now: float) -> str:
    """Return the age of an API time, "" when there is none."""
    since = seconds_since(value, now)
    return "" if since is None else duration(since)
