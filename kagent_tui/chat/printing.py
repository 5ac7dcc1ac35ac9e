"""A turn on standard output: the answer as plain clean text while it streams, the rest as lines on standard error.

A pipe gets the agent's words and nothing else. Text is held back until its word is whole, because cleaning looks at
neighbours: a sequence cut by a delta's end must not slip through, an emoji must not be taken apart.
"""

from __future__ import annotations

import json
from typing import Final, Protocol, TextIO

from kagent_tui.chat.blocks import seconds_text
from kagent_tui.chat.events import (
    ApprovalRequest,
    ChatEvent,
    Done,
    Failed,
    LinkChanged,
    Question,
    SubAgentActivity,
    TextDelta,
    TextReplaced,
    ToolCall,
    ToolResult,
    TurnWarning,
    to_json,
)
from kagent_tui.chat.transcript import ToolEntry, Transcript
from kagent_tui.safety import clean, shorten

__all__ = ["JsonPrinter", "PlainPrinter", "Printer"]

# Scripts without spaces: what is held back of a long run.
_HELD: Final = 12
_ARGUMENTS: Final = 200


class Printer(Protocol):
    """Shows events as they come."""

    def show(self, event: ChatEvent, now: float) -> None: ...

    def finish(self) -> None: ...


class JsonPrinter:
    """One object a line, ASCII only, so that no terminal obeys what is in it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, event: ChatEvent, now: float) -> None:
        self.write(to_json(event))

    def write(self, value: object) -> None:
        """Write one object."""
        self._out.write(json.dumps(value, default=str) + "\n")
        self._out.flush()

    def finish(self) -> None:
        self._out.flush()


class PlainPrinter:
    """Answers to ``out``, everything else to ``notes``."""

    def __init__(self, out: TextIO, notes: TextIO) -> None:
        self._out = out
        self._notes = notes
        self._transcript = Transcript()
        self._block: str = ""
        self._text: str = ""
        self._shown = 0
        self._fresh = True

    def show(self, event: ChatEvent, now: float) -> None:
        self._transcript.apply(event, now)
        match event:
            case TextDelta(block, text):
                self._to_block(block)
                self._text += text
                self._print(self._text[self._shown : self._whole()])
            case TextReplaced(block, text):
                self._replace(block, text)
            case ToolCall(_, name, arguments):
                self._end_block()
                brief = shorten(clean(json.dumps(arguments, ensure_ascii=False), newlines=False), _ARGUMENTS)
                self._note(f"tool {name} {brief}")
            case ToolResult(call_id, name, _, failed, _):
                self._note(f"tool {name} {'failed' if failed else 'done'}{self._took(call_id)}")
            case ApprovalRequest(calls):
                self._end_block()
                for call in calls:
                    arguments = json.dumps(call.arguments, ensure_ascii=False)
                    self._note(f"waits for approval: {call.name} {arguments}")
            case Question(_, _, items):
                self._end_block()
                for item in items:
                    choices = f" ({' / '.join(item.choices)})" if item.choices else ""
                    self._note(f"asks: {item.text}{choices}")
            case TurnWarning(text):
                self._note(f"warning: {text}")
            case SubAgentActivity(_, agent, _, text):
                self._note(f"{agent}: {text}")
            case LinkChanged(up, attempt):
                self._note("connected again" if up else f"connection lost, try {attempt} to rejoin")
            case Failed(message, _, remedy):
                self._end_block()
                self._note(f"error: {message}{f' ({remedy})' if remedy else ''}")
            case Done():
                self._end_block()
            case _:
                pass

    def finish(self) -> None:
        self._end_block()
        self._out.flush()
        self._notes.flush()

    def _took(self, call_id: str) -> str:
        for entry in self._transcript.entries:
            if isinstance(entry, ToolEntry) and entry.call_id == call_id and entry.seconds is not None:
                return f" in {seconds_text(entry.seconds)}"
        return ""

    def _to_block(self, block: str) -> None:
        if block != self._block:
            self._end_block()
            self._block, self._text, self._shown = block, "", 0

    def _replace(self, block: str, text: str) -> None:
        self._to_block(block)
        if not text.startswith(self._text[: self._shown]):
            self._print("\n")
            self._shown = 0
        self._text = text
        self._print(self._text[self._shown : self._whole()])

    def _whole(self) -> int:
        """Return up to where the text can be printed now: the end of a word, or between two letters of a long one."""
        end = max(self._text.rfind(" "), self._text.rfind("\n")) + 1
        cut = len(self._text) - _HELD
        while cut > end and not (self._text[cut - 1].isalnum() and self._text[cut].isalnum()):
            cut -= 1
        return max(end, cut, self._shown)

    def _print(self, text: str) -> None:
        if text:
            self._shown += len(text)
            self._fresh = text.endswith("\n")
            self._out.write(clean(text))
            self._out.flush()

    def _end_block(self) -> None:
        self._print(self._text[self._shown :])
        if not self._fresh:
            self._out.write("\n")
            self._out.flush()
            self._fresh = True
        self._text, self._shown = "", 0

    def _note(self, text: str) -> None:
        self._out.flush()
        self._notes.write(clean(text, newlines=False) + "\n")
        self._notes.flush()
