"""What can go wrong between us and an API server, by who acts next.

    KubeError(KagentError)
    ├── NotFound 404, Conflict 409, AlreadyExists 409, Invalid 422/400, Gone 410
    ├── Unauthorized 401, Forbidden 403
    ├── ServerBusy 429/503 (TransientError)
    └── Unreachable: no answer at all (TransientError)
    KubeconfigError(InvalidSpec): a kubeconfig that cannot work as written
    └── NoKubeconfig: there is none

Messages repeat the server's own words after the object's name; they never hold a credential.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from kagent_api.errors import InvalidSpec, KagentError, ObjectRef, TransientError

__all__ = [
    "AlreadyExists", "Cause", "Conflict", "Forbidden", "Gone", "Invalid", "KubeError", "KubeconfigError",
    "NoKubeconfig", "NotFound", "ServerBusy", "Unauthorized", "Unreachable", "error_from_status", "parse_retry_after",
]  # fmt: skip

# A plain-text error page of a proxy may be long; the first line says enough.
_MAX_TEXT = 400


class Cause(NamedTuple):
    """One entry of a Status's ``details.causes``."""

    field: str
    message: str
    reason: str


class KubeError(KagentError):
    """The API server refused, or could not be reached (``status`` 0)."""

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", causes: tuple[Cause, ...] = (),
        retry_after: float | None = None, ref: ObjectRef | None = None, field: str = "", remedy: str = "",
    ) -> None:  # fmt: skip
        self.status = status
        self.reason = reason
        self.causes = causes
        self.retry_after = retry_after
        super().__init__(message, ref=ref, field=field, remedy=remedy)


class NotFound(KubeError):
    """No such object, or the server does not serve this kind."""


class Conflict(KubeError):
    """The object changed meanwhile, or another field manager owns the field."""


class AlreadyExists(KubeError):
    """An object of this name is there already."""


class Invalid(KubeError):
    """Validation or admission refused the object; ``causes`` name the fields."""


class Gone(KubeError):
    """The resourceVersion or continue token is too old; list again."""


class Unauthorized(KubeError):
    """The server does not accept these credentials."""


class Forbidden(KubeError):
    """The server knows who we are and says no."""


class ServerBusy(KubeError, TransientError):
    """The server asks to come back later (``retry_after`` seconds where it says when)."""


class Unreachable(KubeError, TransientError):
    """Nobody answered, or the connection broke."""


class KubeconfigError(InvalidSpec):
    """A kubeconfig, or an entry of it, cannot work as written; ``message`` begins with the file and the entry."""

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class NoKubeconfig(KubeconfigError):
    """No kubeconfig was found where kubectl would look."""


_BY_STATUS: dict[int, type[KubeError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: ServerBusy,
    503: ServerBusy,
}


def error_from_status(
    status: int, body: object, *, ref: ObjectRef | None = None, remedy: str = "", retry_after: float | None = None
) -> KubeError:
    """Return the error for an HTTP status and a metav1.Status (or any other body, when something else answered)."""
    answer: dict[str, Any] = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    reason = _text(answer.get("reason"))
    message = (
        _text(answer.get("message"))
        or (_plain(body) if isinstance(body, str) else "")
        or f"the server answered with status {status}"
    )
    details: dict[str, Any] = _mapping(answer.get("details"))
    if retry_after is None and isinstance(details.get("retryAfterSeconds"), int):
        retry_after = float(details["retryAfterSeconds"]) or None
    kind = _BY_STATUS.get(status, KubeError)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    elif reason in ("Expired", "Gone"):
        kind = Gone
    return kind(
        message, status=status, reason=reason, causes=_causes(details), retry_after=retry_after, ref=ref, remedy=remedy
    )


def _causes(details: dict[str, Any]) -> tuple[Cause, ...]:
    raw = details.get("causes")
    if not isinstance(raw, list):
        return ()
    causes = [_mapping(cause) for cause in cast("list[object]", raw)]
    return tuple(
        Cause(_text(cause.get("field")), _text(cause.get("message")), _text(cause.get("reason"))) for cause in causes
    )


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _plain(body: str) -> str:
    return body.strip()[:_MAX_TEXT]


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header; API servers send seconds, never a date."""
    if value is None or not value.strip().isdigit():
        return None
    return float(value.strip())
