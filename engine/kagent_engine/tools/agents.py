"""Another agent as a tool: one argument, its answer as the result, its questions to the person passed on as ours.

Never decides for a person: an answer is handed to the sub-agent exactly as it was given, by the sub-agent's own ids.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from kagent_api.engine_config import AgentTool
from kagent_api.names import NAMESPACE_SEPARATOR
from kagent_engine.errors import RemoteAgentFailed, ToolFailed
from kagent_engine.events import Ask, Nested, NestedCall
from kagent_engine.models.base import ToolCall, ToolSpec, Usage
from kagent_engine.settings import Settings
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text
from kagent_engine.tools.ask_user import ASK_USER
from kagent_engine.tools.base import Answer, CallContext, Decision, ToolResult
from kagent_engine.tools.headers import resolve
from kagent_engine.tools.results import model_text

if TYPE_CHECKING:
    from kagent_engine.tools.a2a_sdk import RemoteAgent, RemoteAnswer, RemoteTurn

__all__ = ["AgentAsTool"]

# A fixed name space, so that a sub-agent's session can be found again after a restart and named before the call.
_SESSIONS: Final = uuid.UUID("6d0f3c1e-5b0a-4c57-9d4e-7b6c1f2a8e90")
# Seconds without any sign of life; upstream's 30 s cut off agents that only think for long.
_READ_SECONDS: Final = 300.0


class AgentAsTool:
    """A Tool over one entry of remote_agents."""

    def __init__(self, config: AgentTool, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._remote: RemoteAgent | None = None
        shown = config.name.replace(NAMESPACE_SEPARATOR, "/").replace("_", "-")
        self.spec = ToolSpec(
            name=config.name,
            description=config.description or f"Ask the agent {shown}.",
            parameters={
                "type": "object",
                "properties": {
                    "request": {
                        "type": "string",
                        "description": "What the agent should do or answer, with all the facts it needs.",
                    }
                },
                "required": ["request"],
            },
        )

    def session_of(self, call: ToolCall, context: CallContext) -> str:
        """Return the sub-agent's session: the same for the whole conversation, or one for each call if isolated."""
        name = f"{context.session_id}/{self._config.name}"
        if self._config.isolate_sessions:
            name += f"/{context.task_id}/{call.id}"
        return str(uuid.uuid5(_SESSIONS, name))

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        # Imported here: only agents that use other agents pay for the client.
        from kagent_engine.tools.a2a_sdk import RemoteAgent, RemoteTurn

        if answer is not None and answer.ask.nested is not None:
            turn = _resumed(answer.ask.nested, answer)
        else:
            request = as_text(call.arguments.get("request"))
            if not request:
                raise ToolFailed("'request' must say in words what the agent should do")
            turn = RemoteTurn(request, self.session_of(call, context))
        if self._remote is None:
            self._remote = RemoteAgent(self._config.url, read_seconds=self._config.timeout or _READ_SECONDS)

        async def activity(note: str) -> None:
            if context.progress is not None:
                await context.progress(0, None, note)

        heard = await self._remote.send(turn, self._headers(context), activity)
        return self._result(heard)

    async def aclose(self) -> None:
        if self._remote is not None:
            await self._remote.aclose()

    def _headers(self, context: CallContext) -> dict[str, str]:
        headers = {
            "x-user-id": context.user_id,
            "x-kagent-source": "agent",
            "x-kagent-parent-context-id": context.session_id,
            "x-kagent-root-context-id": context.root_session_id,
        }
        bearer = context.headers.get("authorization")
        if self._settings.propagate_token and bearer:
            headers["authorization"] = bearer
        return headers | resolve(self._config.headers, self._settings.paths)

    def _result(self, heard: RemoteAnswer) -> ToolResult | Ask:
        if heard.state == "completed":
            response: JsonObject = {"result": heard.text}
            content, truncated = model_text(response)
            return ToolResult(
                content, response, truncated=truncated, usage=_usage(heard.usage), session_id=heard.context_id
            )
        if heard.state == "input-required" and (calls := _waiting(heard)):
            kind = "question" if any(inner.call.name == ASK_USER for inner in calls) else "approval"
            names = ", ".join(f"'{inner.call.name}'" for inner in calls)
            hint = (
                f"{self._config.name} asks: {heard.text}" if heard.text else f"{self._config.name} wants to run {names}"
            )
            return Ask(kind, hint, Nested(self._config.name, heard.task_id, heard.context_id, calls))
        reason = heard.text or "it gave no reason"
        raise RemoteAgentFailed(f"The agent {self._config.name} did not finish ({heard.state or 'no state'}): {reason}")


def _resumed(nested: Nested, answer: Answer) -> RemoteTurn:
    """Hand a person's decisions to the sub-agent, in both wire forms (either engine takes what it knows)."""
    from kagent_engine.tools.a2a_sdk import RemoteTurn

    if answer.decision.answers is not None:
        answers = [{"answer": list(chosen)} for chosen in answer.decision.answers]
        extension: JsonObject = {
            "type": "ask_user_response",
            "id": nested.calls[0].request_id,
            "answers": answers,
        }
        data: JsonObject = {"decision_type": "approve", "ask_user_answers": answers}
        return RemoteTurn("The user answered.", nested.context_id, nested.task_id, data, extension)
    decisions = {inner.request_id: answer.nested.get(inner.request_id, answer.decision) for inner in nested.calls}
    extension = {
        "type": "tool_approval_response",
        "approvals": [_approval(request_id, decision) for request_id, decision in decisions.items()],
    }
    by_call = {inner.call.id: decisions[inner.request_id] for inner in nested.calls}
    data = {
        "decision_type": "batch",
        "decisions": {key: "approve" if decision.approved else "reject" for key, decision in by_call.items()},
        "rejection_reasons": {key: decision.reason for key, decision in by_call.items() if decision.reason},
    }
    return RemoteTurn("The user decided.", nested.context_id, nested.task_id, data, extension)


def _approval(request_id: str, decision: Decision) -> JsonObject:
    made: JsonObject = {"id": request_id, "approved": decision.approved}
    return made | {"rejection_reason": decision.reason} if decision.reason and not decision.approved else made


def _waiting(heard: RemoteAnswer) -> tuple[NestedCall, ...]:
    """Return the calls a paused sub-agent waits for, from either wire form; its own sub-agents' calls come first."""
    if heard.pause:
        nested = as_object(heard.pause.get("nested"))
        tools = as_objects(nested.get("tools")) or as_objects(heard.pause.get("tools"))
        if tools:
            return tuple(_from_tool(tool) for tool in tools)
        arguments = {"questions": as_objects(heard.pause.get("questions"))}
        request_id = as_text(heard.pause.get("id"))
        return (NestedCall(request_id, ToolCall(request_id, ASK_USER, arguments)),)
    calls: list[NestedCall] = []
    for part in heard.confirmations:
        arguments = as_object(part.get("args"))
        payload = as_object(as_object(arguments.get("toolConfirmation")).get("payload"))
        inner = as_objects(payload.get("hitl_parts"))
        if inner:
            calls.extend(_from_part(item, as_object(item.get("originalFunctionCall"))) for item in inner)
        else:
            calls.append(_from_part(part, as_object(arguments.get("originalFunctionCall"))))
    return tuple(calls)


def _from_tool(tool: JsonObject) -> NestedCall:
    call_id = as_text(tool.get("call_id")) or as_text(tool.get("id"))
    return NestedCall(
        as_text(tool.get("id")), ToolCall(call_id, as_text(tool.get("name")), as_object(tool.get("args")))
    )


def _from_part(part: JsonObject, call: JsonObject) -> NestedCall:
    original = ToolCall(as_text(call.get("id")), as_text(call.get("name")), as_object(call.get("args")))
    return NestedCall(as_text(part.get("id")), original)


def _usage(found: Mapping[str, object]) -> Usage | None:
    def count(key: str) -> int:
        number = found.get(key)
        return int(number) if isinstance(number, int | float) else 0

    return Usage(count("promptTokenCount"), count("candidatesTokenCount")) if found else None
