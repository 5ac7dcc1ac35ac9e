"""Who else looks after the fields of an object, from its ``managedFields`` (Kubernetes, server-side apply). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import items, mapping, text
from kagent_tui.editing.schemas import is_block
from kagent_tui.editing.source import Path, dotted

__all__ = ["Owner", "changed_paths", "last_writer", "owners"]

# What the API server makes of our user agent.
_US: Final = "kagent-tui"


class Owner(NamedTuple):
    """A field manager and the fields of a change that it set last; ``applies``: it will put its values back."""

    manager: str
    applies: bool
    when: str
    fields: tuple[str, ...]


def owners(live: JsonObject, paths: Iterable[Path]) -> Iterator[Owner]:
    """Yield the managers, other than us, that hold any of these fields."""
    wanted = list(paths)
    for entry in _entries(live):
        tree = mapping(entry.get("fieldsV1"))
        held = tuple(dotted(path) for path in wanted if _holds(tree, path))
        if held and text(entry.get("manager")) != _US:
            yield Owner(text(entry.get("manager")), entry.get("operation") == "Apply", text(entry.get("time")), held)


def last_writer(live: JsonObject) -> str:
    """Name who wrote last anything but status; "" where the server does not say."""
    latest = max(_entries(live), key=lambda entry: text(entry.get("time")), default=None)
    return text(latest.get("manager")) if latest else ""


def changed_paths(before: Any, after: Any, path: Path = ()) -> Iterator[Path]:
    """Yield where two objects differ; a list is one place."""
    if is_block(before) and is_block(after):
        old, new = mapping(before), mapping(after)
        for key in [*old, *(key for key in new if key not in old)]:
            yield from changed_paths(old.get(key), new.get(key), (*path, key))
    elif before != after:
        yield path


def _entries(live: JsonObject) -> list[JsonObject]:
    found = [mapping(one) for one in items(mapping(live.get("metadata")).get("managedFields"))]
    return [one for one in found if one.get("subresource") != "status"]


def _holds(tree: JsonObject, path: Path) -> bool:
    for step in path:
        inner = tree.get(f"f:{step}")
        if inner is None:
            return False
        tree = mapping(inner)
    return True
