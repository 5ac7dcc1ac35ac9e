"""ModelConfigs as rows: NAME NS PROVIDER MODEL SECRET ACCEPTED AGE."""

from __future__ import annotations

from typing import Final

from kagent_api.names import OWN_GROUP
from kagent_tui.cluster.kinds import MODEL_CONFIG, JsonObject, ref_of
from kagent_tui.cluster.references import mapping, text
from kagent_tui.render.conditions import condition_cell
from kagent_tui.render.row import Cell, Column, Row, TableSpec, World, cell
from kagent_tui.render.servers import age_cell, labels_of
from kagent_tui.render.text import Tone

__all__ = ["MODELS", "MODEL_NOTE", "model_label", "model_note", "model_row"]

# Written by the demo on the model that needs no key; people must see that its answers are canned.
MODEL_NOTE: Final = f"{OWN_GROUP}/model-note"
SCRIPTED: Final = "scripted (offline)"

COLUMNS: Final = (
    Column("name", "NAME", 12, 40),
    Column("ns", "NS", 6, 20, drop=2),
    Column("provider", "PROVIDER", 8, 17, drop=4),
    Column("model", "MODEL", 8, 34, drop=1),
    Column("secret", "SECRET", 8, 34, drop=5),
    Column("accepted", "ACCEPTED", 9, 32, drop=3),
    Column("age", "AGE", 4, 5, drop=6, right=True),
)


def model_note(obj: JsonObject) -> str:
    """Return the remark on a model ("scripted offline model"), "" when there is none; raw text."""
    return text(mapping(mapping(obj.get("metadata")).get("annotations")).get(MODEL_NOTE))


def model_label(obj: JsonObject) -> str:
    """Return the model's name, or what it really is where its answers are canned; raw text."""
    model = text(mapping(obj.get("spec")).get("model")) or "?"
    note = model_note(obj)
    if "scripted" in note.casefold():
        return SCRIPTED
    return f"{model} ({note})" if note else model


def model_row(obj: JsonObject, world: World, now: float) -> Row:
    """Render one ModelConfig."""
    ref = ref_of(obj, MODEL_CONFIG)
    spec = mapping(obj.get("spec"))
    accepted = condition_cell(obj, "Accepted")
    cells = (
        cell(ref.name),
        cell(ref.namespace, Tone.DIM),
        # The CRD's default, which servers without defaulting leave out.
        cell(text(spec.get("provider")) or "OpenAI"),
        cell(model_label(obj)),
        _secret(spec),
        accepted,
        age_cell(obj, now),
    )
    return Row(ref, cells, labels_of(obj), accepted.tone is Tone.BAD)


def _secret(spec: JsonObject) -> Cell:
    if spec.get("apiKeyPassthrough") is True:
        return cell("caller's token", Tone.DIM)
    secret, key = text(spec.get("apiKeySecret")), text(spec.get("apiKeySecretKey"))
    if not secret:
        return cell("-", Tone.DIM)
    return cell(f"{secret}[{key}]" if key else secret)


MODELS: Final = TableSpec(COLUMNS, model_row)
