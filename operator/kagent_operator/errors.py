"""What goes wrong while the operator works, by who has to act.

KagentError (kagent_api)
├── InvalidSpec             the author changes the resource
│   └── MissingReference    the author creates what is named; the operator watches for it, so nobody retries by hand
├── TransientError          the queue retries with backoff
│   └── DiscoveryFailed     a tool server could not be asked for its tools
└── InvalidSpec
    └── ForeignObject       an object of the wanted name belongs to somebody else and stays as it is
"""

from __future__ import annotations

from kagent_api.errors import InvalidSpec, TransientError

__all__ = ["DiscoveryFailed", "ForeignObject", "MissingReference"]


class MissingReference(InvalidSpec):
    """Something that a resource names is not there (yet)."""


class ForeignObject(InvalidSpec):
    """An object with the name we need exists and is not ours; it is never overwritten."""


class DiscoveryFailed(TransientError):
    """A tool server did not tell its tools; the message says at which address and why."""
