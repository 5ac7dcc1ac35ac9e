"""Refusals that many paths share, in the words clients know."""

from __future__ import annotations

from kagent_localcluster.apiserver.kinds import Kind
from kagent_localcluster.errors import Cause, Conflict, Invalid, NotFound

__all__ = ["conflict", "invalid", "modified", "not_found"]


def not_found(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{kind.qualified} "{name}" not found', kind=kind.plural, name=name, group=kind.group)


def conflict(kind: Kind, name: str, reason: str) -> Conflict:
    """Return the 409 of an operation whose precondition does not hold."""
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {reason}'
    return Conflict(message, kind=kind.plural, name=name, group=kind.group)


def modified(kind: Kind, name: str) -> Conflict:
    """Return the 409 of a stale resourceVersion."""
    return conflict(
        kind, name, "the object has been modified; please apply your changes to the latest version and try again"
    )


def invalid(kind: Kind, name: str, causes: list[Cause]) -> Invalid:
    """Return the 422 with one cause for every fault."""
    listed = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
    text = f"[{listed}]" if len(causes) > 1 else listed
    return Invalid(
        f'{kind.qualified_kind} "{name}" is invalid: {text}',
        kind=kind.kind,
        name=name,
        group=kind.group,
        causes=tuple(causes),
    )
