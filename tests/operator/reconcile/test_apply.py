"""When what is there is what we want: the server's defaults do not count, anything else does."""

from __future__ import annotations

import pytest

from kagent_operator.reconcile.apply import matches


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        ({"a": 1}, {"a": 1, "defaulted": True}),
        ({"stdin": False, "command": [], "labels": {}, "value": "", "nothing": None}, {}),
        ({"protocol": ""}, {"protocol": "TCP"}),
        ([{"name": "x"}], [{"name": "x", "terminationMessagePath": "/dev/termination-log"}]),
        ({"data": {"a": "1"}}, {"data": {"a": "1"}}),
    ],
)
def test_defaults_and_empty_fields_do_not_count(desired: object, live: object) -> None:
    assert matches(desired, live)


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        ({"a": 1}, {}),
        ({"replicas": 0}, {"replicas": 1}),
        ({"allowPrivilegeEscalation": False}, {"allowPrivilegeEscalation": True}),
        ({"image": "mine"}, {"image": "injected"}),
        ([{"name": "x"}], [{"name": "x"}, {"name": "sidecar"}]),
        ({"data": {"a": "1"}}, {"data": {"a": "1", "b": "2"}}),
    ],
)
def test_whatever_was_changed_counts(desired: object, live: object) -> None:
    assert not matches(desired, live)
