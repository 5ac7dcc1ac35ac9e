"""Where a person has been: views with their filters, back and forward as a browser has it. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["History", "Place"]

_LONGEST: Final = 100


class Place(NamedTuple):
    """A view and the filter it had."""

    view: str
    filter: str


class History:
    """Places in the order they were visited, and which of them this is."""

    def __init__(self, first: Place) -> None:
        self._places = [first]
        self._here = 0

    def visit(self, place: Place) -> None:
        """Go to a place; what lay ahead is forgotten. Where one already is, nothing happens."""
        if place == self._places[self._here]:
            return
        del self._places[self._here + 1 :]
        self._places.append(place)
        del self._places[:-_LONGEST]
        self._here = len(self._places) - 1

    def step(self, by: int) -> Place | None:
        """Go back (-1) or forward (1); None where there is nothing."""
        if not 0 <= self._here + by < len(self._places):
            return None
        self._here += by
        return self._places[self._here]

    def before_this(self, view: str) -> Place | None:
        """Return the last place in another view; None where there was none."""
        return next((place for place in reversed(self._places[: self._here + 1]) if place.view != view), None)
