"""Where one writes to an agent: several lines, Enter sends, earlier texts come back. What is pasted is cleaned
first."""

from __future__ import annotations

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from kagent_tui.chat.prompt_history import PromptHistory, Recall
from kagent_tui.safety import clean
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.keys_in_turn import KeysInTurn

__all__ = ["ChatInput"]


class ChatInput(TextArea, KeysInTurn):
    """A text field that posts ``Sent``; it keeps the text until its owner clears it."""

    BINDINGS = bindings("compose")

    class Sent(Message):
        """Enter was pressed on some text."""

        def __init__(self, chat_input: ChatInput, text: str) -> None:
            super().__init__()
            self.chat_input = chat_input
            self.text = text

        @property
        def control(self) -> ChatInput:
            return self.chat_input

    class Mentioning(Message):
        """``@`` was typed where a word begins: something is to be mentioned."""

        def __init__(self, chat_input: ChatInput) -> None:
            super().__init__()
            self.chat_input = chat_input

        @property
        def control(self) -> ChatInput:
            return self.chat_input

    def __init__(self, history: PromptHistory | None = None, *, id: str | None = None) -> None:
        super().__init__(
            id=id, soft_wrap=True, compact=True, show_line_numbers=False, highlight_cursor_line=False,
            placeholder="write to the agent; ⏎ sends, ^j begins a new line",
        )  # fmt: skip
        self._history = history or PromptHistory()
        self._recall = Recall(self._history)
        # A blinking cursor would write to the terminal for ever.
        self.cursor_blink = False

    def render_lines(self, crop: Region) -> list[Strip]:
        # A closed pane's field may be painted once more before the new layout; its styles are gone by then.
        if not self.is_attached:
            return [Strip.blank(crop.width)] * crop.height
        return super().render_lines(crop)

    def sent(self) -> None:
        """Empty the field: its text is on its way."""
        self._history.add(self.text)
        self._recall.reset()
        self.clear()

    def restore(self, text: str) -> None:
        """Put a text back that could not be sent, before anything written since."""
        self._put(f"{text}\n{self.text}" if self.text.strip() else text)

    # Our keys run before the focused widget sees them: an Enter that comes in one burst with its text, as over a slow
    # line, would overtake it. So these two wait for their turn behind the characters.
    def action_send(self) -> None:
        self.call_later(self._send)

    def action_newline(self) -> None:
        self.call_later(self._newline)

    def _send(self) -> None:
        if self.text.strip():
            self.post_message(self.Sent(self, self.text))

    def _newline(self) -> None:
        self.insert("\n")

    def action_earlier(self) -> None:
        if self.cursor_at_first_line:
            self._go(1)
        else:
            self.action_cursor_up()

    def action_later(self) -> None:
        if self.cursor_at_last_line:
            self._go(-1)
        else:
            self.action_cursor_down()

    def put(self, text: str) -> None:
        """Insert outside text where the cursor is."""
        self.insert(clean(text))

    def replace_all(self, text: str) -> None:
        """Write another text instead."""
        self._put(clean(text))

    async def _on_key(self, event: events.Key) -> None:
        await super()._on_key(event)
        if event.character == "@":
            row, column = self.cursor_location
            before = self.document.get_line(row)[: column - 1]
            if not before or before[-1].isspace():
                self.post_message(self.Mentioning(self))

    async def _on_paste(self, event: events.Paste) -> None:
        event.text = clean(event.text)

    def _go(self, back: int) -> None:
        found = self._recall.step(back, self.text)
        if found is not None:
            self._put(found)

    def _put(self, text: str) -> None:
        self.text = text
        self.move_cursor(self.document.end)
