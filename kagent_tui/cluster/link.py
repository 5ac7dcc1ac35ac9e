"""How the connection is, told honestly: stale data is never shown as live, and a silent link says how long it is
silent.

Pure: the state of every collection in, one state out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kagent_api.errors import KagentError

if TYPE_CHECKING:
    from kagent_api.kube import LinkState

__all__ = ["Link", "LinkStatus", "summarise"]

LinkStatus = Literal["connecting", "live", "lost", "refused", "expired", "failed"]


@dataclass(frozen=True, slots=True)
class Link:
    """One line's worth of truth. ``last_event`` is monotonic time, 0 before the first word from the server."""

    status: LinkStatus = "connecting"
    error: KagentError | None = None
    last_event: float = 0.0
    # When what is shown was written to disk (Unix time); 0 once the cluster itself has answered.
    cached: float = 0.0


def summarise(states: Mapping[str, LinkState], essential: Iterable[str]) -> Link:
    """Return the worst state of the essential collections; a collection that is only refused does not hide a live
    one."""
    from kagent_api.kube import Unauthorized

    wanted = [states[name] for name in essential if name in states]
    if not wanted:
        return Link()
    heard = max(state.last_event for state in states.values())
    expired = next((state for state in wanted if isinstance(state.error, Unauthorized)), None)
    if expired is not None:
        return Link("expired", expired.error, heard)
    lost = next((state for state in wanted if state.status == "lost"), None)
    if lost is not None:
        return Link("lost", lost.error, heard)
    if any(state.status == "live" for state in wanted):
        return Link("live", None, heard)
    refused = next((state for state in wanted if state.status == "refused"), None)
    return Link("refused", refused.error, heard) if refused is not None else Link("connecting", None, heard)
