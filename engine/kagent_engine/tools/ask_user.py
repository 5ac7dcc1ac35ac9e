"""The tool with which the model asks the person something in the middle of a turn. It never answers by itself."""

from __future__ import annotations

import json

from kagent_engine.errors import ToolFailed
from kagent_engine.events import Ask
from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.shapes import as_objects, as_text
from kagent_engine.tools.base import Answer, CallContext, ToolResult, text_result

__all__ = ["ASK_USER", "AskUser"]

ASK_USER = "ask_user"


class AskUser:
    """Pauses the turn with one or more questions; the answers come back as the tool's result."""

    spec = ToolSpec(
        name=ASK_USER,
        description=(
            "Ask the user one or more questions and wait for the answers. Use it only when the task cannot go on "
            "without a choice or a fact that the user alone has."
        ),
        parameters={
            "type": "object",
            "properties": {
                "questions": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {
                            "question": {"type": "string", "description": "What to ask."},
                            "choices": {
                                "type": "array",
                                "items": {"type": "string"},
                                "description": "Answers to choose from; leave out for a free answer.",
                            },
                            "multiple": {"type": "boolean", "description": "Whether several choices may be taken."},
                        },
                        "required": ["question"],
                    },
                }
            },
            "required": ["questions"],
        },
    )

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        questions = [as_text(item.get("question")) for item in as_objects(call.arguments.get("questions"))]
        if not questions or not all(questions):
            raise ToolFailed("'questions' must be a list of objects, each with a 'question'")
        if answer is None:
            return Ask("question", "\n".join(questions))
        if not answer.decision.approved or answer.decision.answers is None:
            return text_result(json.dumps({"status": "cancelled", "reason": answer.decision.reason}))
        given = [
            {"question": question, "answer": list(chosen)}
            for question, chosen in zip(questions, answer.decision.answers, strict=False)
        ]
        return text_result(json.dumps(given, ensure_ascii=False))
