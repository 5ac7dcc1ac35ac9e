"""Our messages and tools in the shape of Anthropic's Messages API. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final, assert_never

from kagent_engine.models.base import (
    AssistantMessage,
    FilePart,
    Message,
    SystemMessage,
    TextPart,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from kagent_engine.models.openai_messages import file_text
from kagent_engine.models.signatures import unpack_signature
from kagent_engine.shapes import JsonObject, as_objects

__all__ = ["WIRE", "anthropic_messages", "anthropic_tools", "call_id", "turns"]

WIRE: Final = "anthropic"

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_CONTINUED: Final = "(The conversation so far was left out.)"


def anthropic_messages(messages: Sequence[Message]) -> tuple[str, list[JsonObject]]:
    """Return ``system`` and ``messages``."""
    system = "\n\n".join(message.text for message in messages if isinstance(message, SystemMessage))
    spoken = [(_role(message), _content(message)) for message in messages if not isinstance(message, SystemMessage)]
    return system, turns(spoken, {"type": "text", "text": _CONTINUED})


def anthropic_tools(tools: Sequence[ToolSpec]) -> list[JsonObject]:
    return [
        {"name": tool.name, "description": tool.description, "input_schema": {"type": "object", **tool.parameters}}
        for tool in tools
    ]


def turns(spoken: Sequence[tuple[str, list[JsonObject]]], opening: JsonObject) -> list[JsonObject]:
    """Return messages whose roles alternate, a person's first (``opening`` where there is none).

    All results of one reply have to stand in one message; messages without content are refused.
    """
    merged: list[JsonObject] = []
    for role, content in spoken:
        if not content:
            continue
        if not merged and role != "user":
            merged.append({"role": "user", "content": [opening]})
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"].extend(content)
        else:
            merged.append({"role": role, "content": [*content]})
    return merged


def call_id(identity: str) -> str:
    """Return a call's id in the letters that Anthropic and Amazon take; other providers use more."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", identity)[:64]


def _role(message: Message) -> str:
    return "assistant" if isinstance(message, AssistantMessage) else "user"


def _content(message: Message) -> list[JsonObject]:
    match message:
        case SystemMessage():
            return []
        case UserMessage(parts):
            return [block for part in parts if (block := _part(part))]
        case AssistantMessage(text, calls):
            blocks = as_objects(unpack_signature(WIRE, calls[0].signature)) if calls else []
            if text.strip():
                blocks.append({"type": "text", "text": text})
            blocks.extend(
                {"type": "tool_use", "id": call_id(call.id), "name": call.name, "input": call.arguments}
                for call in calls
            )
            return blocks
        case ToolMessage(identity, _, content):
            answer: JsonObject = {"type": "tool_result", "tool_use_id": call_id(identity)}
            if content.strip():
                answer["content"] = content
            return [answer]
        case _:
            assert_never(message)


def _part(part: TextPart | FilePart) -> JsonObject | None:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text} if part.text.strip() else None
    if part.mime_type in _IMAGES:
        return {"type": "image", "source": _source(part)}
    if part.mime_type == "application/pdf":
        return {"type": "document", "source": _source(part), **({"title": part.name} if part.name else {})}
    return {"type": "text", "text": file_text(part)}


def _source(part: FilePart) -> JsonObject:
    if part.uri:
        return {"type": "url", "url": part.uri}
    return {"type": "base64", "media_type": part.mime_type, "data": base64.b64encode(part.data).decode()}
