"""The identity of a Pod template: equal templates share a ReplicaSet and a hash."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import orjson

from kagent_localcluster.runner.fields import mapping
from kagent_localcluster.runner.metadata import SAFE_ALPHABET
from kagent_localcluster.seams import JsonObject

__all__ = ["HASH_LABEL", "same_template", "template_hash"]

HASH_LABEL = "pod-template-hash"
HASH_LENGTH = 10


def template_hash(template: JsonObject, collisions: int = 0) -> str:
    """Return the pod-template-hash of a template; ``collisions`` is the Deployment's collisionCount."""
    digest = hashlib.sha256(
        orjson.dumps(_plain(template), option=orjson.OPT_SORT_KEYS) + str(collisions).encode()
    ).digest()
    return "".join(SAFE_ALPHABET[byte % len(SAFE_ALPHABET)] for byte in digest[:HASH_LENGTH])


def same_template(one: JsonObject, other: JsonObject) -> bool:
    """Tell whether two templates would start the same Pods; the hash label does not count."""
    return _plain(one) == _plain(other)


def _plain(template: JsonObject) -> JsonObject:
    """Return the template without hash label and without nulls, which say nothing."""
    metadata = {name: value for name, value in mapping(template, "metadata").items() if name != "creationTimestamp"}
    metadata["labels"] = {name: value for name, value in mapping(metadata, "labels").items() if name != HASH_LABEL}
    return _without_nulls({**template, "metadata": metadata})


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()  # JSON mappings have string keys
        return {name: _without_nulls(item) for name, item in entries if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in cast("list[Any]", value)]
    return value
