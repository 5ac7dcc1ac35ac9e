"""MCP servers of both kinds as rows of one table: NAME NS KIND URL/CMD TOOLS READY AGE."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from kagent_tui.cluster.kinds import JsonObject, ref_of
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.render.age import age, seconds_since
from kagent_tui.render.conditions import condition, ready_cell
from kagent_tui.render.row import Cell, Column, Row, TableSpec, World, cell
from kagent_tui.render.text import Tone
from kagent_tui.render.tools import server_tools

__all__ = ["SERVERS", "age_cell", "labels_of", "server_command", "server_row"]

COLUMNS: Final = (
    Column("name", "NAME", 12, 40),
    Column("ns", "NS", 6, 20, drop=2),
    Column("kind", "KIND", 6, 11, drop=4),
    Column("address", "URL/CMD", 10, 48, drop=5),
    Column("tools", "TOOLS", 5, 7, drop=3, right=True),
    Column("ready", "READY", 9, 32, drop=1),
    Column("age", "AGE", 4, 5, drop=6, right=True),
)


def age_cell(obj: JsonObject, now: float) -> Cell:
    """Return how long ago an object was made; young ones sort first."""
    created = mapping(obj.get("metadata")).get("creationTimestamp")
    return cell(age(created, now), Tone.DIM, sort=seconds_since(created, now) or 0.0)


def labels_of(obj: JsonObject) -> Mapping[str, str]:
    """Return the labels of an object, for label filters."""
    found = mapping(mapping(obj.get("metadata")).get("labels"))
    return {key: value for key, value in found.items() if isinstance(value, str)}


def server_command(obj: JsonObject) -> str:
    """Return where a server is or what runs it; raw text, without environment values (they may be secret)."""
    spec = mapping(obj.get("spec"))
    if text(spec.get("url")):
        return text(spec.get("url"))
    deployment = mapping(spec.get("deployment"))
    words = [text(deployment.get("cmd")), *(arg for arg in items(deployment.get("args")) if isinstance(arg, str))]
    return shlex.join([word for word in words if word]) or text(deployment.get("image"))


def server_row(obj: JsonObject, world: World, now: float) -> Row:
    """Render one RemoteMCPServer or MCPServer."""
    ref = ref_of(obj)
    # RemoteMCPServers have no Ready condition upstream: Accepted says that tools could be listed.
    ready = ready_cell(obj, now, "Ready" if condition(obj, "Ready") or ref.kind == "MCPServer" else "Accepted")
    cells = (
        cell(ref.name),
        cell(ref.namespace, Tone.DIM),
        cell(_kind(obj), Tone.DIM),
        cell(server_command(obj)),
        _tools(obj, world),
        ready,
        age_cell(obj, now),
    )
    return Row(ref, cells, labels_of(obj), ready.tone is Tone.BAD)


def _kind(obj: JsonObject) -> str:
    spec = mapping(obj.get("spec"))
    if ref_of(obj).kind == "RemoteMCPServer":
        return "remote sse" if text(spec.get("protocol")) == "SSE" else "remote http"
    return text(spec.get("transportType")) or "stdio"


def _tools(obj: JsonObject, world: World) -> Cell:
    tools = server_tools(obj, world)
    if tools is None:
        return cell("?", Tone.DIM, sort=-1)
    return cell(str(len(tools)), Tone.PLAIN if tools else Tone.WARN, sort=len(tools))


SERVERS: Final = TableSpec(COLUMNS, server_row)
