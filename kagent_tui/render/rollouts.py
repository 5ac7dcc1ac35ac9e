"""Tells a rollout that is under way from one that has failed, by the message of a Ready condition.

Both controllers set Ready to False with the reason DeploymentNotReady for either. Ours names the fault behind the
counted Pods ("0/1 pods are ready: pod x: container kagent: CrashLoopBackOff: ..."); upstream's only counts.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["Rollout", "rollout"]

_REASONS: Final = frozenset({"DeploymentNotReady", "DeploymentNotFound", "NotAvailable", "PodsNotReady"})
_COUNTED: Final = re.compile(r"(\d+/\d+) (?:pods|replicas) are ready(?:: (.+))?", re.DOTALL)
_OLD_AND_NEW: Final = re.compile(r"\d+ new and \d+ old pods")
_CONTAINER: Final = re.compile(r"pod \S+: container \S+: (?:started again after )?([^:,]+)")


class Rollout(NamedTuple):
    """How many Pods of how many are ready ("0/1", "" where nobody counted), and the fault in a word or two."""

    counted: str
    fault: str


def rollout(reason: str, message: str) -> Rollout | None:
    """Read a Ready condition that is not True; None when it is not about Pods at all."""
    if reason not in _REASONS:
        return None
    found = _COUNTED.search(message)
    return Rollout(found[1] if found else "", _fault((found[2] or "") if found else message, reason))


def _fault(why: str, reason: str) -> str:
    why = why.strip()
    if not why or _OLD_AND_NEW.fullmatch(why) or (reason == "DeploymentNotFound" and "not there yet" in why):
        return ""
    if container := _CONTAINER.search(why):
        return container[1].strip()
    if "cannot be scheduled" in why:
        return "unschedulable"
    return "could not be created" if "could not be created" in why else "failed"
