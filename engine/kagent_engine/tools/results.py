"""What the model reads of a tool's result: the text in it, cut in the middle where it is too long.

The whole result stays in the session and on the wire; only the model's copy is cut, the same way each time the
history is read, so that a conversation never changes under a provider's prompt cache.
"""

from __future__ import annotations

import json
from typing import Final

from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["LONGEST_RESULT", "model_text"]

# About 25 000 tokens: one result may fill a fifth of a 128k context, so that a few of them still fit.
LONGEST_RESULT: Final = 100_000


def model_text(response: JsonObject, *, limit: int = LONGEST_RESULT) -> tuple[str, bool]:
    """Return the text of a result and whether it had to be cut."""
    text = _text(response)
    if len(text) <= limit:
        return text, False
    head, tail = limit * 2 // 3, limit // 3
    left_out = len(text) - head - tail
    return f"{text[:head]}\n[... {left_out} characters left out ...]\n{text[len(text) - tail :]}", True


def _text(response: JsonObject) -> str:
    for key in ("result", "error"):
        value = response.get(key)
        if isinstance(value, str):
            return value
    content = as_objects(response.get("content"))
    if content:
        return "\n".join(_block(block) for block in content)
    structured = response.get("structuredContent", response)
    return json.dumps(structured, ensure_ascii=False)


def _block(block: JsonObject) -> str:
    """Return one block of MCP content as text; what is no text is named, never pasted as base64."""
    if block.get("type") == "text":
        return as_text(block.get("text"))
    resource = as_object(block.get("resource"))
    if resource.get("text"):
        return as_text(resource.get("text"))
    kind = as_text(block.get("type")) or "data"
    mime = as_text(block.get("mimeType")) or as_text(resource.get("mimeType"))
    where = as_text(block.get("uri")) or as_text(resource.get("uri"))
    size = len(as_text(block.get("data")) or as_text(resource.get("blob"))) * 3 // 4
    facts = [fact for fact in (mime, where, f"{size} bytes" if size else "") if fact]
    return f"[{kind}: {', '.join(facts)}]" if facts else f"[{kind}]"
