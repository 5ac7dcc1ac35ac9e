"""Which tools an agent may use: every server's tools with their descriptions and arguments, and other agents.

Answers with the whole list as the draft is to have it; what it says beside the choice (headers, isolation) stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.containers import Horizontal
from textual.widget import Widget

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import AGENT, MCP_SERVER, REMOTE_MCP_SERVER, JsonObject
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.choices import ToolInfo, tools_of
from kagent_tui.editing.document import to_yaml
from kagent_tui.editing.schemas import described
from kagent_tui.editing.source import at
from kagent_tui.editing.toolset import ToolRow, Toolset
from kagent_tui.render.listing import Listing
from kagent_tui.render.row import Column, Row, cell
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note, span
from kagent_tui.render.yaml import yaml_lines
from kagent_tui.screens.base import BaseScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.table import LiveTable
from kagent_tui.widgets.text_pane import TextPane

__all__ = ["ToolsScreen"]

_COLUMNS = (
    Column("mark", "", 3, 3),
    Column("name", "TOOL", 16, 44),
    Column("approval", "APPROVAL", 8, 8),
    Column("words", "WHAT IT DOES", 10, 200, drop=1),
)


class ToolTable(LiveTable, inherit_bindings=False):
    """Rows where space chooses and does not turn pages."""

    BINDINGS = bindings("move", without="space")


class ToolsScreen(BaseScreen[list[JsonObject] | None]):
    """Answers with the agent's tools, None when the draft stays as it is."""

    CSS_PATH: ClassVar = ["tools.tcss"]
    BINDINGS = bindings("tools")
    AUTO_FOCUS = "ToolTable"

    def __init__(self, workspace: Workspace, cluster: Cluster, agent: JsonObject) -> None:
        super().__init__(workspace, trail="tools")
        self._toolset = Toolset(agent, *_offered(cluster, agent))
        self._rows: dict[ObjectRef, ToolRow] = {}
        self._listing = Listing()

    def body(self) -> Iterable[Widget]:
        about = TextPane(id="about")
        about.can_focus = False
        yield Horizontal(ToolTable(), about, id="panes")

    def on_mount(self) -> None:
        self._show()

    @property
    def table(self) -> LiveTable:
        return self.query_one(LiveTable)

    @property
    def _row(self) -> ToolRow | None:
        return self._rows.get(self.table.cursor) if self.table.cursor is not None else None

    def _show(self) -> None:
        self._rows = {_key(row): row for row in self._toolset.rows()}
        self._listing.fill([_painted(index, key, row) for index, (key, row) in enumerate(self._rows.items())])
        self.table.set_placeholder([line(span("There are no MCP servers and no other agents here.", Tone.DIM))])
        self.table.show(_COLUMNS, self._listing)
        self._explain()

    @on(LiveTable.Highlighted)
    def _highlighted(self) -> None:
        self._explain()

    def _explain(self) -> None:
        row = self._row
        self.query_one("#about", TextPane).set_lines(_about(row) if row is not None else [])

    def action_mark(self) -> None:
        if self._row is not None:
            self._toolset.flip(self._row)
            self._show()

    def action_approve(self) -> None:
        row = self._row
        if row is not None and self._toolset.approve(row):
            self._show()
        elif row is not None:
            self.say("approval is asked for a tool, not for a whole server or agent")

    def action_all(self) -> None:
        row = self._row
        if row is not None and row.owner.kind != AGENT:
            self._toolset.every(row)
            self._show()

    def action_accept(self) -> None:
        self.dismiss(self._toolset.result())

    def action_back(self) -> None:
        self.dismiss(None)


def _offered(
    cluster: Cluster, agent: JsonObject
) -> tuple[list[tuple[ObjectRef, Sequence[ToolInfo] | None]], list[tuple[ObjectRef, str]]]:
    """Return the servers and agents that can be chosen: those of the agent's namespace first, then others."""
    here = text(at(agent, ("metadata", "namespace")))
    me = ObjectRef(AGENT, here, text(at(agent, ("metadata", "name"))))

    def ordered(kinds: Sequence[str]) -> list[ObjectRef]:
        found = [ref for kind in kinds for ref in cluster.store.objects(kind)]
        return sorted(found, key=lambda ref: (ref.namespace != here, ref.namespace, ref.name))

    servers = [(ref, tools_of(cluster, ref)) for ref in ordered((MCP_SERVER, REMOTE_MCP_SERVER))]
    agents = [
        (ref, text(mapping((cluster.store.find(ref) or {}).get("spec")).get("description")))
        for ref in ordered((AGENT,))
        if ref != me
    ]
    return [*servers], agents


def _key(row: ToolRow) -> ObjectRef:
    if row.tool is None:
        return row.owner
    return ObjectRef(f"tool of {row.owner}", row.owner.namespace, row.tool.name)


def _painted(index: int, key: ObjectRef, row: ToolRow) -> Row:
    mark = "[x]" if row.chosen else "[ ]"
    if row.tool is None:
        mark = "[*]" if row.every else mark
        name = cell(f"{row.owner.kind} {row.owner.name}", Tone.KEY)
    else:
        name = cell(f"  {row.tool.name}", Tone.PLAIN if row.chosen else Tone.DIM)
    tone = Tone.OK if row.chosen else Tone.DIM
    approval = cell("needed", Tone.WARN) if row.approve else cell("")
    return Row(key, (cell(mark, tone, sort=index), name, approval, cell(row.words, Tone.DIM)))


def _about(row: ToolRow) -> list[Line]:
    if row.tool is None:
        said = "every tool, those that come later as well" if row.every else "the tools marked below"
        lines = [head(str(row.owner)), line(span(row.words, Tone.DIM))]
        return [*lines, BLANK, note(said, 0)] if row.chosen and row.owner.kind != AGENT else lines
    hints = [name for name, value in row.tool.annotations.items() if value is True]
    lines = [head(row.tool.name), line(span(row.tool.description))]
    if hints:
        lines.append(line(Span("says of itself  ", Tone.DIM), span(", ".join(hints), Tone.KEY)))
    if not row.tool.schema:
        return [*lines, BLANK, note("its arguments are not known here", 0)]
    lines += [BLANK, head("arguments")]
    required = items(row.tool.schema.get("required"))
    for name, one in mapping(row.tool.schema.get("properties")).items():
        lines.append(_argument(name, mapping(one), name in required))
    return lines if len(lines) > 4 else [*lines, *yaml_lines(to_yaml(row.tool.schema))]


def _argument(name: str, schema: JsonObject, required: bool) -> Line:
    words = [span(name, Tone.KEY), Span("* " if required else "  ", Tone.WARN), span(described(schema), Tone.DIM)]
    about = text(schema.get("description"))
    return line(*words, Span("  "), span(about), indent=4)
