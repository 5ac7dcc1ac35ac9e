"""Tasks of one process: the ones that are worked on in memory, all of them in the archive when their state matters.

A task is written when work on it begins, when it waits for a person and when it ends; never for an event between. A
listener hears of an end only after the archive has it. Work that lasts is written every half minute, as a sign of life:
in a store that others share nothing else tells a task of a lost Pod from one of a Pod that works.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import os
import platform
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from kagent_engine.errors import StoreUnavailable
from kagent_engine.server.codec import FAILED, INTERRUPTED, SUBMITTED, TERMINAL, WORKING, task_03, task_10
from kagent_engine.server.events import Event, Subscriber, now, shortened
from kagent_engine.server.faults import NO_TASK, PARAMS, RpcError
from kagent_engine.server.push import Hooks
from kagent_engine.server.requests import ListRequest
from kagent_engine.server.retelling import retell_artifacts, with_confirmations
from kagent_engine.sessions import TaskArchive
from kagent_engine.shapes import JsonObject, as_object, as_text

__all__ = ["INTERRUPTED_TEXT", "LiveTask", "TaskBoard", "mark_interrupted"]

logger = logging.getLogger(__name__)

INTERRUPTED_TEXT: Final = "The agent was restarted while it worked on this; what had happened until then is kept."
_MOST_UNSAVED: Final = 100
# Names the process that works on a task: "HOST/ONE START". A store that others share keeps it with the task.
_PROCESS: Final = "kagent_tui_process"
# When a process last said that it works on a task; one that was silent for so much longer is gone.
_ALIVE: Final = "kagent_tui_alive"
_BEAT_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 100.0


class LiveTask:
    """A task that someone works on or listens to. ``body`` is the task in the words of 1.0."""

    def __init__(self, board: TaskBoard, body: JsonObject, user: str) -> None:
        self.body = body
        self.user = user
        self.lock = asyncio.Lock()
        self.works = 0
        self.closed = False
        self.hooked = False
        self._board = board
        self._listeners: set[Subscriber] = set()
        self._held: list[Event] | None = None

    @property
    def id(self) -> str:
        return self.body["id"]

    @property
    def state(self) -> str:
        return self.body["status"]["state"]

    @property
    def listened_to(self) -> bool:
        return bool(self._listeners)

    def snapshot(self) -> JsonObject:
        """Return the task as it is now, untouched by what comes."""
        artifacts = [artifact | {"parts": [*artifact["parts"]]} for artifact in self.body.get("artifacts", ())]
        return self.body | {"history": [*self.body["history"]], "artifacts": artifacts}

    def subscribe(self, *, until_pause: bool) -> Subscriber:
        listener = Subscriber(self._left, until_pause=until_pause)
        self._listeners.add(listener)
        return listener

    def publish(self, event: Event) -> None:
        """Let an event happen: the task changes, and all who listen hear of it. After the end nothing does."""
        if self.closed:
            return
        self._apply(event)
        self._tell(event)

    def begin(self, event: Event) -> None:
        """Publish the event with which work begins; it is heard, and all after it, once the archive has the task."""
        if self.closed:
            return
        self._apply(event)
        self.body["metadata"] = self.body.get("metadata", {}) | {_PROCESS: self._board.process, _ALIVE: now()}
        self._held = [event]
        self._board.write_behind(self, self._release)

    def resume(self, event: Event, message: JsonObject) -> None:
        """Publish the event with which work on a task goes on that ``message`` was sent to."""
        status = self.body["status"]
        self.body["history"] += [item for item in (status.get("message"), message) if item]
        self.body["status"] = {key: item for key, item in status.items() if key != "message"}
        self.begin(event)

    async def settle(self, event: Event) -> None:
        """Publish the event with which work ends or pauses, once the archive has it."""
        if self.closed:
            return
        self.closed = event.state in TERMINAL
        self._apply(event)
        self.body["metadata"] = {key: item for key, item in self.body.get("metadata", {}).items() if key != _ALIVE}
        retell_artifacts(self.body)
        await self._board.write_end(self)
        if self._held is not None:
            self._held.append(event)
        else:
            self._tell(event)

    def beat(self) -> JsonObject:
        """Note that this process still works on the task; return the task."""
        self.body["metadata"] = self.body.get("metadata", {}) | {_ALIVE: now()}
        return self.body

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for event in held:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        if self._held is not None:
            self._held.append(event)
            return
        for listener in tuple(self._listeners):
            listener.put(event)
        if self.hooked and not event.partial:
            self._board.hooks.notify(self.body, event)

    def _apply(self, event: Event) -> None:
        if update := event.body.get("statusUpdate"):
            before = self.body["status"]
            # A piece of a text is no state to be found in; the whole follows.
            if event.partial:
                return
            if "message" in before:
                self.body["history"].append(before["message"])
            self.body["status"] = update["status"]
            if error := update.get("metadata", {}).get("kagent_error_code"):
                self.body["metadata"] = self.body.get("metadata", {}) | {"kagent_error_code": error}
        elif update := event.body.get("artifactUpdate"):
            _apply_artifact(self.body.setdefault("artifacts", []), update)

    def _left(self, listener: Subscriber) -> None:
        self._listeners.discard(listener)
        self._board.release(self)


class TaskBoard:
    """All tasks of one process over an archive."""

    def __init__(self, archive: TaskArchive, hooks: Hooks) -> None:
        self.hooks = hooks
        self.process = f"{os.environ.get('HOSTNAME') or platform.node()}/{uuid.uuid4().hex[:12]}"
        self._archive = archive
        self._live: dict[str, LiveTask] = {}
        self._unsaved: OrderedDict[str, tuple[JsonObject, str]] = OrderedDict()
        self._writing: dict[str, asyncio.Task[bool]] = {}
        self._beating: asyncio.TimerHandle | None = None

    def add(self, body: JsonObject, user: str) -> LiveTask:
        """Take a new task."""
        live = self._live[body["id"]] = LiveTask(self, body, user)
        return live

    async def take(self, task_id: str, user: str) -> LiveTask:
        """Return a task to work on or to listen to.

        Raises:
            RpcError: this user has no such task.
        """
        if task_id not in self._live:
            body = await self._stored(task_id, user)
            if body is None:
                raise RpcError(NO_TASK, f"Task {task_id} not found")
            hooked = await self.hooks.load(task_id, user)
            # Another request may have taken it while the archive was read.
            live = self._live.setdefault(task_id, LiveTask(self, body, user))
            live.hooked = live.hooked or hooked
        live = self._live[task_id]
        if live.user != user:
            raise RpcError(NO_TASK, f"Task {task_id} not found")
        return live

    async def get(self, task_id: str, user: str) -> JsonObject:
        """Return a task as it is now.

        Raises:
            RpcError: this user has no such task.
        """
        live = self._live.get(task_id)
        body = live.body if live and live.user == user else None if live else await self._stored(task_id, user)
        if body is None:
            raise RpcError(NO_TASK, f"Task {task_id} not found")
        return body

    async def list(self, wanted: ListRequest, user: str) -> JsonObject:
        """Return one page of this user's tasks, the newest first."""
        stored = [task_10(task) for task in await self._archive.list_tasks(user, wanted.context_id)]
        tasks: dict[str, JsonObject] = {}
        for task in stored:
            tasks[task["id"]] = task if task["id"] in self._live else await self._closed_if_lost(task, user)
        known = [(live.body, live.user) for live in self._live.values()]
        for body, owner in (*self._unsaved.values(), *known):
            if owner == user and wanted.context_id in {"", body["contextId"]}:
                tasks[body["id"]] = body
        found = sorted(tasks.values(), key=_position, reverse=True)
        if wanted.status:
            found = [task for task in found if task["status"]["state"] == wanted.status]
        if wanted.after is not None:
            found = [task for task in found if _time(task) > wanted.after]
        rest = found
        if wanted.page_token:
            after = _cursor(wanted.page_token)
            rest = [task for task in found if _position(task) < after]
        page = rest[: wanted.page_size]
        more = len(rest) > len(page)
        return {
            "tasks": [_listed(task, wanted) for task in page],
            "nextPageToken": _token(page[-1]) if more else "",
            "pageSize": wanted.page_size,
            "totalSize": len(found),
        }

    def release(self, live: LiveTask) -> None:
        """Forget a task that no one works on or listens to; the archive has it."""
        if not live.works and not live.listened_to and self._live.get(live.id) is live:
            del self._live[live.id]

    def write_behind(self, live: LiveTask, written: Callable[[], None]) -> None:
        """Write a task while work on it goes on; call ``written`` when the archive has it, or cannot take it."""
        writing = self._writing[live.id] = asyncio.create_task(self._write(live.body, live.user))
        self._beat_later()

        def done(_: asyncio.Task[bool]) -> None:
            if self._writing.get(live.id) is writing:
                del self._writing[live.id]
            written()

        writing.add_done_callback(done)

    async def write_end(self, live: LiveTask) -> None:
        """Write a task after what is being written of it; one that the archive cannot take stays here for a while."""
        if writing := self._writing.get(live.id):
            await asyncio.wait([writing])
        if await self._write(live.body, live.user):
            self._unsaved.pop(live.id, None)
            return
        self._unsaved[live.id] = (live.body, live.user)
        while len(self._unsaved) > _MOST_UNSAVED:
            self._unsaved.popitem(last=False)

    def _beat_later(self) -> None:
        """See to the next sign of life; a process without work sleeps."""
        if self._beating is None:
            self._beating = asyncio.get_running_loop().call_later(_BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        self._beating = None
        working = [live for live in self._live.values() if live.works and live.state in {SUBMITTED, WORKING}]
        for live in working:
            if live.id not in self._writing:
                live.beat()
                self.write_behind(live, _nothing)
        if working:
            self._beat_later()

    async def aclose(self) -> None:
        """Say of what is still worked on that it was stopped with this process."""
        if self._beating is not None:
            self._beating.cancel()
        for live in list(self._live.values()):
            if live.state not in INTERRUPTED | TERMINAL:
                await live.settle(interruption(live.body))
        if self._writing:
            await asyncio.wait(self._writing.values())

    async def _stored(self, task_id: str, user: str) -> JsonObject | None:
        kept = self._unsaved.get(task_id)
        if kept is not None:
            return kept[0] if kept[1] == user else None
        stored = await self._archive.get_task(task_id, user)
        if stored is None:
            return None
        return await self._closed_if_lost(task_10(stored), user)

    async def _closed_if_lost(self, body: JsonObject, user: str) -> JsonObject:
        """Return a task, closed here and in the archive where the process that worked on it is gone."""
        if body["status"]["state"] in {SUBMITTED, WORKING} and self._is_lost(body):
            await LiveTask(self, body, user).settle(interruption(body))
        return body

    def _is_lost(self, body: JsonObject) -> bool:
        """Tell whether a former process of this host worked on it, or one elsewhere that has been silent for long."""
        metadata = as_object(body.get("metadata"))
        process = as_text(metadata.get(_PROCESS))
        host, _, start = process.rpartition("/")
        if not start or process == self.process:
            return False
        if host == self.process.rpartition("/")[0]:
            return True
        try:
            silent = datetime.now(UTC) - datetime.fromisoformat(as_text(metadata.get(_ALIVE)))
        except (ValueError, TypeError):
            return False
        return silent.total_seconds() > _SILENT_SECONDS

    async def _write(self, body: JsonObject, user: str) -> bool:
        try:
            await self._archive.save_task(with_confirmations(task_03(body)), user)
        except StoreUnavailable as error:
            logger.error("task %s is not saved: %s", body["id"], error)
            return False
        return True


def _nothing() -> None:
    """What is done after a sign of life was written."""


async def mark_interrupted(archive: TaskArchive) -> int:
    """Close the tasks that the last process left working (trap G10: they would stay so for ever); return how many."""
    unfinished = await archive.unfinished_tasks()
    for stored, user in unfinished:
        body = task_10(stored)
        board = TaskBoard(archive, Hooks())
        await LiveTask(board, body, user).settle(interruption(body))
    return len(unfinished)


def interruption(task: JsonObject) -> Event:
    """Return the event that ends a task whose process ended."""
    codes = {"kagent_error_code": "INTERRUPTED", "adk_error_code": "INTERRUPTED"}
    notice = {"messageId": f"{task['id']}-interrupted", "role": "ROLE_AGENT", "taskId": task["id"]}
    notice |= {"contextId": task["contextId"], "parts": [{"text": INTERRUPTED_TEXT}]}
    status = {"state": FAILED, "message": notice, "timestamp": now()}
    ids = {"taskId": task["id"], "contextId": task["contextId"]}
    return Event({"statusUpdate": ids | {"status": status, "metadata": codes}})


def _apply_artifact(artifacts: list[JsonObject], update: JsonObject) -> None:
    artifact = update["artifact"]
    at = next((n for n, known in enumerate(artifacts) if known["artifactId"] == artifact["artifactId"]), None)
    if at is None:
        artifacts.append(artifact | {"parts": list(artifact["parts"])})
    elif not update.get("append"):
        artifacts[at] = artifact | {"parts": list(artifact["parts"])}
    else:
        parts = artifacts[at]["parts"]
        for part in artifact["parts"]:
            # Pieces of one text are one part, else a long answer would be thousands of them.
            if parts and part.keys() == parts[-1].keys() == {"text"}:
                parts[-1] = {"text": parts[-1]["text"] + part["text"]}
            else:
                parts.append(part)


def _listed(task: JsonObject, wanted: ListRequest) -> JsonObject:
    kept = {key: item for key, item in task.items() if key != "artifacts" or wanted.include_artifacts}
    return shortened(kept, wanted.history_length)


def _time(task: JsonObject) -> datetime:
    try:
        told = datetime.fromisoformat(as_object(task["status"]).get("timestamp", ""))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _position(task: JsonObject) -> tuple[datetime, str]:
    return _time(task), task["id"]


def _token(task: JsonObject) -> str:
    return base64.urlsafe_b64encode(f"{_time(task).isoformat()} {task['id']}".encode()).decode()


def _cursor(token: str) -> tuple[datetime, str]:
    """Read the place of the last task of a page; it stays right when tasks come or go."""
    try:
        time, _, task_id = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(" ")
        return datetime.fromisoformat(time), task_id
    except (binascii.Error, ValueError) as error:
        raise RpcError(PARAMS, fields=[("pageToken", f"unknown page token '{token[:80]}'")]) from error
