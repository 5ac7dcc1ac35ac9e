"""Fields that a JSON body gives twice: parsers keep the last and say nothing, Kubernetes names them."""

from __future__ import annotations

import json
from typing import Any

from kagent_localcluster.apiserver.jsonvalue import is_array

__all__ = ["duplicate_fields"]


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written."""


def duplicate_fields(body: bytes) -> list[str]:
    """Return the paths (``spec.ports[0].name``) of fields that stand twice in an object; none for what is no JSON."""
    twice = False

    def notice(pairs: list[tuple[str, Any]]) -> None:
        nonlocal twice
        twice = twice or len({key for key, _ in pairs}) < len(pairs)

    try:
        json.loads(body, object_pairs_hook=notice)
        if not twice:
            return []
        found: list[str] = []
        _walk(json.loads(body, object_pairs_hook=_Pairs), "", found)
    except (ValueError, RecursionError):
        return []
    return found


def _walk(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            place = f"{path}.{key}" if path else key
            if key in seen and place not in found:
                found.append(place)
            seen.add(key)
            _walk(item, place, found)
    elif is_array(value):
        for index, item in enumerate(value):
            _walk(item, f"{path}[{index}]", found)
