"""One chat: header, transcript, decision, status and prompt. It runs the turns; it never blocks a key.

What was typed stays until the agent has taken it. Leaving the pane does not end the agent's task; stopping it does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from time import monotonic
from typing import Final

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.worker import Worker

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.chat.attachments import Attachment, file_attachment, mentions_in, object_attachment
from kagent_tui.chat.cache import OpenPane, timed_history
from kagent_tui.chat.conversation import CancelOutcome, Conversation
from kagent_tui.chat.decisions import Answer
from kagent_tui.chat.desk import Desk, SessionMemory
from kagent_tui.chat.errors import DecisionOutdated
from kagent_tui.chat.events import ChatEvent, Done, PendingCall, TextDelta, TextReplaced
from kagent_tui.chat.metrics import TurnClock, TurnFigures, turn_figures
from kagent_tui.chat.prices import price_of
from kagent_tui.chat.prompt_history import PromptHistory
from kagent_tui.chat.rules import Rule, SessionRules
from kagent_tui.chat.status import Activity, activity_of, status_spans, token_spans
from kagent_tui.chat.subagents import POLL_SECONDS, look_inside
from kagent_tui.chat.subject import ChatSubject
from kagent_tui.chat.transcript import Entry, ToolEntry, Transcript, same_talk
from kagent_tui.render.age import age, seconds_since
from kagent_tui.render.text import Line, Span, Tone, span
from kagent_tui.safety import cell_width
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.chat_input import ChatInput
from kagent_tui.widgets.decision_bar import DecisionBar, DecisionHelp
from kagent_tui.widgets.span_line import SpanLine
from kagent_tui.widgets.transcript import TranscriptView

__all__ = ["OLD_SECONDS", "ChatPane", "Describe", "OpenConversation"]

logger = logging.getLogger(__name__)

OpenConversation = Callable[[ObjectRef, str], Awaitable[Conversation]]
"""Makes a conversation with an agent; the string is a session to go on with, empty for a new one."""
Describe = Callable[[ObjectRef], ChatSubject]

# Long enough to mean it, short enough to forget the first press.
_TWICE_SECONDS = 2.0
# The wall clock runs on while a laptop sleeps, the monotonic one does not.
_SLEPT_SECONDS: Final = 5.0
# What was asked longer ago may have lost its reason.
OLD_SECONDS: Final = 3600.0
# An agent that asks this often in one turn is in a loop: rules no longer answer for the person.
_MOST_BY_RULE: Final = 50


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
        """Something is up to the screen, named as its command (split, zoom, history, ...), or bell, broadcast, fork,
        edit_again, resource, copy_card, good, bad; ``index`` is the entry meant, ``text`` what is to be sent."""

        def __init__(self, pane: ChatPane, what: str, *, index: int = -1, text: str = "") -> None:
            super().__init__()
            self.pane = pane
            self.what = what
            self.index = index
            self.text = text

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
        desk: Desk | None = None,
        draft: str = "",
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.ref = ref
        self.desk = desk or Desk()
        self.rules = SessionRules()
        self.figures: TurnFigures | None = None
        self.last_prompt = ""
        self.broadcast = False
        self.weight = 10
        self._memory = SessionMemory(self.desk, ref)
        self._draft = draft
        self._preface: Attachment | None = None
        self._by_rule = 0
        self._wall = wall
        self._woke = wall()
        self._looked_inside = float("-inf")
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

    @property
    def memo(self) -> OpenPane:
        """What is needed to open this pane again as it is."""
        draft = "\n".join([*self._queue, *([self.prompt.text] if self.is_mounted and self.prompt.text else [])])
        return OpenPane(f"{self.ref.namespace}/{self.ref.name}", self.session_id, draft)

    @property
    def subject(self) -> ChatSubject:
        """The agent as it is now."""
        return self._describe(self.ref)

    @property
    def busy(self) -> bool:
        """A turn runs."""
        return self._working

    def on_mount(self) -> None:
        self.set_interval(1.0, self._tick)
        if self._draft:
            self.prompt.replace_all(self._draft)
        self.refresh_subject()
        self._refresh_status()
        if self._session_id:
            self._start(self._resume)

    def on_resize(self) -> None:
        self.refresh_subject()

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
        if subject.missing:
            more = f" and {len(subject.missing) - 2} more" if len(subject.missing) > 2 else ""
            left.append(span(f"  missing: {', '.join(subject.missing[:2])}{more}", Tone.WARN))
        session = self.session_id
        # Who talks to whom comes first: a narrow pane leaves the rest out.
        room = self.size.width - sum(cell_width(part.text) for part in left[:2])
        right = [span(f"session {session[:8]} ", Tone.DIM)] if session else [Span("new session ", Tone.DIM)]
        if room > 60:
            right.insert(0, span(f"{self.desk.user}  ", Tone.DIM))
        elif room < 26:
            right = []
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
        self._begin_anew(Transcript())

    def adopt(self, entries: Sequence[Entry], preface: Attachment | None, text: str = "") -> None:
        """Begin a new session that goes on from another one: its entries are shown, ``preface`` goes along."""
        transcript = Transcript()
        transcript.entries.extend(entries)
        transcript.notice("note", "a fork: what stands above goes along as text with the first message")
        self._begin_anew(transcript)
        self._preface = preface
        if text:
            self.prompt.replace_all(text)

    def _begin_anew(self, transcript: Transcript) -> None:
        self.conversation, self._session_id, self._preface = None, "", None
        self.transcript, self.figures, self.rules = transcript, None, SessionRules()
        self._memory = SessionMemory(self.desk, self.ref)
        self.view.show(self.transcript)
        self._close_decision()
        self.refresh_subject()
        self._refresh_status()

    def action_zoom(self) -> None:
        self.post_message(self.Asked(self, "zoom"))

    def action_everyone(self) -> None:
        self.post_message(self.Asked(self, "everyone"))

    def action_compare(self) -> None:
        self.post_message(self.Asked(self, "compare"))

    def action_narrower(self) -> None:
        self.post_message(self.Asked(self, "narrower"))

    def action_wider(self) -> None:
        self.post_message(self.Asked(self, "wider"))

    def action_external(self) -> None:
        self.post_message(self.Asked(self, "external"))

    def action_snippet(self) -> None:
        self.post_message(self.Asked(self, "snippet"))

    def action_history(self) -> None:
        self.post_message(self.Asked(self, "history"))

    def action_code(self) -> None:
        self.post_message(self.Asked(self, "code"))

    def action_links(self) -> None:
        self.post_message(self.Asked(self, "links"))

    def action_rules(self) -> None:
        self.post_message(self.Asked(self, "rules"))

    def action_split(self) -> None:
        self.post_message(self.Asked(self, "split"))

    def action_next_pane(self) -> None:
        self.post_message(self.Asked(self, "next_pane"))

    def action_close_pane(self) -> None:
        self.post_message(self.Asked(self, "close_pane"))

    def action_leave(self) -> None:
        self.post_message(self.Asked(self, "leave"))

    def decide(self, answer: Answer, rules: Sequence[Rule] = ()) -> None:
        """Answer what the agent waits for, as if it had been decided here."""
        self._close_decision()
        self._by_rule = 0
        for rule in rules:
            if self.rules.add(rule, self.desk.verdicts(self.ref)):
                self.view.changed(
                    [self.transcript.notice("note", f"allowed in this session: {rule.title} (f11 ends it)")]
                )
        self._start(partial(self._answer, answer))

    def send(self, text: str) -> None:
        """Send a message, or keep it until the agent has finished its turn."""
        self._by_rule = 0
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
        if self.broadcast:
            self.post_message(self.Asked(self, "broadcast", text=event.text))
        else:
            self.send(event.text)

    @on(ChatInput.Mentioning)
    def _mentioning(self, event: ChatInput.Mentioning) -> None:
        event.stop()
        self.post_message(self.Asked(self, "mention"))

    @on(TranscriptView.Asked)
    def _asked_of_entry(self, event: TranscriptView.Asked) -> None:
        event.stop()
        self.post_message(self.Asked(self, event.what, index=event.index))

    @on(DecisionBar.Decided)
    def _decided(self, event: DecisionBar.Decided) -> None:
        event.stop()
        self.decide(event.answer, event.rules)

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
        self.figures = None
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
            self._measure()
            self._refresh_status()
            self.refresh_subject()
            await self._memory.keep(self.session_id)
        if not self.is_attached:
            return
        self._look_inside(every=True)
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
        self.last_prompt = text
        index = self.transcript.say(text)
        self.view.changed([index])
        taken = False
        try:
            attached = await self._attachments(text, index)
            conversation = await self._connected()
            async with aclosing(conversation.send(text, [each.part for each in attached])) as events:
                async for event in events:
                    if not taken:
                        taken, self._preface = True, None
                        self._memory.said("\n".join([text, *(each.part.text for each in attached if not each.raw)]))
                    self._take(event)
        except KagentError as error:
            if not taken:
                self.transcript.unsay(index)
                self.view.removed()
                self.prompt.restore("\n".join([text, *self._queue]))
                self._queue.clear()
            self._complain(error)

    async def _attachments(self, text: str, index: int) -> list[Attachment]:
        """Return what goes along with a text: an earlier conversation, mentioned resources and files.

        What cannot be had is said in the transcript; the text goes without it.
        """
        found: list[Attachment] = [self._preface] if self._preface is not None else []
        mentions = mentions_in(text)
        for ref in mentions.objects:
            try:
                obj = await self.desk.read(ref)
            except KagentError as error:
                self._warn(f"{ref} is not attached: {error.message}")
                continue
            if obj is None:
                self._warn(f"{ref} is not attached: it is not there")
            else:
                found.append(object_attachment(ref, obj))
        for path in mentions.files:
            try:
                found.append(await asyncio.to_thread(file_attachment, path))
            except OSError as error:
                self._warn(f"{path} is not attached: {error.strerror or error}")
            except ValueError as error:
                self._warn(f"not attached: {error}")
        names = [each.name for each in found]
        if names:
            self.view.changed([self.transcript.notice("note", f"goes along: {', '.join(names)}")])
        return found

    def _warn(self, text: str) -> None:
        self.view.changed([self.transcript.notice("warning", text)])

    async def _answer(self, answer: Answer) -> None:
        conversation = await self._connected()
        pause = conversation.pause
        told = False
        try:
            async with aclosing(conversation.answer(answer)) as events:
                async for event in events:
                    if not told:
                        # Only now it is taken: a card must not say "approved" of what was not sent.
                        told = True
                        self.view.changed(self.transcript.decided(pause, answer, self._now()))
                    self._take(event)
        except DecisionOutdated as error:
            self._complain(error)
            await self._show_again(conversation)
        except KagentError as error:
            self._complain(error)

    async def _resume(self) -> None:
        """Show a session from its beginning and follow what still runs in it: first as it is kept here, at once."""
        cache, kept = self.desk.cache, False
        if cache is not None:
            for timed in await cache.events(self._memory.key(self._session_id)):
                self.transcript.apply(timed.event)
                kept = True
            if kept:
                self.view.show(self.transcript)
        try:
            conversation = await self._connected()
            known = await self._show_again(conversation)
            if kept and not known:
                text = "the server has no such session (any more): this is the copy that is kept here"
                self._warn(text)
            await self._follow(conversation.rejoin())
        except KagentError as error:
            self._complain(error)

    async def _show_again(self, conversation: Conversation) -> bool:
        """Show what the server has of the session instead of what is shown; False if it has nothing."""
        events = await conversation.history()
        if not events:
            return False
        fresh = Transcript()
        for event in events:
            fresh.apply(event)
        if same_talk(fresh, self.transcript):
            # What is kept here also has warnings, thoughts and times.
            self.transcript.state = fresh.state
            return True
        self.transcript = fresh
        self.view.show(self.transcript)
        if self.desk.cache is not None:
            await self.desk.cache.replace(self._memory.key(self.session_id), timed_history(events))
        return True

    async def _follow(self, events: AsyncGenerator[ChatEvent]) -> None:
        async with aclosing(events):
            async for event in events:
                self._take(event)

    def _take(self, event: ChatEvent) -> None:
        now = self._now()
        self._clock.last_event = now
        self._memory.note(event, now - self._clock.started)
        if isinstance(event, TextDelta | TextReplaced):
            self._clock.first_text = self._clock.first_text or now
            self._clock.last_text = now
            self._clock.characters += len(event.text) if isinstance(event, TextDelta) else 0
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

    def _measure(self) -> None:
        """Take the figures of the turn that has ended."""
        self._clock.ended = self._now()
        if self._clock.characters:
            tokens = self.transcript.turn_tokens
            price = price_of(self.subject.model)
            self.figures = turn_figures(
                self._clock, prompt=tokens.prompt, completion=tokens.completion, price=price
            )  # fmt: skip

    def _ask(self) -> None:
        """Ask the person what the agent waits for, unless a rule of this session answers."""
        assert self.conversation is not None
        conversation, verdicts = self.conversation, self.desk.verdicts(self.ref)
        given = self.rules.answer(conversation.pause, verdicts) if self._by_rule < _MOST_BY_RULE else None
        if given is not None:
            answer, names = given
            self._by_rule += 1
            self.view.changed([self.transcript.notice("note", f"approved by your rule: {names}")])
            self._start(partial(self._by_the_rule, answer, f"rule: {names}"))
            return
        focused = self.has_focus_within
        since = conversation.waits_since
        asked = _seconds_since(since, self._wall())
        self.decision.open(
            conversation.pause,
            DecisionHelp(
                takes_edits=conversation.takes_edits,
                rules=True,
                old=age(since, self._wall()) if asked >= OLD_SECONDS else "",
                verdicts=verdicts,
                effect=self._effect if self.desk.effect is not None else None,
            ),
        )
        if focused:
            self.decision.focus_input()
        self.post_message(self.Asked(self, "bell"))

    async def _by_the_rule(self, answer: Answer, via: str) -> None:
        conversation = await self._connected()
        conversation.via = via
        try:
            await self._answer(answer)
        finally:
            conversation.via = ""

    async def _effect(self, call: PendingCall) -> list[Line]:
        assert self.desk.effect is not None
        return await self.desk.effect(call, self.ref.namespace)

    @work(group="inside", exclusive=True)
    async def _look_inside(self, *, every: bool = False) -> None:
        """See what agents that were called are doing: those at work, or all of them."""
        conversation = self.conversation
        if conversation is None:
            return
        self._looked_inside = self._now()
        for index, entry, before in self.transcript.subagent_calls:
            if entry.open or (every and not entry.inner):
                transcript = self.transcript
                changed = await look_inside(entry, before, conversation.tasks_of)
                if changed and transcript is self.transcript:
                    self.view.changed([index])

    def _close_decision(self) -> None:
        focused = self.decision.has_focus_within
        self.decision.close()
        if focused:
            self.prompt.focus()

    def _tick(self) -> None:
        now = self._wall()
        slept, self._woke = now - self._woke > _SLEPT_SECONDS, now
        # Only a running clock is worth a repaint; an idle pane writes nothing.
        if not self._working:
            return
        self._refresh_status()
        if slept and self.conversation is not None:
            self.conversation.nudge()
        self._keep()
        if self._now() - self._looked_inside >= POLL_SECONDS and self.transcript.subagent_calls:
            self._look_inside()

    @work(group="keep", exclusive=True)
    async def _keep(self) -> None:
        await self._memory.keep(self.session_id)

    def _refresh_status(self) -> None:
        if not self.is_attached:
            return
        spans = status_spans(
            self.transcript, self.activity, self._clock, self._now(), queued=len(self._queue), trouble=self._trouble,
            figures=self.figures,
        )  # fmt: skip
        if self.broadcast:
            spans.insert(0, Span("⇉ all panes  ", Tone.KEY))
        if hidden := (0 if self.view.following else self.view.hidden_lines):
            spans.append(Span(f"  ↓ {hidden} more lines (G)", Tone.DIM))
        self._doing.say(spans, token_spans(self.transcript))


def _seconds_since(moment: str, now: float) -> float:
    return (seconds_since(moment, now) or 0.0) if moment else 0.0
