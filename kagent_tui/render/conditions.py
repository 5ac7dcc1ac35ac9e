"""What the conditions of an object say, in words and meaning.

A condition about an older generation of the spec says nothing about the present one, so it is shown as waiting.
"""

from __future__ import annotations

from typing import NamedTuple

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.render.row import Cell, cell
from kagent_tui.render.text import Tone

__all__ = ["MARK_BAD", "MARK_OK", "MARK_WAIT", "Condition", "condition", "condition_cell", "conditions"]

MARK_OK = "●"
MARK_BAD = "✖"
MARK_WAIT = "○"


class Condition(NamedTuple):
    """One condition; ``stale`` when it was observed on an older generation."""

    type: str
    status: str
    reason: str
    message: str
    since: str
    stale: bool

    @property
    def tone(self) -> Tone:
        if self.stale or self.status == "Unknown":
            return Tone.WARN
        # Upstream's UnsupportedFeatures is bad news when True; every other condition is good news.
        good = "False" if self.type in _BAD_WHEN_TRUE else "True"
        return Tone.OK if self.status == good else Tone.BAD


_BAD_WHEN_TRUE = frozenset({"UnsupportedFeatures", "Degraded", "Stalled"})


def conditions(obj: JsonObject) -> list[Condition]:
    """Return the conditions of an object in the order the API gives them."""
    generation = mapping(obj.get("metadata")).get("generation")
    return [_condition(mapping(entry), generation) for entry in items(mapping(obj.get("status")).get("conditions"))]


def condition(obj: JsonObject, kind: str) -> Condition | None:
    """Return the condition of a type, or None while nobody has set it."""
    return next((one for one in conditions(obj) if one.type == kind), None)


def condition_cell(obj: JsonObject, kind: str) -> Cell:
    """Return a table cell for a condition: a mark and a word, the reason when it is not well."""
    found = condition(obj, kind)
    if found is None:
        return cell(f"{MARK_WAIT} waiting", Tone.WARN, rank=1)
    if found.stale:
        return cell(f"{MARK_WAIT} updating", Tone.WARN, rank=1)
    if found.tone is Tone.OK:
        return cell(f"{MARK_OK} yes", Tone.OK, rank=2)
    if found.status == "Unknown":
        return cell(f"{MARK_WAIT} {found.reason or 'unknown'}", Tone.WARN, rank=1)
    return cell(f"{MARK_BAD} {found.reason or 'no'}", Tone.BAD, rank=0)


def _condition(entry: JsonObject, generation: object) -> Condition:
    observed = entry.get("observedGeneration")
    stale = isinstance(observed, int) and isinstance(generation, int) and observed < generation
    return Condition(
        text(entry.get("type")),
        text(entry.get("status")),
        text(entry.get("reason")),
        text(entry.get("message")),
        text(entry.get("lastTransitionTime")),
        stale,
    )
