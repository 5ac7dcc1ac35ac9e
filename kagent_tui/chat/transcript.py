"""What a conversation looks like, built from events and nothing else: the model behind panes, printouts and exports.

Entries only grow or change in place, and ``apply`` names the entry that changed, so that a view redraws that one.
Text stays raw here; whoever shows it cleans it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias, assert_never

from kagent_tui.chat.decisions import Answer, Pause
from kagent_tui.chat.events import (
    ApprovalRequest,
    ChatEvent,
    Done,
    Failed,
    LinkChanged,
    Question,
    StatusChanged,
    SubAgentActivity,
    TaskStarted,
    TextDelta,
    TextReplaced,
    Thought,
    ToolCall,
    ToolProgress,
    ToolResult,
    TurnState,
    TurnWarning,
    Usage,
    UserMessage,
)
from kagent_tui.chat.jsonvalue import JsonObject
from kagent_tui.chat.normaliser import ASK_USER

__all__ = [
    "AnswerEntry",
    "Entry",
    "NoticeEntry",
    "QuestionEntry",
    "ThoughtEntry",
    "Tokens",
    "ToolEntry",
    "ToolState",
    "Transcript",
    "UserEntry",
    "same_talk",
]


class ToolState(StrEnum):
    """Where a tool call stands, in the words its card shows."""

    RUNNING = "running"
    WAITING = "awaiting approval"
    ASKING = "awaiting your answer"
    APPROVED = "approved, running"
    REJECTED = "rejected"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "no result"


@dataclass(slots=True)
class UserEntry:
    """What the person wrote."""

    text: str
    decision: bool = False


@dataclass(slots=True)
class AnswerEntry:
    """One block of the agent's answer, in Markdown."""

    block: str
    text: str = ""
    done: bool = False


@dataclass(slots=True)
class ThoughtEntry:
    """One block of the model's thinking."""

    block: str
    text: str = ""
    done: bool = False


@dataclass(slots=True)
class ToolEntry:
    """One tool call. ``started`` and ``ended`` are the clock's readings here, absent in history."""

    call_id: str
    name: str
    arguments: JsonObject
    state: ToolState = ToolState.RUNNING
    result: Any = None
    started: float | None = None
    ended: float | None = None
    measured: float | None = None
    progress: str = ""
    hint: str = ""
    subagent_session: str = ""
    activity: list[str] = field(default_factory=list[str])
    # What an agent that was called here did itself: its own calls, its last words, its tokens.
    inner: list[ToolEntry] = field(default_factory=list["ToolEntry"])
    said: str = ""
    tokens: int = 0

    @property
    def seconds(self) -> float | None:
        """How long the call took, as the agent measured it, else as it was seen here."""
        if self.measured is not None:
            return self.measured
        return None if self.started is None or self.ended is None else self.ended - self.started

    @property
    def open(self) -> bool:
        """The call has no outcome yet."""
        return self.state in (ToolState.RUNNING, ToolState.WAITING, ToolState.ASKING, ToolState.APPROVED)


@dataclass(slots=True)
class QuestionEntry:
    """Questions of the agent, with the answers once they are given."""

    question: Question
    answers: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True)
class NoticeEntry:
    """A warning, an error, or a remark of this program."""

    level: Literal["note", "warning", "error"]
    text: str
    remedy: str = ""


Entry: TypeAlias = UserEntry | AnswerEntry | ThoughtEntry | ToolEntry | QuestionEntry | NoticeEntry


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts."""

    prompt: int = 0
    completion: int = 0
    total: int = 0


class Transcript:
    """The entries of one session, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.state = TurnState.UNKNOWN
        self.link_attempt = 0
        self._blocks: dict[str, int] = {}
        self._tools: dict[str, int] = {}
        self._usage: dict[str, Usage] = {}
        self._turn = 0

    @property
    def tokens(self) -> Tokens:
        """Token counts of the whole session, as far as the agent told them."""
        used = self._usage.values()
        return Tokens(sum(u.prompt for u in used), sum(u.completion for u in used), sum(u.total for u in used))

    @property
    def last_answer(self) -> str:
        """The text of the agent's last answer, for the clipboard."""
        return next((entry.text for entry in reversed(self.entries) if isinstance(entry, AnswerEntry)), "")

    @property
    def turn_tokens(self) -> Tokens:
        """Token counts of the present turn."""
        used = [usage for key, usage in self._usage.items() if key.startswith(f"{self._turn}:")]
        return Tokens(sum(u.prompt for u in used), sum(u.completion for u in used), sum(u.total for u in used))

    @property
    def subagent_calls(self) -> list[tuple[int, ToolEntry, int]]:
        """Calls of other agents: entry index, entry, and how many earlier calls went to the same session."""
        found: list[tuple[int, ToolEntry, int]] = []
        sessions: dict[str, int] = {}
        for index, entry in enumerate(self.entries):
            if isinstance(entry, ToolEntry) and entry.subagent_session:
                before = sessions.get(entry.subagent_session, 0)
                sessions[entry.subagent_session] = before + 1
                found.append((index, entry, before))
        return found

    @property
    def running_tool(self) -> ToolEntry | None:
        """The tool that has been running longest."""
        tools = (entry for entry in self.entries[self._turn :] if isinstance(entry, ToolEntry))
        return next((tool for tool in tools if tool.state in (ToolState.RUNNING, ToolState.APPROVED)), None)

    def say(self, text: str) -> int:
        """Add what the person sends and begin a turn; return the entry's index."""
        self._begin()
        return self._add(UserEntry(text))

    def unsay(self, index: int) -> None:
        """Take back what was said, if nothing came after it: the message could not be sent."""
        if index == len(self.entries) - 1:
            self.entries.pop()

    def notice(self, level: Literal["note", "warning", "error"], text: str, remedy: str = "") -> int:
        """Add a remark of this program; return the entry's index."""
        return self._add(NoticeEntry(level, text, remedy))

    def decided(self, pause: Pause, answer: Answer, now: float) -> list[int]:
        """Note the person's answer to a pause; return the indexes of what changed."""
        changed: list[int] = []
        for request in pause.approvals:
            for call in request.calls:
                index = self._tools.get(call.call_id)
                entry = self.entries[index] if index is not None else None
                if index is None or not isinstance(entry, ToolEntry):
                    continue
                decision = answer.decisions[call.call_id]
                entry.state = ToolState.APPROVED if decision.approved else ToolState.REJECTED
                if decision.approved and decision.arguments is not None:
                    entry.arguments = decision.arguments
                # The wait for the person is no running time of the tool.
                entry.started = now
                changed.append(index)
        for index, entry in enumerate(self.entries):
            if isinstance(entry, QuestionEntry) and entry.question in pause.questions:
                given = answer.answers[entry.question.request_id]
                entry.answers = tuple(tuple(texts) for texts in given)
                changed.append(index)
            elif isinstance(entry, ToolEntry) and entry.state is ToolState.ASKING:
                entry.state, entry.started = ToolState.RUNNING, now
                changed.append(index)
        return changed

    def apply(self, event: ChatEvent, now: float | None = None) -> list[int]:
        """Take in an event that came at ``now`` (None: from history); return the indexes of what changed."""
        match event:
            case TextDelta(block, text):
                return self._text(AnswerEntry, block, text, replaced=False)
            case TextReplaced(block, text):
                return self._text(AnswerEntry, block, text, replaced=True)
            case Thought(block, text, replaced):
                return self._text(ThoughtEntry, block, text, replaced=replaced)
            case ToolCall():
                return self._call(event, now)
            case ToolResult():
                return self._result(event, now)
            case ApprovalRequest():
                return self._approval(event)
            case Question():
                return self._question(event)
            case ToolProgress(call_id, _, progress, total, text):
                # A note of a sub-agent counts nothing.
                counted = f"{progress:g}" if progress or not text else ""
                done = counted if total is None else f"{progress:g}/{total:g}"
                return self._progress(call_id, f"{done} {text}".strip())
            case UserMessage(text, _, decision):
                self._begin()
                return [self._add(UserEntry(text, decision))]
            case SubAgentActivity(call_id, agent, _, text):
                return self._activity(call_id, f"{agent}: {text}" if agent else text)
            case TurnWarning(text):
                return [self._add(NoticeEntry("warning", text))]
            case Failed(message, code, remedy):
                return [self._add(NoticeEntry("error", f"{message} [{code}]" if code else message, remedy))]
            case Usage(response):
                self._usage[f"{self._turn}:{response}"] = event
                return []
            case StatusChanged(state):
                self.state = state
                return [self._add(NoticeEntry("note", "stopped"))] if state is TurnState.CANCELED else []
            case LinkChanged(up, attempt):
                self.link_attempt = 0 if up else attempt
                return []
            case Done(state):
                return self._done(state)
            case TaskStarted():
                return []
            case _:
                assert_never(event)

    def _begin(self) -> None:
        self._turn = len(self.entries)
        # Block ids are unique within a task only.
        self._blocks.clear()

    def _add(self, entry: Entry) -> int:
        self.entries.append(entry)
        return len(self.entries) - 1

    def _text(
        self, kind: type[AnswerEntry] | type[ThoughtEntry], block: str, text: str, *, replaced: bool
    ) -> list[int]:
        index = self._blocks.get(block)
        changed: list[int] = []
        if index is None:
            changed = self._close_texts()
            index = self._blocks[block] = self._add(kind(block))
        entry = self.entries[index]
        assert isinstance(entry, AnswerEntry | ThoughtEntry)
        entry.text = text if replaced else entry.text + text
        return [*changed, index]

    def _close_texts(self) -> list[int]:
        changed: list[int] = []
        for index in self._blocks.values():
            entry = self.entries[index]
            if isinstance(entry, AnswerEntry | ThoughtEntry) and not entry.done:
                entry.done = True
                changed.append(index)
        return changed

    def _call(self, event: ToolCall, now: float | None) -> list[int]:
        changed = self._close_texts()
        index = self._tools.get(event.call_id)
        entry = self.entries[index] if index is not None else None
        if index is None or not isinstance(entry, ToolEntry):
            index = self._tools[event.call_id] = self._add(ToolEntry(event.call_id, event.name, event.arguments))
            entry = self.entries[index]
            assert isinstance(entry, ToolEntry)
            entry.started = now
        entry.arguments = event.arguments
        entry.subagent_session = event.subagent_session or entry.subagent_session
        return [*changed, index]

    def _result(self, event: ToolResult, now: float | None) -> list[int]:
        index = self._tools.get(event.call_id)
        if index is None:
            [index, *_] = self._call(ToolCall(event.call_id, event.name), None)[-1:]
        entry = self.entries[index]
        assert isinstance(entry, ToolEntry)
        entry.result = event.result
        entry.ended = now
        entry.measured = event.seconds
        entry.progress = ""
        if entry.state is not ToolState.REJECTED:
            entry.state = ToolState.FAILED if event.failed else ToolState.DONE
        return [index]

    def _approval(self, request: ApprovalRequest) -> list[int]:
        changed: list[int] = []
        for call in request.calls:
            changed += self._call(ToolCall(call.call_id, call.name, call.arguments), None)
            entry = self.entries[changed[-1]]
            assert isinstance(entry, ToolEntry)
            entry.state = ToolState.WAITING
            entry.hint = request.hint
        return changed

    def _question(self, question: Question) -> list[int]:
        changed: list[int] = []
        for index, entry in enumerate(self.entries[self._turn :], self._turn):
            if isinstance(entry, ToolEntry) and entry.name == ASK_USER and entry.open:
                entry.state = ToolState.ASKING
                changed.append(index)
        return [*changed, self._add(QuestionEntry(question))]

    def _progress(self, call_id: str, text: str) -> list[int]:
        index = self._tools.get(call_id)
        entry = self.entries[index] if index is not None else None
        if index is None or not isinstance(entry, ToolEntry):
            return []
        entry.progress = text
        return [index]

    def _activity(self, call_id: str, text: str) -> list[int]:
        index = self._tools.get(call_id)
        entry = self.entries[index] if index is not None else None
        if index is None or not isinstance(entry, ToolEntry):
            return [self._add(NoticeEntry("note", text))]
        entry.activity.append(text)
        return [index]

    def _done(self, state: TurnState) -> list[int]:
        changed = self._close_texts()
        self.state = state
        if state.ended:
            for index, entry in enumerate(self.entries[self._turn :], self._turn):
                if isinstance(entry, ToolEntry) and entry.open:
                    entry.state = ToolState.UNKNOWN
                    changed.append(index)
        return changed


def same_talk(one: Transcript, other: Transcript) -> bool:
    """Tell whether two transcripts hold the same words and calls, whatever else is in them."""
    return _talk(one) == _talk(other)


def _talk(transcript: Transcript) -> list[tuple[str, str]]:
    talk: list[tuple[str, str]] = []
    for entry in transcript.entries:
        match entry:
            case UserEntry(text, False):
                talk.append(("user", text.strip()))
            case AnswerEntry(_, text) if text.strip():
                talk.append(("agent", text.strip()))
            case ToolEntry(call_id=call_id, state=state):
                talk.append((call_id, state.value if state in (ToolState.WAITING, ToolState.ASKING) else ""))
            case _:
                pass
    return talk
