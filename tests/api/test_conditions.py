from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from kagent_api.conditions import get_condition, remove_condition, set_condition

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 13, 0, tzinfo=timezone(timedelta(hours=-1)))


def put(
    conditions: list[dict[str, Any]], status: Literal["True", "False"], message: str = "m", *, now: datetime = NOON
) -> bool:
    return set_condition(
        conditions, type="Ready", status=status, reason="R", message=message, observed_generation=2, now=now
    )


def test_a_new_condition_has_the_time_of_now_in_utc() -> None:
    conditions: list[dict[str, Any]] = []
    assert put(conditions, "True", now=LATER)
    assert conditions == [
        {
            "type": "Ready", "status": "True", "reason": "R", "message": "m", "observedGeneration": 2,
            "lastTransitionTime": "2026-01-01T14:00:00Z",
        }
    ]  # fmt: skip


def test_setting_the_same_again_changes_nothing() -> None:
    conditions: list[dict[str, Any]] = []
    put(conditions, "True")
    before = dict(conditions[0])
    assert not put(conditions, "True", now=LATER)
    assert conditions == [before]


def test_a_new_message_keeps_the_transition_time_and_a_new_status_moves_it() -> None:
    conditions: list[dict[str, Any]] = []
    put(conditions, "True")
    assert put(conditions, "True", "other", now=LATER)
    assert conditions[0]["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert put(conditions, "False", "other", now=LATER)
    assert conditions[0]["lastTransitionTime"] == "2026-01-01T14:00:00Z"


def test_messages_longer_than_the_api_server_takes_are_cut() -> None:
    conditions: list[dict[str, Any]] = []
    put(conditions, "True", "x" * 40_000)
    assert len(conditions[0]["message"]) == 32_768
    assert not put(conditions, "True", "x" * 40_000)


def test_getting_and_removing_by_type() -> None:
    conditions: list[dict[str, Any]] = []
    put(conditions, "True")
    assert get_condition(conditions, "Ready") is conditions[0]
    assert get_condition(None, "Ready") is None
    assert remove_condition(conditions, "Ready")
    assert not remove_condition(conditions, "Ready")
    assert conditions == []
