"""Cron schedules are read and followed as Kubernetes' parser does it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from kagent_localcluster.runner.cron import InvalidSchedule, parse_schedule

MOMENT = datetime(2026, 3, 4, 10, 17, 30, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("schedule", "following"),
    [
        ("* * * * *", "2026-03-04T10:18"),
        ("*/15 * * * *", "2026-03-04T10:30"),
        ("5/20 * * * *", "2026-03-04T10:25"),
        ("0 9-17/4 * * *", "2026-03-04T13:00"),
        ("30 2 * * mon-fri", "2026-03-05T02:30"),
        ("0 0 1 jan,JUL *", "2026-07-01T00:00"),
        ("0 12 13 * fri", "2026-03-06T12:00"),  # both days given: either will do
        ("0 12 */10 * fri", "2026-03-06T12:00"),  # a step is no star
        ("0 12 13 * ?", "2026-03-13T12:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("@hourly", "2026-03-04T11:00"),
        ("@weekly", "2026-03-08T00:00"),
        ("@yearly", "2027-01-01T00:00"),
        ("@every 1h30m", "2026-03-04T11:47:30"),
    ],
)
def test_the_next_due_time(schedule: str, following: str) -> None:
    assert parse_schedule(schedule).after(MOMENT) == datetime.fromisoformat(following).replace(tzinfo=UTC)


def test_a_day_that_never_comes_is_never_due() -> None:
    assert parse_schedule("0 0 31 2 *").after(MOMENT) is None


@pytest.mark.parametrize(
    "schedule",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "5-2 * * * *",
     "*/0 * * * *", "x * * * *", "* * L * *", "@reboot", "@every soon", "@every", "1,,2 * * * *", "-1 * * * *"],
)  # fmt: skip
def test_what_a_real_cluster_refuses_is_refused(schedule: str) -> None:
    with pytest.raises(InvalidSchedule):
        parse_schedule(schedule)


def test_a_time_zone_moves_with_its_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    nine = parse_schedule("0 9 * * *")
    assert nine.after(datetime(2026, 3, 28, 9, 0, tzinfo=UTC), berlin) == datetime(2026, 3, 29, 7, 0, tzinfo=UTC)
    assert nine.after(datetime(2026, 3, 27, 9, 0, tzinfo=UTC), berlin) == datetime(2026, 3, 28, 8, 0, tzinfo=UTC)
    skipped = parse_schedule("30 2 * * *")  # on 29 March there is no half past two
    assert skipped.after(datetime(2026, 3, 28, 12, 0, tzinfo=UTC), berlin) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)
