"""Kubernetes Events for what happens to a resource, written beside the reconcilers so that nobody waits for them.

Best effort: an Event that cannot be written is only logged, and when very many wait the newest are left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from kagent_api.kube import KubeError, NotFound, Resource
from kagent_api.kube.resources import EVENTS
from kagent_operator.translate.fields import JsonObject, name_of, namespace_of, text

__all__ = ["COMPONENT", "EventRecorder"]

COMPONENT: Final = "kagent-operator"
_log = logging.getLogger(__name__)
# Enough to fold the repetitions of many flapping resources into counts.
_REMEMBERED: Final = 512
_WAITING: Final = 1000
_MAX_MESSAGE: Final = 1024  # the API refuses longer ones
# Conditions that are bad news when True.
_BAD_WHEN_TRUE: Final = {"UnsupportedFeatures", "ToolsDrifted"}


class _Client(Protocol):
    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject: ...

    async def patch(
        self, resource: Resource, name: str, body: JsonObject, namespace: str | None = None
    ) -> JsonObject: ...


class EventRecorder:
    """Writes Events; the same thing said again raises the count of the first."""

    def __init__(self, client: _Client, now: Callable[[], datetime], *, instance: str = "") -> None:
        self._client = client
        self._now = now
        self._instance = instance
        self._said: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._waiting: asyncio.Queue[tuple[JsonObject, str, str, str]] = asyncio.Queue(_WAITING)

    @property
    def waiting(self) -> int:
        """How many Events are still to be written."""
        return self._waiting.qsize()

    async def run(self) -> None:
        """Write Events until cancelled."""
        while True:
            await self._write(*await self._waiting.get())

    def record(self, obj: JsonObject, condition: JsonObject) -> None:
        """Tell a transition of a condition."""
        kind, status = text(condition, "type"), text(condition, "status")
        bad = status == "True" if kind in _BAD_WHEN_TRUE else status == "False"
        self.tell(
            obj, "Warning" if bad else "Normal", text(condition, "reason"), f"{kind}: {text(condition, 'message')}"
        )

    def tell(self, obj: JsonObject, kind: str, reason: str, message: str) -> None:
        """Have one Event written: kind is Normal or Warning."""
        try:
            self._waiting.put_nowait((obj, kind, reason, message))
        except asyncio.QueueFull:
            _log.debug("too many Events wait; left out: %s", message)

    async def warn_now(self, obj: JsonObject, reason: str, message: str) -> None:
        """Write a Warning at once, before those that wait: the last one of an operator that stops."""
        await self._write(obj, "Warning", reason, message)

    async def _write(self, obj: JsonObject, kind: str, reason: str, message: str) -> None:
        message = message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…"
        moment = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        identity = hashlib.sha256("\n".join((text(obj, "metadata", "uid"), reason, message)).encode()).hexdigest()[:16]
        try:
            name, count = self._said.pop(identity, ("", 0))
            if name:
                body: JsonObject = {"count": count + 1, "lastTimestamp": moment}
                try:
                    await self._client.patch(EVENTS, name, body, namespace_of(obj))
                    self._remember(identity, name, count + 1)
                    return
                except NotFound:
                    _log.debug("event %s has expired", name)
            written = await self._client.create(EVENTS, self._event(obj, kind, reason, message, moment, identity))
            self._remember(identity, name_of(written), 1)
        except KubeError as error:
            _log.warning(
                "cannot write an Event for %s %s/%s: %s", text(obj, "kind"), namespace_of(obj), name_of(obj), error
            )

    def _remember(self, identity: str, name: str, count: int) -> None:
        self._said[identity] = (name, count)
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)

    def _event(self, obj: JsonObject, kind: str, reason: str, message: str, moment: str, identity: str) -> JsonObject:
        stamp = int(self._now().timestamp() * 1000)
        return {
            "metadata": {"name": f"{name_of(obj)[:200]}.{identity[:8]}{stamp:x}", "namespace": namespace_of(obj)},
            "involvedObject": {
                "apiVersion": text(obj, "apiVersion"),
                "kind": text(obj, "kind"),
                "namespace": namespace_of(obj),
                "name": name_of(obj),
                "uid": text(obj, "metadata", "uid"),
                "resourceVersion": text(obj, "metadata", "resourceVersion"),
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": {"component": COMPONENT},
            "reportingComponent": f"kagent.dev/{COMPONENT}",
            "reportingInstance": self._instance or COMPONENT,
        }
