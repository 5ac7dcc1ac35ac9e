"""Choose one or several from a list, by typing or moving. Used for namespaces, contexts, columns, templates, themes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from kagent_tui.safety import clean
from kagent_tui.widgets.plain_input import PlainInput

__all__ = ["Item", "PickScreen"]


class Item(NamedTuple):
    """One thing to choose; raw texts."""

    id: str
    title: str
    note: str = ""


class PickScreen(ModalScreen[tuple[str, ...] | None]):
    """Answers with the ids chosen, None when nothing was."""

    CSS_PATH = "pick.tcss"

    def __init__(
        self, title: str, items: Sequence[Item], *, current: str = "", several: bool = False,
        marked: Sequence[str] = (), free: bool = False,
    ) -> None:  # fmt: skip
        """``free`` allows what is typed even if it is not in the list."""
        super().__init__()
        self._title = title
        self._items = list(items)
        self._current = current
        self._several = several
        self._marked = set(marked)
        self._free = free
        self._touched = False
        self._shown: list[Item] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(Content(clean(self._title)), id="title")
            yield PlainInput(placeholder="type to find")
            yield OptionList(markup=False)
            keys = "⏎ choose   esc leave" + ("   ^space mark" if self._several else "")
            yield Static(Content(keys), id="hint")

    def on_mount(self) -> None:
        self._fill("")
        self.query_one(OptionList).can_focus = False
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self._choose(event.value.strip())

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self._choose("")

    def on_key(self, event: events.Key) -> None:
        options = self.query_one(OptionList)
        match event.key:
            case "escape":
                self.dismiss(None)
            case "up":
                options.action_cursor_up()
            case "down":
                options.action_cursor_down()
            case "pageup":
                options.action_page_up()
            case "pagedown":
                options.action_page_down()
            case "ctrl+@" | "ctrl+space" if self._several:
                self._mark()
            case _:
                return
        event.stop()
        event.prevent_default()

    def _fill(self, typed: str) -> None:
        wanted = typed.casefold()
        self._shown = [item for item in self._items if wanted in f"{item.title} {item.note}".casefold()]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([self._option(item) for item in self._shown])
        here = next((index for index, item in enumerate(self._shown) if item.id == self._current), 0)
        options.highlighted = here if self._shown else None

    def _option(self, item: Item) -> Option:
        mark = ("[x] " if item.id in self._marked else "[ ] ") if self._several else ""
        title, note = clean(item.title, newlines=False), clean(item.note, newlines=False)
        return Option(Content.assemble(mark + title, ("  " + note, "$text-muted") if note else ""))

    def _mark(self) -> None:
        options = self.query_one(OptionList)
        index = options.highlighted
        if index is not None:
            item = self._shown[index]
            self._marked ^= {item.id}
            self._touched = True
            options.replace_option_prompt_at_index(index, self._option(item).prompt)

    def _choose(self, typed: str) -> None:
        index = self.query_one(OptionList).highlighted
        if self._touched and self._marked:
            self.dismiss(tuple(item.id for item in self._items if item.id in self._marked))
        elif index is not None and self._shown:
            self.dismiss((self._shown[index].id,))
        elif self._free and typed:
            self.dismiss((typed,))
