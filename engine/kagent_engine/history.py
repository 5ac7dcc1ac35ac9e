"""A session's events, shaped as google-adk 1.x writes them, and the conversation they mean to a model.

Events keep ADK's field names in snake case (what upstream's engine stores); both spellings are read. Nothing is
dropped silently: a tool call that was never answered is given to the model as such, because providers refuse a
conversation with open calls.
"""

from __future__ import annotations

import base64
import binascii
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

from kagent_engine.events import Ask, Compacted, ModelReplied, Nested, NestedCall, Pending, ToolReturned
from kagent_engine.models.base import (
    AssistantMessage,
    FilePart,
    Message,
    TextPart,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text
from kagent_engine.tools.ask_user import ASK_USER
from kagent_engine.tools.base import Answer
from kagent_engine.tools.results import model_text

__all__ = [
    "CONFIRMATION",
    "Author",
    "compactions",
    "confirmation",
    "conversation",
    "event_time",
    "open_pause",
    "pause_parts",
    "spent",
    "usage_metadata",
]

CONFIRMATION: Final = "adk_request_confirmation"
_UNDECIDED: Final = "This call was not executed: the user went on without deciding on it."
_INTERRUPTED: Final = (
    "This call has no result: the turn ended before it came back. It may or may not have taken effect."
)


@dataclass(frozen=True, slots=True)
class Author:
    """Writes events of one turn."""

    name: str
    invocation_id: str

    def user(self, parts: Sequence[TextPart | FilePart]) -> JsonObject:
        return self._event("user", {"role": "user", "parts": [_part(part) for part in parts]})

    def model(self, reply: ModelReplied) -> JsonObject:
        parts: list[JsonObject] = []
        if reply.thought:
            parts.append({"text": reply.thought, "thought": True})
        if reply.text:
            parts.append({"text": reply.text})
        parts.extend(
            {"function_call": _call(call), **({"thought_signature": call.signature} if call.signature else {})}
            for call in reply.calls
        )
        event = self._event(self.name, {"role": "model", "parts": parts}, event_id=reply.event_id)
        event["partial"] = False
        event["usage_metadata"] = usage_metadata(reply.usage)
        if reply.finish in {"length", "content_filter", "error"}:
            event["error_code"] = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}.get(reply.finish, "INCOMPLETE")
        return event

    def results(self, results: Sequence[ToolReturned]) -> JsonObject:
        """One event for the results of one reply, in the order given."""
        parts: list[JsonObject] = []
        for result in results:
            response = {"id": result.call.id, "name": result.call.name, "response": result.response}
            parts.append({"function_response": response})
        return self._event(self.name, {"role": "user", "parts": parts})

    def pause(self, pending: Sequence[Pending]) -> JsonObject:
        event = self._event(self.name, {"role": "model", "parts": pause_parts(pending)})
        event["long_running_tool_ids"] = [item.request_id for item in pending]
        return event

    def decisions(self, answers: Sequence[tuple[Pending, Answer]]) -> JsonObject:
        """One event for what a person decided, as ADK keeps it: the results of the confirmation calls."""
        parts: list[JsonObject] = []
        for item, answer in answers:
            response: JsonObject = {"confirmed": answer.decision.approved}
            if answer.decision.reason:
                response["reason"] = answer.decision.reason
            if answer.decision.arguments is not None:
                response["arguments"] = answer.decision.arguments
            parts.append({"function_response": {"id": item.request_id, "name": CONFIRMATION, "response": response}})
        return self._event("user", {"role": "user", "parts": parts})

    def failure(self, code: str, message: str) -> JsonObject:
        event = self._event(self.name, {"role": "model", "parts": []})
        return event | {"error_code": code, "error_message": message}

    def compaction(self, compacted: Compacted) -> JsonObject:
        event = self._event("user", None)
        event["actions"]["compaction"] = {
            "start_timestamp": compacted.start,
            "end_timestamp": compacted.end,
            "compacted_content": {"role": "model", "parts": [{"text": compacted.summary}]},
        }
        return event

    def _event(self, author: str, content: JsonObject | None, *, event_id: str = "") -> JsonObject:
        event: JsonObject = {
            "id": event_id or str(uuid.uuid4()),
            "invocation_id": self.invocation_id,
            "author": author,
            "timestamp": time.time(),
            "actions": {"state_delta": {}, "artifact_delta": {}},
        }
        if content is not None:
            event["content"] = content
        return event


def usage_metadata(usage: Usage) -> JsonObject:
    """Return token counts under the names that upstream's readers know (camelCase is theirs); ``costUsd`` is ours."""
    counts: JsonObject = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens:
        counts["cachedContentTokenCount"] = usage.cached_tokens
    if usage.thought_tokens:
        counts["thoughtsTokenCount"] = usage.thought_tokens
    if usage.cost is not None:
        counts["costUsd"] = round(usage.cost, 8)
    return counts


def spent(events: Sequence[JsonObject]) -> Usage:
    """Return what a session's model calls took so far."""
    total = Usage()
    for event in events:
        if counts := as_object(event.get("usage_metadata")):
            cost = counts.get("costUsd")
            total += Usage(
                *(int(counts.get(name) or 0) for name in ("promptTokenCount", "candidatesTokenCount")),
                *(int(counts.get(name) or 0) for name in ("cachedContentTokenCount", "thoughtsTokenCount")),
                cost=float(cost) if isinstance(cost, int | float) else None,
            )
    return total


def pause_parts(pending: Sequence[Pending]) -> list[JsonObject]:
    """Return the confirmation calls of a pause as ADK parts (upstream release 0.10)."""
    return [{"function_call": confirmation(item)} for item in pending]


def confirmation(item: Pending) -> JsonObject:
    """Return one ``adk_request_confirmation`` call, with the sub-agent's pause as payload where there is one."""
    asked: JsonObject = {"hint": item.ask.hint, "confirmed": False}
    if nested := item.ask.nested:
        asked["payload"] = {
            "task_id": nested.task_id,
            "context_id": nested.context_id,
            "subagent_name": nested.agent,
            "hitl_parts": [
                {"name": CONFIRMATION, "id": inner.request_id, "originalFunctionCall": _call(inner.call)}
                for inner in nested.calls
            ],
        }
    arguments = {"originalFunctionCall": _call(item.call), "toolConfirmation": asked}
    return {"id": item.request_id, "name": CONFIRMATION, "args": arguments}


def conversation(events: Iterable[JsonObject], *, waiting: Iterable[str] = ()) -> list[Message]:
    """Return the messages of a session for the model, compaction applied and open calls closed.

    ``waiting`` are ids of calls that are about to be run; they are left open.
    """
    events = list(events)
    messages: list[Message] = []
    left_open = set(waiting)
    undecided = {item.call.id for item in open_pause(events)} - left_open
    for event in _uncompacted(events):
        content = as_object(event.get("content"))
        parts = as_objects(content.get("parts"))
        if summary := _compaction(event):
            messages.append(UserMessage((TextPart(f"Summary of the conversation so far:\n{summary.summary}"),)))
            continue
        answers = [as_object(_either(part, "function_response", "functionResponse")) for part in parts]
        if any(answers):
            messages.extend(
                _tool_message(answer) for answer in answers if answer and answer.get("name") != CONFIRMATION
            )
        elif content.get("role") == "user":
            if user_parts := tuple(_user_part(part) for part in parts):
                messages.append(UserMessage(user_parts))
        elif message := _assistant(parts):
            messages.append(message)
    return _closed(messages, left_open, undecided)


def open_pause(events: Sequence[JsonObject]) -> tuple[Pending, ...]:
    """Return the calls that the last turn left waiting for a person, without those that were decided or have a result.

    A decision without a result is what a crash leaves: the call may have run, and must not be asked about again.
    """
    pending: dict[str, Pending] = {}
    for event in events:
        parts = as_objects(as_object(event.get("content")).get("parts"))
        asked = [as_object(_either(part, "function_call", "functionCall")) for part in parts]
        asked = [call for call in asked if call.get("name") == CONFIRMATION]
        if asked:
            pending = {item.call.id: item for item in map(_pending, asked)}
            continue
        for part in parts:
            answered = as_object(_either(part, "function_response", "functionResponse"))
            identity = as_text(answered.get("id"))
            if answered.get("name") == CONFIRMATION:
                pending = {call: item for call, item in pending.items() if item.request_id != identity}
            else:
                pending.pop(identity, None)
    return tuple(pending.values())


def event_time(event: JsonObject) -> float:
    value = event.get("timestamp")
    return float(value) if isinstance(value, int | float) else 0.0


def _pending(call: JsonObject) -> Pending:
    arguments = as_object(call.get("args"))
    original = _parse_call(as_object(arguments.get("originalFunctionCall")))
    asked = as_object(arguments.get("toolConfirmation"))
    payload = as_object(asked.get("payload"))
    nested = None
    if payload.get("task_id"):
        nested = Nested(
            agent=as_text(payload.get("subagent_name")),
            task_id=as_text(payload.get("task_id")),
            context_id=as_text(payload.get("context_id")),
            calls=tuple(
                NestedCall(as_text(part.get("id")), _parse_call(as_object(part.get("originalFunctionCall"))))
                for part in as_objects(payload.get("hitl_parts"))
            ),
        )
    kind = "question" if _asks(original, nested) else "approval"
    return Pending(as_text(call.get("id")), original, Ask(kind, as_text(asked.get("hint")), nested))


def _asks(call: ToolCall, nested: Nested | None) -> bool:
    if nested is not None:
        return any(inner.call.name == ASK_USER for inner in nested.calls)
    return call.name == ASK_USER


def compactions(events: Iterable[JsonObject]) -> list[Compacted]:
    """Return the summaries among a session's events."""
    return [found for event in events if (found := _compaction(event))]


def _uncompacted(events: Sequence[JsonObject]) -> Iterable[JsonObject]:
    """Drop what any summary covers and put each summary where what it covers ended."""
    ranges = compactions(events)
    if not ranges:
        return events
    timed = [
        (event_time(event), event)
        for event in events
        if not _compaction(event) and not any(found.start <= event_time(event) <= found.end for found in ranges)
    ]
    timed.extend((found.end, event) for event in events if (found := _compaction(event)))
    return [event for _, event in sorted(timed, key=lambda item: item[0])]


def _compaction(event: JsonObject) -> Compacted | None:
    found = as_object(as_object(event.get("actions")).get("compaction"))
    if not found:
        return None
    content = as_object(_either(found, "compacted_content", "compactedContent"))
    text = "\n".join(as_text(part.get("text")) for part in as_objects(content.get("parts")))
    start, end = _either(found, "start_timestamp", "startTimestamp"), _either(found, "end_timestamp", "endTimestamp")
    if not isinstance(start, int | float) or not isinstance(end, int | float) or not text:
        return None
    return Compacted(text, float(start), float(end))


def _assistant(parts: Sequence[JsonObject]) -> AssistantMessage | None:
    text, thought, calls = "", "", list[ToolCall]()
    for part in parts:
        call = as_object(_either(part, "function_call", "functionCall"))
        if call:
            if call.get("name") != CONFIRMATION:
                signature = as_text(_either(part, "thought_signature", "thoughtSignature"))
                calls.append(replace(_parse_call(call), signature=signature))
        elif part.get("thought"):
            thought += as_text(part.get("text"))
        else:
            text += as_text(part.get("text"))
    return AssistantMessage(text, tuple(calls), thought) if text or calls else None


def _closed(messages: Sequence[Message], left_open: set[str], undecided: set[str]) -> list[Message]:
    """Put each result right after the reply that asked for it, and a stand-in where there is none.

    Results are looked for up to the next reply only: some providers number their calls anew in every turn.
    """
    closed: list[Message] = []
    for index, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            continue
        closed.append(message)
        if not isinstance(message, AssistantMessage) or not message.tool_calls:
            continue
        results = {
            later.call_id: later
            for later in takewhile(lambda item: not isinstance(item, AssistantMessage), messages[index + 1 :])
            if isinstance(later, ToolMessage)
        }
        for call in message.tool_calls:
            if call.id in results:
                closed.append(results[call.id])
            elif call.id not in left_open:
                closed.append(ToolMessage(call.id, call.name, _UNDECIDED if call.id in undecided else _INTERRUPTED))
    return closed


def _tool_message(answer: JsonObject) -> ToolMessage:
    response = as_object(answer.get("response"))
    return ToolMessage(as_text(answer.get("id")), as_text(answer.get("name")), model_text(response)[0])


def _parse_call(call: JsonObject) -> ToolCall:
    return ToolCall(as_text(call.get("id")), as_text(call.get("name")), as_object(call.get("args")))


def _call(call: ToolCall) -> JsonObject:
    return {"id": call.id, "name": call.name, "args": call.arguments}


def _part(part: TextPart | FilePart) -> JsonObject:
    if isinstance(part, TextPart):
        return {"text": part.text}
    named = {"mime_type": part.mime_type} | ({"display_name": part.name} if part.name else {})
    if part.uri:
        return {"file_data": named | {"file_uri": part.uri}}
    return {"inline_data": named | {"data": base64.b64encode(part.data).decode("ascii")}}


def _user_part(part: JsonObject) -> TextPart | FilePart:
    if file := as_object(_either(part, "file_data", "fileData")):
        mime, name = (
            as_text(_either(file, "mime_type", "mimeType")),
            as_text(_either(file, "display_name", "displayName")),
        )
        return FilePart(mime, uri=as_text(_either(file, "file_uri", "fileUri")), name=name)
    if file := as_object(_either(part, "inline_data", "inlineData")):
        mime, name = (
            as_text(_either(file, "mime_type", "mimeType")),
            as_text(_either(file, "display_name", "displayName")),
        )
        try:
            # ADK writes URL-safe base64; ours is plain.
            data = base64.b64decode(as_text(file.get("data")).replace("-", "+").replace("_", "/"))
        except binascii.Error:
            return TextPart(f"[a file of type {mime} that cannot be read back]")
        return FilePart(mime, data=data, name=name)
    return TextPart(as_text(part.get("text")))


def _either(holder: JsonObject, snake: str, camel: str) -> object:
    return holder.get(snake, holder.get(camel))
