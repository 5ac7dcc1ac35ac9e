"""The arithmetic of a rollout, without a cluster.

The rules are those of Kubernetes' deployment controller: never more Pods than replicas + maxSurge, never fewer
available ones than replicas - maxUnavailable, Pods that are unavailable anyway go first, and a Deployment that is
scaled in the middle of a rollout spreads the difference over its ReplicaSets in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kagent_localcluster.runner.fields import at, mapping, text
from kagent_localcluster.seams import JsonObject

__all__ = ["Limits", "Scale", "limits", "new_size", "old_sizes", "proportional_sizes"]


class Limits(NamedTuple):
    """How far a rolling update may go above and below the wanted number."""

    surge: int
    unavailable: int


class Scale(NamedTuple):
    """One ReplicaSet of a rollout: how many Pods it should have and how many are available.

    ``most`` is how many Pods the whole Deployment might have when this size was chosen (0: not known), ``age`` a sort
    key that grows with the time of creation.
    """

    name: str
    replicas: int
    available: int
    most: int = 0
    age: str = ""


def limits(spec: JsonObject, replicas: int) -> Limits:
    """Return surge and unavailability of a Deployment's spec; the defaults are 25 percent each."""
    strategy = mapping(spec, "strategy")
    if text(strategy, "type") == "Recreate":
        return Limits(0, 0)
    rolling = mapping(strategy, "rollingUpdate")
    surge = _resolve(at(rolling, "maxSurge"), replicas, math.ceil)
    unavailable = _resolve(at(rolling, "maxUnavailable"), replicas, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # else the update could never move
    return Limits(surge, min(unavailable, replicas))


def new_size(wanted: int, new: Scale, old: Sequence[Scale], bounds: Limits) -> int:
    """Return how many Pods the newest ReplicaSet should have now."""
    if new.replicas >= wanted:
        return wanted
    room = wanted + bounds.surge - new.replicas - sum(scale.replicas for scale in old)
    return new.replicas + max(0, min(room, wanted - new.replicas))


def old_sizes(wanted: int, new: Scale, old: Sequence[Scale], bounds: Limits) -> dict[str, int]:
    """Return the sizes of the older ReplicaSets (oldest first) that change now."""
    total = new.replicas + sum(scale.replicas for scale in old)
    least_available = wanted - bounds.unavailable
    budget = total - least_available - (new.replicas - new.available)
    if budget <= 0:
        return {}
    sizes = {scale.name: scale.replicas for scale in old}
    for scale in old:  # those that are broken anyway serve nobody
        broken = min(budget, scale.replicas - scale.available)
        if broken > 0:
            sizes[scale.name] -= broken
            budget -= broken
    spare = new.available + sum(scale.available for scale in old) - least_available
    for scale in old:
        step = min(spare, sizes[scale.name])
        if step > 0:
            sizes[scale.name] -= step
            spare -= step
    return {scale.name: sizes[scale.name] for scale in old if sizes[scale.name] != scale.replicas}


def proportional_sizes(wanted: int, active: Sequence[Scale], bounds: Limits, present: int) -> dict[str, int]:
    """Return the sizes of the ReplicaSets that have Pods once the Deployment was scaled during a rollout.

    ``present`` is the Deployment's number of Pods by its status, for a ReplicaSet that does not say what it was sized
    for. The largest ReplicaSet takes what rounding leaves over; of equal ones the newest when growing, the oldest when
    shrinking.
    """
    most = wanted + bounds.surge if wanted else 0
    difference = most - sum(scale.replicas for scale in active)
    by_age = sorted(active, key=lambda scale: (scale.age, scale.name), reverse=difference > 0)
    ordered = sorted(by_age, key=lambda scale: scale.replicas, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for scale in ordered:
        share = _share(wanted, scale, wanted + bounds.surge, present)
        left = difference - added
        step = min(share, left) if difference > 0 else max(share, left) if difference < 0 else 0
        sizes[scale.name] = scale.replicas + step
        added += step
    if ordered and difference:
        sizes[ordered[0].name] = max(0, sizes[ordered[0].name] + difference - added)
    return sizes


def _share(wanted: int, scale: Scale, most: int, present: int) -> int:
    if wanted == 0:
        return -scale.replicas
    before = scale.most or present
    if not before:
        return 0
    return math.floor(scale.replicas * most / before + 0.5) - scale.replicas


def _resolve(value: object, replicas: int, rounding: Callable[[float], int]) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return max(0, value)
    percent = ("25%" if value is None else str(value)).removesuffix("%")
    return rounding(int(percent) * replicas / 100) if percent.isdigit() else 0
