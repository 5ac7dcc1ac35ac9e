"""Replaces old parts of a long conversation by a summary, when the configuration asks for it.

The rules are google-adk's: after so many turns, with some of the turns before them for context; or when a prompt grew
beyond so many tokens, keeping the last events as they are. Runs between turns; a summary that fails costs nothing but
itself, and no event is ever deleted: a summary only stands in front of what it covers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kagent_engine.events import Compacted
from kagent_engine.history import compactions, event_time
from kagent_engine.models.base import Finish, Model, ModelRequest, TextDelta, TextPart, UserMessage
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["CompactionRules", "plan", "summarise"]

_PLACE: Final = "{conversation_history}"
_PROMPT: Final = (
    "Summarise the conversation below so that it can go on without the original. Keep what the user wants, what was "
    "decided, names, numbers, identifiers, open questions, and the exact names of tools with what matters of their "
    "results. Leave out greetings and repetition. Write only the summary.\n\n" + _PLACE
)
# A result in the summary's own prompt is only a reminder; the whole would defeat the purpose.
_LONGEST_LINE: Final = 4000


@dataclass(frozen=True, slots=True)
class CompactionRules:
    """``interval`` and ``token_threshold`` are each None where that rule is off."""

    interval: int | None = None
    overlap: int = 0
    token_threshold: int | None = None
    retention: int = 0
    prompt: str = ""


def plan(events: Sequence[JsonObject], rules: CompactionRules) -> list[JsonObject]:
    """Return the events to summarise now, oldest first; empty when it is not time."""
    covered_until = max((found.end for found in compactions(events)), default=float("-inf"))
    plain = [event for event in events if event.get("content")]
    fresh = [event for event in plain if event_time(event) > covered_until]
    if rules.token_threshold is not None and _last_prompt(fresh) >= rules.token_threshold:
        return _all_but_last(fresh, rules.retention)
    if rules.interval is None:
        return []
    turns = _turns(fresh)
    if len(turns) < rules.interval:
        return []
    earlier = _turns([event for event in plain if event_time(event) <= covered_until])
    wanted = {*turns, *(earlier[-rules.overlap :] if rules.overlap else ())}
    return [event for event in plain if as_text(event.get("invocation_id")) in wanted]


async def summarise(
    model: Model, events: Sequence[JsonObject], rules: CompactionRules, api_key: str = ""
) -> Compacted | None:
    """Ask the model for the summary of these events (``api_key`` is the caller's own); None when it gave none.

    Raises:
        ModelError: the model could not answer.
    """
    told = "\n".join(_lines(events))
    prompt = rules.prompt or _PROMPT
    text = prompt.replace(_PLACE, told) if _PLACE in prompt else f"{prompt}\n\n{told}"
    pieces: list[str] = []
    ended = False
    async for event in model.stream(ModelRequest([UserMessage((TextPart(text),))], api_key=api_key)):
        match event:
            case TextDelta(piece):
                pieces.append(piece)
            case Finish(reason):
                ended = reason == "stop"
            case _:
                pass
    summary = "".join(pieces).strip()
    if not ended or not summary:
        return None
    return Compacted(summary, event_time(events[0]), event_time(events[-1]))


def _turns(events: Iterable[JsonObject]) -> list[str]:
    return list(dict.fromkeys(as_text(event.get("invocation_id")) for event in events))


def _last_prompt(events: Sequence[JsonObject]) -> int:
    for event in reversed(events):
        counted = as_object(event.get("usage_metadata")).get("promptTokenCount")
        if isinstance(counted, int):
            return counted
    return 0


def _all_but_last(events: list[JsonObject], kept: int) -> list[JsonObject]:
    """Cut so that a tool's result never stands without the call before it."""
    cut = len(events) - kept
    while cut > 0 and cut < len(events) and _has_result(events[cut]):
        cut -= 1
    return events[: max(cut, 0)]


def _has_result(event: JsonObject) -> bool:
    parts = as_objects(as_object(event.get("content")).get("parts"))
    return any("function_response" in part or "functionResponse" in part for part in parts)


def _lines(events: Iterable[JsonObject]) -> Iterable[str]:
    for event in events:
        content = as_object(event.get("content"))
        who = "User" if event.get("author") == "user" else "Agent"
        for part in as_objects(content.get("parts")):
            if part.get("thought"):
                continue
            if text := as_text(part.get("text")):
                yield f"{who}: {text}"
            elif call := as_object(part.get("function_call") or part.get("functionCall")):
                yield f"Agent called {call.get('name')} with {_short(call.get('args'))}"
            elif result := as_object(part.get("function_response") or part.get("functionResponse")):
                yield f"{result.get('name')} returned {_short(result.get('response'))}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + " ..."
