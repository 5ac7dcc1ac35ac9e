"""Our messages and tools in the shape of Bedrock's Converse API. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final, assert_never

from kagent_engine.models.anthropic_messages import call_id, turns
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

__all__ = ["WIRE", "converse_messages", "converse_tools"]

WIRE: Final = "bedrock"

_IMAGES = {"image/jpeg": "jpeg", "image/png": "png", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf", "text/csv": "csv", "application/msword": "doc", "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}  # fmt: skip
_CONTINUED: Final = "(The conversation so far was left out.)"


def converse_messages(messages: Sequence[Message]) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return ``system`` and ``messages``."""
    system: list[JsonObject] = [{"text": each.text} for each in messages if isinstance(each, SystemMessage)]
    spoken = [(_role(each), _content(each)) for each in messages if not isinstance(each, SystemMessage)]
    return system, turns(spoken, {"text": _CONTINUED})


def converse_tools(tools: Sequence[ToolSpec]) -> list[JsonObject]:
    return [
        {
            "toolSpec": {
                "name": tool.name,
                # An empty description is refused.
                "description": tool.description or tool.name,
                "inputSchema": {"json": {"type": "object", **tool.parameters}},
            }
        }
        for tool in tools
    ]


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
                blocks.append({"text": text})
            blocks.extend(
                {"toolUse": {"toolUseId": call_id(call.id), "name": call.name, "input": call.arguments}}
                for call in calls
            )
            return blocks
        case ToolMessage(identity, _, content):
            shown = [{"text": content if content.strip() else "(no output)"}]
            return [{"toolResult": {"toolUseId": call_id(identity), "content": shown}}]
        case _:
            assert_never(message)


def _part(part: TextPart | FilePart) -> JsonObject | None:
    if isinstance(part, TextPart):
        return {"text": part.text} if part.text.strip() else None
    source = {"bytes": base64.b64encode(part.data).decode()}
    if part.data and part.mime_type in _IMAGES:
        return {"image": {"format": _IMAGES[part.mime_type], "source": source}}
    if part.data and part.mime_type in _DOCUMENTS:
        # Names of documents take few characters (docs.aws.amazon.com, DocumentBlock).
        name = re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9\s()\[\]-]", " ", part.name)).strip() or "document"
        return {"document": {"format": _DOCUMENTS[part.mime_type], "name": name, "source": source}}
    return {"text": file_text(part)}
