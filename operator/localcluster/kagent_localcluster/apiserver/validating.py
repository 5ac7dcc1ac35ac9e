"""One judgement for every write: an object is shaped by its schema and then refused or let through.

The order is that of a real server: unknown fields are met while decoding (400 under strict validation), then types and
required fields, and rules only on objects without structural faults (422 with one cause a fault).
"""

from __future__ import annotations

from kagent_localcluster.apiserver.builtin.defaults import set_builtin_defaults
from kagent_localcluster.apiserver.builtin.definitions import OBJECT_META, definition
from kagent_localcluster.apiserver.builtin.strategies import validate_builtin
from kagent_localcluster.apiserver.jsonvalue import dig, is_array, is_object
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.meta import check_metadata, name_problem
from kagent_localcluster.apiserver.refusals import invalid
from kagent_localcluster.apiserver.schema.celrules import check_rules
from kagent_localcluster.apiserver.schema.node import Node
from kagent_localcluster.apiserver.schema.shaping import drop_nulls, prune, set_defaults
from kagent_localcluster.apiserver.schema.validation import validate
from kagent_localcluster.errors import BadRequest, Cause
from kagent_localcluster.seams import JsonObject

__all__ = ["check_envelope", "decode_fields", "judge", "shape"]

_UNCHECKED = Cause(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation",
)


def decode_fields(kind: Kind, obj: JsonObject, validation: str) -> list[str]:
    """Prune unknown fields and return warnings about them (``validation`` is Ignore, Warn or Strict).

    Raises:
        BadRequest: strict validation and an unknown field.
    """
    unknown = prune(kind.schema, obj)
    if not unknown or validation == "Ignore":
        return []
    if validation == "Strict":
        listed = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict decoding error: '
            f"{listed}"
        )
    return [f'unknown field "{path}"' for path in unknown]


def check_envelope(kind: Kind, metadata: JsonObject) -> None:
    """Refuse metadata of wrong types before anything reads it; nulls in it are dropped.

    Raises:
        BadRequest: naming the field.
    """
    schema = definition(OBJECT_META)
    drop_nulls(schema, metadata)
    for cause in validate(schema, metadata, "metadata"):
        if cause.reason == "FieldValueTypeInvalid":
            raise _cannot_unmarshal(kind, cause)


def shape(kind: Kind, obj: JsonObject) -> None:
    """Drop nulls and set defaults in place.

    Raises:
        BadRequest, Invalid: a built-in object whose structure is wrong; custom resources are judged by ``judge``.
    """
    drop_nulls(kind.schema, obj)
    if kind.crd:
        set_defaults(kind.schema, obj)
        if kind.storage_schema is not None:
            prune(kind.storage_schema, obj)
        return
    _refuse_wrong_types(kind, obj)
    set_defaults(kind.schema, obj)
    set_builtin_defaults(kind.storage_key, obj)
    status = obj.get("status")
    if is_object(status) and (node := kind.schema.child("status")):
        _fill_zero_values(node, status)
    # Before anything relies on the fields being there; built-in kinds are not ratcheted, their rules are in code.
    if faults := [*check_metadata(obj["metadata"]), *validate(kind.schema, obj)]:
        raise invalid(kind, obj["metadata"].get("name", ""), faults)


def _refuse_wrong_types(kind: Kind, obj: JsonObject) -> None:
    """Built-in kinds are decoded into Go structs: a wrong type never reaches validation."""
    for cause in validate(kind.schema, obj):
        if cause.reason == "FieldValueTypeInvalid":
            raise _cannot_unmarshal(kind, cause)


def _cannot_unmarshal(kind: Kind, cause: Cause) -> BadRequest:
    return BadRequest(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: json: cannot unmarshal '
        f"{_unquoted(cause.message)} into Go struct field {kind.kind}.{cause.field}"
    )


def _unquoted(message: str) -> str:
    return message.partition('"')[2].partition('"')[0]


def _fill_zero_values(node: Node, value: JsonObject) -> None:
    """Give the required fields of a status the zero values Go structs would have."""
    for key in node.raw.get("required", ()):
        kind = dig(node.property_names, key, "type")
        if key not in value and kind in ("string", "boolean", "integer"):
            value[key] = {"string": "", "boolean": False, "integer": 0}[kind]
    for key, item in value.items():
        child = node.child(key)
        if child is None:
            continue
        if is_object(item):
            _fill_zero_values(child, item)
        elif is_array(item):
            for entry in item:
                if is_object(entry):
                    _fill_zero_values(child.items, entry)


def judge(kind: Kind, new: JsonObject, old: JsonObject | None) -> None:
    """Refuse an object that is wrong.

    Raises:
        Invalid: with one cause for every fault.
    """
    causes: list[Cause] = []
    if old is None and (problem := name_problem(kind.group, kind.plural, new["metadata"]["name"])):
        causes.append(Cause("metadata.name", f'Invalid value: "{new["metadata"]["name"]}": {problem}'))
    if not kind.crd:
        causes += validate_builtin(kind.storage_key, new, old)
        if causes:
            raise invalid(kind, new["metadata"]["name"], causes)
        return
    causes += check_metadata(new["metadata"])
    structural = list(validate(kind.schema, new, old=old))
    causes += structural
    if not structural:
        causes += check_rules(kind.schema, new, old, transitions=kind.has_transitions)
    elif kind.has_rules:
        causes.append(_UNCHECKED)
    if causes:
        raise invalid(kind, new["metadata"]["name"], causes)
