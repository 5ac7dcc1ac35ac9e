"""OpenTelemetry traces of turns: the one module that imports it, and only where OTEL_TRACING_ENABLED is true.

A turn is a span, each model call and tool call a child of it, made from the events of the turn when they are over. The
caller's ``traceparent`` is continued; it is not handed on to models, tools and other agents. No prompt, answer,
argument or result is recorded.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from kagent_engine.errors import ConfigError
from kagent_engine.events import Completed, Emit, Failed, ModelReplied, Outcome, ToolReturned, TurnEvent
from kagent_engine.settings import Settings
from kagent_engine.tools.base import CallContext

__all__ = ["Tracing", "build_tracing"]

logger = logging.getLogger(__name__)

_FLUSH_MS: Final = 5000


@dataclass(frozen=True, slots=True)
class Tracing:
    """Records the turns of one agent."""

    provider: TracerProvider
    agent_name: str
    agent_id: str
    model: str
    flush_first: bool = False
    flush_ms: int = _FLUSH_MS

    async def turn(self, context: CallContext, emit: Emit, work: Callable[[Emit], Awaitable[Outcome]]) -> Outcome:
        """Run a turn in a span of its own and return its outcome."""
        tracer = self.provider.get_tracer("kagent-engine")
        span = tracer.start_span(
            f"invoke_agent {self.agent_name}",
            context=TraceContextTextMapPropagator().extract(dict(context.headers)),
            kind=SpanKind.SERVER,
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": self.agent_name,
                "gen_ai.conversation.id": context.session_id,
                "gen_ai.task.id": context.task_id,
                "kagent.user_id": context.user_id,
                "kagent.app_name": self.agent_id,
            },
        )
        within = set_span_in_context(span)

        async def noted(event: TurnEvent) -> None:
            self._note(event, within)
            await emit(event)

        try:
            outcome = await work(noted)
            _finish(span, outcome)
            return outcome
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            span.end()
            if self.flush_first:
                await asyncio.to_thread(self.provider.force_flush, self.flush_ms)

    async def aclose(self) -> None:
        """Send what is left; an exporter that does not answer costs its time limit."""
        await asyncio.to_thread(self.provider.force_flush, self.flush_ms)
        await asyncio.to_thread(self.provider.shutdown)

    def _note(self, event: TurnEvent, within: Context) -> None:
        match event:
            case ModelReplied():
                usage = event.usage
                facts: dict[str, Any] = {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": self.model,
                    "gen_ai.usage.input_tokens": usage.input_tokens,
                    "gen_ai.usage.output_tokens": usage.output_tokens,
                    "gen_ai.response.finish_reasons": (event.finish,),
                }
                self._span(f"chat {self.model}", event.seconds, facts, within, failed=event.finish == "error")
            case ToolReturned():
                facts = {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": event.call.name,
                    "gen_ai.tool.call.id": event.call.id,
                }
                self._span(f"execute_tool {event.call.name}", event.seconds, facts, within, failed=event.is_error)
            case _:
                pass

    def _span(self, name: str, seconds: float, facts: Mapping[str, Any], within: Context, *, failed: bool) -> None:
        end = time.time_ns()
        span = self.provider.get_tracer("kagent-engine").start_span(
            name, context=within, kind=SpanKind.CLIENT, attributes=facts, start_time=end - int(seconds * 1e9)
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)


def build_tracing(
    settings: Settings, *, agent_name: str, model: str, environ: Mapping[str, str] | None = None
) -> Tracing:
    """Return the tracing that the environment asks for, with the variables that upstream's engine reads.

    Raises:
        ConfigError: a number is none, or the protocol's exporter is not installed.
    """
    env = os.environ if environ is None else environ
    resource = Resource.create({"service.name": settings.name, "service.namespace": settings.namespace})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(_exporter(env)))
    if env.get("OTEL_LOGGING_ENABLED", "").lower() == "true":
        logger.warning("OTEL_LOGGING_ENABLED is set; this engine exports traces only")
    return Tracing(
        provider,
        agent_name,
        settings.agent_id,
        model,
        flush_first=env.get("KAGENT_PRE_RESPONSE_TRACE_FLUSH", "").lower() == "true",
        flush_ms=_milliseconds(env, "KAGENT_TRACE_FLUSH_TIMEOUT_MS") or _FLUSH_MS,
    )


def _exporter(env: Mapping[str, str]) -> SpanExporter:
    protocol = (
        env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    )
    if protocol != "http/protobuf":
        raise ConfigError(
            "environment", f"'{protocol}' is not supported", field="OTEL_EXPORTER_OTLP_PROTOCOL",
            remedy="send traces by http/protobuf (a collector listens for it on port 4318)",
        )  # fmt: skip
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    endpoint = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or env.get("OTEL_TRACING_EXPORTER_OTLP_ENDPOINT")
    if not endpoint and (base := env.get("OTEL_EXPORTER_OTLP_ENDPOINT")):
        endpoint = f"{base.rstrip('/')}/v1/traces"
    limit = _milliseconds(env, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") or _milliseconds(env, "OTEL_EXPORTER_OTLP_TIMEOUT")
    return OTLPSpanExporter(endpoint=endpoint or None, timeout=limit / 1000 if limit else None)


def _milliseconds(env: Mapping[str, str], name: str) -> int:
    text = env.get(name)
    if not text:
        return 0
    if not text.isdigit():
        raise ConfigError("environment", f"expected milliseconds, found '{text}'", field=name)
    return int(text)


def _finish(span: Span, outcome: Outcome) -> None:
    span.set_attribute("gen_ai.usage.input_tokens", outcome.usage.input_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", outcome.usage.output_tokens)
    if isinstance(outcome, Failed):
        span.set_attribute("error.type", outcome.code)
        span.set_status(Status(StatusCode.ERROR, outcome.code))
    elif isinstance(outcome, Completed):
        span.set_status(Status(StatusCode.OK))
