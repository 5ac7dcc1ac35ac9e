"""A rolling update never leaves its bounds and always ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kagent_localcluster.runner.controllers.rollout import (
    Limits,
    Scale,
    limits,
    new_size,
    old_sizes,
    proportional_sizes,
)
from kagent_localcluster.seams import JsonObject


@pytest.mark.parametrize(
    ("rolling", "replicas", "expected"),
    [
        ({}, 1, Limits(1, 0)),
        ({}, 10, Limits(3, 2)),
        ({"maxSurge": 0, "maxUnavailable": 0}, 4, Limits(0, 1)),
        ({"maxSurge": "100%", "maxUnavailable": "50%"}, 3, Limits(3, 1)),
        ({"maxSurge": 2, "maxUnavailable": 9}, 3, Limits(2, 3)),
    ],
)
def test_percentages_round_up_for_surge_and_down_for_unavailability(
    rolling: JsonObject, replicas: int, expected: Limits
) -> None:
    assert limits({"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}, replicas) == expected


def test_one_replica_is_replaced_only_after_its_successor_is_available() -> None:
    bounds = limits({}, 1)
    old = Scale("old", 1, 1)
    assert new_size(1, Scale("new", 0, 0), [old], bounds) == 1
    assert old_sizes(1, Scale("new", 1, 0), [old], bounds) == {}
    assert old_sizes(1, Scale("new", 1, 1), [old], bounds) == {"old": 0}


def test_pods_that_are_broken_anyway_go_first() -> None:
    old = [Scale("broken", 2, 0), Scale("good", 2, 2)]
    assert old_sizes(2, Scale("new", 1, 0), old, Limits(1, 0)) == {"broken": 0}


@settings(max_examples=200, deadline=None)
@given(wanted=st.integers(1, 12), before=st.integers(0, 12), surge=st.integers(0, 4), unavailable=st.integers(0, 4))
def test_a_rollout_stays_within_its_bounds_at_every_step_and_finishes(
    wanted: int, before: int, surge: int, unavailable: int
) -> None:
    bounds = limits({"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}, wanted)
    new, old = 0, before
    for _ in range(100):
        total_before = new + old
        new = new_size(wanted, Scale("new", new, new), [Scale("old", old, old)], bounds)
        assert new + old <= max(wanted + bounds.surge, total_before)
        old = old_sizes(wanted, Scale("new", new, new), [Scale("old", old, old)], bounds).get("old", old)
        assert new + old >= min(total_before, wanted - bounds.unavailable)
        if (new, old) == (wanted, 0):
            return
    raise AssertionError(f"stuck at new={new} old={old}")


@pytest.mark.parametrize(
    ("wanted", "active", "expected"),
    [
        # The example of Kubernetes' documentation: maxSurge 3, stuck at 8 old and 5 new, scaled from 10 to 15.
        (15, [Scale("old", 8, 8, 13, "1"), Scale("new", 5, 0, 13, "2")], {"old": 11, "new": 7}),
        (5, [Scale("old", 8, 8, 13, "1"), Scale("new", 5, 0, 13, "2")], {"old": 5, "new": 3}),
        (0, [Scale("old", 8, 8, 13, "1"), Scale("new", 5, 0, 13, "2")], {"old": 0, "new": 0}),
        # What rounding leaves over goes to the largest; of equal ones the newest grows, the oldest shrinks.
        (3, [Scale("old", 2, 2, 5, "1"), Scale("new", 2, 0, 5, "2")], {"old": 2, "new": 4}),
    ],
)
def test_scaling_in_the_middle_of_a_rollout_spreads_over_the_replicasets(
    wanted: int, active: list[Scale], expected: dict[str, int]
) -> None:
    assert proportional_sizes(wanted, active, Limits(3, 2), 0) == expected


def test_recreate_counts_as_available_only_with_every_pod() -> None:
    assert limits({"strategy": {"type": "Recreate"}}, 4) == Limits(0, 0)
