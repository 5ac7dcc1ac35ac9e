"""The delays between runs, by the kubelet's rules."""

from __future__ import annotations

from kagent_localcluster.runner.backoff import Backoff, BackoffRules


def test_the_first_restart_is_at_once_and_the_delays_double_up_to_five_minutes() -> None:
    backoff = Backoff(BackoffRules())
    assert [backoff.after_run(1) for _ in range(9)] == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_long_run_makes_the_next_failure_a_first_one() -> None:
    backoff = Backoff(BackoffRules())
    for _ in range(5):
        backoff.after_run(1)
    assert backoff.after_run(601) == 0
    assert backoff.after_run(1) == 10
