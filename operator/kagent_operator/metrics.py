"""The operator's figures in Prometheus' text format; read when asked for, nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from kagent_api.conditions import get_condition
from kagent_api.names import agent_id
from kagent_operator.reconcile import Operator
from kagent_operator.traffic import Traffic
from kagent_operator.translate.fields import name_of, namespace_of, rows, text

__all__ = ["render_metrics"]


def render_metrics(operator: Operator, traffic: Traffic) -> str:
    """Return every metric of the reconcilers and of the HTTP API."""
    controller = operator.controller
    agents: Counter[str] = Counter()
    names: dict[str, str] = {}
    for agent in operator.cache.list("Agent"):
        namespace, name = namespace_of(agent), name_of(agent)
        names[agent_id(namespace, name)] = _labels(namespace, name)
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
        *_metric(
            "kagent_gateway_requests_total",
            "counter",
            "Requests to the HTTP API by route, method and status.",
            (
                (f'route="{route}",method="{_escaped(method)}",code="{code}"', count)
                for (route, method, code), count in sorted(traffic.requests.items())
            ),
        ),
        *_metric(
            "kagent_agent_tokens_total",
            "counter",
            "Tokens that agents' model calls took, as their stored events say.",
            (
                (f'{names.get(agent, _by_id(agent))},kind="{kind}"', count)
                for (agent, kind), count in sorted(traffic.tokens.items())
            ),
        ),
    ]
    return "\n".join(lines) + "\n"


def _labels(namespace: str, agent: str) -> str:
    return f'namespace="{_escaped(namespace)}",agent="{_escaped(agent)}"'


def _by_id(agent: str) -> str:
    """Return the labels of an agent that is gone, whose id has underscores for its hyphens."""
    namespace, _, name = agent.partition("__NS__")
    return _labels(namespace, name)


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _metric(name: str, kind: str, help_text: str, samples: Iterable[tuple[str, int]]) -> list[str]:
    head = [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
    return head + [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples]
