"""Agents as rows: NAME NS MODEL TOOLS READY ACCEPTED AGE."""

from __future__ import annotations

from typing import Final

from kagent_api.errors import ObjectRef
from kagent_api.names import DEFAULT_MODEL_CONFIG
from kagent_tui.cluster.kinds import AGENT, MODEL_CONFIG, JsonObject, ref_of
from kagent_tui.cluster.references import mapping, text
from kagent_tui.render.conditions import MARK_BAD, condition_cell, ready_cell
from kagent_tui.render.models import model_label
from kagent_tui.render.row import Cell, Column, Row, TableSpec, World, cell
from kagent_tui.render.servers import age_cell, labels_of
from kagent_tui.render.text import Tone
from kagent_tui.render.tools import agent_tools

__all__ = ["AGENTS", "agent_row"]

COLUMNS: Final = (
    Column("name", "NAME", 12, 40),
    Column("ns", "NS", 6, 20, drop=2),
    Column("model", "MODEL", 8, 30, drop=3),
    Column("tools", "TOOLS", 5, 7, drop=4, right=True),
    Column("ready", "READY", 9, 32, drop=1),
    Column("accepted", "ACCEPTED", 9, 28, drop=5),
    Column("age", "AGE", 4, 5, drop=6, right=True),
)


def agent_row(obj: JsonObject, world: World, now: float) -> Row:
    """Render one agent; the world supplies its model and its tools' servers."""
    ref = ref_of(obj, AGENT)
    ready, accepted = ready_cell(obj, now), condition_cell(obj, "Accepted")
    cells = (
        cell(ref.name),
        cell(ref.namespace, Tone.DIM),
        _model(obj, ref, world),
        _tools(obj, world),
        ready,
        accepted,
        age_cell(obj, now),
    )
    trouble = Tone.BAD in (ready.tone, accepted.tone)
    return Row(ref, cells, labels_of(obj), trouble)


def _model(obj: JsonObject, ref: ObjectRef, world: World) -> Cell:
    spec = mapping(obj.get("spec"))
    if text(spec.get("type")) == "BYO":
        return cell("own image", Tone.DIM)
    name = text(mapping(spec.get("declarative")).get("modelConfig")) or DEFAULT_MODEL_CONFIG
    model = world.find(ObjectRef(MODEL_CONFIG, ref.namespace, name))
    if model is None:
        return cell(f"{MARK_BAD} {name} missing", Tone.BAD, rank=-1)
    return cell(model_label(model))


def _tools(obj: JsonObject, world: World) -> Cell:
    count = agent_tools(obj, world)
    if not count.total:
        return cell("-", Tone.DIM, sort=-1)
    shown = f"{count.ready}/{count.total}" + ("" if count.exact else "?")
    return cell(shown, count.tone, sort=count.ready - count.total or count.total)


AGENTS: Final = TableSpec(COLUMNS, agent_row)
