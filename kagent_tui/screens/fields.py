"""The form over a draft's text: what a row's key does, with pickers where values come from the cluster.

The text is the draft; every change here is a change of that text (``Edited``), so that YAML, form and $EDITOR never
differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from kagent_api.errors import InvalidSpec
from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.editing.choices import Choices, choices
from kagent_tui.editing.document import BrokenYaml, parse
from kagent_tui.editing.form import FormRow, blank_value, form_rows
from kagent_tui.editing.problems import Problem
from kagent_tui.editing.schemas import described
from kagent_tui.editing.source import Path, at, dotted, drop, put, steps
from kagent_tui.editing.transplant import transplant
from kagent_tui.render.text import Line, Span, Tone, line, note, span
from kagent_tui.safety import clean
from kagent_tui.screens.entry import EntryScreen
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.widgets.form_pane import FormPane
from kagent_tui.widgets.text_pane import TextPane

if TYPE_CHECKING:
    from kagent_tui.screens.editor import EditorScreen

__all__ = ["Fields"]

_FRESH = "\0fresh"


class Fields(Vertical):
    """Rows, and words about the one under the cursor."""

    class Edited(Message):
        """The draft's text is another one."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class InYaml(Message):
        """A field has no form; it is to be edited as YAML."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    def __init__(self, editor: EditorScreen) -> None:
        super().__init__()
        self._editor = editor
        self._text = ""
        self._obj: JsonObject = {}
        self._opened: set[Path] = set()
        self._everything = False
        self._faults: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield FormPane()
        hint = TextPane(id="hint")
        hint.can_focus = False
        yield hint

    @property
    def pane(self) -> FormPane:
        return self.query_one(FormPane)

    def show(self, draft: str, problems: Sequence[Problem]) -> bool:
        """Show a text; False when it has no form: broken YAML, or a kind without a schema."""
        try:
            self._obj = parse(draft).object
        except BrokenYaml:
            return False
        self._text = draft
        self._faults = {one.field: one.message for one in reversed(problems) if one.field}
        return self._refresh()

    def go_to(self, field: str) -> None:
        """Put the cursor on a field, by its dotted path; blocks around it are unfolded."""
        path = steps(field)
        self._opened.update(path[:length] for length in range(1, len(path)))
        self._refresh()
        self.pane.go_to(path)

    def _refresh(self) -> bool:
        rows = form_rows(
            self._obj, opened=self._opened, everything=self._everything, creating=self._editor.creates,
            faults=self._faults,
        )  # fmt: skip
        if rows is None:
            return False
        self.pane.show(rows)
        return True

    @on(FormPane.Highlighted)
    def _highlighted(self, event: FormPane.Highlighted) -> None:
        event.stop()
        self.query_one("#hint", TextPane).set_lines(_hint_lines(event.row) if event.row is not None else [])

    @on(FormPane.Everything)
    def _all_or_few(self, event: FormPane.Everything) -> None:
        event.stop()
        self._everything = not self._everything
        self._refresh()

    @on(FormPane.Asked)
    def _asked(self, event: FormPane.Asked) -> None:
        event.stop()
        row, verb = event.row, event.verb
        if verb in ("fold", "unfold"):
            self._fold(row, verb == "unfold")
        elif row.fixed:
            self._editor.say(f"{row.title} cannot be changed; clone the object to have it under another name")
        elif verb == "remove":
            self._remove(row)
        elif verb == "add":
            self._add(row)
        elif verb == "flip" and row.folds:
            self._fold(row, not row.opened)
        else:
            self._open(row)

    def _fold(self, row: FormRow, unfold: bool) -> None:
        if row.folds and unfold:
            self._opened.add(row.path)
        elif row.opened:
            self._opened.discard(row.path)
        elif not unfold:
            self._opened.discard(row.path[:-1])
            self.pane.go_to(row.path[:-1])
        self._refresh()

    def _remove(self, row: FormRow) -> None:
        if row.present:
            self._opened.discard(row.path)
            self._put_text(lambda draft: drop(draft, row.path))

    def _add(self, row: FormRow) -> None:
        if row.kind == "add" or row.hint.picker in ("tools", "fragments"):
            self._open(row)
        elif row.kind in ("list", "map"):
            self._opened.add(row.path)
            self._refresh()
            length = len(items(at(self._obj, row.path)))
            self.pane.go_to((*row.path, length if row.kind == "list" else ""))
            if self.pane.row is not None and self.pane.row.kind == "add":
                self._open(self.pane.row)

    def _open(self, row: FormRow) -> None:
        match row.kind:
            case "switch":
                now = at(self._obj, row.path)
                self._put(row.path, not (now if now is not None else row.schema.get("default", False)))
            case "block" if not row.hint.picker:
                self._fold(row, not row.opened)
            case "map":
                self._fold(row, not row.opened)
            case "free":
                self.post_message(self.InYaml(row.path))
            case "list" if row.hint.picker not in ("tools", "server-tools", "fragments"):
                self._fold(row, not row.opened)
            case _:
                self._editor.app.keyboard.hold()
                self._ask(row)

    @work(exclusive=True, group="field")
    async def _ask(self, row: FormRow) -> None:
        try:
            await self._asking(row)
        finally:
            self._editor.app.keyboard.go_on()

    async def _asking(self, row: FormRow) -> None:
        if row.kind == "add":
            await self._fresh_entry(row)
        elif row.hint.picker == "tools":
            await self._tools(row)
        elif row.hint.picker == "server-tools" and row.kind == "list":
            await self._several(row)
        elif row.hint.picker == "fragments" and row.kind == "list":
            await self._fragment(row)
        else:
            chosen = await self._value(row)
            if chosen is not None:
                self._put_value(row, chosen)

    async def _fresh_entry(self, row: FormRow) -> None:
        path = row.path
        if path[-1] == "":
            name = await self._editor.app.push_screen_wait(EntryScreen(f"{dotted(path[:-1])}: the name"))
            if not name:
                return
            path = (*path[:-1], name)
        blank = blank_value(row.schema)
        fresh = replace(row, path=path, kind="text", title=str(path[-1]))
        if isinstance(blank, str):
            chosen = await self._value(fresh)
            if chosen is not None:
                self._put_value(fresh, chosen)
            return
        self._opened.update((path, path[:-1]))
        self._put(path, blank)
        self.pane.go_to(path)

    async def _value(self, row: FormRow) -> str | None:
        """Ask for one value, None when it was left."""
        now = at(self._obj, row.path)
        title = f"{dotted(row.path)}: {described(row.schema)}"
        if row.kind == "choice":
            found = [Item(str(one), str(one)) for one in items(row.schema.get("enum"))]
            picked = await self._editor.app.push_screen_wait(PickScreen(title, found, current=str(now or "")))
            return picked[0] if picked else None
        if self._is_value_of_secret(row.path):
            return await self._editor.app.push_screen_wait(EntryScreen(f"{row.path[-1]}: the value", hidden=True))
        if row.hint.long or (isinstance(now, str) and "\n" in now.rstrip("\n")):
            return await self._long(row, str(now or ""))
        if row.hint.picker:
            found_choices = await self._choices(row)
            if found_choices.values or row.hint.picker == "secret":
                return await self._pick(title, row, found_choices, str(now or ""))
            if found_choices.trouble:
                self._editor.say(found_choices.trouble, Tone.WARN)
        return await self._editor.app.push_screen_wait(EntryScreen(title, "" if now is None else str(now)))

    async def _pick(self, title: str, row: FormRow, found: Choices, now: str) -> str | None:
        offered = [Item(one.value, one.value, one.note) for one in found.values]
        fresh = row.hint.picker == "secret" and not self._editor.workspace.readonly
        if fresh:
            offered.append(Item(_FRESH, "+ a new Secret", "made at once, then chosen here"))
        screen = PickScreen(title, offered, current=now, free=True)
        picked = await self._editor.app.push_screen_wait(screen)
        if picked and picked[0] == _FRESH:
            return await self._editor.make_secret(now)
        return picked[0] if picked else None

    async def _choices(self, row: FormRow) -> Choices:
        return await choices(row.hint.picker, row.path, self._obj, self._editor.cluster)

    async def _several(self, row: FormRow) -> None:
        found = await self._choices(row)
        now = [str(one) for one in items(at(self._obj, row.path))]
        known = found.values
        names = {one.value for one in known}
        offered = [Item(one.value, one.value, one.note) for one in known]
        offered += [Item(name, name, "its server does not offer it now") for name in now if name not in names]
        if not offered:
            self._editor.say("its tools are not known here; the list unfolds with l, + adds a name", Tone.WARN)
            return
        screen = PickScreen(f"{row.title}: ^space marks", offered, several=True, marked=now, free=True)
        picked = await self._editor.app.push_screen_wait(screen)
        if picked is not None:
            self._put(row.path, list(picked))

    async def _tools(self, row: FormRow) -> None:
        from kagent_tui.screens.tools import ToolsScreen

        screen = ToolsScreen(self._editor.workspace, self._editor.cluster, self._obj)
        fresh = await self._editor.app.push_screen_wait(screen)
        if fresh is not None:
            spec = mapping(self._obj.get("spec"))
            declarative = {**mapping(spec.get("declarative")), "tools": fresh}
            if not fresh:
                declarative.pop("tools")
            wanted = {**self._obj, "spec": {**spec, "declarative": declarative}}
            self._put_text(lambda draft: transplant(draft, wanted))

    async def _fragment(self, row: FormRow) -> None:
        from kagent_tui.screens.words import pick_fragment

        found = await pick_fragment(self._editor, self._obj)
        if found is not None:
            self._put_text(lambda draft: _with_source(draft, found[0]))
            self._editor.say(f'{{{{include "{found[0]}/{found[1]}"}}}} in the instruction puts it there (^f in it)')

    async def _long(self, row: FormRow, now: str) -> str | None:
        from kagent_tui.screens.words import WordsScreen

        if clean(now) != now:
            self._editor.say("it holds control characters; edit it as YAML (F3), where they are escapes", Tone.WARN)
            return None
        templated = row.path == ("spec", "declarative", "systemMessage")
        screen = WordsScreen(self._editor, dotted(row.path), now, self._obj if templated else None)
        written = await self._editor.app.push_screen_wait(screen)
        for source in screen.sources if written is not None else ():
            self._put_text(partial(_with_source, name=source))
        return written

    def _is_value_of_secret(self, path: Path) -> bool:
        return self._obj.get("kind") == "Secret" and len(path) == 2 and path[0] in ("data", "stringData")

    def _put_value(self, row: FormRow, chosen: str) -> None:
        if self._is_value_of_secret(row.path):
            self._editor.take_secret(str(row.path[-1]), chosen)
            return
        number = row.schema.get("type") in ("integer", "number")
        if chosen == "" and not row.required:
            self._remove(row)
            return
        value: Any = chosen
        if number or (row.schema.get("x-kubernetes-int-or-string") and chosen.isdigit()):
            try:
                value = float(chosen) if row.schema.get("type") == "number" and "." in chosen else int(chosen)
            except ValueError:
                self._editor.say(f"{row.title}: {chosen!r} is no number", Tone.WARN)
                return
        self._put(row.path, value)
        self._follow_server(row, chosen)

    def _follow_server(self, row: FormRow, chosen: str) -> None:
        """A server's kind goes with its name; picking one sets both."""
        cluster = self._editor.cluster
        if row.hint.picker != "server":
            return
        namespace = text(at(self._obj, ("metadata", "namespace")))
        kinds = [
            kind
            for kind in ("MCPServer", "RemoteMCPServer")
            for ref in cluster.store.objects(kind)
            if ref.name == chosen and ref.namespace == namespace
        ]
        if len(kinds) == 1:
            self._put((*row.path[:-1], "kind"), kinds[0])
            self._put((*row.path[:-1], "apiGroup"), "kagent.dev")

    def _put(self, path: Path, value: object) -> None:
        self._put_text(lambda draft: put(draft, path, value))

    def _put_text(self, change: Callable[[str], str]) -> None:
        try:
            fresh = change(self._text)
        except InvalidSpec as error:
            self._editor.say(str(error), Tone.WARN)
            return
        if fresh != self._text:
            self._text = fresh
            self._obj = parse(fresh).object
            self._refresh()
            self.post_message(self.Edited(fresh))


def _with_source(draft: str, name: str) -> str:
    """Return the draft with a ConfigMap among its prompt sources."""
    where: Path = ("spec", "declarative", "promptTemplate", "dataSources")
    now = items(at(parse(draft).object, where))
    if any(name in (text(mapping(one).get("name")), text(mapping(one).get("alias"))) for one in now):
        return draft
    return put(draft, (*where, len(now)), {"kind": "ConfigMap", "name": name})


def _hint_lines(row: FormRow) -> list[Line]:
    where = dotted(tuple(step for step in row.path if step != ""))
    lines = [line(span(where, Tone.KEY), Span("  "), span(described(row.schema), Tone.DIM))]
    if row.fault:
        lines.append(line(Span("✖ ", Tone.BAD), span(row.fault), indent=2))
    elif row.hint.help:
        lines.append(note(row.hint.help, 0))
    return lines
