"""ModelProviderConfigs as rows: NAME NS TYPE ENDPOINT MODELS READY AGE."""

from __future__ import annotations

from typing import Final

from kagent_tui.cluster.kinds import PROVIDER, JsonObject, ref_of
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.render.conditions import condition, conditions, ready_cell
from kagent_tui.render.row import Cell, Column, Row, TableSpec, World, cell
from kagent_tui.render.servers import age_cell, labels_of
from kagent_tui.render.text import Tone

__all__ = ["PROVIDERS", "provider_models", "provider_row"]

COLUMNS: Final = (
    Column("name", "NAME", 12, 40),
    Column("ns", "NS", 6, 20, drop=2),
    Column("type", "TYPE", 8, 17, drop=3),
    Column("endpoint", "ENDPOINT", 10, 48, drop=5),
    Column("models", "MODELS", 6, 7, drop=4, right=True),
    Column("ready", "READY", 9, 32, drop=1),
    Column("age", "AGE", 4, 5, drop=6, right=True),
)


def provider_models(obj: JsonObject) -> list[str]:
    """Return the models that were found at the provider; raw text."""
    return [text(name) for name in items(mapping(obj.get("status")).get("discoveredModels"))]


def provider_row(obj: JsonObject, world: World, now: float) -> Row:
    """Render one ModelProviderConfig."""
    ref = ref_of(obj, PROVIDER)
    spec = mapping(obj.get("spec"))
    ready = _ready(obj, now)
    cells = (
        cell(ref.name),
        cell(ref.namespace, Tone.DIM),
        cell(text(spec.get("type")) or "?"),
        cell(text(spec.get("endpoint")) or "the provider's own", Tone.PLAIN if spec.get("endpoint") else Tone.DIM),
        _models(obj),
        ready,
        age_cell(obj, now),
    )
    return Row(ref, cells, labels_of(obj), ready.tone is Tone.BAD)


def _ready(obj: JsonObject, now: float) -> Cell:
    # Upstream writes the reason "Ready" also where it is not: the condition that failed says more.
    found = condition(obj, "Ready")
    if found is not None and found.tone is Tone.BAD and found.reason == "Ready":
        worse = next((one for one in conditions(obj) if one.tone is Tone.BAD and one.type != "Ready"), None)
        if worse is not None:
            return cell(f"✖ {worse.reason}", Tone.BAD, rank=0)
        return cell("✖ not ready", Tone.BAD, rank=0)
    return ready_cell(obj, now)


def _models(obj: JsonObject) -> Cell:
    if mapping(obj.get("status")).get("modelCount") is None:
        return cell("?", Tone.DIM, sort=-1)
    count = len(provider_models(obj))
    return cell(str(count), Tone.PLAIN if count else Tone.WARN, sort=count)


PROVIDERS: Final = TableSpec(COLUMNS, provider_row)
