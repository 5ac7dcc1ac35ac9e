"""Our messages and tools in the shapes of OpenAI's two APIs. Pure; no other module knows these shapes for input."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import assert_never

import orjson

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
from kagent_engine.shapes import JsonObject

__all__ = ["chat_messages", "chat_tools", "data_url", "file_text", "responses_input", "responses_tools"]

_TEXT_TYPES = ("application/json", "application/yaml", "application/x-yaml", "application/xml")


def chat_messages(messages: Sequence[Message]) -> list[JsonObject]:
    """Return ``messages`` of a chat completion."""
    return [_chat(message) for message in messages]


def chat_tools(tools: Sequence[ToolSpec]) -> list[JsonObject]:
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in tools
    ]


def _chat(message: Message) -> JsonObject:
    match message:
        case SystemMessage(text):
            return {"role": "system", "content": text}
        case UserMessage(parts):
            if len(parts) == 1 and isinstance(parts[0], TextPart):
                return {"role": "user", "content": parts[0].text}
            return {"role": "user", "content": [_chat_part(part) for part in parts]}
        case AssistantMessage(text, calls):
            spoken: JsonObject = {"role": "assistant", "content": text or None}
            if calls:
                spoken["tool_calls"] = [
                    {"id": call.id, "type": "function",
                     "function": {"name": call.name, "arguments": orjson.dumps(call.arguments).decode()}}
                    for call in calls
                ]  # fmt: skip
            return spoken
        case ToolMessage(call_id, _, content):
            return {"role": "tool", "tool_call_id": call_id, "content": content}
        case _:
            assert_never(message)


def _chat_part(part: TextPart | FilePart) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if part.mime_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    if part.data and part.mime_type in ("audio/wav", "audio/x-wav", "audio/mpeg", "audio/mp3"):
        kind = "wav" if "wav" in part.mime_type else "mp3"
        return {"type": "input_audio", "input_audio": {"data": base64.b64encode(part.data).decode(), "format": kind}}
    if part.data and part.mime_type == "application/pdf":
        return {"type": "file", "file": {"filename": part.name or "document.pdf", "file_data": data_url(part)}}
    return {"type": "text", "text": file_text(part)}


def responses_input(messages: Sequence[Message]) -> tuple[str, list[JsonObject]]:
    """Return ``instructions`` and ``input`` of the responses API."""
    instructions: list[str] = []
    items: list[JsonObject] = []
    for message in messages:
        match message:
            case SystemMessage(text):
                instructions.append(text)
            case UserMessage(parts):
                items.append({"role": "user", "content": [_responses_part(part) for part in parts]})
            case AssistantMessage(text, calls):
                if text:
                    items.append({"role": "assistant", "content": [{"type": "output_text", "text": text}]})
                items.extend(
                    {"type": "function_call", "call_id": call.id, "name": call.name,
                     "arguments": orjson.dumps(call.arguments).decode()}
                    for call in calls
                )  # fmt: skip
            case ToolMessage(call_id, _, content):
                items.append({"type": "function_call_output", "call_id": call_id, "output": content})
            case _:
                assert_never(message)
    return "\n\n".join(instructions), items


def responses_tools(tools: Sequence[ToolSpec]) -> list[JsonObject]:
    return [
        # Strict mode rewrites schemas and refuses many of MCP's; arguments are checked by the tool itself.
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": dict(tool.parameters),
         "strict": False}
        for tool in tools
    ]  # fmt: skip


def _responses_part(part: TextPart | FilePart) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if part.mime_type.startswith("image/"):
        return {"type": "input_image", "image_url": data_url(part)}
    if part.mime_type == "application/pdf":
        name = part.name or "document.pdf"
        if part.data:
            return {"type": "input_file", "filename": name, "file_data": data_url(part)}
        return {"type": "input_file", "file_url": part.uri}
    return {"type": "input_text", "text": file_text(part)}


def data_url(part: FilePart) -> str:
    """Return the file's own address, or its bytes as a data URL."""
    if part.uri:
        return part.uri
    return f"data:{part.mime_type};base64,{base64.b64encode(part.data).decode()}"


def file_text(part: FilePart) -> str:
    """Return a text file's content under its name, or say that a file is there which the model cannot read."""
    name = part.name or part.uri or "file"
    if part.data and (part.mime_type.startswith("text/") or part.mime_type in _TEXT_TYPES):
        return f"{name}:\n{part.data.decode(errors='replace')}"
    where = f" at {part.uri}" if part.uri else f", {len(part.data)} bytes"
    return f"[The user attached {name} ({part.mime_type or 'unknown type'}{where}); it cannot be shown to you.]"
