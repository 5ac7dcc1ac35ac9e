"""A screen of text to read: YAML, help, details, diffs, logs are all this with other lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.message import Message
from textual.widget import Widget

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.text import Line, Tone
from kagent_tui.screens.base import BaseScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.prompt import Prompt
from kagent_tui.widgets.text_pane import TextPane

__all__ = ["ReaderScreen"]


class ReaderScreen(BaseScreen[None]):
    """Lines; search, wrap, copy, and Enter where a line names an object."""

    CSS_PATH = "reader.tcss"
    BINDINGS = bindings("text")
    AUTO_FOCUS = "TextPane"

    class Followed(Message):
        """A line that names an object was opened."""

        def __init__(self, ref: ObjectRef) -> None:
            super().__init__()
            self.ref = ref

    def __init__(
        self, workspace: Workspace, *, trail: str, lines: Sequence[Line] = (), pointer: bool = False,
        wrapping: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(workspace, trail=trail)
        self._lines = lines
        self._pointer = pointer
        self._wrapping = wrapping

    def body(self) -> Iterable[Widget]:
        pane = TextPane(pointer=self._pointer)
        pane.set_reactive(TextPane.wrapping, self._wrapping)
        yield pane

    @property
    def pane(self) -> TextPane:
        return self.query_one(TextPane)

    def on_mount(self) -> None:
        self.show_lines(self._lines)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show other lines."""
        if self.is_running:
            self.pane.set_lines(lines)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._pointer if action == "follow_link" else True

    def action_back(self) -> None:
        self.dismiss(None)

    def action_follow_link(self) -> None:
        self.pane.follow_link()

    def action_search(self) -> None:
        self.prompt.open("search")

    def action_next_hit(self) -> None:
        self.pane.next_hit(1)

    def action_previous_hit(self) -> None:
        self.pane.next_hit(-1)

    def action_page(self) -> None:
        self.pane.action_page_down()

    def action_wrap(self) -> None:
        self.pane.wrapping = not self.pane.wrapping

    def action_copy(self) -> None:
        self.say(*self.app.put_on_clipboard(self.pane.plain))

    @on(TextPane.Followed)
    def _link_followed(self, event: TextPane.Followed) -> None:
        event.stop()
        self.post_message(self.Followed(event.ref))

    @on(Prompt.Submitted)
    def _searched(self, event: Prompt.Submitted) -> None:
        self.pane.focus()
        if event.mode == "search":
            event.stop()
            hits = self.pane.search(event.value)
            if event.value:
                self.say(f"{hits} found; n and N go on" if hits else "not found", Tone.PLAIN if hits else Tone.WARN)

    @on(Prompt.Cancelled)
    def _cancelled(self) -> None:
        self.pane.focus()
        self.pane.search("")
