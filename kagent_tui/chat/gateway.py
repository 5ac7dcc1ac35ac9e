"""What a controller's HTTP API knows of sessions: list, rename, delete, and the tasks in them.

Ours and upstream's answer alike. What an answer lacks stays empty; nothing here renders.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import httpx

from kagent_api.errors import ObjectRef
from kagent_api.names import NAMESPACE_SEPARATOR, agent_id
from kagent_tui.chat.errors import AgentNotFound, AgentUnreachable
from kagent_tui.chat.jsonvalue import JsonObject, object_of, objects_in, text_of
from kagent_tui.chat.sse import EventTooLarge, data_of_events
from kagent_tui.chat.target import DEFAULT_USER
from kagent_tui.chat.transport import failure

__all__ = ["SESSION", "Gateway", "SessionInfo", "Share", "agent_named", "agent_of"]

SESSION: Final = "Session"
_TIMEOUT: Final = httpx.Timeout(10.0)
# Ours says every 15 s that it is still there.
_STREAM_TIMEOUT: Final = httpx.Timeout(10.0, read=40.0)
_APPROVALS: Final = "api/kagent-tui/v1/approvals"


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session; texts are raw. ``source`` is "agent" for what another agent opened."""

    id: str
    title: str
    agent_id: str
    created: str
    updated: str
    source: str = ""

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(SESSION, "", self.id)


def agent_named(agent_id: str) -> ObjectRef:
    """Return the agent that an id names. Names in Kubernetes have no ``_``, so each one stands for a ``-``."""
    namespace, _, name = agent_id.partition(NAMESPACE_SEPARATOR)
    return ObjectRef("Agent", namespace.replace("_", "-"), name.replace("_", "-"))


def agent_of(wanted: str, agents: Iterable[ObjectRef]) -> ObjectRef | None:
    """Return the agent that an id means; ids have lost the difference between ``-`` and ``_``."""
    return next((ref for ref in agents if agent_id(ref.namespace, ref.name) == wanted), None)


@dataclass(frozen=True, slots=True)
class Share:
    """A way for others into a session: whoever has the token reads it, or writes too."""

    token: str
    read_only: bool
    created: str


class Gateway:
    """One controller's HTTP API, as one user. ``http`` carries the credentials."""

    def __init__(self, http: httpx.AsyncClient, root: str, *, user: str = DEFAULT_USER) -> None:
        self._http = http
        self._root = root
        self.user = user

    async def sessions(self) -> list[SessionInfo]:
        """Return the user's sessions, the last used first. Raises ChatError."""
        listed = objects_in((await self._ask("GET", "api/sessions")).get("data"))
        found = [
            SessionInfo(
                text_of(one.get("id")), text_of(one.get("name")), text_of(one.get("agent_id")),
                text_of(one.get("created_at")), text_of(one.get("updated_at")), text_of(one.get("source")),
            )
            for one in listed
        ]  # fmt: skip
        return sorted((one for one in found if one.id), key=lambda one: one.updated, reverse=True)

    async def task_states(self, session_id: str) -> list[str]:
        """Return the states of a session's tasks in the words of A2A 0.3, oldest first. Raises ChatError."""
        tasks = objects_in((await self._ask("GET", f"api/sessions/{quote(session_id, safe='')}/tasks")).get("data"))
        tasks.sort(key=lambda task: text_of(object_of(task.get("status")).get("timestamp")))
        states = (text_of(object_of(task.get("status")).get("state")) for task in tasks)
        return [state.removeprefix("TASK_STATE_").lower().replace("_", "-") for state in states]

    async def approvals(self) -> AsyncGenerator[dict[str, SessionInfo]]:
        """Yield the user's sessions that wait, by id, now and after every change; ``updated`` is since when.

        Raises:
            AgentNotFound: this controller has no such route, as upstream's.
            ChatError: it does not answer, or the stream broke.
        """
        headers = {"X-User-Id": self.user, "Accept": "text/event-stream", "Accept-Encoding": "identity"}
        tasks: dict[str, SessionInfo] = {}
        try:
            async with self._http.stream(
                "GET", self._root + _APPROVALS, headers=headers, timeout=_STREAM_TIMEOUT
            ) as response:
                if response.status_code >= 400:
                    raise failure(response.status_code, await response.aread(), ObjectRef("", "", ""))
                # A web UI in front of a controller answers every path with its page.
                if "text/event-stream" not in response.headers.get("content-type", ""):
                    raise AgentNotFound("this controller does not stream what waits")
                async with aclosing(data_of_events(response.aiter_bytes())) as events:
                    async for data in events:
                        _follow(tasks, data)
                        yield {one.id: one for one in tasks.values()}
        except (httpx.RequestError, httpx.StreamError, EventTooLarge) as error:
            raise AgentUnreachable(f"the stream of what waits broke ({error or type(error).__name__})") from error

    async def rename(self, session_id: str, title: str) -> None:
        """Give a session another title. Raises ChatError."""
        await self._ask("PUT", f"api/sessions/{quote(session_id, safe='')}", {"name": title})

    async def delete(self, session_id: str) -> None:
        """Delete a session with its tasks. Raises ChatError."""
        await self._ask("DELETE", f"api/sessions/{quote(session_id, safe='')}")

    async def shares(self, session_id: str) -> list[Share]:
        """Return a session's share links. Raises ChatError."""
        answer = await self._ask("GET", f"api/sessions/{quote(session_id, safe='')}/shares")
        return [_share(one) for one in objects_in(answer.get("data"))]

    async def share(self, session_id: str, *, read_only: bool = True) -> Share:
        """Make a share link. Raises ChatError, AgentNotFound where the server has none."""
        body: JsonObject = {"read_only": read_only}
        answer = await self._ask("POST", f"api/sessions/{quote(session_id, safe='')}/shares", body)
        return _share(object_of(answer.get("data")))

    async def unshare(self, session_id: str, token: str) -> None:
        """Take a share link back. Raises ChatError."""
        await self._ask("DELETE", f"api/sessions/{quote(session_id, safe='')}/shares/{quote(token, safe='')}")

    async def feedback(self, *, positive: bool, text: str, issue: str = "") -> None:
        """Say what an answer was worth; ``issue`` is instructions, factual, incomplete, tool or other."""
        body: JsonObject = {"is_positive": positive, "feedback_text": text, **({"issue_type": issue} if issue else {})}
        await self._ask("POST", "api/feedback", body)

    async def prompts(self) -> list[tuple[str, str, str]]:
        """Return the fragments of all prompt libraries: library (``namespace/name``), key, text. Raises ChatError."""
        found: list[tuple[str, str, str]] = []
        for library in objects_in((await self._ask("GET", "api/prompttemplates")).get("data")):
            namespace, name = text_of(library.get("namespace")), text_of(library.get("name"))
            path = f"api/prompttemplates/{quote(namespace, safe='')}/{quote(name, safe='')}"
            data = object_of(object_of((await self._ask("GET", path)).get("data")).get("data"))
            found += [(f"{namespace}/{name}", key, text) for key, value in data.items() if (text := text_of(value))]
        return found

    async def _ask(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        try:
            response = await self._http.request(
                method, self._root + path, json=body, headers={"X-User-Id": self.user}, timeout=_TIMEOUT
            )
        except httpx.RequestError as error:
            reason = str(error) or type(error).__name__
            raise AgentUnreachable(
                f"the gateway does not answer ({reason})", remedy="is the operator running?"
            ) from error
        if response.status_code >= 400:
            raise failure(response.status_code, response.content, ObjectRef("", "", ""))
        try:
            return object_of(json.loads(response.content or b"{}"))
        except (ValueError, RecursionError):
            return {}


def _follow(tasks: dict[str, SessionInfo], data: str) -> None:
    """Take one event: a list is everything that waits, an item without a state has gone."""
    try:
        told: object = json.loads(data)
    except (ValueError, RecursionError):
        return
    items = objects_in(told) or [object_of(told)]
    if isinstance(told, list):
        tasks.clear()
    for item in items:
        task, session = text_of(item.get("id")), text_of(item.get("session_id"))
        if "state" not in item:
            tasks.pop(task, None)
        # What others shared is theirs: their session cannot be read as this user's.
        elif task and session and not item.get("share_token"):
            since = text_of(item.get("since"))
            title, agent = text_of(item.get("session_name")), text_of(item.get("agent_id"))
            tasks[task] = SessionInfo(session, title, agent, since, since)


def _share(item: JsonObject) -> Share:
    return Share(text_of(item.get("token")), item.get("read_only") is not False, text_of(item.get("created_at")))
