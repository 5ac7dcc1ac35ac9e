"""Requests and tokens as Prometheus reads them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from kagent_operator.gateway import create_app
from kagent_operator.metrics import render_metrics
from kagent_operator.reconcile import Operator
from kagent_operator.store import Store
from kagent_operator.traffic import Traffic, area

_AGENT = {"kind": "Agent", "metadata": {"namespace": "kagent", "name": "time-agent"}, "spec": {}}


class _Agents:
    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        return _AGENT if (namespace, name) == ("kagent", "time-agent") else None

    def list(self) -> list[dict[str, Any]]:
        return [_AGENT]

    def resources(self, kind: str) -> list[dict[str, Any]]:
        return [_AGENT] if kind == "Agent" else []


def _metrics(traffic: Traffic) -> list[str]:
    def listed(_: str) -> list[dict[str, Any]]:
        return [_AGENT]

    operator = SimpleNamespace(
        controller=SimpleNamespace(reconciles={}, queue=[]),
        events=SimpleNamespace(waiting=0),
        cache=SimpleNamespace(list=listed),
    )
    return render_metrics(cast(Operator, operator), traffic).splitlines()


def _event(**usage: object) -> str:
    return json.dumps({"author": "time_agent", "usage_metadata": usage})


async def test_requests_and_the_tokens_of_stored_events_are_counted(tmp_path: Path) -> None:
    traffic = Traffic()
    async with await Store.open(tmp_path / "store.db") as store:
        app = create_app(agents=_Agents(), store=store, on_event=traffic.event)
        transport = httpx.ASGITransport(traffic.counting(app, [str(getattr(each, "path", "")) for each in app.routes]))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            made = await client.post("/api/sessions", json={"agent_ref": "kagent/time-agent", "id": "s"})
            assert made.status_code == 201, made.text
            agent = {"X-Agent-Name": "kagent__NS__time_agent"}
            body = {"id": "e", "data": _event(promptTokenCount=120, candidatesTokenCount=30, thoughtsTokenCount=4)}
            for _ in range(2):  # a retry of the same event
                stored = await client.post("/api/sessions/s/events", json=body, headers=agent)
                assert stored.status_code == 201, stored.text
            await client.get("/api/sessions/none")
            await client.get('/wp-admin/"x"')
    told = _metrics(traffic)
    assert 'kagent_agent_tokens_total{namespace="kagent",agent="time-agent",kind="input"} 120' in told
    assert 'kagent_agent_tokens_total{namespace="kagent",agent="time-agent",kind="output"} 34' in told
    assert 'kagent_gateway_requests_total{route="/api/sessions",method="POST",code="201"} 3' in told
    assert 'kagent_gateway_requests_total{route="/api/sessions",method="GET",code="404"} 1' in told
    assert 'kagent_gateway_requests_total{route="other",method="GET",code="404"} 1' in told


@pytest.mark.parametrize(
    "data",
    ["usage", "[]", '{"usage_metadata": 5}', _event(promptTokenCount=-5), _event(promptTokenCount="9"), "{}"],
)
def test_what_an_agent_makes_up_counts_nothing(data: str) -> None:
    traffic = Traffic()
    traffic.event("kagent__NS__a", "e", data)
    assert not traffic.tokens


def test_a_path_belongs_to_its_routes() -> None:
    assert [area(path) for path in ("/api/a2a/kagent/x/", "/mcp", "/", "/api")] == ["/api/a2a", "/mcp", "/", "/api"]
