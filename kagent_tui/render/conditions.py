"""What the conditions of an object say, in words and meaning.

A condition about an older generation of the spec says nothing about the present one, so it is shown as waiting.
"""

from __future__ import annotations

from typing import NamedTuple

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.render.age import seconds_since
from kagent_tui.render.rollouts import Rollout, rollout
from kagent_tui.render.row import Cell, cell
from kagent_tui.render.text import Tone

__all__ = [
    "MARK_BAD", "MARK_OK", "MARK_WAIT", "Condition", "condition", "condition_cell", "conditions", "ready_cell",
    "waiting_state",
]  # fmt: skip

MARK_OK = "●"
MARK_BAD = "✖"
MARK_WAIT = "○"
# A Deployment's own progressDeadlineSeconds; upstream's controller never says more than how many Pods are ready.
STUCK_SECONDS = 600.0


class Condition(NamedTuple):
    """One condition; ``stale`` when it was observed on an older generation."""

    type: str
    status: str
    reason: str
    message: str
    since: str
    stale: bool

    @property
    def rollout(self) -> Rollout | None:
        """What it says about Pods that are not ready; None for any other condition."""
        return rollout(self.reason, self.message) if self.type == "Ready" and self.status == "False" else None

    @property
    def starting(self) -> bool:
        """Whether Pods are on their way and nothing is wrong with them."""
        return self.rollout is not None and not self.rollout.fault

    @property
    def tone(self) -> Tone:
        if self.stale or self.status == "Unknown" or self.starting:
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


def ready_cell(obj: JsonObject, now: float, kind: str = "Ready") -> Cell:
    """Return a table cell for Ready: Pods that start are waited for, and are a fault once that takes too long."""
    found = condition(obj, kind)
    under_way = found.rollout if found is not None and not found.stale else None
    if found is None or under_way is None:
        return condition_cell(obj, kind)
    if under_way.fault:
        return cell(f"{MARK_BAD} {under_way.fault}", Tone.BAD, rank=0)
    counted = f"{under_way.counted} " if under_way.counted else ""
    if (seconds_since(found.since, now) or 0.0) > STUCK_SECONDS:
        return cell(f"{MARK_BAD} {counted}not ready", Tone.BAD, rank=0)
    return cell(f"{MARK_WAIT} {counted}starting", Tone.WARN, rank=1)


def waiting_state(obj: JsonObject) -> str:
    """Say what an object without a fault is waiting for."""
    under_way = next((one.rollout for one in conditions(obj) if one.starting), None)
    if under_way is None:
        return f"{MARK_WAIT} no status yet"
    return f"{MARK_WAIT} {under_way.counted} starting" if under_way.counted else f"{MARK_WAIT} starting"


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
