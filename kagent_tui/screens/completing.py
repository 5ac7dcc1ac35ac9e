"""Completion in the YAML editor: the rest of a word behind the cursor while one types, every choice on a key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import text
from kagent_tui.editing.choices import choices
from kagent_tui.editing.completion import Offer, Spot, offers, schema_at, spot_at
from kagent_tui.editing.document import BrokenYaml, as_scalar, parse
from kagent_tui.editing.guide import Picker, hint_of
from kagent_tui.editing.source import Path, dotted
from kagent_tui.render.text import Tone
from kagent_tui.safety import has_hidden
from kagent_tui.screens.pick import Item, PickScreen

if TYPE_CHECKING:
    from kagent_tui.screens.editor import EditorScreen

__all__ = ["Completer"]

# What these offer is in the live tables already; the others ask the cluster, which is not done at every key.
_KNOWN_HERE: Final[frozenset[Picker]] = frozenset(
    {"model", "agent", "server", "server-tools", "namespace", "model-name", "base-url"}
)


class Found(NamedTuple):
    """What can be written at the cursor, best first, and why that may not be all."""

    spot: Spot
    offers: list[Offer]
    trouble: str = ""


class Completer:
    """Knows the draft as it was when it could be read last; the cursor's own line is usually half a line."""

    def __init__(self, editor: EditorScreen) -> None:
        self._editor = editor
        self._obj: JsonObject = {}

    async def hint(self) -> None:
        """Show the rest of the best completion behind the cursor, where one was begun."""
        area = self._editor.area
        before = (area.text, area.cursor_location)
        found = await self._found(ask=False)
        if found is None or (area.text, area.cursor_location) != before or not area.selection.is_empty:
            return
        typed = found.spot.typed
        if typed or found.spot.kind == "value":
            begun = (one.text for one in found.offers if one.text.startswith(typed) and one.text != typed)
            area.suggest(next((one[len(typed) :] for one in begun if not has_hidden(one)), ""))

    async def choose(self) -> None:
        """Let a person choose among everything that can stand at the cursor."""
        editor, area = self._editor, self._editor.area
        found = await self._found(ask=True)
        if found is None or not found.offers:
            editor.say((found.trouble if found else "") or "nothing is known of what can stand here", Tone.WARN)
            return
        row, column = area.cursor_location
        chosen: str | None = found.offers[0].text
        if len(found.offers) > 1:
            title = dotted(found.spot.path) or "the object"
            offered = [Item(one.text, one.text.rstrip(": "), one.note) for one in found.offers]
            picked = await editor.app.push_screen_wait(PickScreen(title, offered))
            chosen = picked[0] if picked else None
        if chosen is not None:
            area.replace(chosen, (row, found.spot.start), (row, column), maintain_selection_offset=False)
        if found.trouble:
            editor.say(found.trouble, Tone.WARN)

    async def _found(self, *, ask: bool) -> Found | None:
        area = self._editor.area
        lines = area.text.split("\n")
        row, column = area.cursor_location
        spot = spot_at(lines, row, column)
        if spot is None:
            return None
        self._read(lines, row)
        # The first look at a schema imports every resource type.
        schema = await asyncio.to_thread(schema_at, lines, spot.path)
        found = offers(lines, spot, self._obj)
        if schema is None or schema.get("type") in ("object", "array"):
            return Found(spot, found)
        path, picker = self._picker(spot.path)
        if not picker or not (ask or picker in _KNOWN_HERE):
            return Found(spot, found)
        known = await choices(picker, path, self._obj, self._editor.cluster)
        values = [Offer(as_scalar(one.value), one.note) for one in known.values]
        wanted = spot.typed.casefold()
        kept = [one for one in values if wanted in one.text.casefold()]
        return Found(spot, found + sorted(kept, key=lambda one: not one.text.startswith(spot.typed)), known.trouble)

    def _read(self, lines: list[str], row: int) -> None:
        for draft in (lines, [*lines[:row], "", *lines[row + 1 :]]):
            try:
                self._obj = parse("\n".join(draft)).object
            except BrokenYaml:
                continue
            return

    def _picker(self, path: Path) -> tuple[Path, Picker]:
        """Return where the values of a field come from; those of a list's entries are known by the list."""
        kind = text(self._obj.get("kind"))
        found = hint_of(kind, path).picker
        if not found and isinstance(path[-1], int):
            return path[:-1], hint_of(kind, path[:-1]).picker
        return path, found
