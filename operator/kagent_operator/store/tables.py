"""Tables of the gateway's database, at the current version. SQLite and PostgreSQL hold the same columns.

Moments are nanoseconds since the epoch in one integer column: they sort, and no two events of a session share one.
Deletes are soft, as upstream's are.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

__all__ = [
    "SCHEMA_VERSION", "crewai_flow_state", "crewai_memory", "event", "feedback", "lg_checkpoint", "lg_checkpoint_write",
    "memory", "metadata", "schema_version", "session", "share", "share_access", "task",
]  # fmt: skip

SCHEMA_VERSION: Final = 3

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

session = Table(
    "session",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("user_id", String(255), primary_key=True),
    Column("name", Text, nullable=False, default=""),
    Column("agent_id", String(520), nullable=False),
    Column("source", String(16), nullable=False, default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index("session_by_agent", "user_id", "agent_id"),
)

event = Table(
    "event",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("session_id", String(255), primary_key=True),
    Column("user_id", String(255), primary_key=True),
    Column("data", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index("event_by_session", "session_id", "user_id", "created_at"),
)

task = Table(
    "task",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("session_id", String(255), nullable=False),
    Column("state", String(32), nullable=False),
    Column("data", Text, nullable=False),
    Column("protocol_version", String(8), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index("task_by_session", "session_id", "user_id", "created_at"),
    Index("task_by_user", "user_id", "id"),
    Index("task_by_state", "user_id", "state"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", String(255), nullable=False),
    Column("message_id", String(255)),
    Column("is_positive", Boolean, nullable=False),
    Column("feedback_text", Text, nullable=False),
    Column("issue_type", String(32)),
    Column("created_at", BigInteger, nullable=False),
    Index("feedback_by_user", "user_id", "created_at"),
)

share = Table(
    "session_share",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("token", String(64), nullable=False, unique=True),
    Column("session_id", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("share_by_session", "session_id", "user_id"),
)

# Who opened which link: a session shared with somebody then stands among theirs.
share_access = Table(
    "session_share_access",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("user_id", String(255), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Index("share_access_by_user", "user_id"),
)

memory = Table(
    "memory",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("agent_name", String(520), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("content", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("extra", Text),
    Column("access_count", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Index("memory_by_agent", "agent_name", "user_id"),
)

# Upstream's engines for LangGraph and CrewAI keep their state in the next four.
lg_checkpoint = Table(
    "lg_checkpoint",
    metadata,
    Column("user_id", String(255), primary_key=True),
    Column("thread_id", String(255), primary_key=True),
    Column("checkpoint_ns", String(255), primary_key=True),
    Column("checkpoint_id", String(255), primary_key=True),
    Column("parent_checkpoint_id", String(255)),
    Column("checkpoint", Text, nullable=False),
    Column("extra", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

lg_checkpoint_write = Table(
    "lg_checkpoint_write",
    metadata,
    Column("user_id", String(255), primary_key=True),
    Column("thread_id", String(255), primary_key=True),
    Column("checkpoint_ns", String(255), primary_key=True),
    Column("checkpoint_id", String(255), primary_key=True),
    Column("task_id", String(255), primary_key=True),
    Column("write_idx", Integer, primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

crewai_memory = Table(
    "crewai_memory",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("thread_id", String(255), nullable=False),
    Column("data", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("crewai_memory_by_thread", "user_id", "thread_id", "created_at"),
)

crewai_flow_state = Table(
    "crewai_flow_state",
    metadata,
    Column("user_id", String(255), primary_key=True),
    Column("thread_id", String(255), primary_key=True),
    Column("flow_uuid", String(255), primary_key=True),
    Column("method_name", String(255), primary_key=True),
    Column("state", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
