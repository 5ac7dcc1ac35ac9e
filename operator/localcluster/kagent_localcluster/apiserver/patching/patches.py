"""JSON patch (RFC 6902) and merge patch (RFC 7386) on whole objects; neither changes its arguments."""

from __future__ import annotations

import copy
from typing import Any

import orjson

from kagent_localcluster.apiserver.jsonvalue import is_array, is_object
from kagent_localcluster.errors import BadRequest, Invalid
from kagent_localcluster.seams import JsonObject

__all__ = ["json_patch", "merge_patch"]

# The real server refuses longer patches too: each operation may copy the document.
_MAX_OPERATIONS = 10_000


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
    import jsonpatch
    import jsonpointer

    if not is_array(patch):
        raise BadRequest("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(patch) > _MAX_OPERATIONS:
        raise BadRequest(f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(patch)}")
    try:
        # A copy by JSON keeps numbers and is faster than deepcopy.
        patched: Any = jsonpatch.apply_patch(orjson.loads(orjson.dumps(target)), copy.deepcopy(patch), in_place=True)
    except jsonpatch.InvalidJsonPatch as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError) as error:
        raise Invalid(f"the server rejected our request due to an error in our request: {error}") from error
    if not is_object(patched):
        raise Invalid("the server rejected our request due to an error in our request: the result is no object")
    return patched
