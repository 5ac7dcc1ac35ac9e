"""Order, filter and single changes of a table's rows."""

from __future__ import annotations

import random

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.query import compile_filter
from kagent_tui.render.listing import Listing
from kagent_tui.render.row import Row, cell


def row(name: str, number: int = 0, **labels: str) -> Row:
    return Row(ObjectRef("Agent", "ns", name), (cell(name), cell(str(number), sort=number)), labels)


def names(listing: Listing) -> list[str]:
    return [one.ref.name for one in listing]


def test_rows_stand_in_the_order_of_the_sorted_column_then_of_their_name() -> None:
    listing = Listing(sort=1)
    listing.fill([row("b", 2), row("c", 1), row("a", 2)])
    assert names(listing) == ["c", "a", "b"]
    listing.sort(1, descending=True)
    assert names(listing) == ["b", "a", "c"]


def test_a_change_that_keeps_the_place_touches_only_that_row() -> None:
    listing = Listing()
    listing.fill([row("a"), row("b")])
    assert listing.put(row("b", 7)) == "cells"
    assert listing.put(row("b", 7)) == "same"
    assert listing.at(1).cells[1].text == "7"


def test_a_change_of_the_sorted_value_moves_the_row() -> None:
    listing = Listing(sort=1)
    listing.fill([row("a", 1), row("b", 2), row("c", 3)])
    assert listing.put(row("a", 9)) == "order"
    assert names(listing) == ["b", "c", "a"]
    assert listing.index(ObjectRef("Agent", "ns", "a")) == 2


def test_a_row_that_begins_or_ceases_to_fit_the_filter_comes_and_goes() -> None:
    listing = Listing()
    listing.fill([row("alpha"), row("beta")])
    listing.filter(compile_filter("alp"))
    assert names(listing) == ["alpha"]
    assert listing.put(row("alps")) == "order"
    assert listing.remove(ObjectRef("Agent", "ns", "beta")) == "same"
    assert (names(listing), listing.total) == (["alpha", "alps"], 2)


def test_single_changes_lead_to_the_same_as_filling_anew() -> None:
    dice = random.Random(7)
    for descending in (False, True):
        listing = Listing(sort=1, descending=descending)
        rows: dict[str, Row] = {}
        for _ in range(400):
            name = f"r{dice.randrange(40)}"
            if dice.random() < 0.2:
                rows.pop(name, None)
                listing.remove(ObjectRef("Agent", "ns", name))
            else:
                rows[name] = row(name, dice.randrange(10))
                listing.put(rows[name])
        fresh = Listing(sort=1, descending=descending)
        fresh.fill(rows.values())
        assert names(listing) == names(fresh)
        assert [listing.index(one.ref) for one in listing] == list(range(len(listing)))
