"""Traces: what a collector receives of a turn, and what it never does."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from kagent_engine.agent import Agent, TurnRequest
from kagent_engine.errors import ConfigError
from kagent_engine.models.base import ModelError, TextPart, ToolCall, ToolSpec
from kagent_engine.settings import Settings
from kagent_engine.store_sqlite import SqliteStore
from kagent_engine.tools.base import CallContext, ToolResult, text_result
from kagent_engine.tracing import build_tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Echo:
    spec = ToolSpec("echo", "", {"type": "object"})

    async def call(self, call: ToolCall, context: CallContext, answer: Any = None) -> ToolResult:
        return text_result("private result")


async def test_a_collector_receives_a_turn_with_its_model_and_tool_calls_and_nothing_that_was_said(model: Any) -> None:
    received: list[bytes] = []

    async def collector(request: web.BaseRequest) -> web.Response:
        assert request.path == "/v1/traces"
        received.append(await request.read())
        return web.Response()

    runner = web.ServerRunner(web.Server(collector))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    settings = Settings(name="my-agent", namespace="ns")
    tracing = build_tracing(settings, agent_name="my_agent", model="m", environ=environ)
    agent = Agent("my_agent", "", model, SqliteStore(None), own_tools=[Echo()], tracing=tracing)
    model.calls(ToolCall("c1", "echo", {"text": "private words"})).says("private answer")
    model.plan.append([ModelError("no key", code="AUTH")])

    async def emit(_: Any) -> None: ...

    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    context = CallContext("me@example.com", "session-1", "task-1", headers=headers)
    await agent.run(TurnRequest(context, (TextPart("private question"),)), emit)
    await agent.run(TurnRequest(CallContext("me@example.com", "session-2", "task-2"), (TextPart("again"),)), emit)
    await agent.aclose()
    await runner.cleanup()

    spans: list[Any] = []
    for body in received:
        assert b"private" not in body
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {item.key: item.value.string_value for item in group.resource.attributes}
            assert (resource["service.name"], resource["service.namespace"]) == ("my-agent", "ns")
            spans += [span for scope in group.scope_spans for span in scope.spans]
    chat, tool, _, turn, failed = spans
    assert [span.name for span in spans] == [
        "chat m", "execute_tool echo", "chat m", "invoke_agent my_agent", "invoke_agent my_agent",
    ]  # fmt: skip
    assert (turn.trace_id.hex(), turn.parent_span_id.hex()) == (TRACE, PARENT)
    assert {chat.parent_span_id, tool.parent_span_id} == {turn.span_id}
    facts = {item.key: item.value for item in turn.attributes}
    assert facts["kagent.user_id"].string_value == "me@example.com"
    assert facts["gen_ai.task.id"].string_value == "task-1"
    assert facts["gen_ai.conversation.id"].string_value == "session-1"
    assert facts["gen_ai.usage.input_tokens"].int_value == 30
    assert {item.key: item.value.string_value for item in failed.attributes}["error.type"] == "AUTH"


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "OTEL_EXPORTER_OTLP_TIMEOUT"),
    ],
)
def test_what_cannot_be_done_is_said_at_the_start(environ: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build_tracing(Settings(), agent_name="a", model="m", environ=environ)
    assert refused.value.field == field
