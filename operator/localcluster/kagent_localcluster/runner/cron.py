"""Cron schedules as CronJobs write them: five fields or ``@hourly`` and its kin, in a time zone.

The grammar is that of the parser Kubernetes uses (robfig/cron, standard form). No package is kept up that reads exactly
this: others know seconds, ``7`` for Sunday or ``L``, which a real cluster refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

__all__ = ["InvalidSchedule", "Schedule", "parse_schedule"]

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
UNITS = {"h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
DURATION = re.compile(r"(?:(?P<number>\d+(?:\.\d*)?|\.\d+)(?P<unit>h|ms|us|µs|ns|m|s))")
SEARCHED = timedelta(days=5 * 366)


class InvalidSchedule(ValueError):
    """A schedule that cannot be read; the message says which part."""


@dataclass(frozen=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, tuple(MONTHS)),
    _Field("day of week", 0, 6, tuple(DAYS)),
)


@dataclass(frozen=True)
class Schedule:
    """When something is due; ``every`` (seconds) stands for itself, without the other fields."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = True
    every: float = 0.0

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime | None:
        """Return the first due time after a moment, in UTC; None where none comes within five years.

        An hour that a change of the clocks leaves out is passed over; one that comes twice is due twice.
        """
        if self.every:
            return (moment + timedelta(seconds=self.every)).replace(microsecond=0).astimezone(UTC)
        due = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        last = due + SEARCHED
        while due < last:
            local = due.astimezone(zone)
            if not self._on_day(local):
                due = _midnight_after(local, zone)
            elif local.hour not in self.hours:
                due += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                due += timedelta(minutes=1)
            else:
                return due
        return None

    def _on_day(self, local: datetime) -> bool:
        if local.month not in self.months:
            return False
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return (day and weekday) if self.any_day else (day or weekday)


def parse_schedule(text: str) -> Schedule:
    """Read a schedule.

    Raises:
        InvalidSchedule: it is none.
    """
    text = text.strip()
    if text.startswith("@every "):
        return Schedule(every=max(1.0, float(int(_seconds(text.removeprefix("@every ").strip())))))
    if text.startswith("@"):
        if text not in DESCRIPTORS:
            raise InvalidSchedule(f"unrecognized descriptor: {text}")
        text = DESCRIPTORS[text]
    words = text.split()
    if len(words) != len(FIELDS):
        raise InvalidSchedule(f"expected exactly 5 fields, found {len(words)}: [{' '.join(words)}]")
    values = [_values(word, field) for word, field in zip(words, FIELDS, strict=True)]
    starred = any(_is_star(part) for word in (words[2], words[4]) for part in word.split(","))
    return Schedule(*values, any_day=starred)


def _values(word: str, field: _Field) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first in ("*", "?"):
            low, high = field.least, field.most
        else:
            low = _number(first, field)
            high = _number(last, field) if dash else field.most if slash else low
        width = _number(step, _Field(f"step of {field.name}", 1, 10_000)) if slash else 1
        if not field.least <= low <= high <= field.most:
            raise InvalidSchedule(f"{field.name} '{part}' is not within {field.least} to {field.most}")
        found |= set(range(low, high + 1, width))
    return frozenset(found)


def _is_star(part: str) -> bool:
    """Tell whether a part leaves the day open; ``*/2`` does not."""
    return part in ("*", "?", "*/1", "?/1")


def _number(word: str, field: _Field) -> int:
    if word.isascii() and word.isdigit():
        value = int(word)
    elif word.lower() in field.names:
        value = field.names.index(word.lower()) + field.least
    else:
        raise InvalidSchedule(f"failed to parse {field.name} '{word}'")
    if not field.least <= value <= field.most:
        raise InvalidSchedule(f"{field.name} '{word}' is not within {field.least} to {field.most}")
    return value


def _seconds(text: str) -> float:
    if not text or DURATION.sub("", text):
        raise InvalidSchedule(f"failed to parse duration @every {text}")
    return sum(float(match["number"]) * UNITS[match["unit"]] for match in DURATION.finditer(text))


def _midnight_after(local: datetime, zone: tzinfo) -> datetime:
    following = local.date() + timedelta(days=1)
    return datetime(following.year, following.month, following.day, tzinfo=zone).astimezone(UTC)
