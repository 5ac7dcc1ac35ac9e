"""Reads the event stream of OpenAI's responses API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kagent_engine.models.base import Finish, FinishReason, ModelEvent, TextDelta, ThoughtDelta, Usage
from kagent_engine.models.openai_chat import tool_call
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["ResponsesReader"]

_INCOMPLETE: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


@dataclass(slots=True)
class ResponsesReader:
    """Fed with events it yields deltas and calls. ``failure`` holds the event that ended the response badly."""

    finished: bool = False
    failure: JsonObject | None = None
    _usage: Usage | None = None
    _finish: Finish | None = None
    _called: bool = False
    _refused: bool = False

    def feed(self, event: JsonObject) -> Iterator[ModelEvent]:
        kind = as_text(event.get("type"))
        match kind:
            case "response.output_text.delta":
                yield TextDelta(as_text(event.get("delta")))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield ThoughtDelta(as_text(event.get("delta")))
            case "response.refusal.delta":
                self._refused = True
                yield TextDelta(as_text(event.get("delta")))
            case "response.output_item.done":
                yield from self._item(as_object(event.get("item")))
            case "response.completed" | "response.incomplete":
                self._ended(as_object(event.get("response")))
            case "response.failed":
                self.failure = as_object(event.get("response"))
            case "error":
                self.failure = event
            case _:
                pass

    def whole(self, response: JsonObject) -> Iterator[ModelEvent]:
        """Read a response that came unstreamed."""
        for item in as_objects(response.get("output")):
            if item.get("type") == "message":
                for block in as_objects(item.get("content")):
                    self._refused |= block.get("type") == "refusal"
                    yield TextDelta(as_text(block.get("text")) or as_text(block.get("refusal")))
            yield from self._item(item)
        if response.get("status") == "failed":
            self.failure = response
        self._ended(response)

    def end(self) -> Iterator[ModelEvent]:
        """Yield usage and finish."""
        if self._usage is not None:
            yield self._usage
        yield self._finish or Finish("tool_calls" if self._called else "stop")

    def _item(self, item: JsonObject) -> Iterator[ModelEvent]:
        if item.get("type") == "function_call":
            self._called = True
            identity = as_text(item.get("call_id")) or as_text(item.get("id"))
            yield tool_call(identity, as_text(item.get("name")), as_text(item.get("arguments")))

    def _ended(self, response: JsonObject) -> None:
        self.finished = True
        usage = as_object(response.get("usage"))
        if usage:
            asked = as_object(usage.get("input_tokens_details"))
            answered = as_object(usage.get("output_tokens_details"))
            self._usage = Usage(
                int(usage.get("input_tokens") or 0),
                int(usage.get("output_tokens") or 0),
                int(asked.get("cached_tokens") or 0),
                int(answered.get("reasoning_tokens") or 0),
            )
        reason = as_text(as_object(response.get("incomplete_details")).get("reason"))
        if reason:
            self._finish = Finish(_INCOMPLETE.get(reason, "length"), reason)
        elif self._refused and not self._called:
            self._finish = Finish("refusal")
