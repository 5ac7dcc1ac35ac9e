"""Conversations with agents, without a screen: one event model over both A2A versions, approvals, history, transcript.

Submodules are imported by name, so that a table of agents does not load the wire.
"""

from __future__ import annotations

__all__: list[str] = []
