"""What all screens share: the cluster in use (if any), why there is none, and the listeners to be told of changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from kagent_api.errors import KagentError
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.contexts import Options, contexts, is_production
from kagent_tui.cluster.link import Link

__all__ = ["Tally", "Workspace"]


class Tally(NamedTuple):
    """How many rows each view has, and how many rows are in trouble."""

    counts: tuple[tuple[str, int], ...] = ()
    trouble: int = 0


class Workspace:
    """One per program; the cluster in it changes with the context. ``clock`` tells Unix time, for ages."""

    def __init__(self, options: Options, *, banner: str = "", clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.clock = clock
        self.banner = banner
        self.cluster: Cluster | None = None
        self.failure: KagentError | None = None
        # How many sessions wait for a decision; None while nobody can tell.
        self.waiting: int | None = None
        # Who keeps the tables counts them: counting 10,000 objects at every change would be felt at every key.
        self.tally: Callable[[], Tally] = Tally
        # How the configuration judges a context's name.
        self.colours: Callable[[str], str] = lambda context: ""
        self.guards: Callable[[str], bool] = is_production
        self._listeners: list[Callable[[], None]] = []

    @property
    def link(self) -> Link:
        """How the connection is, also before there is one."""
        if self.cluster is not None:
            return self.cluster.link
        return Link("failed", self.failure) if self.failure is not None else Link()

    @property
    def readonly(self) -> bool:
        return self.cluster.readonly if self.cluster is not None else self.options.readonly

    @property
    def context(self) -> str:
        if self.cluster is not None:
            return self.cluster.context
        return self.options.context or ""

    @property
    def colour(self) -> str:
        """The colour configured for the context; "" for none."""
        return self.colours(self.context)

    @property
    def production(self) -> bool:
        """Whether people depend on this context, as far as its name tells."""
        return self.guards(self.context)

    @property
    def namespaces(self) -> tuple[str, ...]:
        return self.cluster.namespaces if self.cluster is not None else self.options.namespaces

    def context_names(self) -> list[str]:
        """Return the contexts there are to choose from; none while the kubeconfig cannot be read."""
        try:
            return [context.name for context in contexts(self.options)]
        except KagentError:
            return []

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` when the cluster, its link or read-only changes; the result ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def changed(self) -> None:
        """Tell the listeners."""
        for listener in tuple(self._listeners):
            listener()
