"""The completion indexes of an Indexed Job: written as ``0-3,7``, met by success policies, carried by Pods."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from kagent_localcluster.runner.fields import at, items, mapping, text
from kagent_localcluster.seams import JsonObject

__all__ = [
    "INDEX", "failures_of", "index_of", "met_success_policy", "parse_indexes", "show_indexes", "template_at",
]  # fmt: skip

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"


def parse_indexes(shown: str) -> set[int]:
    """Read ``0-3,7``; what is no number or range is passed over."""
    found: set[int] = set()
    for part in shown.split(","):
        first, dash, last = part.strip().partition("-")
        if first.isdigit() and (last.isdigit() or not dash):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def show_indexes(indexes: Iterable[int]) -> str:
    """Write indexes as ``0-3,7``: runs of three and more as ranges, as the job controller does."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    parts = (f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(str(index) for index in run) for run in runs)
    return ",".join(parts)


def index_of(pod: JsonObject) -> int:
    """Return the index that a Pod works on, -1 for none."""
    value = text(pod, "metadata", "annotations", INDEX)
    return int(value) if value.isdigit() else -1


def met_success_policy(job: JsonObject, succeeded: set[int]) -> int | None:
    """Return the number of the rule of the success policy that is met, None where there is none."""
    for place, rule in enumerate(items(job, "spec", "successPolicy", "rules")):
        listed = at(rule, "succeededIndexes")
        wanted = parse_indexes(listed) if isinstance(listed, str) else None
        done = succeeded if wanted is None else succeeded & wanted
        count = at(rule, "succeededCount")
        if len(done) >= (count if isinstance(count, int) else len(wanted or succeeded)) > 0:
            return place
    return None


def template_at(job: JsonObject, index: int, failures: int | None) -> JsonObject:
    """Return the template of the Pod for an index; ``failures`` counts those of the index where they have a limit."""
    template = deepcopy(mapping(job, "spec", "template"))
    metadata = template["metadata"] = {**mapping(template, "metadata")}
    metadata["annotations"] = {**mapping(metadata, "annotations"), INDEX: str(index)}
    metadata["labels"] = {**mapping(metadata, "labels"), INDEX: str(index)}
    if failures is not None:
        metadata["annotations"][FAILURES] = str(failures)
    template["spec"]["hostname"] = f"{text(job, 'metadata', 'name')}-{index}"
    variable: JsonObject = {
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}},
    }
    for field in ("initContainers", "containers"):
        for container in items(template, "spec", field):
            if all(one.get("name") != variable["name"] for one in items(container, "env")):
                container["env"] = [*items(container, "env"), variable]
    return template


def failures_of(pod: JsonObject) -> int:
    """Return how often its index had failed when this Pod was made."""
    value = text(pod, "metadata", "annotations", FAILURES)
    return int(value) if value.isdigit() else 0
