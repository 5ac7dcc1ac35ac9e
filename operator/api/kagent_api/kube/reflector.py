"""Keeps a copy of a collection in step with the API server: list, then watch from there, for ever.

A lost connection resumes from the last version seen; a version that is too old means a new list whose differences
are told as ordinary deltas, so that consumers never notice. It never ends until cancelled, never spins (every retry
without progress waits longer, with jitter) and never guesses: while the link is down the store keeps what was true.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from kagent_api.kube.client import KubeClient, WatchEvent
from kagent_api.kube.errors import Forbidden, Gone, KubeError, NotFound, Unauthorized, Unreachable
from kagent_api.kube.resources import JsonObject, Resource

__all__ = ["Backoff", "Delta", "LinkState", "Reflector"]

_log = logging.getLogger(__name__)

Key = tuple[str, str]

# A watch that lasted this long was healthy even if nothing happened in it.
_HEALTHY_SECONDS = 5.0
# A short one that brought events is progress: the next try waits no longer than after this many failures.
_PROGRESS_FAILURES = 2


class Delta(NamedTuple):
    """One change of the store; ``object`` of a DELETED is its last known state, ``old`` what the store held."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: JsonObject
    old: JsonObject | None


class LinkState(NamedTuple):
    """How the link is. ``refused`` means that waiting alone will not help: no permission, no such kind, no login.

    ``last_event`` is the monotonic time of the last word from the server.
    """

    status: Literal["connecting", "live", "lost", "refused"]
    error: KubeError | None
    last_event: float


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between tries: doubled up to a limit, each drawn from its upper half so that clients do not march in step.

    ``refused_limit`` is longer: asking again what was forbidden costs the server and changes nothing.
    """

    initial: float = 0.2
    factor: float = 2.0
    limit: float = 10.0
    refused_limit: float = 60.0

    def delay(self, failures: int, *, refused: bool = False, draw: Callable[[], float] = random.random) -> float:
        """Return the seconds to wait after the ``failures``-th failure in a row (1 for the first)."""
        limit = self.refused_limit if refused else self.limit
        # Beyond 40 doublings a float of seconds means nothing, and 2.0**1024 would overflow.
        full = min(limit, self.initial * self.factor ** min(failures - 1, 40))
        return full * (0.5 + 0.5 * draw())


class Reflector:
    """One collection, kept. Callbacks run on the event loop between two events; they must be quick."""

    def __init__(
        self, client: KubeClient, resource: Resource, namespace: str | None = None, *, label_selector: str = "",
        field_selector: str = "", on_delta: Callable[[Delta], None],
        on_state: Callable[[LinkState], None] | None = None, backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.resource = resource
        self.namespace = namespace
        self.store: dict[Key, JsonObject] = {}
        self.synced = asyncio.Event()
        self._client = client
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._on_delta = on_delta
        self._on_state = on_state
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._clock = clock
        self._version = ""
        self._failures = 0
        self._state = LinkState("connecting", None, clock())

    @property
    def state(self) -> LinkState:
        return self._state

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except Gone as error:
                self._version = ""
                await self._failed(error)
            except KubeError as error:
                await self._failed(error)

    async def _list(self) -> None:
        listed = await self._client.list(
            self.resource, self.namespace, label_selector=self._label_selector, field_selector=self._field_selector
        )
        fresh = {_key(item): item for item in listed.items}
        for key in [key for key in self.store if key not in fresh]:
            old = self.store.pop(key)
            self._tell(Delta("DELETED", old, old))
        for key, item in fresh.items():
            self._put(key, item)
        self._version = listed.resource_version
        self.synced.set()
        self._enter("live", None)

    async def _watch(self) -> None:
        began = self._clock()
        events = self._client.watch(
            self.resource, self.namespace, resource_version=self._version, label_selector=self._label_selector,
            field_selector=self._field_selector, on_open=lambda: self._enter("live", None),
        )  # fmt: skip
        heard = False
        try:
            async with aclosing(cast("AsyncGenerator[WatchEvent]", events)):
                async for event in events:
                    heard = True
                    self._take(event)
                    self._enter("live", None)
        finally:
            if self._clock() - began >= _HEALTHY_SECONDS:
                self._failures = 0
            elif heard:
                self._failures = min(self._failures, _PROGRESS_FAILURES)
        if self._clock() - began < _HEALTHY_SECONDS:
            # A server (or a proxy) that ends every watch at once would otherwise be asked without pause.
            raise Unreachable(f"the watch of {self.resource.qualified} ended at once", reason="WatchEnded")

    def _take(self, event: WatchEvent) -> None:
        version = _metadata(event.object).get("resourceVersion")
        if event.type != "BOOKMARK":
            event.object.setdefault("apiVersion", self.resource.api_version)
            event.object.setdefault("kind", self.resource.kind)
            key = _key(event.object)
            if event.type == "DELETED":
                old = self.store.pop(key, None)
                if old is not None:
                    self._tell(Delta("DELETED", event.object, old))
            else:
                self._put(key, event.object)
        if version:
            self._version = str(version)

    def _put(self, key: Key, item: JsonObject) -> None:
        old = self.store.get(key)
        if old is None:
            self.store[key] = item
            self._tell(Delta("ADDED", item, None))
            return
        before, now = _metadata(old), _metadata(item)
        if before.get("uid") != now.get("uid"):
            # Deleted and made anew while nobody looked: whoever holds state per object must let the old one go.
            del self.store[key]
            self._tell(Delta("DELETED", old, old))
            self.store[key] = item
            self._tell(Delta("ADDED", item, None))
        elif before.get("resourceVersion") != now.get("resourceVersion"):
            self.store[key] = item
            self._tell(Delta("MODIFIED", item, old))

    def _tell(self, delta: Delta) -> None:
        try:
            self._on_delta(delta)
        except Exception:
            # The outer edge: a consumer's fault must not stop the copy that everybody else reads.
            _log.exception("a consumer of %s failed on %s", self.resource.qualified, delta.type)

    async def _failed(self, error: KubeError) -> None:
        self._failures += 1
        refused = isinstance(error, Forbidden | Unauthorized | NotFound)
        # An old version or a watch that ended early is remedied by the next request; twice in a row is an outage.
        ordinary = isinstance(error, Gone) or error.reason == "WatchEnded"
        if not ordinary or self._failures > 1:
            self._enter("refused" if refused else "lost", error)
        if isinstance(error, NotFound):
            # A CRD that is about to be installed: keep asking at the ordinary pace.
            refused = False
        wait = error.retry_after or self._backoff.delay(self._failures, refused=refused)
        await self._sleep(wait)

    def _enter(self, status: Literal["connecting", "live", "lost", "refused"], error: KubeError | None) -> None:
        previous = self._state
        heard = self._clock() if status == "live" else previous.last_event
        self._state = LinkState(status, error, heard)
        same = previous.status == status and str(previous.error) == str(error)
        if self._on_state is not None and not same:
            self._on_state(self._state)


def _metadata(item: JsonObject) -> dict[str, Any]:
    found: object = item.get("metadata")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _key(item: JsonObject) -> Key:
    metadata = _metadata(item)
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
