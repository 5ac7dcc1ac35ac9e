"""Errors of the local cluster, shaped as the API server answers them.

ApiError(code, reason)
├── BadRequest 400 (Undecodable)   ├── Unauthorized 401   ├── Forbidden 403 (ForbiddenPath)
├── NotFound 404 (NoSuchPath)   ├── MethodNotAllowed 405   ├── NotAcceptable 406   ├── AlreadyExists, Conflict 409
├── Expired 410   ├── UnsupportedMediaType 415   ├── Invalid 422 (causes)
├── TooLarge 413   ├── Unclassified 500 (NotTyped)   ├── ServiceUnavailable 503   └── Timeout 504

LocalClusterError: what stops the local cluster from starting
├── NewerDataDirectory
└── DataDirectoryInUse
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

__all__ = [
    "AlreadyExists", "ApiError", "BadRequest", "Cause", "Conflict", "DataDirectoryInUse", "Expired", "Forbidden",
    "ForbiddenPath", "Invalid", "LocalClusterError", "MethodNotAllowed", "NewerDataDirectory", "NoSuchPath",
    "NotAcceptable", "NotFound", "NotTyped", "ServiceUnavailable", "Timeout", "TooLarge", "Unauthorized",
    "Unclassified", "Undecodable", "UnsupportedMediaType",
]  # fmt: skip


class Cause(NamedTuple):
    """One entry of ``status.details.causes``."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """What the server answers instead of an object; ``status()`` is the metav1.Status of the wire."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"
    more_details: ClassVar[dict[str, Any]] = {}
    # Generic answers of a real server say "details": {}.
    always_details: ClassVar[bool] = False

    def __init__(
        self, message: str, *, kind: str = "", name: str = "", group: str = "", causes: tuple[Cause, ...] = ()
    ):
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.name = name
        self.group = group
        self.causes = causes

    def status(self) -> dict[str, Any]:
        """Return the metav1.Status object."""
        details: dict[str, Any] = {
            key: value for key, value in (("name", self.name), ("group", self.group), ("kind", self.kind)) if value
        }
        if self.causes:
            details["causes"] = [
                {key: value for key, value in cause._asdict().items() if value or key != "field"}
                for cause in self.causes
            ]
        details |= self.more_details
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
            if details or self.always_details:
                status["details"] = details
        return {**status, "code": self.code}


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Undecodable(BadRequest):
    """The object does not decode into its kind; what a patch makes of an object is refused otherwise (422)."""


class Unclassified(ApiError):
    """What real servers answer with 500 and no reason, though the request is at fault."""

    code, reason = 500, ""


class CannotStore(ApiError):
    """The data directory takes no write now (a full disk); nothing was changed, and the same may succeed later."""

    code, reason = 500, "InternalError"


class NotTyped(Unclassified):
    """A configuration to apply does not fit the schema's types."""


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class ForbiddenPath(Forbidden):
    """A path that is no resource's may not be asked for."""

    always_details = True


class NotFound(ApiError):
    code, reason = 404, "NotFound"
    always_details = True


class NoSuchPath(NotFound):
    """Nothing is served there at all: the answer is plain text."""


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"
    always_details = True


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class Expired(ApiError):
    code, reason = 410, "Expired"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"
    more_details: ClassVar[dict[str, Any]] = {"retryAfterSeconds": 1}


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class LocalClusterError(Exception):
    """The local cluster cannot start; the message says why and what to do."""


class NewerDataDirectory(LocalClusterError):
    """The data directory was written by a newer version; it is left as it was."""

    def __init__(self, directory: Path, found: int, known: int) -> None:
        super().__init__(
            f"data directory {directory} was written by a newer version (format {found}, this version knows {known}): "
            "upgrade kagent-tui, or choose another directory with --data-dir"
        )
        self.directory = directory
        self.found = found
        self.known = known


class DataDirectoryInUse(LocalClusterError):
    """Another server works on the data directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"data directory {directory} is in use by another local cluster: stop that one (kagent-tui local down), "
            "or choose another directory with --data-dir"
        )
        self.directory = directory
