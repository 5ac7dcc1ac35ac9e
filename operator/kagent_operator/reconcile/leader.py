"""One of several replicas reconciles: whoever holds the Lease. And: is another project's controller at work here?

The holder renews; when it cannot for as long as the lease lasts, it ends, since another may have begun. Times of other
machines are never compared with ours: a lease is old when we saw it unchanged for its duration.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from kagent_api.errors import KagentError
from kagent_api.kube import AlreadyExists, Conflict, Forbidden, KubeError, NotFound, ObjectList, Resource, Unreachable
from kagent_api.kube.resources import AGENTS, LEASES, MCPSERVERS
from kagent_operator.translate.fields import JsonObject, integer, mapping, name_of, namespace_of, rows, text

__all__ = ["LEASE", "Leader", "LeadershipLost", "OtherController", "find_other_controller"]

_log = logging.getLogger(__name__)
LEASE: Final = "kagent-operator"
UPSTREAM_LEASE: Final = "0e9f6799.kagent.dev"  # upstream 0.10's id
_DURATION: Final = 15  # seconds; client-go's usual figures
_RENEW: Final = 5.0
_RETRY: Final = 2.0
# Managers of Agent status that are no controller: us, and people's tools.
_HARMLESS: Final = ("kagent-operator", "kagent-tui", "kubectl")
_RECENT: Final = timedelta(minutes=5)


class LeadershipLost(KagentError):
    """The lease could not be renewed in time; another replica may lead now."""


class OtherController(KagentError):
    """Another controller reconciles the same resources."""


class _Client(Protocol):
    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject: ...

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject: ...

    async def update(self, resource: Resource, obj: JsonObject) -> JsonObject: ...


class _Lister(Protocol):
    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject: ...

    async def list(self, resource: Resource, namespace: str | None = None) -> ObjectList: ...


class Leader:
    """The Lease of one namespace, as one replica sees it."""

    def __init__(
        self,
        client: _Client,
        namespace: str,
        identity: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._sleep = sleep
        self._clock = clock or asyncio.get_running_loop().time
        self._seen: tuple[str, float] = ("", 0.0)

    async def acquire(self) -> None:
        """Wait until this replica leads."""
        told = ""
        while True:
            try:
                holder = await self._try()
            except KubeError as error:
                holder = f"unknown ({error})"
            if not holder:
                _log.info("leading as %s", self._identity)
                return
            if holder != told:
                _log.info("waiting: %s leads", holder)
                told = holder
            await self._sleep(_RETRY)

    async def hold(self) -> None:
        """Renew until cancelled. Raises LeadershipLost."""
        renewed = self._clock()
        while True:
            await self._sleep(_RENEW)
            try:
                holder = await self._try()
            except KubeError as error:
                holder = f"unknown ({error})"
            if not holder:
                renewed = self._clock()
            elif not holder.startswith("unknown") or self._clock() - renewed >= _DURATION - _RENEW:
                raise LeadershipLost(f"the lease {self._namespace}/{LEASE} is no longer ours: {holder} leads")

    async def release(self) -> None:
        """Let the next replica begin at once."""
        try:
            lease = await self._client.get(LEASES, LEASE, self._namespace)
            if text(lease, "spec", "holderIdentity") == self._identity:
                await self._client.update(LEASES, {**lease, "spec": {**mapping(lease, "spec"), "holderIdentity": ""}})
        except KubeError as error:
            _log.info("the lease was not released: %s", error)

    async def _try(self) -> str:
        """Take or renew the lease; return nothing when it is ours, else who holds it."""
        try:
            lease = await self._client.get(LEASES, LEASE, self._namespace)
        except NotFound:
            meta = {"name": LEASE, "namespace": self._namespace}
            try:
                await self._client.create(LEASES, {"metadata": meta, "spec": self._spec({})})
            except AlreadyExists:
                return "another replica"
            return ""
        spec = mapping(lease, "spec")
        holder, stamp = text(spec, "holderIdentity"), text(spec, "renewTime")
        if holder not in {"", self._identity} and not self._expired(f"{holder} {stamp}", spec):
            return holder
        try:
            await self._client.update(LEASES, {**lease, "spec": self._spec(spec)})
        except Conflict:
            return "another replica"
        return ""

    def _expired(self, seen: str, spec: JsonObject) -> bool:
        if seen != self._seen[0]:
            self._seen = (seen, self._clock())
        return self._clock() - self._seen[1] > (integer(spec, "leaseDurationSeconds") or _DURATION)

    def _spec(self, before: JsonObject) -> JsonObject:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = text(before, "holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": _DURATION,
            "renewTime": moment,
            "acquireTime": text(before, "acquireTime") if ours else moment,
            "leaseTransitions": (integer(before, "leaseTransitions") or 0) + (0 if ours else 1),
        }


async def find_other_controller(
    client: _Lister,
    namespaces: Sequence[str],
    now: Callable[[], datetime],
    *,
    home: str = "",
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> str:
    """Return who else reconciles here and how that shows, or nothing; wait for an API server that is away.

    Upstream's controller holds a Lease when it has several replicas; with one, its name as the field manager of a
    status is the only trace, and kmcp's that of an MCPServer's. ``home`` is our own namespace, where its Lease lies as
    well when the whole cluster is looked after.
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
    for resource in (AGENTS, MCPSERVERS):
        for namespace in namespaces or [None]:
            try:
                found = (await client.list(resource, namespace)).items
            except Unreachable:
                raise
            except KubeError:
                # The reflectors will say what is wrong; this is only a look beforehand.
                continue
            for obj in found:
                for entry in rows(obj, "metadata", "managedFields"):
                    manager = text(entry, "manager")
                    foreign = text(entry, "subresource") == "status" and not manager.startswith(_HARMLESS)
                    if foreign and _recent(text(entry, "time"), now):
                        where = f"{resource.kind} {namespace_of(obj)}/{name_of(obj)}"
                        return f"'{manager}' wrote the status of {where} at {text(entry, 'time')}"
    return ""


def _recent(stamp: str, now: datetime) -> bool:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return False
    return moment.tzinfo is not None and now - moment < _RECENT
