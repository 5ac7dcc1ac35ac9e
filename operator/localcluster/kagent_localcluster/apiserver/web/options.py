"""The options of a request, from its query and, for deletions, its body; what contradicts itself is refused by name."""

from __future__ import annotations

from typing import Any

import orjson

from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.deletion import PROPAGATIONS, DeleteOptions
from kagent_localcluster.apiserver.jsonvalue import is_array, is_object
from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.apiserver.labelselectors import label_selector
from kagent_localcluster.apiserver.reading import ListOptions, WatchOptions
from kagent_localcluster.apiserver.selectors import field_selector
from kagent_localcluster.apiserver.web.duplicates import duplicate_fields
from kagent_localcluster.apiserver.web.messages import Query, Request
from kagent_localcluster.apiserver.web.negotiation import decode_object
from kagent_localcluster.apiserver.web.routing import RequestInfo
from kagent_localcluster.apiserver.writing import WriteOptions
from kagent_localcluster.errors import BadRequest, Cause, Invalid
from kagent_localcluster.seams import JsonObject

__all__ = ["delete_options", "list_options", "watch_options", "write_options"]

_GROUP = "meta.k8s.io"
_MAX_MANAGER = 128
_KINDS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_MATCH = "resourceVersionMatch"


def list_options(request: Request, info: RequestInfo, kind: Kind) -> ListOptions:
    """Return the options of a list or watch.

    Raises:
        BadRequest: a selector or number that cannot be read.
        Invalid: options that contradict each other.
    """
    query = request.query
    watching = info.verb == "watch"
    options = ListOptions(
        labels=label_selector(query.get("labelSelector")),
        fields=field_selector(f"metadata.name={info.only}" if info.only else query.get("fieldSelector"), kind),
        limit=max(query.number("limit") or 0, 0),
        continuation="" if watching else query.get("continue"),
        resource_version=query.get("resourceVersion"),
        version_match="" if watching else query.get(_MATCH),
    )
    _refuse("ListOptions", _watch_faults(query) if watching else _list_faults(query))
    return options


def watch_options(query: Query) -> WatchOptions:
    """Return what a watch asks for beyond a list."""
    initial = query.flag("sendInitialEvents") if query.get("sendInitialEvents") else None
    timeout = query.number("timeoutSeconds")
    return WatchOptions(query.flag("allowWatchBookmarks"), initial, float(timeout) if timeout else None)


def _list_faults(query: Query) -> list[Cause]:
    causes: list[Cause] = []
    if match := query.get(_MATCH):
        if not query.get("resourceVersion"):
            causes.append(_forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if query.get("continue"):
            causes.append(_forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(_unsupported(_MATCH, match, "Exact", "NotOlderThan", ""))
        if match == "Exact" and query.get("resourceVersion") == "0":
            causes.append(_forbidden(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if query.get("sendInitialEvents"):
        causes.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return causes


def _watch_faults(query: Query) -> list[Cause]:
    causes: list[Cause] = []
    match, initial = query.get(_MATCH), query.get("sendInitialEvents")
    if initial and match != "NotOlderThan":
        causes.append(_forbidden(_MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if match:
        if not initial:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            causes.append(_forbidden(_MATCH, text))
        if match != "NotOlderThan":
            causes.append(_unsupported(_MATCH, match, "NotOlderThan"))
    if query.get("continue"):
        causes.append(_forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
    return causes


def write_options(request: Request, info: RequestInfo, user: User, body: bytes = b"") -> WriteOptions:
    """Return the options of a create, update or patch; ``body`` is looked through for fields given twice.

    Raises:
        Invalid: naming the option.
    """
    query = request.query
    name, kind = query.get("fieldManager"), _KINDS[info.verb]
    causes: list[Cause] = []
    if info.verb == "patch":
        applies = request.content_type == "application/apply-patch+yaml"
        if applies and not name:
            causes.append(Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired"))
        if not applies and query.get("force"):
            causes.append(_forbidden("force", "may not be specified for non-apply patch"))
    if len(name.encode()) > _MAX_MANAGER:
        text = f"Too long: may not be more than {_MAX_MANAGER} bytes"
        causes.append(Cause("fieldManager", text, "FieldValueTooLong"))
    for position, character in enumerate(name):
        if not character.isprintable():
            text = f"Invalid value: {_quoted(name)}: invalid character U+{ord(character):04X} (at position {position})"
            causes.append(Cause("fieldManager", text))
    dry_run, faults = _dry_run(query.all("dryRun"))
    causes += faults
    validation = query.get("fieldValidation")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        causes.append(_unsupported("fieldValidation", validation, "", "Ignore", "Strict", "Warn"))
    _refuse(kind, causes)
    manager = name or request.header("user-agent").partition("/")[0][:_MAX_MANAGER] or "unknown"
    looked_at = validation != "Ignore" and request.content_type in ("", "application/json")
    duplicates = tuple(duplicate_fields(body)) if looked_at and body else ()
    return WriteOptions(manager, dry_run, validation or "Warn", info.subresource, user, duplicates)


async def delete_options(request: Request) -> DeleteOptions:
    """Return the options of a deletion.

    Raises:
        BadRequest: the body is no DeleteOptions object.
        Invalid: naming the option.
    """
    body = await request.body()
    sent: JsonObject = decode_object(request.content_type, body) if body else {}
    if sent.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest(f'no kind "{sent["kind"]}" is registered for deletions: DeleteOptions is what they take')
    query = request.query
    grace = sent.get("gracePeriodSeconds", query.number("gracePeriodSeconds"))
    propagation = str(sent.get("propagationPolicy") or query.get("propagationPolicy"))
    orphan = sent.get("orphanDependents", query.flag("orphanDependents") if query.get("orphanDependents") else None)
    causes: list[Cause] = []
    if propagation and orphan is not None:
        text = f'Invalid value: "{propagation}": orphanDependents and deletionPropagation cannot be both set'
        causes.append(Cause("propagationPolicy", text))
    if not propagation and orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    if propagation not in PROPAGATIONS:
        causes.append(_unsupported("propagationPolicy", propagation, "Foreground", "Background", "Orphan", "nil"))
    asked = sent.get("dryRun") or query.all("dryRun")
    dry_run, faults = _dry_run([str(value) for value in asked] if is_array(asked) else [str(asked)])
    _refuse("DeleteOptions", causes + faults)
    if grace is not None and not isinstance(grace, int):
        raise BadRequest("gracePeriodSeconds must be a whole number")
    preconditions: Any = sent.get("preconditions")
    if not is_object(preconditions):
        preconditions = {}
    return DeleteOptions(
        propagation=PROPAGATIONS[propagation],
        uid=str(preconditions.get("uid") or ""),
        resource_version=str(preconditions.get("resourceVersion") or ""),
        grace_seconds=grace,
        dry_run=dry_run,
    )


def _dry_run(values: list[str]) -> tuple[bool, list[Cause]]:
    if any(value != "All" for value in values):
        text = f'Unsupported value: {orjson.dumps(values).decode()}: supported values: "All"'
        return False, [Cause("dryRun", text, "FieldValueNotSupported")]
    return bool(values), []


def _refuse(kind: str, causes: list[Cause]) -> None:
    if not causes:
        return
    listed = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
    text = f"[{listed}]" if len(causes) > 1 else listed
    raise Invalid(f'{kind}.{_GROUP} "" is invalid: {text}', kind=kind, group=_GROUP, causes=tuple(causes))


def _forbidden(field: str, text: str) -> Cause:
    return Cause(field, f"Forbidden: {text}", "FieldValueForbidden")


def _unsupported(field: str, value: str, *supported: str) -> Cause:
    listed = ", ".join(_quoted(each) for each in supported)
    return Cause(field, f"Unsupported value: {_quoted(value)}: supported values: {listed}", "FieldValueNotSupported")


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
