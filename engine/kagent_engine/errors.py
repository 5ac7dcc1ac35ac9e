"""Errors of the engine, under the root that every part of this project shares.

KagentError
├── InvalidSpec
│   └── ConfigError          config.json or agent-card.json cannot be used; names file and field
├── TransientError
│   └── StoreUnavailable     sessions or tasks cannot be read or written just now
├── ToolFailed               the model is told and adapts
│   └── RemoteAgentFailed    another agent refused, failed or could not be reached
└── ModelError               kagent_engine.models.base: the model could not answer
"""

from __future__ import annotations

from kagent_api.errors import InvalidSpec, KagentError, ToolFailed, TransientError

__all__ = [
    "ConfigError",
    "InvalidSpec",
    "KagentError",
    "RemoteAgentFailed",
    "StoreUnavailable",
    "ToolFailed",
    "TransientError",
]


class ConfigError(InvalidSpec):
    """A file of the configuration directory cannot be used as it is."""

    def __init__(self, file: str, message: str, *, field: str = "", remedy: str = "") -> None:
        self.file = file
        super().__init__(message, field=field, remedy=remedy)

    def __str__(self) -> str:
        return f"{self.file}: {super().__str__()}"


class StoreUnavailable(TransientError):
    """The store of sessions and tasks did not answer; the turn may go on without it."""


class RemoteAgentFailed(ToolFailed):
    """An agent that serves as a tool gave no usable answer."""
