"""One decision of the inbox, in a frame of this program's own over everything else: no agent's text reaches outside it.

The agent, the session and what is asked come from the wire, cleaned; title and keys are ours.
"""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from kagent_tui.chat.decisions import Answer
from kagent_tui.chat.inbox import Waiting
from kagent_tui.safety import clean
from kagent_tui.widgets.decision_bar import DecisionBar, DecisionHelp

__all__ = ["DecideScreen"]


class DecideScreen(ModalScreen[Answer | None]):
    """Answers with the decision, None when there was none."""

    CSS_PATH = ["decide.tcss", "../widgets/chat_pane.tcss"]  # noqa: RUF012 - Textual's own

    def __init__(self, waiting: Waiting, help: DecisionHelp | None = None) -> None:
        super().__init__()
        self._waiting = waiting
        self._help = help

    def compose(self) -> ComposeResult:
        agent, session = self._waiting.agent, self._waiting.session
        with Vertical(id="box"):
            yield Static(Content("kagent-tui: an agent waits for your decision"), id="title")
            yield Static(
                Content(
                    clean(
                        f"agent {agent.namespace}/{agent.name}   session {session.title or session.id}", newlines=False
                    )
                ),
                id="who",
            )
            yield DecisionBar()
            yield Static(Content("esc: decide later"), id="hint")

    def on_mount(self) -> None:
        bar = self.query_one(DecisionBar)
        bar.open(self._waiting.pause, self._help)
        bar.focus_input()

    @on(DecisionBar.Decided)
    def _decided(self, event: DecisionBar.Decided) -> None:
        event.stop()
        self.dismiss(event.answer)

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            if not self.query_one(DecisionBar).back():
                self.dismiss(None)
