"""Answers other than success, as exceptions that a route raises.

KagentError (kagent_api)
└── Problem             any refusal; `status` is the HTTP status
    ├── BadRequest      400
    ├── Unauthorized    401, answered in plain text as upstream does
    ├── Forbidden       403
    ├── Missing         404
    ├── Conflict        409
    ├── Unusable        422
    ├── NotServed       501
    └── TooLarge        413
"""

from __future__ import annotations

from typing import ClassVar

from kagent_api.errors import KagentError

__all__ = [
    "BadRequest",
    "Conflict",
    "Forbidden",
    "Missing",
    "NotServed",
    "Problem",
    "ReadOnly",
    "TooLarge",
    "Unauthorized",
    "Unusable",
]


class Problem(KagentError):
    """What the caller did wrong. The text goes to the caller: it must not hold secrets."""

    status: ClassVar[int] = 400


class BadRequest(Problem):
    """The request cannot be read or makes no sense."""


class Unauthorized(Problem):
    """Nobody can be told from this request. Its text goes to a header: upstream's clients know the body."""

    status = 401


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status = 403


class Missing(Problem):
    """There is no such thing, as far as this caller may see."""

    status = 404


class Unusable(Problem):
    """What was found is not what it should be."""

    status = 422


class Conflict(Problem):
    """It exists already, or belongs to somebody else."""

    status = 409


class TooLarge(Problem):
    """The body is larger than this server takes."""

    status = 413


class NotServed(Problem):
    """A route of upstream's that needs what there is not here."""

    status = 501


class ReadOnly(NotServed):
    """This gateway was started without the means to change resources."""
