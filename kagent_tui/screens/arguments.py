"""Other arguments for a call that waits for approval, as YAML; what is sent is what was read back from it."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from kagent_api.errors import InvalidSpec
from kagent_tui.chat.jsonvalue import JsonObject
from kagent_tui.editing.document import parse, to_yaml
from kagent_tui.safety import clean
from kagent_tui.widgets.yaml_area import YamlArea

__all__ = ["ArgumentsScreen"]


class ArgumentsScreen(ModalScreen[JsonObject | None]):
    """Answers with the arguments, None when it was left."""

    CSS_PATH = ["arguments.tcss", "../widgets/yaml_area.tcss"]  # noqa: RUF012 - Textual's own

    def __init__(self, tool: str, arguments: JsonObject) -> None:
        super().__init__()
        self._tool = tool
        self._text = to_yaml(arguments) if arguments else ""

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            title = f"kagent-tui: other arguments for {clean(self._tool, newlines=False)}"
            yield Static(Content(title), id="title")
            yield YamlArea()
            yield Static(Content("^s approve with these   esc leave them as they are"), id="hint")

    def on_mount(self) -> None:
        area = self.query_one(YamlArea)
        area.load(self._text)
        area.styles.height = max(4, min(20, self._text.count("\n") + 2))
        area.focus()

    def on_key(self, event: events.Key) -> None:
        match event.key:
            case "escape":
                self.dismiss(None)
            case "ctrl+s":
                self._take()
            case _:
                return
        event.stop()
        event.prevent_default()

    def _take(self) -> None:
        text = self.query_one(YamlArea).text
        try:
            found = parse(text).object if text.strip() else {}
        except InvalidSpec as error:
            self.query_one("#hint", Static).update(Content(clean(str(error), newlines=False)))
            return
        self.dismiss(found)
