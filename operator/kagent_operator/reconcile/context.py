"""What every reconciler is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kagent_operator.reconcile.apply import Writer
from kagent_operator.reconcile.cache import Cache, View
from kagent_operator.reconcile.discoveries import Discoveries
from kagent_operator.reconcile.discovery import Target, Tool
from kagent_operator.reconcile.events import EventRecorder
from kagent_operator.reconcile.keys import Key
from kagent_operator.reconcile.modellists import Provider
from kagent_operator.reconcile.revisions import Revisions
from kagent_operator.reconcile.status import Now, StatusWriter
from kagent_operator.translate.settings import Settings

__all__ = ["Context", "Reconciler"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """The parts of the operator that reconcilers share."""

    cache: Cache
    writer: Writer
    status: StatusWriter
    events: EventRecorder
    discoveries: Discoveries[Target, Tool]
    model_lists: Discoveries[Provider, str]
    revisions: Revisions
    settings: Settings
    namespaces: Sequence[str]
    now: Now


class Reconciler(Protocol):
    """Makes the world of one key as its resource says. Level-triggered: nothing depends on which change came."""

    async def reconcile(self, key: Key, view: View) -> None:
        """Raise for a retry with backoff; whatever only the author can mend goes into the status."""
        ...
