"""Is another project's controller at work on the same resources? Asked before the start, and watched ever after.

Upstream's controller holds a Lease when it has several replicas; with one, its name as the field manager of a status is
the only trace, and kmcp's that of an MCPServer's. Two controllers would undo each other's work without end, so ours is
the one that stops, unless it was told to take over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from kagent_api.errors import KagentError
from kagent_api.kube import Delta, Forbidden, KubeError, NotFound, ObjectList, Resource, Unreachable
from kagent_api.kube.resources import AGENTS, LEASES, MCPSERVERS
from kagent_operator.translate.fields import JsonObject, name_of, namespace_of, rows, text

__all__ = ["WITNESSES", "OtherController", "Rivals", "find_other_controller"]

_log = logging.getLogger(__name__)
UPSTREAM_LEASE: Final = "0e9f6799.kagent.dev"  # upstream 0.10's id
# The kinds whose status tells who reconciles them.
WITNESSES: Final = (AGENTS, MCPSERVERS)
# Managers of a status that are no controller: us, and people's tools.
_HARMLESS: Final = ("kagent-operator", "kagent-tui", "kubectl")
_RECENT: Final = timedelta(minutes=5)
_RETRY: Final = 2.0
# Between two looks at the Lease, in seconds; its holder renews it every few.
_LOOK: Final = 15.0


class OtherController(KagentError):
    """Another controller reconciles the same resources."""

    def __init__(self, trace: str) -> None:
        super().__init__(
            f"another controller reconciles the same resources: {trace}",
            remedy="stop it first, or start with --take-over",
        )


class _Lister(Protocol):
    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject: ...

    async def list(self, resource: Resource, namespace: str | None = None) -> ObjectList: ...


class Rivals:
    """Notices a controller that begins while ours is at work. ``namespaces`` empty means all, ``home`` is our own."""

    def __init__(
        self,
        client: _Lister,
        namespaces: Sequence[str],
        now: Callable[[], datetime],
        *,
        home: str = "",
        tell: Callable[[JsonObject, str, str], Awaitable[None]] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._where = list(dict.fromkeys([*namespaces, home]))
        self._now = now
        self._tell = tell
        self._sleep = sleep
        # Which foreign status writes an object had when it was first seen: those are the past.
        self._known: dict[str, frozenset[tuple[str, str]]] = {}
        self._found: asyncio.Queue[tuple[JsonObject | None, str]] = asyncio.Queue(1)

    def saw(self, delta: Delta) -> None:
        """Look at a change of an Agent or MCPServer, its managedFields still in place."""
        uid = text(delta.object, "metadata", "uid")
        if delta.type == "DELETED":
            self._known.pop(uid, None)
            return
        written = frozenset(_foreign_writes(delta.object))
        news = written - self._known.get(uid, frozenset())
        if written:
            self._known[uid] = written
        if news and delta.type == "MODIFIED":
            manager, moment = max(news, key=lambda write: write[1])
            self._report(delta.object, _trace(delta.object, manager, moment))

    async def watch(self, *, refuse: bool) -> None:
        """Wait for another controller, from now on. Raises OtherController, or only warns when not told to ``refuse``.

        What a replica saw while it waited for its turn is the past.
        """
        if self._found.full():
            self._found.get_nowait()
        look = asyncio.create_task(self._look_at_leases())
        told: set[str] = set()
        try:
            while True:
                obj, trace = await self._found.get()
                if refuse:
                    await self._tell_of(obj, trace)
                    raise OtherController(trace)
                who = trace.split(" ", 1)[0]
                if who not in told:
                    told.add(who)
                    _log.warning("another controller reconciles the same resources: %s; both will write", trace)
        finally:
            look.cancel()

    async def _look_at_leases(self) -> None:
        while True:
            await self._sleep(_LOOK)
            try:
                trace = await _lease_holder(self._client, self._where, self._now())
            except KubeError as error:
                _log.debug("the Lease of upstream's controller cannot be read: %s", error)
                continue
            if trace:
                self._report(None, trace)

    def _report(self, obj: JsonObject | None, trace: str) -> None:
        if not self._found.full():
            self._found.put_nowait((obj, trace))

    async def _tell_of(self, obj: JsonObject | None, trace: str) -> None:
        _log.error("another controller reconciles the same resources: %s; stopping", trace)
        if obj is not None and self._tell is not None:
            await self._tell(obj, "OtherController", f"kagent-operator stops: {trace}")


async def find_other_controller(
    client: _Lister,
    namespaces: Sequence[str],
    now: Callable[[], datetime],
    *,
    home: str = "",
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> str:
    """Return who else reconciles here and how that shows, or nothing; wait for an API server that is away.

    ``home`` is our own namespace, where upstream's Lease lies as well when the whole cluster is looked after.
    """
    while True:
        try:
            return await _lease_holder(client, dict.fromkeys([*namespaces, home]), now()) or await _status_writer(
                client, namespaces, now()
            )
        except Unreachable as error:
            _log.warning("%s; trying again in %g s", error, _RETRY)
            await sleep(_RETRY)


async def _lease_holder(client: _Lister, namespaces: Iterable[str], now: datetime) -> str:
    for namespace in filter(None, namespaces):
        try:
            lease = await client.get(LEASES, UPSTREAM_LEASE, namespace)
        except (NotFound, Forbidden):
            continue
        holder = text(lease, "spec", "holderIdentity")
        if holder and _recent(text(lease, "spec", "renewTime"), now):
            return f"{holder} holds the Lease {namespace}/{UPSTREAM_LEASE} of upstream's controller"
    return ""


async def _status_writer(client: _Lister, namespaces: Sequence[str], now: datetime) -> str:
    for resource in WITNESSES:
        for namespace in namespaces or [None]:
            try:
                found = (await client.list(resource, namespace)).items
            except Unreachable:
                raise
            except KubeError:
                # The reflectors will say what is wrong; this is only a look beforehand.
                continue
            for obj in found:
                for manager, moment in _foreign_writes(obj):
                    if _recent(moment, now):
                        return _trace({"kind": resource.kind, **obj}, manager, moment)
    return ""


def _foreign_writes(obj: JsonObject) -> list[tuple[str, str]]:
    """Return who else wrote an object's status and when last, by its managedFields."""
    return [
        (text(entry, "manager"), text(entry, "time"))
        for entry in rows(obj, "metadata", "managedFields")
        if text(entry, "subresource") == "status" and not text(entry, "manager").startswith(_HARMLESS)
    ]


def _trace(obj: JsonObject, manager: str, moment: str) -> str:
    return f"'{manager}' wrote the status of {text(obj, 'kind')} {namespace_of(obj)}/{name_of(obj)} at {moment}"


def _recent(stamp: str, now: datetime) -> bool:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return False
    return moment.tzinfo is not None and now - moment < _RECENT
