"""Three-way merges."""

from __future__ import annotations

from kagent_tui.editing.merge import Clash, merge

BASE = {"spec": {"a": 1, "b": {"x": 1}, "list": [1, 2]}, "gone": 1}


def test_changes_of_different_fields_are_joined() -> None:
    mine = {"spec": {"a": 2, "b": {"x": 1}, "list": [1, 2]}, "gone": 1}
    theirs = {"spec": {"a": 1, "b": {"x": 1, "y": 5}, "list": [1, 2]}}
    merged = merge(BASE, mine, theirs)
    assert merged.object == {"spec": {"a": 2, "b": {"x": 1, "y": 5}, "list": [1, 2]}}
    assert merged.clashes == ()


def test_the_same_change_on_both_sides_is_no_clash() -> None:
    both = {"spec": {"a": 3, "b": {"x": 1}, "list": [1, 2]}, "gone": 1}
    assert merge(BASE, both, both).clashes == ()


def test_a_field_both_changed_is_a_clash_and_one_side_is_taken() -> None:
    mine = {"spec": {"a": 2, "b": {"x": 1}, "list": [1]}, "gone": 1}
    theirs = {"spec": {"a": 3, "b": {"x": 1}, "list": [1, 2, 3]}, "gone": 1}
    assert merge(BASE, mine, theirs).clashes == (
        Clash("spec.a", 2, 3, 1),
        Clash("spec.list", [1], [1, 2, 3], [1, 2]),
    )
    assert merge(BASE, mine, theirs).object["spec"]["a"] == 3
    assert merge(BASE, mine, theirs, prefer_mine=True).object["spec"] == {"a": 2, "b": {"x": 1}, "list": [1]}


def test_what_one_removed_and_the_other_changed_is_a_clash() -> None:
    mine = {"spec": {"a": 1, "list": [1, 2]}, "gone": 1}
    theirs = {"spec": {"a": 1, "b": {"x": 9}, "list": [1, 2]}, "gone": 1}
    assert merge(BASE, mine, theirs).clashes == (Clash("spec.b", None, {"x": 9}, {"x": 1}),)
    assert "b" not in merge(BASE, mine, theirs, prefer_mine=True).object["spec"]


def test_true_is_not_one() -> None:
    assert merge({"a": 1}, {"a": True}, {"a": 1}).object["a"] is True
