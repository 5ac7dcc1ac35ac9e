"""Our messages and tools in the shape of Google's ``generateContent``. Pure."""

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
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from kagent_engine.models.openai_messages import file_text
from kagent_engine.models.signatures import bare_signature
from kagent_engine.shapes import JsonObject

__all__ = ["gemini_contents", "gemini_tools"]

_SHOWN = ("image/", "audio/", "video/", "application/pdf")
# From its third generation on Gemini refuses a call without the signature it gave; this one stands for calls that
# another model made (ai.google.dev, "Thought signatures").
_SIGNED: Final = re.compile(r"gemini-([3-9]|\d\d)")
_NO_SIGNATURE: Final = "skip_thought_signature_validator"


def gemini_contents(
    messages: Sequence[Message], model: str, *, ids: bool
) -> tuple[JsonObject | None, list[JsonObject]]:
    """Return ``systemInstruction`` (None if there is none) and ``contents``; ``ids`` keeps the ids of calls.

    Vertex AI takes no ids: there a result belongs to the call at the same place.
    """
    instructions: list[JsonObject] = []
    contents: list[JsonObject] = []
    signed = bool(_SIGNED.search(model))
    for message in messages:
        if isinstance(message, SystemMessage):
            instructions.append({"text": message.text})
            continue
        role = "model" if isinstance(message, AssistantMessage) else "user"
        parts = _parts(message, ids=ids, signed=signed)
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        elif parts:
            contents.append({"role": role, "parts": parts})
    return ({"parts": instructions} if instructions else None), contents


def gemini_tools(tools: Sequence[ToolSpec]) -> list[JsonObject]:
    declarations = [
        {"name": tool.name, "description": tool.description, "parametersJsonSchema": dict(tool.parameters)}
        for tool in tools
    ]
    return [{"functionDeclarations": declarations}]


def _parts(message: Message, *, ids: bool, signed: bool) -> list[JsonObject]:
    match message:
        case SystemMessage():
            return []
        case UserMessage(parts):
            return [_part(part) for part in parts]
        case AssistantMessage(text, calls):
            spoken: list[JsonObject] = [{"text": text}] if text else []
            for index, call in enumerate(calls):
                part: JsonObject = {"functionCall": _identified(call, ids) | {"args": call.arguments}}
                # Of parallel calls the first alone carries one.
                if signature := bare_signature(call.signature) or (_NO_SIGNATURE if signed and index == 0 else ""):
                    part["thoughtSignature"] = signature
                spoken.append(part)
            return spoken
        case ToolMessage(identity, name, content):
            call = ToolCall(identity, name, {})
            return [{"functionResponse": _identified(call, ids) | {"response": {"result": content}}}]
        case _:
            assert_never(message)


def _identified(call: ToolCall, ids: bool) -> JsonObject:
    return {"name": call.name, **({"id": call.id} if ids else {})}


def _part(part: TextPart | FilePart) -> JsonObject:
    if isinstance(part, TextPart):
        return {"text": part.text}
    if not part.mime_type.startswith(_SHOWN):
        return {"text": file_text(part)}
    if part.uri:
        return {"fileData": {"mimeType": part.mime_type, "fileUri": part.uri}}
    return {"inlineData": {"mimeType": part.mime_type, "data": base64.b64encode(part.data).decode()}}
