"""One of several replicas reconciles: whoever holds the Lease.

The holder renews; when it cannot for as long as the lease lasts, it ends, since another may have begun. Times of other
machines are never compared with ours: a lease is old when we saw it unchanged for its duration.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from kagent_api.errors import KagentError
from kagent_api.kube import AlreadyExists, Conflict, KubeError, NotFound, Resource
from kagent_api.kube.resources import LEASES
from kagent_operator.translate.fields import JsonObject, integer, mapping, text

__all__ = ["LEASE", "Leader", "LeadershipLost"]

_log = logging.getLogger(__name__)
LEASE: Final = "kagent-operator"
_DURATION: Final = 15  # seconds; client-go's usual figures
_RENEW: Final = 5.0
_RETRY: Final = 2.0


class LeadershipLost(KagentError):
    """The lease could not be renewed in time; another replica may lead now."""


class _Client(Protocol):
    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject: ...

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject: ...

    async def update(self, resource: Resource, obj: JsonObject) -> JsonObject: ...


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
