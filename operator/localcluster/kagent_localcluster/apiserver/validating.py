"""One judgement for every write: an object is shaped by its schema and then refused or let through.

The order is that of a real server: unknown fields are met while decoding (400 under strict validation), then types and
required fields, and rules only on objects without structural faults (422 with one cause a fault).
"""

from __future__ import annotations

from kagent_localcluster.apiserver.builtin.defaults import set_builtin_defaults
from kagent_localcluster.apiserver.builtin.definitions import OBJECT_META, definition
from kagent_localcluster.apiserver.builtin.strategies import validate_builtin
from kagent_localcluster.apiserver.builtin.structs import metadata_through_go, through_go
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.meta import check_finalizers, check_metadata, name_problem
from kagent_localcluster.apiserver.refusals import invalid
from kagent_localcluster.apiserver.scaling import scale_faults
from kagent_localcluster.apiserver.schema.celrules import check_rules
from kagent_localcluster.apiserver.schema.shaping import drop_nulls, prune, set_defaults
from kagent_localcluster.apiserver.schema.validation import missing_fields, validate
from kagent_localcluster.errors import BadRequest, Cause, Undecodable
from kagent_localcluster.seams import JsonObject

__all__ = ["check_envelope", "decode", "empty_object", "forget_status", "judge", "shape", "shape_part"]

# Kinds whose Go types write themselves; they are kept as they were sent.
_OWN_ENCODING = frozenset({"apiextensions.k8s.io/customresourcedefinitions"})

# Faults that make rules meaningless; others are told together with what the rules find.
_BLOCKING = frozenset({
    "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid",
})  # fmt: skip

# Go reads null as the zero value of any type.
_NULL = 'Invalid value: "null"'

# Kinds that have rules for every field that a schema calls required.
_RULED = frozenset({
    "/pods", "/services", "apps/deployments", "apps/replicasets", "batch/jobs", "rbac.authorization.k8s.io/roles",
    "rbac.authorization.k8s.io/clusterroles", "rbac.authorization.k8s.io/rolebindings",
    "rbac.authorization.k8s.io/clusterrolebindings",
})  # fmt: skip

_JUDGED_LATER = frozenset({"FieldValueRequired", "FieldValueDuplicate"})

_UNCHECKED = Cause(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation",
)


def decode(
    kind: Kind, obj: JsonObject, validation: str, duplicates: tuple[str, ...] = ()
) -> tuple[JsonObject, list[str]]:
    """Return the object as decoding leaves it, and warnings about duplicate and unknown fields; these are pruned.

    Built-in kinds go through Go's structs. ``validation`` is Ignore, Warn or Strict.

    Raises:
        Undecodable: a type that does not fit a built-in kind, or strict validation and an unknown field.
    """
    unknown = prune(kind.schema, obj)
    if not kind.crd:
        _refuse_wrong_types(kind, obj)
        if kind.storage_key in _OWN_ENCODING:
            drop_nulls(kind.schema, obj)
        else:
            obj = through_go(kind.api_version, kind.kind, obj)
    else:
        obj["metadata"] = metadata_through_go(obj["metadata"])
    metadata = obj["metadata"]
    if owners := metadata.get("ownerReferences"):
        metadata["ownerReferences"] = [owner for index, owner in enumerate(owners) if owner not in owners[:index]]
    faults = [f'duplicate field "{path}"' for path in duplicates] + [f'unknown field "{path}"' for path in unknown]
    if not faults or validation == "Ignore":
        return obj, []
    if validation == "Strict":
        listed = ", ".join(faults)
        raise Undecodable(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict decoding error: '
            f"{listed}"
        )
    return obj, faults


def forget_status(kind: Kind, obj: JsonObject) -> None:
    """Take away the status that a new object was sent with; structs leave an empty one."""
    obj.pop("status", None)
    if not kind.crd and kind.storage_key not in _OWN_ENCODING:
        empty = through_go(kind.api_version, kind.kind, {"apiVersion": "", "kind": ""}).get("status")
        if empty is not None:
            obj["status"] = empty


def empty_object(kind: Kind) -> JsonObject:
    """Return the object without anything: what writing an empty Go struct of a built-in kind leaves."""
    bare: JsonObject = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
    if kind.crd or kind.storage_key in _OWN_ENCODING:
        return bare
    return {**through_go(kind.api_version, kind.kind, bare), "metadata": {}}


def check_envelope(kind: Kind, metadata: JsonObject) -> None:
    """Refuse metadata of wrong types before anything reads it.

    Raises:
        BadRequest: naming the field.
    """
    schema = definition(OBJECT_META)
    for cause in validate(schema, metadata, "metadata"):
        if cause.reason == "FieldValueTypeInvalid" and _NULL not in cause.message:
            raise _cannot_unmarshal(kind, cause)


def shape(kind: Kind, obj: JsonObject) -> None:
    """Drop nulls and set defaults in place."""
    if kind.crd:
        drop_nulls(kind.schema, obj)
        set_defaults(kind.schema, obj)
        if kind.storage_schema is not None:
            prune(kind.storage_schema, obj)
            set_defaults(kind.storage_schema, obj)
        return
    set_defaults(kind.schema, obj)
    set_builtin_defaults(kind.storage_key, obj)


def shape_part(kind: Kind, part: str, value: JsonObject) -> None:
    """Drop nulls and set defaults in one top-level field of a custom resource, in place."""
    if kind.crd and (node := kind.schema.child(part)) is not None:
        drop_nulls(node, value)
        set_defaults(node, value)
        if kind.storage_schema is not None and (stored := kind.storage_schema.child(part)) is not None:
            prune(stored, value)


def _refuse_wrong_types(kind: Kind, obj: JsonObject) -> None:
    """Built-in kinds are decoded into Go structs: a wrong type never reaches validation, nor do broken formats."""
    for cause in validate(kind.schema, obj):
        if cause.reason not in _JUDGED_LATER and _NULL not in cause.message:
            raise _cannot_unmarshal(kind, cause)


def _cannot_unmarshal(kind: Kind, cause: Cause) -> BadRequest:
    return Undecodable(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: json: cannot unmarshal '
        f"{_unquoted(cause.message)} into Go struct field {kind.kind}.{cause.field}"
    )


def _unquoted(message: str) -> str:
    return message.partition('"')[2].partition('"')[0]


def judge(kind: Kind, new: JsonObject, old: JsonObject | None) -> None:
    """Refuse an object that is wrong.

    Raises:
        Invalid: with one cause for every fault.
    """
    causes: list[Cause] = []
    if old is None and (problem := name_problem(kind.group, kind.plural, new["metadata"]["name"])):
        causes.append(Cause("metadata.name", f'Invalid value: "{new["metadata"]["name"]}": {problem}'))
    # Updates of these do not look at generateName again.
    named = old is None or not (kind.crd or kind.group == "apps" or kind.storage_key == "/services")
    causes += check_metadata(kind.group, kind.plural, new["metadata"], with_prefix=named)
    if not kind.crd:
        causes += check_finalizers(new["metadata"])
        if kind.storage_key not in _RULED:
            causes += missing_fields(kind.schema, new)
        causes += validate_builtin(kind.storage_key, new, old)
        if causes:
            raise invalid(kind, new["metadata"]["name"], list(dict.fromkeys(causes)))
        return
    # Metadata is judged above, by its own rules.
    structural = list(validate(kind.schema, {**new, "metadata": {}}, old=old and {**old, "metadata": {}}))
    causes += structural + scale_faults(kind, new)
    if not any(cause.reason in _BLOCKING for cause in structural):
        causes += check_rules(kind.schema, new, old, transitions=kind.has_transitions)
    elif kind.has_rules:
        causes.append(_UNCHECKED)
    if causes:
        raise invalid(kind, new["metadata"]["name"], causes)
