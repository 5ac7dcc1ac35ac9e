"""JSON patch (RFC 6902) and merge patch (RFC 7386) on whole objects; neither changes its arguments.

Where the RFC and Kubernetes' library (evanphx/json-patch) part, the library is followed: ``replace`` of a missing
field of an object sets it, and negative indices count from a list's end.
"""

from __future__ import annotations

from typing import Any

from kagent_localcluster.apiserver.jsonvalue import copy_json, is_array, is_object
from kagent_localcluster.errors import BadRequest, Invalid
from kagent_localcluster.seams import JsonObject

__all__ = ["json_patch", "merge_patch"]

# The real server refuses longer patches too: each operation may copy the document.
_MAX_OPERATIONS = 10_000

_REJECTED = "the server rejected our request due to an error in our request"


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the target with the merge patch applied: null removes, objects merge, all else replaces."""
    if not is_object(patch):
        return patch
    merged: dict[str, Any] = dict(target) if is_object(target) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(target: JsonObject, patch: Any) -> JsonObject:
    """Return the target with the JSON patch applied.

    Raises:
        BadRequest: the patch is not a list of operations, or too long.
        Invalid: an operation does not fit the object (a failed ``test`` too).
    """
    if not is_array(patch) or not all(is_object(operation) for operation in patch):
        raise BadRequest("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(patch) > _MAX_OPERATIONS:
        raise BadRequest(f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(patch)}")
    document: Any = copy_json(target)
    for operation in patch:
        document = _operate(document, operation)
    if not is_object(document):
        raise Invalid(f"{_REJECTED}: the result is no object")
    return document


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    name, path = operation.get("op"), operation.get("path")
    if not isinstance(path, str):
        raise Invalid(f"{_REJECTED}: operation without path")
    match name:
        case "add" | "replace" if "value" not in operation:
            raise Invalid(f"{_REJECTED}: {name} {path}: there is no value")
        case "add":
            return _add(document, path, copy_json(operation["value"]))
        case "replace":
            return _replace(document, path, copy_json(operation["value"]))
        case "remove":
            _remove(document, path)
        case "test":
            wanted = operation.get("value")
            if not _equal(_find(document, path, missing_is_null=True), wanted):
                raise Invalid(f"{_REJECTED}: testing path {path} value failed")
        case "move" | "copy":
            source = operation.get("from")
            if not isinstance(source, str):
                raise Invalid(f"{_REJECTED}: {name} {path}: there is no from")
            value = copy_json(_find(document, source))
            if name == "move":
                _remove(document, source)
            return _add(document, path, value)
        case _:
            raise Invalid(f"{_REJECTED}: unexpected kind of operation: {name}")
    return document


def _equal(first: Any, second: Any) -> bool:
    # Python takes True for 1 where JSON does not.
    return first == second and isinstance(first, bool) == isinstance(second, bool)


def _segments(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise Invalid(f"{_REJECTED}: the path {path} does not begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _parent(document: Any, path: str) -> tuple[Any, str]:
    *parents, last = _segments(path)
    holder = document
    for part in parents:
        holder = _step(holder, part, path)
    if not is_object(holder) and not is_array(holder):
        raise Invalid(f"{_REJECTED}: the path {path} leads into no object or list")
    return holder, last


def _step(holder: Any, part: str, path: str) -> Any:
    if is_object(holder) and part in holder:
        return holder[part]
    if is_array(holder):
        return holder[_index(part, len(holder), path)]
    raise Invalid(f"{_REJECTED}: there is nothing at {path}")


def _index(part: str, size: int, path: str) -> int:
    try:
        index = int(part)
    except ValueError as error:
        raise Invalid(f"{_REJECTED}: {path}: {part} is no index") from error
    if index < 0:
        index += size
    if not 0 <= index < size:
        raise Invalid(f"{_REJECTED}: {path}: index {part} is out of bounds")
    return index


def _find(document: Any, path: str, *, missing_is_null: bool = False) -> Any:
    if not path:
        return document
    holder, last = _parent(document, path)
    if missing_is_null and is_object(holder):
        return holder.get(last)
    return _step(holder, last, path)


def _add(document: Any, path: str, value: Any) -> Any:
    if not path:
        return value
    holder, last = _parent(document, path)
    if is_object(holder):
        holder[last] = value
    elif last == "-":
        holder.append(value)
    else:
        # One past the end is where an addition goes.
        holder.insert(_index(last, len(holder) + 1, path), value)
    return document


def _replace(document: Any, path: str, value: Any) -> Any:
    if not path:
        return value
    holder, last = _parent(document, path)
    if is_object(holder):
        holder[last] = value
    else:
        holder[_index(last, len(holder), path)] = value
    return document


def _remove(document: Any, path: str) -> None:
    if not path:
        raise Invalid(f"{_REJECTED}: the whole object cannot be removed")
    holder, last = _parent(document, path)
    if is_object(holder):
        if last not in holder:
            raise Invalid(f"{_REJECTED}: unable to remove nonexistent key: {last}")
        del holder[last]
    else:
        del holder[_index(last, len(holder), path)]
