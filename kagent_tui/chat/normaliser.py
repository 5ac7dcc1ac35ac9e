"""Turn one task's updates, of either dialect, into events: each word, call and result once, in the order they came.

What differs between the wires is known here: released kagent repeats a streamed text whole, and again as an artifact;
upstream's main streams artifacts and replaces them at the end; both show internal calls that nobody should see; a
snapshot after a dropped link tells everything again. Fed with anything at all, it must neither raise nor repeat.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal, TypeAlias, assert_never

from kagent_api.names import ACTIVITY_EXTENSION, HITL_EXTENSION
from kagent_tui.chat.events import (
    ApprovalRequest,
    ChatEvent,
    Done,
    Failed,
    PendingCall,
    Question,
    QuestionItem,
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
from kagent_tui.chat.jsonvalue import JsonObject, object_of, objects_in, text_of
from kagent_tui.chat.wire import Artifact, ArtifactUpdate, Message, Part, StatusUpdate, TaskSnapshot, WireUpdate

__all__ = ["ASK_USER", "Normaliser"]

ASK_USER: Final = "ask_user"
_CONFIRM: Final = "adk_request_confirmation"
# google-adk's own calls: the person sees what they lead to, not them.
_INTERNAL_CALLS: Final = frozenset({_CONFIRM, "adk_request_credential", "adk_request_input"})
# Placeholders that google-adk 2 puts as a tool's result while it waits for a decision.
_PLACEHOLDERS: Final = frozenset({"confirmation_requested", "pending"})

Kind: TypeAlias = Literal["text", "thought"]


def labelled(metadata: JsonObject, name: str) -> Any:
    """Return a metadata value by either prefix; google-adk's ``adk_`` goes before kagent's (upstream's readers)."""
    value = metadata.get(f"adk_{name}")
    return metadata.get(f"kagent_{name}") if value is None else value


class Normaliser:
    """The state of one turn: what was shown already, so that full texts replace and snapshots add only what is new."""

    def __init__(self, *, replay: bool = False) -> None:
        """``replay`` reads a stored task: its user messages become events too."""
        self._replay = replay
        self.state = TurnState.UNKNOWN
        self.task_id = ""
        self.context_id = ""
        # When the task came to wait, as its server tells it.
        self.waits_since = ""
        self._texts: dict[str, str] = {}
        self._open: dict[Kind, str] = {}
        self._spoken: list[str] = []
        self._seen: set[str] = set()
        self._calls: dict[str, JsonObject] = {}
        self._results: set[str] = set()
        self._waiting: dict[str, JsonObject] = {}
        self._usage: dict[str, Usage] = {}
        self._error_code = ""
        self._blocks = 0
        self._may_repeat = False
        self._resuming = False

    def resume(self) -> None:
        """Expect more of the same task after its pause was answered; a snapshot may still tell of the pause."""
        self.state = TurnState.SUBMITTED
        self._waiting.clear()
        self._resuming = True

    def feed(self, update: WireUpdate) -> list[ChatEvent]:
        """Return what ``update`` adds to the conversation."""
        match update:
            case TaskSnapshot():
                return self._snapshot(update)
            case StatusUpdate():
                return [*self._task(update.task_id, update.context_id), *self._status(update)]
            case ArtifactUpdate():
                events = self._task(update.task_id, update.context_id)
                return [*events, *self._artifact(update.artifact, update.metadata, append=update.append)]
            case Message():
                events = self._task(update.task_id, update.context_id)
                return [*events, *self._message(update, {}), *self._move(TurnState.COMPLETED, None)]
            case _:
                assert_never(update)

    def _task(self, task_id: str, context_id: str) -> list[ChatEvent]:
        if not task_id or task_id == self.task_id:
            return []
        self.task_id = task_id
        self.context_id = context_id or self.context_id
        return [TaskStarted(task_id, self.context_id)]

    def _snapshot(self, task: TaskSnapshot) -> list[ChatEvent]:
        events = self._task(task.status.task_id, task.status.context_id)
        resuming, self._resuming = self._resuming, False
        self._may_repeat = True
        for message in task.history:
            if message.role == "user":
                events += self._user(message)
            else:
                events += self._message(message, {})
        for artifact in task.artifacts:
            events += self._artifact(artifact, {}, append=False)
        if not (resuming and task.status.state.waiting):
            events += self._status(task.status)
        self._may_repeat = False
        return events

    def _user(self, message: Message) -> list[ChatEvent]:
        self._waiting.clear()
        text = "\n".join(part.text for part in message.parts if part.kind == "text")
        decision = HITL_EXTENSION in message.metadata or any(
            "decision_type" in object_of(part.data) for part in message.parts
        )
        # Released kagent stores the user's message twice, with one id or with two.
        keys = {f"user:{message.message_id}", f"user-text:{len(self._spoken)}:{text}"}
        if not self._replay or keys & self._seen:
            return []
        self._seen |= keys
        return [UserMessage(text, message.message_id, decision)] if text or decision else []

    def _status(self, update: StatusUpdate) -> list[ChatEvent]:
        if self.state.ended:
            return []
        events: list[ChatEvent] = []
        message = update.message
        if self._error_code == "":
            self._error_code = text_of(labelled(update.metadata, "error_code"))
        events += self._activity(update.metadata)
        said = ""
        if message is not None and message.role == "agent":
            if update.state in (TurnState.FAILED, TurnState.REJECTED, TurnState.CANCELED, TurnState.AUTH_REQUIRED):
                said = "\n".join(part.text for part in message.parts if part.kind == "text" and part.text)
                self._error_code = self._error_code or text_of(labelled(message.metadata, "error_code"))
            else:
                # Agents that stream artifacts may close with a message that says it all again.
                self._may_repeat = self._may_repeat or update.state.ended
                events += self._message(message, update.metadata)
        if update.state.ended or update.state.waiting:
            events += self._tokens("", update.metadata, last=True)
        if update.state.waiting and not self.state.waiting:
            self.waits_since = update.time
        return [*events, *self._move(update.state, message, said)]

    def _move(self, state: TurnState, message: Message | None, said: str = "") -> list[ChatEvent]:
        # A paused task goes on only by ``resume``; anything else is a server repeating itself.
        if state in (self.state, TurnState.UNKNOWN) or self.state.ended or (self.state.waiting and not state.ended):
            return []
        self.state = state
        events: list[ChatEvent] = [StatusChanged(state, said)]
        if state in (TurnState.FAILED, TurnState.REJECTED):
            events.append(Failed(said or "the agent gave no reason", self._error_code))
        elif state is TurnState.AUTH_REQUIRED:
            events.append(TurnWarning(said or "the agent needs a sign-in that a terminal cannot give", "auth-required"))
        elif state is TurnState.INPUT_REQUIRED:
            events += self._pause(message)
        if state.ended or state.waiting:
            self._open.clear()
            events.append(Done(state))
        return events

    def _message(self, message: Message, update_metadata: JsonObject) -> list[ChatEvent]:
        metadata = {**update_metadata, **message.metadata}
        partial = labelled(metadata, "adk_partial") is True or labelled(metadata, "partial") is True
        if message.message_id:
            mark = f"{message.message_id}:{hash(repr(message.parts))}"
            if mark in self._seen:
                return []
            self._seen.add(mark)
        events = self._activity(message.metadata)
        if HITL_EXTENSION in message.metadata:
            return events  # its text repeats what the request itself says
        self._error_code = text_of(labelled(metadata, "error_code")) or self._error_code
        events += self._parts(message.parts, partial=partial, source=message.message_id)
        return [*events, *([] if partial else self._tokens(message.message_id, metadata))]

    def _parts(self, parts: tuple[Part, ...], *, partial: bool, source: str) -> list[ChatEvent]:
        events: list[ChatEvent] = []
        for kind, text, part in _grouped(parts):
            if kind is not None:
                events += self._delta(kind, text) if partial else self._full(kind, text)
            elif part is not None:
                events += self._data(part, source)
        return events

    def _delta(self, kind: Kind, text: str) -> list[ChatEvent]:
        block = self._open.get(kind)
        if block is None:
            block = self._open[kind] = self._new_block(kind)
        self._texts[block] += text
        return [_more(kind, block, text)] if text else []

    def _full(self, kind: Kind, text: str) -> list[ChatEvent]:
        block = self._open.pop(kind, None)
        if block is None:
            if not text.strip() or (self._may_repeat and self._was_said(text)):
                return []
            block = self._new_block(kind)
        return self._set(kind, block, text, speak=True)

    def _was_said(self, text: str) -> bool:
        return any(text.strip() == said.strip() for said in (*self._spoken, *self._texts.values()))

    def _set(self, kind: Kind, block: str, text: str, *, speak: bool = False) -> list[ChatEvent]:
        before = self._texts[block]
        if speak:
            self._spoken.append(text.strip())
        if text == before:
            return []
        self._texts[block] = text
        if not before:
            return [_more(kind, block, text)]
        return [TextReplaced(block, text) if kind == "text" else Thought(block, text, replace=True)]

    def _new_block(self, kind: Kind) -> str:
        self._blocks += 1
        block = f"{kind}-{self._blocks}"
        self._texts[block] = ""
        return block

    def _artifact(self, artifact: Artifact, update_metadata: JsonObject, *, append: bool) -> list[ChatEvent]:
        events = self._activity(artifact.metadata)
        metadata = {**update_metadata, **artifact.metadata}
        kinds: dict[Kind, str] = {}
        for kind, text, part in _grouped(artifact.parts):
            if kind is not None:
                kinds[kind] = kinds.get(kind, "") + text
            elif part is not None:
                events += self._data(part, artifact.artifact_id)
        for kind, text in kinds.items():
            block = f"{artifact.artifact_id}:{kind}"
            if block not in self._texts:
                # Released kagent closes a turn with an artifact that repeats its last message.
                if not append and (not text.strip() or text.strip() in self._spoken):
                    continue
                self._texts[block] = ""
            before = self._texts[block]
            if append:
                self._texts[block] += text
                events += [_more(kind, block, text)] if text else []
            elif not (self._may_repeat and before.startswith(text)):
                events += self._set(kind, block, text)
        # One model response may be several artifacts, each with its usage.
        response = text_of(labelled(metadata, "event_id")) or artifact.artifact_id
        return [*events, *self._tokens(response, metadata)]

    def _data(self, part: Part, source: str) -> list[ChatEvent]:
        if part.kind == "file":
            return self._full("text", f"[file: {part.text}{f' ({part.data})' if part.data else ''}]")
        data = object_of(part.data)
        call_id = text_of(data.get("id")) or f"{source}:{text_of(data.get('name'))}"
        match labelled(part.metadata, "type"):
            case "function_call":
                return self._call(call_id, data, part.metadata)
            case "function_response":
                return self._result(call_id, data, object_of(part.metadata.get(ACTIVITY_EXTENSION)))
            case "executable_code":
                return self._full("text", f"```\n{text_of(data.get('code'))}\n```\n")
            case "code_execution_result":
                return self._full("text", f"```\n{text_of(data.get('output'))}\n```\n")
            case _:
                if "decision_type" in data:
                    return []
                text = json.dumps(part.data, ensure_ascii=False, indent=2)
                return self._full("text", f"```json\n{text}\n```\n")

    def _call(self, call_id: str, data: JsonObject, metadata: JsonObject) -> list[ChatEvent]:
        name = text_of(data.get("name"))
        arguments = object_of(data.get("args"))
        if name == _CONFIRM:
            self._waiting[call_id] = arguments
        if name in _INTERNAL_CALLS or self._calls.get(call_id) == arguments:
            return []
        self._open.clear()
        self._calls[call_id] = arguments
        return [ToolCall(call_id, name, arguments, text_of(labelled(metadata, "subagent_session_id")))]

    def _result(self, call_id: str, data: JsonObject, facts: JsonObject) -> list[ChatEvent]:
        name = text_of(data.get("name"))
        response = data.get("response")
        shape = object_of(response)
        if name in _INTERNAL_CALLS or call_id in self._results or text_of(shape.get("status")) in _PLACEHOLDERS:
            return []
        self._results.add(call_id)
        self._waiting = {key: value for key, value in self._waiting.items() if _original(value).get("id") != call_id}
        failed = True in (shape.get("isError"), shape.get("is_error"), facts.get("is_error")) or "error" in shape
        took = _number(facts.get("duration_ms"))
        return [ToolResult(call_id, name, response, failed, None if took is None else took / 1000)]

    def _pause(self, message: Message | None) -> list[ChatEvent]:
        if message is not None:
            request = object_of(message.metadata.get(HITL_EXTENSION))
            if request:
                return _hitl_pause(request)
            for part in message.parts:
                data = object_of(part.data)
                if data.get("name") == _CONFIRM:
                    self._waiting[text_of(data.get("id"))] = object_of(data.get("args"))
        return _adk_pause(self._waiting)

    def _tokens(self, response: str, metadata: JsonObject, *, last: bool = False) -> list[ChatEvent]:
        counts = object_of(labelled(metadata, "usage_metadata"))
        # The final status repeats the usage of the last response.
        if not counts or (last and self._usage):
            return []
        usage = Usage(
            response or "turn",
            _count(counts, "promptTokenCount", "prompt_token_count"),
            _count(counts, "candidatesTokenCount", "candidates_token_count"),
            _count(counts, "totalTokenCount", "total_token_count"),
        )
        if self._usage.get(usage.response) == usage:
            return []
        self._usage[usage.response] = usage
        return [usage]

    def _activity(self, metadata: JsonObject) -> list[ChatEvent]:
        """Read our own extension: warnings and what sub-agents do."""
        found = metadata.get(ACTIVITY_EXTENSION)
        events: list[ChatEvent] = []
        for entry in objects_in(found) or [object_of(found)]:
            event = _activity_event(entry)
            mark = f"activity:{json.dumps(entry, sort_keys=True)}"
            if event is not None and mark not in self._seen:
                self._seen.add(mark)
                events.append(event)
        return events


def _grouped(parts: tuple[Part, ...]) -> list[tuple[Kind | None, str, Part | None]]:
    """Join neighbouring text parts of one kind; other parts stand alone."""
    groups: list[tuple[Kind | None, str, Part | None]] = []
    for part in parts:
        if part.kind != "text":
            groups.append((None, "", part))
            continue
        kind: Kind = "thought" if labelled(part.metadata, "thought") is True else "text"
        if groups and groups[-1][0] == kind:
            groups[-1] = (kind, groups[-1][1] + part.text, None)
        else:
            groups.append((kind, part.text, None))
    return groups


def _activity_event(entry: JsonObject) -> ChatEvent | None:
    text = text_of(entry.get("message")) or text_of(entry.get("text"))
    call_id = text_of(entry.get("call_id"))
    match entry.get("type"):
        case "warning" if text:
            return TurnWarning(text, text_of(entry.get("code")))
        case "compaction":
            return TurnWarning("older parts of the conversation were summarised to fit the model", "compaction")
        case "progress":
            total = _number(entry.get("total"))
            return ToolProgress(call_id, text_of(entry.get("name")), _number(entry.get("progress")) or 0.0, total, text)
        case "subagent" if text:
            return SubAgentActivity(call_id, text_of(entry.get("agent")), text_of(entry.get("session_id")), text)
        case _:
            return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _more(kind: Kind, block: str, text: str) -> ChatEvent:
    return TextDelta(block, text) if kind == "text" else Thought(block, text)


def _count(counts: JsonObject, *names: str) -> int:
    for name in names:
        value = counts.get(name)
        if isinstance(value, int | float):
            return int(value)
    return 0


def _original(arguments: JsonObject) -> JsonObject:
    return object_of(arguments.get("originalFunctionCall"))


def _adk_pause(waiting: dict[str, JsonObject]) -> list[ChatEvent]:
    """Read released kagent's form: one confirmation call for each waiting call, inner calls in the payload."""
    calls: list[PendingCall] = []
    questions: list[ChatEvent] = []
    hint = subagent = ""
    for request_id, arguments in waiting.items():
        confirmation = object_of(arguments.get("toolConfirmation"))
        payload = object_of(confirmation.get("payload"))
        inner = objects_in(payload.get("hitl_parts"))
        subagent = text_of(payload.get("subagent_name")) or subagent
        hint = text_of(confirmation.get("hint")) or hint
        for outer in inner or [{"id": request_id, "originalFunctionCall": _original(arguments)}]:
            original = _original(outer) or outer
            call = PendingCall(
                text_of(outer.get("id")) or request_id,
                text_of(original.get("id")),
                text_of(original.get("name")),
                object_of(original.get("args")),
            )
            if call.name == ASK_USER:
                items = _questions(call.arguments.get("questions"))
                questions.append(Question(call.request_id, call.call_id, items, text_of(payload.get("subagent_name"))))
            else:
                calls.append(call)
    approvals: list[ChatEvent] = [ApprovalRequest(tuple(calls), hint, subagent)] if calls else []
    return [*approvals, *questions]


def _hitl_pause(request: JsonObject) -> list[ChatEvent]:
    """Read the extension's form: every visible id is answered, the nested ones where there are any."""
    nested = object_of(request.get("nested"))
    subagent = text_of(nested.get("subagent_name"))
    tools = objects_in(nested.get("tools")) or objects_in(request.get("tools"))
    if request.get("type") == "ask_user_request":
        request_id = text_of(tools[0].get("id")) if nested and tools else text_of(request.get("id"))
        return [Question(request_id, text_of(request.get("call_id")), _questions(request.get("questions")), subagent)]
    calls = tuple(
        PendingCall(
            text_of(tool.get("id")),
            text_of(tool.get("call_id")) or text_of(tool.get("id")),
            text_of(tool.get("name")),
            object_of(tool.get("args")),
        )
        for tool in tools
    )
    return [ApprovalRequest(calls, text_of(request.get("hint")), subagent)] if calls else []


def _questions(value: object) -> tuple[QuestionItem, ...]:
    items: list[QuestionItem] = []
    for item in objects_in(value):
        choices = item.get("choices")
        texts = tuple(str(choice) for choice in choices) if isinstance(choices, list) else ()  # type: ignore[reportUnknownArgumentType]
        items.append(QuestionItem(text_of(item.get("question")), texts, item.get("multiple") is True))
    return tuple(items) or (QuestionItem("the agent asks for something without saying what"),)
