"""One context, live: the client, the reflectors that keep the store in step, and the only way to write.

Writes go through ``check``, ``write`` and ``delete`` so that read-only is enforced in one place. Nothing polls: what
changes arrives by watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from kagent_api.errors import KagentError, ObjectRef
from kagent_api.names import TOOLS_LABEL
from kagent_tui.cluster.errors import ReadOnly
from kagent_tui.cluster.heartbeat import Heartbeat
from kagent_tui.cluster.kinds import (
    AGENT,
    CONFIGMAP,
    MCP_SERVER,
    MODEL_CONFIG,
    PROMPT_LABEL,
    PROMPTS,
    PROVIDER,
    REMOTE_MCP_SERVER,
    JsonObject,
    ref_of,
    resource_of,
)
from kagent_tui.cluster.link import Link, summarise
from kagent_tui.cluster.lookups import Known, keys_of
from kagent_tui.cluster.permissions import Permissions
from kagent_tui.cluster.snapshot import Kept, Snapshot
from kagent_tui.cluster.store import PAGE, Store

if TYPE_CHECKING:
    from kagent_api.kube import Delta, KubeClient, LinkState, Reflector

__all__ = ["Cluster", "Follow"]

ESSENTIAL: Final = (AGENT, MODEL_CONFIG, REMOTE_MCP_SERVER, MCP_SERVER)


class Follow:
    """A few objects of any kind, kept while somebody looks at them. ``close`` ends it."""

    def __init__(self, reflector: Reflector, task: asyncio.Task[None]) -> None:
        self._reflector = reflector
        self._task = task

    @property
    def objects(self) -> list[JsonObject]:
        return list(self._reflector.store.values())

    @property
    def synced(self) -> bool:
        return self._reflector.synced.is_set()

    @property
    def error(self) -> KagentError | None:
        return self._reflector.state.error

    def close(self) -> None:
        self._task.cancel()


class Cluster:
    """A live view of one context. ``namespaces`` empty means all of them."""

    def __init__(
        self, client: KubeClient, *, namespaces: tuple[str, ...] = (), readonly: bool = False,
        on_link: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.client = client
        self.namespaces = namespaces
        self.readonly = readonly
        self.store = Store()
        self._on_link = on_link
        self._reflectors: dict[str, Reflector] = {}
        self._kinds: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Objects of the last snapshot that their collection has not confirmed yet, by reflector.
        self._cached: dict[str, set[ObjectRef]] = {}
        self._cached_at = 0.0
        self._rest: Iterator[Kept] = iter(())
        self._heartbeat = Heartbeat(client.version, self._heard, self._tell_link)
        self.permissions = Permissions(client, self._tell_link)

    def _tell_link(self) -> None:
        if self._on_link is not None:
            self._on_link()

    def _heard(self) -> float:
        return max((reflector.state.last_event for reflector in self._reflectors.values()), default=0.0)

    @property
    def context(self) -> str:
        return self.client.access.context

    @property
    def server(self) -> str:
        return self.client.access.server

    @property
    def identity(self) -> str:
        """What files on disk are kept under: two clusters may carry the same context name, as every demo does."""
        return f"{self.context} {self.server}"

    @property
    def scope(self) -> str:
        """The same with the namespaces shown."""
        return f"{self.identity} {','.join(sorted(self.namespaces))}"

    @property
    def link(self) -> Link:
        """How the connection is now."""
        link = self.link_of(ESSENTIAL)
        return replace(link, cached=self._cached_at) if self._cached and link.status != "refused" else link

    def link_of(self, kinds: tuple[str, ...]) -> Link:
        """How the collections of these kinds are now."""
        states = {name: reflector.state for name, reflector in self._reflectors.items()}
        link = summarise(states, [name for name, kind in self._kinds.items() if kind in kinds])
        if self._heartbeat.error is not None and link.status == "live":
            return replace(link, status="lost", error=self._heartbeat.error)
        return link

    def synced(self, kinds: tuple[str, ...]) -> bool:
        """Tell whether at least one collection of these kinds has been read."""
        return any(self._reflectors[name].synced.is_set() for name, kind in self._kinds.items() if kind in kinds)

    def preload(self, snapshot: Snapshot) -> None:
        """Show what was there the last time until each collection has been read. Before ``running``."""
        self._cached_at = snapshot.saved
        for kind, obj in snapshot.objects:
            self._show_cached(kind, obj, quiet=True)
        self._rest = snapshot.rest

    async def _preload_rest(self, rest: Iterator[Kept]) -> None:
        """Go on with a large snapshot while the first page is looked at."""
        while page := await asyncio.to_thread(lambda: list(islice(rest, PAGE))):
            for kind, obj in page:
                self._show_cached(kind, obj, quiet=False)

    def _show_cached(self, kind: str, obj: JsonObject, *, quiet: bool) -> None:
        ref = ref_of(obj, kind)
        name = f"{kind}/{ref.namespace if self.namespaces else ''}"
        if (self.namespaces and ref.namespace not in self.namespaces) or self._answered(name):
            return
        self.store.put(ref, obj, quiet=quiet)
        self._cached.setdefault(name, set()).add(ref)

    def _answered(self, name: str) -> bool:
        """Tell whether the server has said what a collection holds, or that it may not be read."""
        reflector = self._reflectors.get(name)
        return reflector is not None and (reflector.synced.is_set() or reflector.state.status == "refused")

    @property
    def snapshot(self) -> list[tuple[str, JsonObject]] | None:
        """What is worth keeping for the next start; None while not everything has been read."""
        if self._cached or not all(
            reflector.synced.is_set() for name, reflector in self._reflectors.items() if self._kinds[name] in ESSENTIAL
        ):
            return None
        return [
            (kind, obj) for kind in dict.fromkeys(self._kinds.values()) for obj in self.store.objects(kind).values()
        ]

    def _confirm(self, name: str) -> None:
        """Forget what only the snapshot knew once a collection has been read, or may not be."""
        if name not in self._cached or not self._answered(name):
            return
        known = self._reflectors[name].store
        for ref in self._cached.pop(name):
            if (ref.namespace, ref.name) not in known:
                self.store.remove(ref)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Watch everything inside this block; afterwards nothing of it is left."""
        self._start()
        self._spawn(self._preload_rest(self._rest))
        self._spawn(self._heartbeat.run())
        try:
            yield
        finally:
            self.store.close()
            for task in self._tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.client.aclose()

    def _start(self) -> None:
        for namespace in self.namespaces or (None,):
            for kind in ESSENTIAL:
                self._watch(kind, namespace, "")
            self._watch(PROVIDER, namespace, "")
            self._watch(PROMPTS, namespace, f"{PROMPT_LABEL}=true")
            # Tools of MCP servers as our operator writes them down; upstream's controller has none.
            self._watch(CONFIGMAP, namespace, f"{TOOLS_LABEL}=true")

    def _watch(self, kind: str, namespace: str | None, labels: str) -> None:
        from kagent_api.kube import Reflector

        def told(delta: Delta) -> None:
            ref = ref_of(delta.object, kind)
            # A third of an object's size, and nobody looks at it: what is edited is read anew.
            delta.object["metadata"].pop("managedFields", None)
            if delta.type == "DELETED":
                self.store.remove(ref)
            else:
                self.store.put(ref, delta.object)

        name = f"{kind}/{namespace or ''}"

        def state_changed(state: LinkState) -> None:
            self._confirm(name)
            self._tell_link()

        reflector = Reflector(
            self.client, resource_of(kind), namespace, label_selector=labels, on_delta=told, on_state=state_changed
        )
        self._reflectors[name] = reflector
        self._kinds[name] = kind
        self._spawn(reflector.run())

    def follow(
        self, kind: str, namespace: str, on_change: Callable[[], None], *, field_selector: str = "",
        label_selector: str = "",
    ) -> Follow:  # fmt: skip
        """Keep some objects until the result is closed; ``on_change`` is called at every change and state."""
        from kagent_api.kube import Reflector

        reflector = Reflector(
            self.client, resource_of(kind), namespace, field_selector=field_selector, label_selector=label_selector,
            on_delta=lambda delta: on_change(), on_state=lambda state: on_change(),
        )  # fmt: skip
        return Follow(reflector, self._spawn(reflector.run()))

    async def read(self, ref: ObjectRef) -> JsonObject:
        """Return an object as the server has it now. Raises KubeError."""
        return await self.client.get(resource_of(ref.kind), ref.name, ref.namespace)

    async def keys_of(self, ref: ObjectRef) -> Known:
        """Return the keys of a Secret or ConfigMap, never its values."""
        return await keys_of(self.client, ref)

    async def check(self, obj: JsonObject, *, create: bool) -> JsonObject:
        """Ask the server what it would store, unknown fields refused. Raises KubeError."""
        return await self._send(obj, create=create, dry_run=True)

    async def write(self, obj: JsonObject, *, create: bool) -> JsonObject:
        """Store an object. Raises Conflict when it is no longer what was read, and other KubeErrors."""
        return await self._send(obj, create=create, dry_run=False)

    async def delete(self, ref: ObjectRef, *, uid: str = "") -> None:
        """Delete an object; with ``uid`` only that very one. Raises KubeError."""
        self._writable(ref)
        await self.client.delete(resource_of(ref.kind), ref.name, ref.namespace, uid=uid)

    async def _send(self, obj: JsonObject, *, create: bool, dry_run: bool) -> JsonObject:
        ref = ref_of(obj)
        self._writable(ref)
        resource = resource_of(ref.kind)
        if create:
            return await self.client.create(resource, obj, dry_run=dry_run, field_validation="Strict")
        return await self.client.update(resource, obj, dry_run=dry_run, field_validation="Strict")

    def _writable(self, ref: ObjectRef) -> None:
        if self.readonly:
            raise ReadOnly(ref)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
