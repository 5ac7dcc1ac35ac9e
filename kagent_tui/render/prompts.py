"""Prompt libraries (ConfigMaps labelled ``kagent.dev/prompt-library``) as rows: NAME NS FRAGMENTS USED BY AGE."""

from __future__ import annotations

from typing import Final

from kagent_tui.cluster.kinds import PROMPTS, JsonObject, ref_of
from kagent_tui.cluster.references import mapping, text
from kagent_tui.render.row import Column, Row, TableSpec, World, cell
from kagent_tui.render.servers import age_cell, labels_of
from kagent_tui.render.text import Tone

__all__ = ["PROMPT_LIBRARIES", "fragments", "prompt_row"]

COLUMNS: Final = (
    Column("name", "NAME", 12, 40),
    Column("ns", "NS", 6, 20, drop=2),
    Column("count", "FRAGMENTS", 9, 9, drop=3, right=True),
    Column("keys", "NAMES", 10, 70, drop=4),
    Column("age", "AGE", 4, 5, drop=5, right=True),
)


def fragments(obj: JsonObject) -> dict[str, str]:
    """Return the fragments of a library by name, sorted; raw text."""
    return {key: text(value) for key, value in sorted(mapping(obj.get("data")).items())}


def prompt_row(obj: JsonObject, world: World, now: float) -> Row:
    """Render one library."""
    ref = ref_of(obj, PROMPTS)
    names = list(fragments(obj))
    cells = (
        cell(ref.name),
        cell(ref.namespace, Tone.DIM),
        cell(str(len(names)), Tone.PLAIN if names else Tone.WARN, sort=len(names)),
        cell(", ".join(names) or "none", Tone.DIM),
        age_cell(obj, now),
    )
    return Row(ref, cells, labels_of(obj))


PROMPT_LIBRARIES: Final = TableSpec(COLUMNS, prompt_row)
