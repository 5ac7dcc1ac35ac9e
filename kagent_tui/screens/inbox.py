"""The approvals inbox: everything that waits for a decision, over all agents and sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work

from kagent_api.errors import KagentError
from kagent_tui.chat.blocks import arguments_text
from kagent_tui.chat.decisions import Answer, Decision
from kagent_tui.chat.inbox import INTERVAL_SECONDS, Inbox, Waiting
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.talks import INBOX_COLUMNS, waiting_row
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, span
from kagent_tui.render.yaml import yaml_lines
from kagent_tui.safety import clean
from kagent_tui.screens.ask import Answer as Key
from kagent_tui.screens.ask import AskScreen
from kagent_tui.screens.decide import DecideScreen
from kagent_tui.screens.rows import RowsScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.decision_bar import DecisionHelp

__all__ = ["InboxScreen"]


class InboxScreen(RowsScreen):
    """Rows that wait. ``inbox`` is None where there is no gateway, which ``trouble`` explains."""

    BINDINGS = bindings("inbox")
    NEEDS_ROW: ClassVar[frozenset[str]] = frozenset({"decide", "chat", "approve_shown", "reject_shown"})

    def __init__(
        self, workspace: Workspace, inbox: Callable[[], Inbox | None], trouble: Callable[[], str],
        decide: Callable[[Waiting, Answer], Awaitable[str]], chat: Callable[[Waiting], None], *,
        help: Callable[[Waiting], DecisionHelp] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(workspace, trail="approvals", columns=INBOX_COLUMNS, sort=3)
        self._inbox = inbox
        self._trouble = trouble
        self._decide = decide
        self._chat = chat
        self._help = help

    def on_mount(self) -> None:
        self.refresh_rows()

    def refresh_header(self) -> None:
        super().refresh_header()
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Show what waits now."""
        if not self.is_running:
            return
        inbox = self._inbox()
        waiting = list(inbox.waiting.values()) if inbox is not None else []
        self.show_rows([waiting_row(one, self.workspace.clock()) for one in waiting], self._empty(inbox))

    def _empty(self, inbox: Inbox | None) -> list[Line]:
        if inbox is None:
            return [line(span(self._trouble() or "looking for the gateway", Tone.DIM))]
        if inbox.error is not None:
            remedy = f" ({inbox.error.remedy})" if inbox.error.remedy else ""
            return [line(Span("The gateway cannot be asked", Tone.BAD)), line(span(f"{inbox.error.message}{remedy}"))]
        if not inbox.looked:
            return [line(Span("asking the gateway", Tone.DIM))]
        every = f"sessions are looked at every {INTERVAL_SECONDS:.0f} s; R looks now"
        if inbox.told:
            every = "the gateway tells at once when something does; R looks now"
        return [line(Span("Nothing waits for your decision")), line(Span(every, Tone.DIM))]

    @property
    def _selected(self) -> Waiting | None:
        ref, inbox = self.table.cursor, self._inbox()
        return inbox.waiting.get(ref.name) if ref is not None and inbox is not None else None

    def action_decide(self) -> None:
        waiting = self._selected
        if waiting is not None:
            self.app.keyboard.hold()
            self._ask(waiting)

    @work(group="decide")
    async def _ask(self, waiting: Waiting) -> None:
        help = self._help(waiting) if self._help is not None else None
        answer = await self.app.push_screen_wait(DecideScreen(waiting, help))
        if answer is not None:
            await self._send(waiting, answer)

    def action_approve_shown(self) -> None:
        self._batch(approved=True)

    def action_reject_shown(self) -> None:
        self._batch(approved=False)

    def _batch(self, *, approved: bool) -> None:
        self.app.keyboard.hold()
        self._ask_for_all(approved)

    @work(group="decide")
    async def _ask_for_all(self, approved: bool) -> None:
        """Decide on everything that the filter leaves, after it was read once more; questions are left alone."""
        inbox = self._inbox()
        shown = [inbox.waiting[row.ref.name] for row in self._listing if row.ref.name in inbox.waiting] if inbox else []
        asked = [one for one in shown if one.pause.calls and not one.pause.questions]
        if not asked:
            self.app.keyboard.go_on()
            self.say("no call waits here; questions are answered one by one", Tone.WARN)
            return
        verb = "Approve" if approved else "Reject"
        count = sum(len(one.pause.calls) for one in asked)
        lines: list[Line] = [head(f"{verb} {count} call{'' if count == 1 else 's'} of {len(asked)} sessions?"), BLANK]
        for one in asked:
            lines.append(
                line(span(f"{one.agent.namespace}/{one.agent.name}", Tone.HEAD), span(f"  {one.session.title}"))
            )
            for call in one.pause.calls:
                lines.append(line(Span("  "), span(call.name, Tone.WARN)))
                lines += [
                    Line((Span("    "), *each.spans), 4) for each in yaml_lines(clean(arguments_text(call.arguments)))
                ]
        answers = [Key("n", "no"), Key("y", f"yes, {verb.lower()} all of them")]
        if await self.app.push_screen_wait(AskScreen(lines, answers)) == "y":
            for one in asked:
                await self._send(one, Answer.to_all(one.pause, Decision(approved)))

    async def _send(self, waiting: Waiting, answer: Answer) -> None:
        name = f"{waiting.agent.namespace}/{waiting.agent.name}"
        self.say(f"{name}: sent; the agent goes on", Tone.DIM, stay=True)
        try:
            trouble = await self._decide(waiting, answer)
        except KagentError as error:
            self.say(f"{name} still waits: {error}", Tone.BAD)
            return
        self.say(f"{name}: {trouble}" if trouble else f"{name}: done", Tone.BAD if trouble else Tone.OK)

    def action_chat(self) -> None:
        waiting = self._selected
        if waiting is not None:
            self._chat(waiting)

    @work(group="look", exclusive=True)
    async def action_reload(self) -> None:
        inbox = self._inbox()
        if inbox is not None:
            await inbox.look()
            self.refresh_rows()
            self.say("looked")
