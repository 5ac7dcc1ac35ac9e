"""One chat: header, transcript, decision, status and prompt. It runs the turns; it never blocks a key.

What was typed stays until the agent has taken it. Leaving the pane does not end the agent's task; stopping it does.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from time import monotonic

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.worker import Worker

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.chat.conversation import CancelOutcome, Conversation
from kagent_tui.chat.decisions import Answer
from kagent_tui.chat.events import ChatEvent, Done, TextDelta
from kagent_tui.chat.prompt_history import PromptHistory
from kagent_tui.chat.status import Activity, TurnClock, activity_of, status_spans, token_spans
from kagent_tui.chat.subject import ChatSubject
from kagent_tui.chat.transcript import ToolEntry, Transcript
from kagent_tui.render.text import Span, Tone, span
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.chat_input import ChatInput
from kagent_tui.widgets.decision_bar import DecisionBar
from kagent_tui.widgets.span_line import SpanLine
from kagent_tui.widgets.transcript import TranscriptView

__all__ = ["ChatPane", "Describe", "OpenConversation"]

logger = logging.getLogger(__name__)

OpenConversation = Callable[[ObjectRef, str], Awaitable[Conversation]]
"""Makes a conversation with an agent; the string is a session to go on with, empty for a new one."""
Describe = Callable[[ObjectRef], ChatSubject]

# Long enough to mean it, short enough to forget the first press.
_TWICE_SECONDS = 2.0


class ChatPane(Vertical):
    """A conversation with one agent on screen."""

    BINDINGS = bindings("chat")

    class Say(Message):
        """Something for the line above the footer; raw text."""

        def __init__(self, text: str, tone: Tone = Tone.PLAIN) -> None:
            super().__init__()
            self.text = text
            self.tone = tone

    class Asked(Message):
        """Something is up to the screen: split, next_pane, close_pane, leave, copy, or bell."""

        def __init__(self, pane: ChatPane, what: str) -> None:
            super().__init__()
            self.pane = pane
            self.what = what

    class Read(Message):
        """A tool card is to be read whole."""

        def __init__(self, entry: ToolEntry) -> None:
            super().__init__()
            self.entry = entry

    def __init__(
        self,
        ref: ObjectRef,
        open_conversation: OpenConversation,
        describe: Describe,
        *,
        history: PromptHistory | None = None,
        session_id: str = "",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__()
        self.ref = ref
        self.transcript = Transcript()
        self.conversation: Conversation | None = None
        self._open = open_conversation
        self._describe = describe
        self._history = history or PromptHistory()
        self._session_id = session_id
        self._now = clock
        self._clock = TurnClock()
        self._queue: list[str] = []
        self._working = False
        self._stopping = False
        self._trouble = False
        self._escaped = float("-inf")
        self._turn: Worker[None] | None = None
        # Kept, not looked up: a turn may end after the pane is gone.
        self._subject = SpanLine(id="subject")
        self._doing = SpanLine(id="doing")
        self.view = TranscriptView(self.transcript)
        self.decision = DecisionBar()
        self.prompt: ChatInput

    def compose(self) -> ComposeResult:
        yield self._subject
        yield self.view
        yield self.decision
        yield self._doing
        self.prompt = ChatInput(self._history)
        yield self.prompt

    @property
    def activity(self) -> Activity:
        """What the agent is doing."""
        waiting = self.conversation is not None and bool(self.conversation.pause)
        return activity_of(self.transcript, busy=self._working, waiting=waiting, stopping=self._stopping)

    @property
    def session_id(self) -> str:
        """The session, empty before a new one has begun."""
        return self.conversation.session_id if self.conversation is not None else self._session_id

    def on_mount(self) -> None:
        self.set_interval(1.0, self._tick)
        self.refresh_subject()
        self._refresh_status()
        if self._session_id:
            self._start(self._resume)

    def focus_prompt(self) -> None:
        """Take the keys."""
        (self.decision.focus_input if self.decision.is_open else self.prompt.focus)()

    def set_near(self, near: bool) -> None:
        """Say whether somebody looks at this pane."""
        self.view.near = near
        self.set_class(near, "-near")

    def refresh_subject(self) -> None:
        """Show the agent as it is now."""
        subject = self._describe(self.ref)
        left = [Span("● ", Tone.OK) if not subject.trouble else Span("!! ", Tone.BAD), span(subject.title, Tone.HEAD)]
        # The note comes first: a narrow pane must not cut off that a model is not a real one.
        if subject.note:
            left.append(span(f"  {subject.note}", Tone.WARN))
        if subject.model:
            left += [Span("  model ", Tone.DIM), span(subject.model, Tone.VALUE)]
        if subject.trouble:
            left.append(span(f"  {subject.trouble}", Tone.BAD))
        session = self.session_id
        right = [span(f"session {session[:8]} ", Tone.DIM)] if session else [Span("new session ", Tone.DIM)]
        self._subject.say(left, right)
        self._trouble = bool(subject.trouble)
        self._refresh_status()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "copy":
            return bool(self.transcript.last_answer)
        return True

    def action_switch(self) -> None:
        if self.prompt.has_focus or self.decision.has_focus_within:
            self.view.focus()
        else:
            self.focus_prompt()

    def action_interrupt(self) -> None:
        if self.decision.is_open and self.decision.back():
            return
        if self.view.has_focus:
            self.focus_prompt()
            return
        if not self._working:
            self.post_message(self.Asked(self, "leave"))
            return
        now = self._now()
        if now - self._escaped > _TWICE_SECONDS:
            self._escaped = now
            self.post_message(self.Say("esc again stops the agent", Tone.WARN))
            return
        self._stop()

    def action_cards(self) -> None:
        self.view.action_fold_all()

    def action_copy(self) -> None:
        self.post_message(self.Asked(self, "copy"))

    def action_new(self) -> None:
        if self._working:
            self.post_message(self.Say("the agent is at work: stop it first (esc twice)", Tone.WARN))
            return
        self.conversation, self._session_id = None, ""
        self.transcript = Transcript()
        self.view.show(self.transcript)
        self._close_decision()
        self.refresh_subject()
        self._refresh_status()

    def action_split(self) -> None:
        self.post_message(self.Asked(self, "split"))

    def action_next_pane(self) -> None:
        self.post_message(self.Asked(self, "next_pane"))

    def action_close_pane(self) -> None:
        self.post_message(self.Asked(self, "close_pane"))

    def action_leave(self) -> None:
        self.post_message(self.Asked(self, "leave"))

    def decide(self, answer: Answer) -> None:
        """Answer what the agent waits for, as if it had been decided here."""
        self._close_decision()
        self._start(partial(self._answer, answer))

    def send(self, text: str) -> None:
        """Send a message, or keep it until the agent has finished its turn."""
        if self._working:
            self._queue.append(text)
            self._refresh_status()
            return
        self._start(partial(self._say, text))

    @on(ChatInput.Sent)
    def _sent(self, event: ChatInput.Sent) -> None:
        event.stop()
        if self.decision.is_open:
            self.post_message(self.Say("decide first: what waits is above the prompt", Tone.WARN))
            self.decision.focus_input()
            return
        self.prompt.sent()
        self.send(event.text)

    @on(DecisionBar.Decided)
    def _decided(self, event: DecisionBar.Decided) -> None:
        event.stop()
        self.decide(event.answer)

    @on(TranscriptView.Left)
    def _view_left(self, event: TranscriptView.Left) -> None:
        event.stop()
        self.focus_prompt()

    @on(TranscriptView.Opened)
    def _card_opened(self, event: TranscriptView.Opened) -> None:
        event.stop()
        self.post_message(self.Read(event.entry))

    def _start(self, turn: Callable[[], Awaitable[None]]) -> None:
        now = self._now()
        self._clock = TurnClock(started=now, last_event=now)
        self._working = True
        self._stopping = False
        self._refresh_status()
        self._turn = self._work(turn)

    @work(group="turn")
    async def _work(self, turn: Callable[[], Awaitable[None]]) -> None:
        try:
            await turn()
        except Exception:
            # The outer edge of a turn: a fault here must not take the other chats and the dashboard with it.
            logger.exception("turn with %s", self.ref)
            text = "this turn broke in kagent-tui itself"
            self.view.changed([self.transcript.notice("error", text, "its log file has the details")])
        finally:
            self._working = False
            self._stopping = False
            self._refresh_status()
            self.refresh_subject()
        if not self.is_attached:
            return
        if self.conversation is not None and self.conversation.pause:
            self._ask()
        elif self._queue:
            self.send(self._queue.pop(0))

    async def _connected(self) -> Conversation:
        if self.conversation is None:
            self.conversation = await self._open(self.ref, self._session_id)
            self.refresh_subject()
        return self.conversation

    async def _say(self, text: str) -> None:
        index = self.transcript.say(text)
        self.view.changed([index])
        taken = False
        try:
            conversation = await self._connected()
            async with aclosing(conversation.send(text)) as events:
                async for event in events:
                    taken = True
                    self._take(event)
        except KagentError as error:
            if not taken:
                self.transcript.unsay(index)
                self.view.removed()
                self.prompt.restore("\n".join([text, *self._queue]))
                self._queue.clear()
            self._complain(error)

    async def _answer(self, answer: Answer) -> None:
        conversation = await self._connected()
        pause = conversation.pause
        self.view.changed(self.transcript.decided(pause, answer, self._now()))
        try:
            async with aclosing(conversation.answer(answer)) as events:
                async for event in events:
                    self._take(event)
        except KagentError as error:
            self._complain(error)

    async def _resume(self) -> None:
        """Show a session from its beginning and follow what still runs in it."""
        try:
            conversation = await self._connected()
            for event in await conversation.history():
                self.transcript.apply(event)
            self.view.show(self.transcript)
            await self._follow(conversation.rejoin())
        except KagentError as error:
            self._complain(error)

    async def _follow(self, events: AsyncGenerator[ChatEvent]) -> None:
        async with aclosing(events):
            async for event in events:
                self._take(event)

    def _take(self, event: ChatEvent) -> None:
        now = self._now()
        self._clock.last_event = now
        if isinstance(event, TextDelta):
            self._clock.first_text = self._clock.first_text or now
        before = self.transcript.state, len(self.transcript.entries)
        self.view.changed(self.transcript.apply(event, now))
        if before != (self.transcript.state, len(self.transcript.entries)) or isinstance(event, Done):
            self._refresh_status()

    def _complain(self, error: KagentError) -> None:
        logger.info("turn with %s failed: %s", self.ref, error)
        subject = self._describe(self.ref)
        self.view.changed([self.transcript.notice("error", error.message, error.remedy)])
        if subject.trouble:
            self.view.changed([self.transcript.notice("note", subject.trouble, subject.remedy)])
        self._refresh_status()

    @work(group="stop", exclusive=True)
    async def _stop(self) -> None:
        if self.conversation is None or self._turn is None:
            return
        self._stopping = True
        self.post_message(self.Say(""))
        self._refresh_status()
        try:
            outcome = await self.conversation.cancel()
        except KagentError as error:
            self.post_message(self.Say(str(error), Tone.BAD))
            self._stopping = False
            return
        if outcome in (CancelOutcome.UNSUPPORTED, CancelOutcome.NOTHING):
            # Nothing to wait for: let go of the stream. The agent goes on, and it is said so.
            self._turn.cancel()
            text = "this agent cannot be stopped: it goes on without being watched"
            nothing = "stopped before the agent took the message"
            note = text if outcome is CancelOutcome.UNSUPPORTED else nothing
            self.view.changed([self.transcript.notice("warning", note)])
        self._refresh_status()

    def _ask(self) -> None:
        assert self.conversation is not None
        focused = self.has_focus_within
        self.decision.open(self.conversation.pause)
        if focused:
            self.decision.focus_input()
        self.post_message(self.Asked(self, "bell"))

    def _close_decision(self) -> None:
        focused = self.decision.has_focus_within
        self.decision.close()
        if focused:
            self.prompt.focus()

    def _tick(self) -> None:
        # Only a running clock is worth a repaint; an idle pane writes nothing.
        if self._working:
            self._refresh_status()

    def _refresh_status(self) -> None:
        if not self.is_attached:
            return
        spans = status_spans(
            self.transcript, self.activity, self._clock, self._now(), queued=len(self._queue), trouble=self._trouble
        )
        if hidden := (0 if self.view.following else self.view.hidden_lines):
            spans.append(Span(f"  ↓ {hidden} more lines (G)", Tone.DIM))
        self._doing.say(spans, token_spans(self.transcript))
