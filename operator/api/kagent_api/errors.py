"""The root of every error this project shows to a person.

    KagentError
    ├── InvalidSpec        the author of the resource has to fix it; retrying is useless
    ├── TransientError     nobody has to act; the caller retries with backoff
    ├── ToolFailed         the model is told and adapts
    ├── ApprovalRequired   a person decides
    └── KubeError          the API server refused or could not be reached (kagent_api.kube.errors)

A message says what failed, on which object, and what to do next. It never holds a secret's value.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ApprovalRequired", "InvalidSpec", "KagentError", "ObjectRef", "ToolFailed", "TransientError"]


class ObjectRef(NamedTuple):
    """One object of a cluster, as messages name it."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}"


class KagentError(Exception):
    """An error with the object, the field and the remedy as attributes as well as in its text."""

    def __init__(self, message: str, *, ref: ObjectRef | None = None, field: str = "", remedy: str = "") -> None:
        self.message = message
        self.ref = ref
        self.field = field
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.ref}: " if self.ref else ""
        where = f"{self.field}: " if self.field else ""
        tail = f" ({self.remedy})" if self.remedy else ""
        return f"{head}{where}{self.message}{tail}"


class InvalidSpec(KagentError):
    """The resource cannot work as written; its author must change it."""


class TransientError(KagentError):
    """A fault that may pass by itself; retry with backoff."""


class ToolFailed(KagentError):
    """A tool call failed in a way the model should see and adapt to."""


class ApprovalRequired(KagentError):
    """A person has to decide before this goes on."""
