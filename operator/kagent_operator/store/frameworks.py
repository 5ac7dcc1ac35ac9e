"""State of other people's agent frameworks: LangGraph's checkpoints, CrewAI's long-term memory and flow states.

What they send is kept as it came; only the keys it is found by again are known here. Shapes: upstream's
kagent-langgraph and kagent-crewai.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Row, delete, insert, select

from kagent_operator.store.database import Database
from kagent_operator.store.tables import crewai_flow_state, crewai_memory, lg_checkpoint, lg_checkpoint_write

__all__ = ["Checkpoint", "CheckpointWrite", "FlowState", "Frameworks"]


@dataclass(frozen=True, slots=True)
class CheckpointWrite:
    """One pending write of a task; ``value`` is text of the type that ``type`` names."""

    task_id: str
    index: int
    channel: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One step of a graph's thread; ``checkpoint`` and ``extra`` (its metadata) are opaque texts."""

    thread_id: str
    namespace: str
    id: str
    parent_id: str | None
    checkpoint: str
    extra: str
    type: str
    version: int
    writes: tuple[CheckpointWrite, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowState:
    """``state`` is JSON text."""

    thread_id: str
    flow_uuid: str
    method_name: str
    state: str


class Frameworks:
    """Reads and writes; everything belongs to a user and a thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_checkpoint(self, user_id: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint; the same id again takes its place."""
        values: dict[str, Any] = {
            "user_id": user_id,
            "thread_id": checkpoint.thread_id,
            "checkpoint_ns": checkpoint.namespace,
            "checkpoint_id": checkpoint.id,
            "parent_checkpoint_id": checkpoint.parent_id,
            "checkpoint": checkpoint.checkpoint,
            "extra": checkpoint.extra,
            "type": checkpoint.type,
            "version": checkpoint.version,
            "created_at": self._database.now(),
        }
        async with self._database.write() as connection:
            await connection.execute(self._database.upsert(lg_checkpoint, values, keep=("created_at",)))

    async def put_writes(
        self, user_id: str, thread_id: str, namespace: str, checkpoint_id: str, writes: list[CheckpointWrite]
    ) -> None:
        """Keep what tasks wrote after a checkpoint, all of it or nothing."""
        async with self._database.write() as connection:
            for write in writes:
                values: dict[str, Any] = {
                    "user_id": user_id,
                    "thread_id": thread_id,
                    "checkpoint_ns": namespace,
                    "checkpoint_id": checkpoint_id,
                    "task_id": write.task_id,
                    "write_idx": write.index,
                    "channel": write.channel,
                    "type": write.type,
                    "value": write.value,
                    "created_at": self._database.now(),
                }
                await connection.execute(self._database.upsert(lg_checkpoint_write, values, keep=("created_at",)))

    async def checkpoints(
        self, user_id: str, thread_id: str, namespace: str, *, checkpoint_id: str = "", limit: int = 0
    ) -> list[Checkpoint]:
        """Return checkpoints with their writes, newest first (their ids sort by time); ``limit`` 0 is all."""
        table = lg_checkpoint
        query = (
            select(table)
            .where(table.c.user_id == user_id, table.c.thread_id == thread_id, table.c.checkpoint_ns == namespace)
            .order_by(table.c.checkpoint_id.desc())
        )
        if checkpoint_id:
            query = query.where(table.c.checkpoint_id == checkpoint_id)
        if limit > 0:
            query = query.limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            found = [row.checkpoint_id for row in rows]
            write = lg_checkpoint_write
            written = await connection.execute(
                select(write)
                .where(write.c.user_id == user_id, write.c.thread_id == thread_id, write.c.checkpoint_ns == namespace)
                .where(write.c.checkpoint_id.in_(found))
                .order_by(write.c.task_id, write.c.write_idx)
            )
            writes: dict[str, list[CheckpointWrite]] = {}
            for row in written:
                writes.setdefault(row.checkpoint_id, []).append(
                    CheckpointWrite(row.task_id, row.write_idx, row.channel, row.type, row.value)
                )
        return [_checkpoint(row, tuple(writes.get(row.checkpoint_id, ()))) for row in rows]

    async def forget_thread(self, user_id: str, thread_id: str) -> None:
        """Delete a thread's checkpoints and writes."""
        async with self._database.write() as connection:
            for table in (lg_checkpoint_write, lg_checkpoint):
                mine = (table.c.user_id == user_id, table.c.thread_id == thread_id)
                await connection.execute(delete(table).where(*mine))

    async def remember(self, user_id: str, thread_id: str, memory: str) -> None:
        """Keep one item of a crew's long-term memory, JSON text."""
        values: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "user_id": user_id,
            "thread_id": thread_id,
            "data": memory,
            "created_at": self._database.now(),
        }
        async with self._database.write() as connection:
            await connection.execute(insert(crewai_memory).values(values))

    async def memories(self, user_id: str, thread_id: str, task: str, *, limit: int = 0) -> list[str]:
        """Return the items whose task description holds a text, newest first, as JSON texts."""
        table, wanted = crewai_memory, task.casefold()
        query = (
            select(table.c.data)
            .where(table.c.user_id == user_id, table.c.thread_id == thread_id)
            .order_by(table.c.created_at.desc())
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).scalars().all()
        found = [text for text in rows if wanted in _task_of(text).casefold()]
        return found[:limit] if limit > 0 else found

    async def forget_memories(self, user_id: str, thread_id: str) -> None:
        """Delete a thread's long-term memory."""
        mine = (crewai_memory.c.user_id == user_id, crewai_memory.c.thread_id == thread_id)
        async with self._database.write() as connection:
            await connection.execute(delete(crewai_memory).where(*mine))

    async def put_flow_state(self, user_id: str, state: FlowState) -> None:
        """Keep the state a flow's method left behind, in place of what that method left before."""
        values: dict[str, Any] = {
            "user_id": user_id,
            "thread_id": state.thread_id,
            "flow_uuid": state.flow_uuid,
            "method_name": state.method_name,
            "state": state.state,
            "updated_at": self._database.now(),
        }
        async with self._database.write() as connection:
            await connection.execute(self._database.upsert(crewai_flow_state, values))

    async def flow_state(self, user_id: str, thread_id: str, flow_uuid: str = "") -> FlowState | None:
        """Return the newest state of a thread, of one flow where it is named."""
        table = crewai_flow_state
        query = select(table).where(table.c.user_id == user_id, table.c.thread_id == thread_id)
        if flow_uuid:
            query = query.where(table.c.flow_uuid == flow_uuid)
        async with self._database.read() as connection:
            row = (await connection.execute(query.order_by(table.c.updated_at.desc()).limit(1))).first()
        return FlowState(row.thread_id, row.flow_uuid, row.method_name, row.state) if row else None


def _checkpoint(row: Row[Any], writes: tuple[CheckpointWrite, ...]) -> Checkpoint:
    return Checkpoint(
        row.thread_id, row.checkpoint_ns, row.checkpoint_id, row.parent_checkpoint_id, row.checkpoint, row.extra,
        row.type, row.version, writes,
    )  # fmt: skip


def _task_of(memory: str) -> str:
    data: Any = json.loads(memory)
    return str(cast("dict[str, Any]", data).get("task_description", "")) if isinstance(data, dict) else ""
