"""What a failed Pod means for its Job: counted, ignored, the end of its index, or the end of the Job."""

from __future__ import annotations

from typing import Any, NamedTuple

from kagent_localcluster.runner.fields import at, first, items, key_of, mapping, number, text
from kagent_localcluster.seams import JsonObject

__all__ = ["Judgement", "judge", "restarts_exceeded"]


class Judgement(NamedTuple):
    """The action of the first rule that fits (``Count`` without one); ``message`` says why a Job fails by it."""

    action: str
    message: str = ""


def judge(job: JsonObject, pod: JsonObject) -> Judgement:
    """Judge a failed Pod by the Job's podFailurePolicy."""
    for place, rule in enumerate(items(job, "spec", "podFailurePolicy", "rules")):
        action = text(rule, "action")
        where = "{}/{}".format(*key_of(pod))
        if wanted := mapping(rule, "onExitCodes"):
            if (status := _fitting_exit(pod, wanted)) is not None:
                code = number(status, "state", "terminated", "exitCode")
                said = f"Container {text(status, 'name')} for pod {where} failed with exit code {code}"
                return Judgement(action, f"{said} matching {action} rule at index {place}")
        elif condition := _fitting_condition(pod, items(rule, "onPodConditions")):
            said = f"Pod {where} has condition {text(condition, 'type')}"
            return Judgement(action, f"{said} matching {action} rule at index {place}")
    return Judgement("Count")


def restarts_exceeded(job: JsonObject, pods: list[JsonObject]) -> bool:
    """Tell whether containers that are restarted in their Pods (OnFailure) used up the backoff limit."""
    if text(job, "spec", "template", "spec", "restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        number(status, "restartCount")
        for pod in pods
        if text(pod, "status", "phase") in ("Running", "Pending")
        for field in ("containerStatuses", "initContainerStatuses")
        for status in items(pod, "status", field)
    )
    limit = number(job, "spec", "backoffLimit", default=6)
    return restarts >= limit if limit else restarts > 0


def _fitting_exit(pod: JsonObject, wanted: JsonObject) -> JsonObject | None:
    values: list[Any] = at(wanted, "values") or []
    name = text(wanted, "containerName")
    for field in ("containerStatuses", "initContainerStatuses"):
        for status in items(pod, "status", field):
            code = number(status, "state", "terminated", "exitCode")
            if code and name in ("", status.get("name")) and (code in values) == (text(wanted, "operator") == "In"):
                return status
    return None


def _fitting_condition(pod: JsonObject, patterns: list[JsonObject]) -> JsonObject:
    wanted = {(text(one, "type"), text(one, "status", default="True")) for one in patterns}
    return first(
        one for one in items(pod, "status", "conditions") if (text(one, "type"), text(one, "status")) in wanted
    )
