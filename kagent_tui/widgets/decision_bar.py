"""Where approvals are decided and questions answered: outside the transcript, so that no answer can imitate it.

Arguments are shown as YAML, never as Markdown. Nothing is sent until every call has its decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from kagent_tui.chat.blocks import arguments_text, tool_title
from kagent_tui.chat.decisions import Answer, Decision, Pause
from kagent_tui.chat.events import ApprovalRequest, PendingCall, Question
from kagent_tui.chat.rules import Rule, Verdicts
from kagent_tui.render.text import BLANK, Line, Span, Tone, line, span
from kagent_tui.render.yaml import yaml_lines
from kagent_tui.safety import clean, has_hidden
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.text_pane import TextPane

__all__ = ["DecisionBar", "DecisionHelp"]

logger = logging.getLogger(__name__)

_VERDICTS = {
    "destructive": Span("its server marks it destructive", Tone.BAD),
    "writes": Span("its server says that it changes something", Tone.WARN),
    "reads": Span("its server says that it only reads", Tone.DIM),
}


def _no_verdicts() -> Verdicts:
    return {}


@dataclass(frozen=True)
class DecisionHelp:
    """What is known around a decision. ``rules`` offers rules for this session; ``old`` is how long ago it was asked,
    where that is so long that its reasons may be gone; ``effect`` makes the dry run of a call."""

    takes_edits: bool = False
    rules: bool = False
    old: str = ""
    verdicts: Verdicts = field(default_factory=_no_verdicts)
    effect: Callable[[PendingCall], Awaitable[list[Line]]] | None = None


class DecisionBar(Vertical, can_focus=True):
    """Asks for one thing after the other and posts ``Decided`` with all of them."""

    BINDINGS = bindings("decide", "move")
    BORDER_TITLE: ClassVar[str] = "your decision"

    class Decided(Message):
        """Everything is decided."""

        def __init__(self, bar: DecisionBar, answer: Answer, rules: tuple[Rule, ...] = ()) -> None:
            super().__init__()
            self.bar = bar
            self.answer = answer
            self.rules = rules

        @property
        def control(self) -> DecisionBar:
            return self.bar

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pause = Pause()
        self._calls: list[tuple[ApprovalRequest, PendingCall]] = []
        self._decisions: dict[str, Decision] = {}
        self._questions: list[Question] = []
        self._answers: dict[str, list[list[str]]] = {}
        self._rejecting = False
        self._help = DecisionHelp()
        self._rules: list[Rule] = []
        self._sure = False
        self._effects: dict[str, list[Line]] = {}
        self._looking: set[asyncio.Task[None]] = set()

    def compose(self) -> ComposeResult:
        yield TextPane()
        entry = Input(compact=True, select_on_focus=False)
        entry.cursor_blink = False
        yield entry

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    @property
    def plain(self) -> str:
        """What it shows."""
        return self.query_one(TextPane).plain

    def open(self, pause: Pause, help: DecisionHelp | None = None) -> None:
        """Ask for everything a task waits for."""
        self._help = help or DecisionHelp()
        self._rules, self._sure, self._effects = [], False, {}
        self._pause = pause
        self._calls = [(request, call) for request in pause.approvals for call in request.calls]
        self._questions = list(pause.questions)
        self._decisions = {}
        self._answers = {question.request_id: [] for question in pause.questions}
        self._rejecting = False
        self.add_class("-open")
        self._show()
        for _, call in self._calls:
            self._look_ahead(call)

    def close(self) -> None:
        """Ask nothing."""
        for task in self._looking:
            task.cancel()
        self._pause = Pause()
        self._calls, self._questions = [], []
        self.remove_class("-open")

    def focus_input(self) -> None:
        """Take the keys: the question's field, or the bar itself."""
        if self._typing:
            self.query_one(Input).focus()
        else:
            self.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("approve_all", "reject_all") and len(self._calls) < 2:
            return False
        if action in ("approve", "reject", "approve_all", "reject_all"):
            return self._call is not None and not self._rejecting
        if action in ("always", "exactly"):
            return self._may_rule
        if action == "edit":
            return self._may_edit
        return True

    @property
    def _may_rule(self) -> bool:
        call = self._call
        return (
            self._help.rules
            and call is not None
            and not self._rejecting
            and self._help.verdicts.get(call[1].name) != "destructive"
        )

    @property
    def _may_edit(self) -> bool:
        # What a sub-agent asks for is handed on by the agent above it, which knows no edits.
        call = self._call
        return self._help.takes_edits and call is not None and not call[0].subagent and not self._rejecting

    def action_approve(self) -> None:
        if self._be_sure():
            self._decide(Decision(True))

    def action_always(self) -> None:
        """Approve it, and the same tool from now on in this session."""
        if self._call is not None and self._be_sure():
            self._rules.append(Rule.always(self._call[1]))
            self._decide(Decision(True))

    def action_exactly(self) -> None:
        """Approve it, and the same call with the same arguments from now on in this session."""
        if self._call is not None and self._be_sure():
            self._rules.append(Rule.exactly(self._call[1]))
            self._decide(Decision(True))

    def action_edit(self) -> None:
        """Change the arguments, then approve them."""
        from kagent_tui.screens.arguments import ArgumentsScreen

        if self._call is None:
            return
        call = self._call[1]

        def edited(arguments: Mapping[str, object] | None) -> None:
            if arguments is not None and self._call is not None and self._call[1] is call:
                self._decide(Decision(True, arguments=dict(arguments)))
            elif self.is_attached:
                self.focus_input()

        app = cast("Any", self.app)  # pyright: ignore[reportUnknownMemberType] - its result type does not matter
        app.push_screen(ArgumentsScreen(call.name, call.arguments), edited)

    def action_reject(self) -> None:
        self._rejecting = True
        self._show()

    def action_approve_all(self) -> None:
        if self._be_sure():
            self._decide_all(Decision(True))

    def action_reject_all(self) -> None:
        self._decide_all(Decision(False))

    # Nobody should have to approve what does not fit.
    def action_down(self) -> None:
        self.query_one(TextPane).action_down()

    def action_up(self) -> None:
        self.query_one(TextPane).action_up()

    def action_first(self) -> None:
        self.query_one(TextPane).action_first()

    def action_last(self) -> None:
        self.query_one(TextPane).action_last()

    def action_page_down(self) -> None:
        self.query_one(TextPane).action_page_down()

    def action_page_up(self) -> None:
        self.query_one(TextPane).action_page_up()

    def back(self) -> bool:
        """Leave the reason's field; False when there is none to leave."""
        if not self._rejecting:
            return False
        self._rejecting = False
        self._show()
        return True

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._rejecting:
            self._rejecting = False
            self._decide(Decision(False, event.value.strip()))
        elif self._questions:
            self._reply(event.value.strip())

    @property
    def _call(self) -> tuple[ApprovalRequest, PendingCall] | None:
        return self._calls[len(self._decisions)] if len(self._decisions) < len(self._calls) else None

    @property
    def _typing(self) -> bool:
        return self._rejecting or (self._call is None and bool(self._questions))

    def _be_sure(self) -> bool:
        """Ask once more where the question is old; True when it was asked."""
        if not self._help.old or self._sure:
            return True
        self._sure = True
        self._show()
        return False

    def _look_ahead(self, call: PendingCall) -> None:
        """Find out what a call would change, beside everything else."""
        effect = self._help.effect
        if effect is None:
            return
        pause = self._pause

        async def look() -> None:
            try:
                lines = await effect(call)
            except Exception:
                # Help that fails must not stand in the way of the decision.
                logger.exception("dry run of %s", call.name)
                return
            if lines and self._pause is pause and self.is_attached:
                self._effects[call.call_id] = lines
                if self._call is not None and self._call[1] is call:
                    self._show(keep=True)

        task = asyncio.create_task(look())
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    def _decide(self, decision: Decision) -> None:
        if self._call is not None:
            self._decisions[self._call[1].call_id] = decision
            self._next()

    def _decide_all(self, decision: Decision) -> None:
        while self._call is not None:
            self._decisions[self._call[1].call_id] = decision
        self._next()

    def _reply(self, text: str) -> None:
        question = self._questions[0]
        given = self._answers[question.request_id]
        item = question.items[len(given)] if len(given) < len(question.items) else None
        if item is None:
            return
        chosen = _chosen(text, item.choices, multiple=item.multiple)
        if not chosen:
            return
        given.append(chosen)
        if len(given) == len(question.items):
            self._questions.pop(0)
        self._next()

    def _next(self) -> None:
        if self._call is None and not self._questions:
            answer = Answer(dict(self._decisions), dict(self._answers))
            self.post_message(self.Decided(self, answer, tuple(self._rules)))
        else:
            self._show()

    def _show(self, *, keep: bool = False) -> None:
        entry = self.query_one(Input)
        if not keep:
            entry.value = ""
        entry.set_class(self._typing, "-open")
        entry.placeholder = "why not? (may stay empty; ⏎ rejects)" if self._rejecting else "your answer; ⏎ sends it"
        lines = self._approval_lines() if self._call is not None else self._question_lines()
        self.border_subtitle = self._keys()
        pane = self.query_one(TextPane)
        pane.set_lines(lines)
        if not keep:
            pane.action_first()
        # The frame takes two lines; the rest is the text, up to the style's limit.
        self.styles.height = len(lines) + 2 + (1 if self._typing else 0)
        if self.has_focus_within:
            self.focus_input()
        self.refresh_bindings()

    def _approval_lines(self) -> list[Line]:
        assert self._call is not None
        request, call = self._call
        number = f" {len(self._decisions) + 1} of {len(self._calls)}" if len(self._calls) > 1 else ""
        asker = (
            (Span("sub-agent ", Tone.DIM), span(tool_title(request.subagent), Tone.HEAD), Span(" "))
            if request.subagent
            else ()
        )
        lines = [line(*asker, Span(f"wants to call{number}: ", Tone.WARN), span(call.name, Tone.HEAD))]
        if said := _VERDICTS.get(self._help.verdicts.get(call.name, "unknown")):
            lines.append(line(said))
        text = arguments_text(call.arguments)
        if has_hidden(text):
            lines.append(line(Span("the arguments contain hidden characters", Tone.BAD)))
        lines += [Line((Span("  "), *each.spans), each.indent + 2) for each in yaml_lines(clean(text))]
        if request.hint:
            lines.append(line(span(request.hint, Tone.DIM)))
        if effects := self._effects.get(call.call_id):
            lines += [BLANK, *effects]
        if self._help.old:
            again = "; press it again to approve all the same" if self._sure else ""
            what = f"asked {self._help.old} ago: what it was about may have changed{again}"
            lines += [BLANK, line(Span(what, Tone.BAD if self._sure else Tone.WARN))]
        return lines

    def _keys(self) -> str:
        """Return what can be pressed; it stands in the frame, so that no length of arguments hides it."""
        if self._rejecting:
            return "⏎ rejects   esc goes back"
        if self._call is None:
            return "⏎ answers"
        keys = ["y approve", "n reject"]
        if self._may_edit:
            keys.append("e edit")
        if self._may_rule:
            keys += ["a always", "= always so"]
        if len(self._calls) > 1:
            keys += ["A approve all", "R reject all"]
        return "   ".join([*keys, "↑↓ scroll"])

    def _question_lines(self) -> list[Line]:
        if not self._questions:
            return []
        question = self._questions[0]
        item = question.items[min(len(self._answers[question.request_id]), len(question.items) - 1)]
        lines = [line(span(text, Tone.HEAD)) for text in clean(item.text).split("\n")]
        lines += [
            line(Span(f"  {number} ", Tone.KEY), span(choice), indent=4)
            for number, choice in enumerate(item.choices, 1)
        ]
        if item.choices:
            how = "numbers or words, with commas between" if item.multiple else "a number, or other words"
            lines.append(line(Span(how, Tone.DIM)))
        return lines


def _chosen(text: str, choices: tuple[str, ...], *, multiple: bool) -> list[str]:
    """Return the answers in what was typed: numbers stand for choices, anything else is the person's own words."""
    parts = [part.strip() for part in text.split(",")] if multiple and choices else [text]
    found: list[str] = []
    for part in parts:
        if part.isdecimal() and 1 <= int(part) <= len(choices):
            found.append(choices[int(part) - 1])
        elif part:
            found.append(part)
    return found
