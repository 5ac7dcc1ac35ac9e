"""The tools of an agent while somebody chooses them: servers, their tools, approvals, and other agents. Pure.

Rules of the CRD: no toolNames means every tool of a server, and what needs approval has to be among the toolNames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import AGENT, MCP_SERVER, JsonObject
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.editing.choices import ToolInfo
from kagent_tui.editing.source import at

__all__ = ["ToolRow", "Toolset"]


class ToolRow(NamedTuple):
    """One line: a server or agent (``tool`` is None), or a tool of the server above it; raw texts."""

    owner: ObjectRef
    tool: ToolInfo | None
    chosen: bool
    every: bool
    approve: bool
    words: str = ""


@dataclass(slots=True)
class _Picked:
    """What the draft says about one server or agent; ``entry`` is its place in the draft, None when it has none."""

    known: Sequence[ToolInfo] | None
    words: str
    entry: JsonObject | None = None
    chosen: bool = False
    names: list[str] = field(default_factory=list[str])
    approvals: list[str] = field(default_factory=list[str])


class Toolset:
    """``servers`` with their tools (None: not known), ``agents`` with what they are good for."""

    def __init__(
        self, obj: JsonObject, servers: Sequence[tuple[ObjectRef, Sequence[ToolInfo] | None]],
        agents: Sequence[tuple[ObjectRef, str]],
    ) -> None:  # fmt: skip
        self._namespace = text(at(obj, ("metadata", "namespace")))
        self._rest: list[JsonObject] = []
        self._owners: dict[ObjectRef, _Picked] = {ref: _Picked(known, "") for ref, known in servers}
        self._owners |= {ref: _Picked((), words) for ref, words in agents}
        self._order: list[_Picked] = []
        for one in items(at(obj, ("spec", "declarative", "tools"))):
            self._read(mapping(one))

    def _read(self, entry: JsonObject) -> None:
        server, agent = mapping(entry.get("mcpServer")), mapping(entry.get("agent"))
        block = server or agent
        kind = text(block.get("kind")) or (MCP_SERVER if server else AGENT)
        ref = ObjectRef(kind, text(block.get("namespace")) or self._namespace, text(block.get("name")))
        picked = self._owners.setdefault(ref, _Picked(None if server else (), "it is not there"))
        if not ref.name or picked.entry is not None:
            # Nothing we can show by name, or a second entry for the same server: kept as it is.
            self._rest.append(entry)
            return
        picked.entry, picked.chosen = entry, True
        self._order.append(picked)
        picked.names = [str(name) for name in items(server.get("toolNames"))]
        picked.approvals = [str(name) for name in items(server.get("requireApproval"))]

    def rows(self) -> Iterator[ToolRow]:
        """Yield every line, in order."""
        for ref, picked in self._owners.items():
            every = picked.chosen and not picked.names and ref.kind != AGENT
            yield ToolRow(ref, None, picked.chosen, every, False, picked.words or self._words(ref, picked))
            for tool in self._tools(picked):
                chosen = every or tool.name in picked.names
                yield ToolRow(ref, tool, chosen, every, tool.name in picked.approvals, tool.description)

    def _words(self, ref: ObjectRef, picked: _Picked) -> str:
        if picked.known is None:
            return "its tools are not known here"
        return f"{len(picked.known)} tools"

    def _tools(self, picked: _Picked) -> list[ToolInfo]:
        known = list(picked.known or ())
        names = {tool.name for tool in known}
        gone = [name for name in dict.fromkeys([*picked.names, *picked.approvals]) if name not in names]
        return [*known, *(ToolInfo(name, "its server does not offer it now", {}, {}) for name in gone)]

    def flip(self, row: ToolRow) -> None:
        """Choose what a line names, or no longer."""
        picked = self._owners[row.owner]
        if row.tool is None:
            picked.chosen = not picked.chosen
            picked.names, picked.approvals = [], []
        elif row.every:
            picked.names = [tool.name for tool in self._tools(picked) if tool.name != row.tool.name]
            picked.approvals = [name for name in picked.approvals if name != row.tool.name]
            picked.chosen = bool(picked.names)
        elif row.chosen:
            picked.names.remove(row.tool.name)
            picked.approvals = [name for name in picked.approvals if name != row.tool.name]
            # The last tool gone must not come to mean all of them.
            picked.chosen = bool(picked.names)
        else:
            picked.chosen = True
            picked.names.append(row.tool.name)

    def approve(self, row: ToolRow) -> bool:
        """Have a person approve a tool's calls, or no longer; False for a line that has no calls to approve."""
        picked = self._owners[row.owner]
        if row.tool is None:
            return False
        if row.approve:
            picked.approvals.remove(row.tool.name)
            return True
        if row.every:
            picked.names = [tool.name for tool in self._tools(picked)]
        elif not row.chosen:
            picked.names.append(row.tool.name)
        picked.chosen = True
        picked.approvals.append(row.tool.name)
        return True

    def every(self, row: ToolRow) -> None:
        """Let the agent use every tool of a server, those that come later as well; approvals need names and go."""
        picked = self._owners[row.owner]
        picked.chosen, picked.names, picked.approvals = True, [], []

    def result(self) -> list[JsonObject]:
        """Return the list for the draft: entries that were there stay in their order, new ones follow."""
        fresh = [(ref, one) for ref, one in self._owners.items() if one.chosen and one.entry is None]
        return [
            *(self._changed(one) for one in self._order if one.chosen), *self._rest,
            *(self._fresh(ref, one) for ref, one in fresh),
        ]  # fmt: skip

    def _changed(self, picked: _Picked) -> JsonObject:
        entry = dict(picked.entry or {})
        if "mcpServer" in entry:
            entry["mcpServer"] = _with_names(mapping(entry["mcpServer"]), picked)
        return entry

    def _fresh(self, ref: ObjectRef, picked: _Picked) -> JsonObject:
        elsewhere = {} if ref.namespace == self._namespace else {"namespace": ref.namespace}
        if ref.kind == AGENT:
            return {"type": "Agent", "agent": {"name": ref.name, **elsewhere}}
        server: JsonObject = {"apiGroup": "kagent.dev", "kind": ref.kind, "name": ref.name, **elsewhere}
        return {"type": "McpServer", "mcpServer": _with_names(server, picked)}


def _with_names(server: JsonObject, picked: _Picked) -> JsonObject:
    fresh = {key: one for key, one in server.items() if key not in ("toolNames", "requireApproval")}
    # An empty list that stood there says the same as none, and may have a comment.
    for key, names in (("toolNames", picked.names), ("requireApproval", picked.approvals)):
        if names or server.get(key) == []:
            fresh[key] = list(names)
    return fresh
