"""What can go wrong between a person and an agent; each says what to do.

KagentError
└── ChatError
    ├── AgentUnreachable     nothing answers at the address
    ├── AgentNotFound        something answers, but it knows no such agent
    ├── AgentNotReady        the agent exists, but nothing runs behind it
    ├── AccessRefused        the other side wants other credentials
    ├── CallFailed           the agent answered a call with a JSON-RPC error
    ├── LinkLost             a stream ended before its turn did; also a TransientError
    ├── DecisionIncomplete   an answer does not cover exactly what is asked
    ├── DecisionOutdated     what was decided on no longer waits, or something else does
    └── DecisionNeeded       the agent waits for a decision, not for a message
"""

from __future__ import annotations

from kagent_api.errors import KagentError, ObjectRef, TransientError

__all__ = [
    "AccessRefused",
    "AgentNotFound",
    "AgentNotReady",
    "AgentUnreachable",
    "CallFailed",
    "ChatError",
    "DecisionIncomplete",
    "DecisionNeeded",
    "DecisionOutdated",
    "LinkLost",
]


class ChatError(KagentError):
    """A conversation could not go on as asked."""


class AgentUnreachable(ChatError):
    """Nothing answers at the address."""


class AgentNotFound(ChatError):
    """Something answers, but it knows no such agent."""


class AgentNotReady(ChatError):
    """The agent exists, but nothing runs behind it."""


class AccessRefused(ChatError):
    """The other side wants other credentials."""


class CallFailed(ChatError):
    """The agent answered with a JSON-RPC error; its code is ``code``."""

    def __init__(self, message: str, *, code: int, ref: ObjectRef | None = None, remedy: str = "") -> None:
        self.code = code
        super().__init__(message, ref=ref, remedy=remedy)


class LinkLost(ChatError, TransientError):
    """A stream ended before its turn did."""


class DecisionIncomplete(ChatError):
    """An answer does not cover exactly what is asked."""


class DecisionOutdated(ChatError):
    """It was decided elsewhere, or the agent waits for something else by now; nothing was sent."""


class DecisionNeeded(ChatError):
    """The agent waits for a decision, not for a message."""
