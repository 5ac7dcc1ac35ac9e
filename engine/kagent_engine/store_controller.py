"""Sessions and tasks in the controller, over the REST routes that agents of upstream's 0.10 line use.

Never keeps anything on disk. A store that is away makes a turn fail with a clear message rather than forget.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies

import aiohttp
import orjson

from kagent_engine.errors import StoreUnavailable
from kagent_engine.sessions import Session
from kagent_engine.settings import Settings
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ControllerStore"]

logger = logging.getLogger(__name__)

# Upstream release 0.10 re-reads the projected token once a minute; kubelet renews it well before it ends.
_TOKEN_SECONDS: Final = 60.0
# Upstream's own client waits this long.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
# ListTasks over all sessions asks for each of so many, and for so many of them at a time.
_MOST_SESSIONS: Final = 200
_AT_ONCE: Final = 8


class ControllerStore:
    """A SessionStore and TaskArchive behind KAGENT_URL."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.controller_url
        self._agent = settings.agent_id
        self._token = _TokenFile(settings.paths.resolve(settings.token_path))
        self._http: aiohttp.ClientSession | None = None

    async def load(self, session_id: str, user_id: str) -> Session | None:
        query = {"user_id": user_id, "order": "asc", "limit": "-1"}
        data = await self._call("GET", f"/api/sessions/{session_id}", user_id, query=query)
        if data is None:
            return None
        events: list[JsonObject] = []
        for row in as_objects(data.get("events")):
            stored = row.get("data")
            parsed: object = orjson.loads(stored) if isinstance(stored, str) else stored
            if is_object(parsed):
                events.append(parsed)
        return Session(session_id, user_id, events)

    async def create(self, session_id: str, user_id: str, *, name: str, source: str) -> Session:
        body = {"user_id": user_id, "agent_ref": self._agent, "id": session_id, "name": name}
        if source:
            body["source"] = source
        await self._call("POST", "/api/sessions", user_id, query={"user_id": user_id}, body=body)
        return Session(session_id, user_id)

    async def append(self, session: Session, events: Sequence[JsonObject]) -> None:
        """Post one event after the other: the controller orders them by the time they came."""
        for event in events:
            body: JsonObject = {"id": event["id"], "data": orjson.dumps(event).decode()}
            path = f"/api/sessions/{session.id}/events"
            await self._call("POST", path, session.user_id, query={"user_id": session.user_id}, body=body)
            session.events.append(event)

    async def save_task(self, task: JsonObject, user_id: str) -> None:
        await self._call("POST", "/api/tasks", user_id, body=task)

    async def get_task(self, task_id: str, user_id: str) -> JsonObject | None:
        return await self._call("GET", f"/api/tasks/{task_id}", user_id)

    async def list_tasks(self, user_id: str, context_id: str) -> list[JsonObject]:
        if not context_id:
            return await self._all_tasks(user_id)
        found = await self._raw("GET", f"/api/sessions/{context_id}/tasks", user_id, query={"user_id": user_id})
        return as_objects(as_object(found).get("data"))

    async def _all_tasks(self, user_id: str) -> list[JsonObject]:
        """Return the tasks of the sessions with this agent used last; no route lists tasks across sessions."""
        if not user_id:
            return []
        found = await self._raw("GET", "/api/sessions", user_id, query={"user_id": user_id})
        own = [each for each in as_objects(as_object(found).get("data")) if each.get("agent_id") == self._agent]
        newest = sorted(own, key=lambda each: as_text(each.get("updated_at")), reverse=True)[:_MOST_SESSIONS]
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def tasks(session_id: str) -> list[JsonObject]:
            async with at_once:
                return await self.list_tasks(user_id, session_id)

        listed = await asyncio.gather(*(tasks(name) for each in newest if (name := as_text(each.get("id")))))
        return [task for some in listed for task in some]

    async def delete_task(self, task_id: str, user_id: str) -> None:
        await self._raw("DELETE", f"/api/tasks/{task_id}", user_id)

    async def unfinished_tasks(self) -> list[tuple[JsonObject, str]]:
        """Return none: the controller has no route for it and other replicas may be at work."""
        return []

    async def save_memory(self, user_id: str, content: str, vector: Sequence[float], ttl_days: int | None) -> None:
        body: JsonObject = {"agent_name": self._agent, "user_id": user_id, "content": content, "vector": list(vector)}
        await self._raw(
            "POST", "/api/memories/sessions", user_id, body=body | ({"ttl_days": ttl_days} if ttl_days else {})
        )

    async def search_memories(
        self, user_id: str, vector: Sequence[float], *, limit: int, min_score: float
    ) -> list[JsonObject]:
        body: JsonObject = {"agent_name": self._agent, "user_id": user_id, "vector": list(vector)}
        body |= {"limit": limit, "min_score": min_score}
        return as_objects(await self._raw("POST", "/api/memories/search", user_id, body=body))

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def _call(
        self, method: str, path: str, user_id: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> JsonObject | None:
        """Return the envelope's data, None for 404."""
        found = await self._raw(method, path, user_id, query=query, body=body)
        return None if found is None else as_object(as_object(found).get("data"))

    async def _raw(
        self, method: str, path: str, user_id: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> object:
        if self._http is None:
            # trust_env: cluster names resolve through HTTP_PROXY in the local cluster. It reads the whole environment
            # at every request, six a turn, so it is left off where there is no proxy.
            self._http = aiohttp.ClientSession(
                timeout=_TIMEOUT, trust_env=bool(getproxies()), headers={"X-Agent-Name": self._agent}
            )
        headers = {"X-User-Id": user_id, "Content-Type": "application/json"}
        if token := await self._token.read():
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else orjson.dumps(body)
        try:
            async with self._http.request(
                method, self._url + path, params=query, data=data, headers=headers
            ) as response:
                answer = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StoreUnavailable(
                f"the controller at {self._url} did not answer {method} {path}: {error or type(error).__name__}",
                remedy="check the Service kagent-controller and KAGENT_URL",
            ) from error
        if status == 404:
            return None
        if status >= 400:
            raise StoreUnavailable(f"the controller refused {method} {path} with {status}: {_reason(answer)}")
        return orjson.loads(answer) if answer.strip() else {}


class _TokenFile:
    """The projected token, read again after a minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = float("-inf")

    async def read(self) -> str:
        if time.monotonic() - self._read_at >= _TOKEN_SECONDS:
            self._token = await asyncio.to_thread(self._load)
            self._read_at = time.monotonic()
        return self._token

    def _load(self) -> str:
        try:
            return self._path.read_text().strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            logger.warning("cannot read the token %s: %s", self._path, error.strerror)
            return ""


def _reason(answer: bytes) -> str:
    """Return the controller's own words, whichever of its two error shapes they came in."""
    try:
        parsed = as_object(orjson.loads(answer))
    except orjson.JSONDecodeError:
        return answer.decode(errors="replace")[:200]
    return as_text(parsed.get("message")) or as_text(parsed.get("error")) or "no reason given"
