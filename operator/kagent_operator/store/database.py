"""One door to the database: connections, transactions, the schema's version.

SQLite is the default (write-ahead log, one writer at a time, a write that was acknowledged survives a crash of this
process); PostgreSQL by URL. A database of a newer version is refused, never guessed at.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Connection, Table, event, func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from kagent_operator.store import tables
from kagent_operator.store.errors import NewerDatabase, StoreError, StoreUnavailable, Unkeepable

__all__ = ["Database", "moment_of", "rfc3339"]

# Steps from the version before to the version they stand under; version 1 is the first there is.
MIGRATIONS: Final[dict[int, tuple[str, ...]]] = {
    2: (
        "CREATE TABLE session_share_access (token VARCHAR(64) NOT NULL, user_id VARCHAR(255) NOT NULL, "
        "created_at BIGINT NOT NULL, PRIMARY KEY (token, user_id))",
        "CREATE INDEX share_access_by_user ON session_share_access (user_id)",
        "CREATE INDEX task_by_state ON task (user_id, state)",
    ),
    3: (
        "CREATE TABLE lg_checkpoint (user_id VARCHAR(255) NOT NULL, thread_id VARCHAR(255) NOT NULL, "
        "checkpoint_ns VARCHAR(255) NOT NULL, checkpoint_id VARCHAR(255) NOT NULL, parent_checkpoint_id VARCHAR(255), "
        "checkpoint TEXT NOT NULL, extra TEXT NOT NULL, type TEXT NOT NULL, version INTEGER NOT NULL, "
        "created_at BIGINT NOT NULL, PRIMARY KEY (user_id, thread_id, checkpoint_ns, checkpoint_id))",
        "CREATE TABLE lg_checkpoint_write (user_id VARCHAR(255) NOT NULL, thread_id VARCHAR(255) NOT NULL, "
        "checkpoint_ns VARCHAR(255) NOT NULL, checkpoint_id VARCHAR(255) NOT NULL, task_id VARCHAR(255) NOT NULL, "
        "write_idx INTEGER NOT NULL, channel TEXT NOT NULL, type TEXT NOT NULL, value TEXT NOT NULL, "
        "created_at BIGINT NOT NULL, "
        "PRIMARY KEY (user_id, thread_id, checkpoint_ns, checkpoint_id, task_id, write_idx))",
        "CREATE TABLE crewai_memory (id VARCHAR(64) NOT NULL, user_id VARCHAR(255) NOT NULL, "
        "thread_id VARCHAR(255) NOT NULL, data TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (id))",
        "CREATE INDEX crewai_memory_by_thread ON crewai_memory (user_id, thread_id, created_at)",
        "CREATE TABLE crewai_flow_state (user_id VARCHAR(255) NOT NULL, thread_id VARCHAR(255) NOT NULL, "
        "flow_uuid VARCHAR(255) NOT NULL, method_name VARCHAR(255) NOT NULL, state TEXT NOT NULL, "
        "updated_at BIGINT NOT NULL, PRIMARY KEY (user_id, thread_id, flow_uuid, method_name))",
    ),
}

_DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
# One number that every replica agrees on, so that only one of them migrates (PostgreSQL advisory lock).
_MIGRATION_LOCK = 0x6B6167656E74
_BUSY_MILLISECONDS = 10_000


class Database:
    """An open database. Use `read()` and `write()` for everything."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._last = 0

    @classmethod
    async def open(cls, address: str | Path) -> Database:
        """Open a file (SQLite) or a URL and bring its schema up to date; raise StoreError naming what is wrong."""
        url = _url(address)
        shown = url.render_as_string(hide_password=True)
        try:
            engine = create_async_engine(url, **_options(url))
        except (SQLAlchemyError, ImportError) as error:
            raise _unusable(shown, error) from error
        if url.get_backend_name() == "sqlite":
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
        database = cls(engine)
        try:
            await database._migrate(shown)
        except (SQLAlchemyError, OSError) as error:
            await engine.dispose()
            raise _unusable(shown, error) from error
        except (StoreUnavailable, Unkeepable) as error:
            await engine.dispose()
            raise _unusable(shown, cast("Exception", error.__cause__ or error)) from error
        except BaseException:
            await engine.dispose()
            raise
        return database

    @property
    def shared(self) -> bool:
        """Whether it is a server, which others write to as well."""
        return self._engine.dialect.name != "sqlite"

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """Give a connection in a transaction that sees one state."""
        with _told():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        """Give a connection in a transaction that is committed at the end and rolled back on an exception."""
        with _told():
            async with self._engine.connect() as connection:
                await connection.execution_options(kagent_write=True)
                async with connection.begin():
                    yield connection

    def now(self) -> int:
        """Return this moment in nanoseconds; never the same twice, so that order is kept."""
        self._last = max(self._last + 1, time.time_ns())
        return self._last

    def greatest(self, one: ColumnElement[int], other: int) -> ColumnElement[int]:
        """Return the expression of the greater of two numbers."""
        return func.max(one, other) if self._engine.dialect.name == "sqlite" else func.greatest(one, other)

    def upsert(
        self,
        table: Table,
        values: dict[str, Any],
        *,
        keep: tuple[str, ...] = (),
        where: ColumnElement[bool] | None = None,
    ) -> postgresql.Insert | sqlite.Insert:
        """Return an insert that updates an existing row of the same primary key, but for the columns in ``keep``.

        With ``where``, a row that it does not hold for is left alone.
        """
        keys = [column.name for column in table.primary_key]
        changed = {name: value for name, value in values.items() if name not in keys and name not in keep}
        maker = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        written = maker(table).values(values)
        if not changed:
            return written.on_conflict_do_nothing(index_elements=keys)
        return written.on_conflict_do_update(index_elements=keys, set_=changed, where=where)

    async def _migrate(self, shown: str) -> None:
        async with self.write() as connection:
            if self._engine.dialect.name == "postgresql":
                await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            await connection.run_sync(tables.schema_version.create, checkfirst=True)
            found = (await connection.execute(select(tables.schema_version.c.version))).scalar()
            if found is None:
                await connection.run_sync(tables.metadata.create_all)
                await connection.execute(insert(tables.schema_version).values(version=tables.SCHEMA_VERSION))
                return
            if found > tables.SCHEMA_VERSION:
                raise NewerDatabase(
                    f"the database {shown} has schema version {found}, this program knows {tables.SCHEMA_VERSION}",
                    remedy="run the version that wrote it, or give another --data-dir",
                )
            for version in range(found + 1, tables.SCHEMA_VERSION + 1):
                for statement in MIGRATIONS[version]:
                    await connection.execute(text(statement))
                await connection.execute(tables.schema_version.update().values(version=version))


@contextmanager
def _told() -> Generator[None]:
    """Say in the store's words what a driver says: is it the value, or is the database away?"""
    try:
        yield
    except (DataError, UnicodeEncodeError, OverflowError) as error:
        raise _unkeepable() from error
    except (OperationalError, InterfaceError, TimeoutError, OSError) as error:
        if isinstance(error, DBAPIError) and isinstance(error.orig, UnicodeEncodeError):
            raise _unkeepable() from error
        raise StoreUnavailable(
            f"the database does not answer: {_said(error)}",
            remedy="look at its own log; requests are taken again after",
        ) from error
    except DBAPIError as error:
        # SQLSTATE class 22: the value cannot be taken (PostgreSQL); 08 and 57P: the connection went.
        state = str(getattr(error.orig, "sqlstate", "") or "")
        if state.startswith("22") or isinstance(error.orig, UnicodeEncodeError | OverflowError):
            raise _unkeepable() from error
        if error.connection_invalidated or state.startswith(("08", "57P", "53")):
            raise StoreUnavailable(f"the database does not answer: {_said(error)}") from error
        raise


def _unkeepable() -> Unkeepable:
    return Unkeepable(
        "a value of the request cannot be kept",
        remedy="ids have at most 255 characters; text must be without NUL and half surrogates",
    )


def _said(error: Exception) -> str:
    # Without the statement and its parameters, which hold what people said.
    return str(getattr(error, "orig", None) or type(error).__name__)


def _unusable(shown: str, error: Exception) -> StoreError:
    return StoreError(
        f"the database {shown} cannot be opened: {getattr(error, 'orig', None) or error}",
        remedy="check that its folder exists and is writable, or that the server answers",
    )


def _url(address: str | Path) -> URL:
    if isinstance(address, Path) or "://" not in address:
        path = Path(address)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)  # what people said is nobody else's on this machine; SQLite keeps the mode
        except OSError as error:
            raise StoreError(
                f"the database {path} cannot be made: {error.strerror}", remedy="give a writable --data-dir"
            ) from error
        return URL.create("sqlite+aiosqlite", database=str(path))
    try:
        url = make_url(address)
        return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    except ArgumentError as error:
        raise StoreError(
            "the database URL cannot be read", remedy="write it as postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from error


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {}
    return {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 10}


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, so that a writer waits instead of failing half-way
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_MILLISECONDS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("kagent_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def rfc3339(nanoseconds: int) -> str:
    """Write a moment as the API shows it (UTC, microseconds)."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest // 1000:06d}Z"


def moment_of(written: str) -> int:
    """Read an RFC 3339 moment; raise ValueError when it is none."""
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
