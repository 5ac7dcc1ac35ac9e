"""A long text, such as an agent's instruction, on a screen of its own; prompt fragments can be put into it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.widget import Widget

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import CONFIGMAP, JsonObject
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.editing.choices import choices
from kagent_tui.editing.source import at
from kagent_tui.render.text import Tone
from kagent_tui.screens.base import BaseScreen
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.yaml_area import YamlArea

if TYPE_CHECKING:
    from textual.types import CSSPathType

    from kagent_tui.screens.editor import EditorScreen

__all__ = ["WordsScreen", "pick_fragment"]


class WordsScreen(BaseScreen[str | None]):
    """Answers with the text, None when it was left. ``sources`` are ConfigMaps whose fragments were included."""

    CSS_PATH: ClassVar[CSSPathType | None] = ["../widgets/yaml_area.tcss"]
    BINDINGS = bindings("words")
    AUTO_FOCUS = "YamlArea"

    def __init__(self, editor: EditorScreen, title: str, value: str, templated: JsonObject | None = None) -> None:
        """``templated`` is the agent whose instruction this is; only there fragments can be included."""
        super().__init__(editor.workspace, trail=title)
        self._editor = editor
        self._value = value
        self._templated = templated
        self.sources: list[str] = []

    def body(self) -> Iterable[Widget]:
        yield YamlArea()

    def on_mount(self) -> None:
        area = self.query_one(YamlArea)
        area.load(self._value)
        area.language = None
        area.soft_wrap = True
        area.show_line_numbers = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (action == "fragment" and self._templated is None)

    def action_take(self) -> None:
        self.dismiss(self.query_one(YamlArea).text)

    def action_back(self) -> None:
        self.dismiss(None)

    @work(exclusive=True, group="fragment")
    async def action_fragment(self) -> None:
        if self._templated is None:
            return
        found = await pick_fragment(self._editor, self._templated)
        if found is not None:
            self.sources.append(found[0])
            self.query_one(YamlArea).insert(f'{{{{include "{found[0]}/{found[1]}"}}}}')


async def pick_fragment(editor: EditorScreen, agent: JsonObject) -> tuple[str, str] | None:
    """Ask for a ConfigMap and a key of it; the ConfigMap's alias stands for it where the agent has one."""
    cluster = editor.cluster
    path = ("spec", "declarative", "promptTemplate", "dataSources")
    found = await choices("configmap", path, agent, cluster)
    if not found.values:
        editor.say(found.trouble or "there is no ConfigMap in this namespace", Tone.WARN)
        return None
    offered = [Item(one.value, one.value, one.note) for one in found.values]
    picked = await editor.app.push_screen_wait(PickScreen("Prompt fragments of the ConfigMap", offered, free=True))
    if not picked:
        return None
    known = await cluster.keys_of(ObjectRef(CONFIGMAP, text(at(agent, ("metadata", "namespace"))), picked[0]))
    if known.keys is None:
        editor.say(f"{picked[0]}: {known.trouble}", Tone.WARN)
        return None
    keys = [Item(key, key) for key in sorted(known.keys)]
    key = await editor.app.push_screen_wait(PickScreen(f"The fragment in {picked[0]}", keys))
    if not key:
        return None
    sources = [mapping(one) for one in items(at(agent, path))]
    alias = next((text(one.get("alias")) for one in sources if text(one.get("name")) == picked[0]), "")
    return alias or picked[0], key[0]
