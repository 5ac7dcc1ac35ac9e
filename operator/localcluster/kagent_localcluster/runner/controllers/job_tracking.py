"""Counts a Job's ended Pods once each, also when they are deleted or the controller crashes in between.

A finalizer holds every Pod until it is counted. The uid of an ended Pod goes into ``uncountedTerminatedPods`` first,
then its finalizer goes, then the uid moves into the count: at every point in between the next try sees what is left to
do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.controllers.job_failures import judge
from kagent_localcluster.runner.fields import at, key_of, mapping, number, strings, text, uid_of
from kagent_localcluster.runner.metadata import is_deleted
from kagent_localcluster.runner.resources import PODS
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["FINALIZER", "count_ended", "has_failed", "let_go"]

FINALIZER = "batch.kubernetes.io/job-tracking"


def has_failed(job: JsonObject, pod: JsonObject) -> bool:
    """Tell whether a Pod counts as failed: one that was deleted early does, unless only Failed ones are replaced."""
    phase = text(pod, "status", "phase")
    if phase == "Failed":
        return True
    only_failed = text(job, "spec", "podReplacementPolicy") == "Failed" or bool(at(job, "spec", "podFailurePolicy"))
    return is_deleted(pod) and phase != "Succeeded" and not only_failed


def count_ended(
    objects: Objects,
    job: JsonObject,
    pods: Iterable[JsonObject],
    status: JsonObject,
    *,
    given_up: bool,
    write: Callable[[JsonObject], None],
) -> JsonObject:
    """Return the status with newly ended Pods counted; ``write`` stores a status in between.

    With ``given_up`` every Pod that is left counts as failed.
    """
    waiting = mapping(status, "uncountedTerminatedPods")
    succeeded, failed = strings(waiting, "succeeded"), strings(waiting, "failed")
    held = [pod for pod in pods if FINALIZER in strings(pod, "metadata", "finalizers")]
    known = {*succeeded, *failed}
    ended = [pod for pod in held if uid_of(pod) in known]
    for pod in held:
        if uid_of(pod) in known:
            continue
        if text(pod, "status", "phase") == "Succeeded":
            succeeded.append(uid_of(pod))
        elif not (has_failed(job, pod) or given_up):
            continue
        elif judge(job, pod).action != "Ignore":
            failed.append(uid_of(pod))
        ended.append(pod)
    if {*succeeded, *failed} != known:
        write({**status, "uncountedTerminatedPods": _lists(succeeded, failed)})
    for pod in ended:
        let_go(objects, pod)
    counted: JsonObject = {**status, "uncountedTerminatedPods": {}}
    counted["succeeded"] = number(status, "succeeded") + len(succeeded)
    counted["failed"] = number(status, "failed") + len(failed)
    return counted


def let_go(objects: Objects, pod: JsonObject) -> None:
    """Take the finalizer from a Pod."""
    try:
        fresh = objects.get(PODS, *key_of(pod))
        if uid_of(fresh) != uid_of(pod) or FINALIZER not in strings(fresh, "metadata", "finalizers"):
            return
        left = [one for one in strings(fresh, "metadata", "finalizers") if one != FINALIZER]
        objects.update(PODS, *key_of(pod), {**fresh, "metadata": {**fresh["metadata"], "finalizers": left}})
    except NotFound:
        return


def _lists(succeeded: list[str], failed: list[str]) -> JsonObject:
    lists: JsonObject = {"succeeded": succeeded, "failed": failed}
    return {name: uids for name, uids in lists.items() if uids}
