"""Tasks as the SDK wants them kept: live ones in memory, each written to the archive when its state matters.

The SDK saves after every event; an archive is written when a task begins, when it waits for a person and when it ends.
Partial messages are taken out of the history here, as upstream keeps none: the SDK would keep one for every delta.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import Final

from kagent_engine.errors import StoreUnavailable
from kagent_engine.server.codec import INTERRUPTED, TERMINAL, result_json, task_from_03
from kagent_engine.server.retelling import retell_artifacts, with_confirmations
from kagent_engine.server.sdk import (
    InvalidParamsError,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    Part,
    Role,
    ServerCallContext,
    Task,
    TaskState,
    TaskStore,
)
from kagent_engine.sessions import TaskArchive

__all__ = ["INTERRUPTED_TEXT", "ArchivedTaskStore", "mark_interrupted"]

logger = logging.getLogger(__name__)

INTERRUPTED_TEXT: Final = "The agent was restarted while it worked on this; what had happened until then is kept."
# The A2A specification's defaults and bounds for ListTasks.
_DEFAULT_PAGE: Final = 50
_MISS_SECONDS: Final = 1.0
_MOST_UNSAVED: Final = 100


class ArchivedTaskStore(TaskStore):
    """One process's tasks over an archive."""

    def __init__(self, archive: TaskArchive) -> None:
        self._archive = archive
        self._live: OrderedDict[str, tuple[Task, str]] = OrderedDict()
        self._written: set[str] = set()
        self._missed: dict[tuple[str, str], float] = {}

    async def save(self, task: Task, context: ServerCallContext) -> None:
        _tidy(task)
        state = task.status.state
        user = self._live[task.id][1] if task.id in self._live else context.user.user_name
        self._missed.pop((task.id, user), None)
        self._live[task.id] = (task, user)
        settled = state in TERMINAL or state in INTERRUPTED
        begun = task.id not in self._written
        if settled:
            retell_artifacts(task)
        if begun or settled:
            written = await self._write(task, user)
            self._written.add(task.id)
            if settled:
                self._settle(task.id, written=written)

    async def get(self, task_id: str, context: ServerCallContext) -> Task | None:
        user = context.user.user_name
        if task_id in self._live:
            live, owner = self._live[task_id]
            if owner != user:
                return None
            copied = Task()
            copied.CopyFrom(live)
            return copied
        if self._known_missing(task_id, user):
            return None
        stored = await self._archive.get_task(task_id, user)
        if stored is None:
            self._missed[task_id, user] = time.monotonic()
        return task_from_03(stored) if stored else None

    async def list(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        user = context.user.user_name
        stored = await self._archive.list_tasks(user, params.context_id)
        tasks = {task.id: task for task in map(task_from_03, stored)}
        for task, owner in self._live.values():
            if owner == user and params.context_id in {"", task.context_id}:
                tasks[task.id] = task
        found = sorted(tasks.values(), key=lambda task: (task.status.timestamp.ToNanoseconds(), task.id), reverse=True)
        if params.status != TaskState.TASK_STATE_UNSPECIFIED:
            found = [task for task in found if task.status.state == params.status]
        if params.HasField("status_timestamp_after"):
            after = params.status_timestamp_after.ToNanoseconds()
            found = [task for task in found if task.status.timestamp.ToNanoseconds() > after]
        start = _offset(params.page_token, len(found))
        size = params.page_size if params.HasField("page_size") else _DEFAULT_PAGE
        page = found[start : start + size]
        following = str(start + size) if start + size < len(found) else ""
        return ListTasksResponse(tasks=page, next_page_token=following, page_size=size, total_size=len(found))

    async def delete(self, task_id: str, context: ServerCallContext) -> None:
        self._live.pop(task_id, None)
        self._written.discard(task_id)
        await self._archive.delete_task(task_id, context.user.user_name)

    async def aclose(self) -> None:
        """Say in the archive that what is still working was stopped with this process."""
        for task, user in list(self._live.values()):
            if task.status.state not in INTERRUPTED and task.status.state not in TERMINAL:
                retell_artifacts(task)
                _interrupt(task)
                await self._write(task, user)

    def _known_missing(self, task_id: str, user: str) -> bool:
        """Tell whether the archive has just said that it has no such task; the SDK asks three times for a new one."""
        now = time.monotonic()
        for known, asked in list(self._missed.items()):
            if now - asked > _MISS_SECONDS:
                del self._missed[known]
        return (task_id, user) in self._missed

    def _settle(self, task_id: str, *, written: bool) -> None:
        """Forget a task that the archive has; one that it could not take is kept here, the newest of them at least."""
        self._written.discard(task_id)
        if written:
            self._live.pop(task_id, None)
            return
        unsaved = [known for known in self._live if known not in self._written]
        for known in unsaved[: max(0, len(unsaved) - _MOST_UNSAVED)]:
            del self._live[known]

    async def _write(self, task: Task, user: str) -> bool:
        try:
            await self._archive.save_task(with_confirmations(result_json(task, "0.3")), user)
        except StoreUnavailable as error:
            logger.error("task %s is not saved: %s", task.id, error)
            return False
        return True


async def mark_interrupted(archive: TaskArchive) -> int:
    """Close the tasks that the last process left working (trap G10: they would stay so for ever); return how many."""
    unfinished = await archive.unfinished_tasks()
    for stored, user in unfinished:
        task = task_from_03(stored)
        _interrupt(task)
        await archive.save_task(result_json(task, "0.3"), user)
    return len(unfinished)


def _interrupt(task: Task) -> None:
    task.status.state = TaskState.TASK_STATE_FAILED
    task.status.timestamp.GetCurrentTime()
    notice = Message(
        message_id=f"{task.id}-interrupted",
        role=Role.ROLE_AGENT,
        task_id=task.id,
        context_id=task.context_id,
        parts=[Part(text=INTERRUPTED_TEXT)],
    )
    task.status.message.CopyFrom(notice)
    task.metadata.update({"kagent_error_code": "INTERRUPTED", "adk_error_code": "INTERRUPTED"})


def _tidy(task: Task) -> None:
    """Take out of the history's end what the SDK has just put there too much: a partial, or a pause a second time."""
    while task.history and _is_partial(task.history[-1]):
        del task.history[-1]
    if len(task.history) >= 3 and task.history[-3].message_id == task.history[-2].message_id:
        del task.history[-2]


def _is_partial(message: Message) -> bool:
    if not message.HasField("metadata"):
        return False
    fields = message.metadata.fields
    return "kagent_adk_partial" in fields and fields["kagent_adk_partial"].bool_value


def _offset(token: str, total: int) -> int:
    if not token:
        return 0
    if not token.isdecimal() or int(token) > total:
        raise InvalidParamsError(message=f"unknown pageToken '{token}'")
    return int(token)
