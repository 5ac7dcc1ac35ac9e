"""Push notifications: where a caller wants to be told of a task's changes, and the telling.

A hook hears what a stream would tell except pieces of texts: 1.0 hooks the events, 0.3 hooks the whole task, as each
specification says. Telling is best effort: it never delays a turn, is tried a few times in order, and then logged.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

import orjson

from kagent_engine.errors import StoreUnavailable
from kagent_engine.server.codec import TERMINAL, Dialect, task_03
from kagent_engine.server.events import Event
from kagent_engine.server.faults import NO_TASK, PARAMS, RpcError
from kagent_engine.shapes import JsonObject, as_object, as_text

if TYPE_CHECKING:
    import aiohttp

__all__ = ["HookArchive", "Hooks", "hook_03"]

logger = logging.getLogger(__name__)

_SECONDS: Final = 10.0
_PAUSES: Final = (0.0, 1.0, 5.0)
_MOST_HOOKS: Final = 10
_MOST_WAITING: Final = 100
# Comma-separated patterns of host names that hooks may name; empty allows all but link-local addresses.
_HOSTS_VARIABLE: Final = "KAGENT_TUI_PUSH_HOSTS"
_METADATA_NAMES: Final = frozenset({"metadata", "metadata.google.internal", "instance-data"})


@runtime_checkable
class HookArchive(Protocol):
    """A store that keeps hooks beside its tasks; without one they end with the process."""

    async def save_hooks(self, task_id: str, user_id: str, hooks: Sequence[JsonObject]) -> None: ...

    async def load_hooks(self, task_id: str, user_id: str) -> list[JsonObject]: ...


class Hooks:
    """The hooks of one process's tasks."""

    def __init__(self, archive: object = None) -> None:
        self._archive = archive if isinstance(archive, HookArchive) else None
        self._by_task: dict[str, tuple[str, list[JsonObject]]] = {}
        self._queues: dict[tuple[str, str], asyncio.Queue[bytes]] = {}
        self._tellers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._http: aiohttp.ClientSession | None = None

    async def load(self, task_id: str, user: str) -> bool:
        """Bring a task's hooks to memory; tell whether it has any."""
        if task_id not in self._by_task and self._archive is not None:
            try:
                if found := await self._archive.load_hooks(task_id, user):
                    self._by_task[task_id] = (user, found)
            except StoreUnavailable as error:
                logger.warning("push notifications of task %s are not known now: %s", task_id, error)
        return task_id in self._by_task

    async def add(self, task_id: str, user: str, hook: JsonObject, dialect: Dialect) -> JsonObject:
        """Keep one more hook, or one of the same id anew; return it as kept.

        Raises:
            RpcError: its address is none that may be told.
        """
        check_address(as_text(hook.get("url")))
        await self.load(task_id, user)
        kept = hook | {"id": hook.get("id") or str(uuid.uuid4()), "dialect": dialect}
        others = [known for known in self.of(task_id) if known["id"] != kept["id"]]
        if len(others) >= _MOST_HOOKS:
            raise RpcError(PARAMS, f"task {task_id} has {_MOST_HOOKS} push notification configs already")
        await self._keep(task_id, user, [*others, kept])
        return kept

    async def remove(self, task_id: str, user: str, hook_id: str) -> None:
        """Forget a hook; one that is not there is forgotten already."""
        await self._keep(task_id, user, [known for known in self.of(task_id) if known["id"] != hook_id])

    def find(self, task_id: str, hook_id: str) -> JsonObject:
        """Return one hook, or the first where no id is given.

        Raises:
            RpcError: there is none.
        """
        for hook in self.of(task_id):
            if not hook_id or hook["id"] == hook_id:
                return hook
        raise RpcError(NO_TASK, f"Task {task_id} has no push notification config '{hook_id}'")

    def of(self, task_id: str) -> list[JsonObject]:
        return self._by_task[task_id][1] if task_id in self._by_task else []

    def notify(self, task: JsonObject, event: Event) -> None:
        """Tell a task's hooks of an event, in the background and in order."""
        for hook in self.of(task["id"]):
            body = orjson.dumps(task_03(task)) if hook.get("dialect") == "0.3" else event.json("1.0")
            key = (task["id"], hook["id"])
            queue = self._queues.setdefault(key, asyncio.Queue(_MOST_WAITING))
            try:
                queue.put_nowait(body)
            except asyncio.QueueFull:
                logger.warning("push notifications of task %s: %s does not keep up", task["id"], _shown(hook))
            if key not in self._tellers:
                self._tellers[key] = asyncio.create_task(self._tell(key, hook, queue))
        if event.state in TERMINAL:
            self._by_task.pop(task["id"], None)

    async def aclose(self, patience: float = _SECONDS) -> None:
        """Tell what is still to be told, for a while."""
        if self._tellers:
            await asyncio.wait(self._tellers.values(), timeout=patience)
        for teller in list(self._tellers.values()):
            teller.cancel()
        await asyncio.gather(*self._tellers.values(), return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    async def _keep(self, task_id: str, user: str, hooks: list[JsonObject]) -> None:
        self._by_task[task_id] = (user, hooks)
        if self._archive is not None:
            await self._archive.save_hooks(task_id, user, hooks)

    async def _tell(self, key: tuple[str, str], hook: JsonObject, queue: asyncio.Queue[bytes]) -> None:
        try:
            while not queue.empty():
                await self._post(key[0], hook, queue.get_nowait())
        finally:
            del self._tellers[key]
            del self._queues[key]

    async def _post(self, task_id: str, hook: JsonObject, body: bytes) -> None:
        fault = ""
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            try:
                fault = await self._post_once(hook, body)
            except Exception as error:  # whatever an address of a caller's does, the task goes on
                fault = f"{type(error).__name__}: {error}"
            if not fault:
                return
        logger.warning("push notification of task %s to %s failed: %s", task_id, _shown(hook), fault)

    async def _post_once(self, hook: JsonObject, body: bytes) -> str:
        """Post once; return why it may be tried again, or nothing."""
        import aiohttp

        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS), trust_env=True)
        headers = {"Content-Type": "application/json" if hook.get("dialect") == "0.3" else "application/a2a+json"}
        if token := hook.get("token"):
            headers["X-A2A-Notification-Token"] = token
        given = as_object(hook.get("authentication"))
        if given.get("scheme") and given.get("credentials"):
            headers["Authorization"] = f"{given['scheme']} {given['credentials']}"
        # A redirect could lead where the address itself may not.
        async with self._http.post(hook["url"], data=body, headers=headers, allow_redirects=False) as answer:
            await answer.read()
            return f"it answered {answer.status}" if answer.status >= 500 or answer.status == 429 else ""


def check_address(url: str) -> None:
    """Check that a hook's address may be told.

    Raises:
        RpcError: it is no HTTP address, is link-local (where clouds keep credentials), or not among the allowed.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower().rstrip(".")
    except ValueError:
        raise RpcError(PARAMS, fields=[("url", "expected an http or https address")]) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise RpcError(PARAMS, fields=[("url", "expected an http or https address")])
    allowed = [item.strip().lower() for item in os.environ.get(_HOSTS_VARIABLE, "").split(",") if item.strip()]
    if allowed and not any(fnmatchcase(host, pattern) for pattern in allowed):
        raise RpcError(PARAMS, fields=[("url", f"the host is not allowed by {_HOSTS_VARIABLE}")])
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    forbidden = host in _METADATA_NAMES if address is None else address.is_link_local or address.is_multicast
    if forbidden and not allowed:
        raise RpcError(PARAMS, fields=[("url", "link-local addresses are not told")])


def hook_03(task_id: str, hook: JsonObject) -> JsonObject:
    """Return a hook as 0.3 answers say it."""
    config = {key: hook[key] for key in ("id", "url", "token") if hook.get(key)}
    if given := as_object(hook.get("authentication")):
        config["authentication"] = {"schemes": [given.get("scheme", "")], "credentials": given.get("credentials", "")}
    return {"taskId": task_id, "pushNotificationConfig": config}


def hook_10(task_id: str, hook: JsonObject) -> JsonObject:
    """Return a hook as 1.0 answers say it."""
    kept = {key: hook[key] for key in ("id", "url", "token", "authentication") if hook.get(key)}
    return {"taskId": task_id} | kept


def _shown(hook: JsonObject) -> str:
    """Return a hook's address without what may be secret in it."""
    parts = urlsplit(as_text(hook["url"]))
    return f"{parts.scheme}://{parts.hostname}"
