"""The YAML editor: Textual's TextArea, made safe for pasted and loaded text, and quiet at idle.

TextArea writes whatever it holds to the terminal, so nothing gets in that ``clean`` has not seen.
"""

from __future__ import annotations

from textual import events
from textual.widgets import TextArea

from kagent_tui.safety import clean
from kagent_tui.widgets.keys_in_turn import KeysInTurn

__all__ = ["YamlArea"]

# Reference tui.md 4.5: above this highlighting costs more per key than a person forgives.
MOST_HIGHLIGHTED_LINES = 2000


class YamlArea(TextArea, KeysInTurn):
    """Edits one text; tabs become spaces, which is what YAML wants."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, show_line_numbers=True, tab_behavior="indent", soft_wrap=False, compact=True)
        self.cursor_blink = False
        self.indent_width = 2

    def load(self, text: str) -> None:
        """Replace the text, keeping the cursor's line as far as it exists; forgets the undo history."""
        row, column = self.cursor_location
        shown = clean(text)
        self.language = "yaml" if shown.count("\n") < MOST_HIGHLIGHTED_LINES else None
        self.load_text(shown)
        self.move_cursor((min(row, self.document.line_count - 1), column))

    def go_to(self, line: int, column: int = 1) -> None:
        """Put the cursor on a line and column, counted from 1."""
        row = max(0, min(line - 1, self.document.line_count - 1))
        self.move_cursor((row, max(0, column - 1)), center=True)

    def suggest(self, rest: str) -> None:
        """Show how a word goes on behind the cursor; → and Tab take it, anything else lets it go."""
        self.suggestion = rest

    def watch_selection(self) -> None:
        """Let go of what was suggested for another place or text."""
        self.suggestion = ""

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "tab" and self.suggestion:
            event.stop()
            event.prevent_default()
            self.insert(self.suggestion)
        elif event.key == "enter" and not self.read_only:
            event.stop()
            event.prevent_default()
            self._break_line()

    def _break_line(self) -> None:
        """Begin a line under the present one, one step further in where a block begins."""
        (row, column), _ = sorted((self.selection.start, self.selection.end))
        before = self.document.get_line(row)[:column]
        indent = len(before) - len(before.lstrip(" "))
        if before.rstrip().endswith((":", "|", ">", "|-", ">-")):
            indent += self.indent_width
        self.replace("\n" + " " * indent, *self.selection, maintain_selection_offset=False)

    async def _on_paste(self, event: events.Paste) -> None:
        await super()._on_paste(events.Paste(clean(event.text)))
        event.stop()
        event.prevent_default()
