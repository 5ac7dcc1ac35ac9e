"""The operator's figures in Prometheus' text format; read when asked for, nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from kagent_api.conditions import get_condition
from kagent_operator.reconcile import Operator
from kagent_operator.translate.fields import rows, text

__all__ = ["render_metrics"]


def render_metrics(operator: Operator) -> str:
    """Return every metric of the reconcilers."""
    controller = operator.controller
    agents: Counter[str] = Counter()
    for agent in operator.cache.list("Agent"):
        ready = get_condition(rows(agent, "status", "conditions"), "Ready")
        agents["ready" if text(ready, "status") == "True" else "not_ready"] += 1
    lines = [
        *_metric(
            "kagent_reconciles_total",
            "counter",
            "Reconciles by kind and result.",
            (
                (f'kind="{kind}",result="{result}"', count)
                for (kind, result), count in sorted(controller.reconciles.items())
            ),
        ),
        *_metric("kagent_queue_depth", "gauge", "Keys that wait to be reconciled.", [("", len(controller.queue))]),
        *_metric(
            "kagent_events_waiting",
            "gauge",
            "Kubernetes Events that are still to be written.",
            [("", operator.events.waiting)],
        ),
        *_metric(
            "kagent_agents",
            "gauge",
            "Agents by state.",
            ((f'state="{state}"', agents[state]) for state in ("ready", "not_ready")),
        ),
    ]
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, help_text: str, samples: Iterable[tuple[str, int]]) -> list[str]:
    head = [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
    return head + [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples]
