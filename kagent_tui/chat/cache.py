"""What was said, kept on this machine: old sessions open at once, are searched, and outlive the server's loss of them.

A cache beside the server's store, never instead of it, and a memory of what a person typed and had open. One SQLite
file of the person's own, shared by all terminals; every call runs in a thread. A cache that cannot be written is a
warning, never the end of a chat.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from kagent_tui.chat.events import ChatEvent, TextDelta, TextReplaced, UserMessage
from kagent_tui.chat.jsonvalue import object_of
from kagent_tui.chat.storing import Timed, as_json, from_json

__all__ = ["CachedSession", "OpenPane", "SessionKey", "TranscriptCache", "cache_file"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_VERSION: Final = 1
_SCHEMA: Final = """
create table if not exists session (
    context text not null, user text not null, id text not null, agent text not null, title text not null default '',
    seen text not null default '', used real not null, primary key (context, user, id)
) without rowid;
create table if not exists event (
    context text not null, user text not null, session text not null, n integer not null, at real not null,
    body text not null, primary key (context, user, session, n)
) without rowid;
create table if not exists said (
    context text not null, user text not null, session text not null, words text not null,
    primary key (context, user, session)
) without rowid;
create table if not exists prompt (n integer primary key, text text not null unique, used real not null);
create table if not exists pane (
    context text not null, place integer not null, agent text not null, session text not null, draft text not null,
    primary key (context, place)
) without rowid;
"""
# Enough for years of one person; older sessions stay where they were said.
_MOST_SESSIONS: Final = 2_000
_MOST_PROMPTS: Final = 5_000
_MOST_WORDS: Final = 400_000


def cache_file() -> Path:
    """Return where the cache is (XDG_STATE_HOME/kagent-tui/chats.sqlite3)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "kagent-tui" / "chats.sqlite3"


class SessionKey(NamedTuple):
    """Which session: the context and user it belongs to, its agent (``namespace/name``) and id."""

    context: str
    user: str
    agent: str
    id: str


class CachedSession(NamedTuple):
    """A session that is kept here. ``seen`` is the server's time of the state that is kept, empty if unknown."""

    id: str
    agent: str
    title: str
    seen: str
    used: float


class OpenPane(NamedTuple):
    """A pane as it was left: its agent (``namespace/name``), session and unsent text."""

    agent: str
    session: str
    draft: str = ""


class TranscriptCache:
    """One file. Every method may be called at any time; a failing disk is logged and answers as if nothing was kept."""

    def __init__(self, file: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.file = file or cache_file()
        self._clock = clock
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._keeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="keep-panes")

    async def events(self, key: SessionKey) -> list[Timed]:
        """Return what is kept of a session, in order."""
        query = "select at, body from event where context = ? and user = ? and session = ? order by n"
        rows = await self._ask(lambda db: db.execute(query, (key.context, key.user, key.id)).fetchall(), [])
        return [timed for at, body in rows if (timed := _timed(at, body)) is not None]

    async def append(self, key: SessionKey, events: Sequence[Timed], *, title: str = "") -> None:
        """Keep more of a session."""
        await self._ask(lambda db: self._append(db, key, events, title), None)

    async def replace(self, key: SessionKey, events: Sequence[Timed], *, title: str = "", seen: str = "") -> None:
        """Keep this of a session instead of what was kept."""

        def change(db: sqlite3.Connection) -> None:
            for table in ("event", "said"):
                db.execute(
                    f"delete from {table} where context = ? and user = ? and session = ?",  # noqa: S608 - our own names
                    (key.context, key.user, key.id),
                )
            self._append(db, key, events, title)
            if seen:
                where = (seen, key.context, key.user, key.id)
                db.execute("update session set seen = ? where context = ? and user = ? and id = ?", where)

        await self._ask(change, None)

    async def forget(self, context: str, user: str, session_id: str) -> None:
        """Keep nothing of a session: the person deleted it."""

        def change(db: sqlite3.Connection) -> None:
            for table, column in (("event", "session"), ("said", "session"), ("session", "id")):
                query = f"delete from {table} where context = ? and user = ? and {column} = ?"  # noqa: S608
                db.execute(query, (context, user, session_id))

        await self._ask(change, None)

    async def sessions(self, context: str, user: str) -> list[CachedSession]:
        """Return the sessions kept, the last used first."""
        query = "select id, agent, title, seen, used from session where context = ? and user = ? order by used desc"
        rows = await self._ask(lambda db: db.execute(query, (context, user)).fetchall(), [])
        return [CachedSession(*row) for row in rows]

    async def find(self, context: str, user: str, text: str) -> set[str]:
        """Return the ids of sessions in which all the words were said, in any case."""
        words = [f"%{_escaped(word)}%" for word in text.casefold().split()]
        if not words:
            return set()
        where = " and ".join(["words like ? escape '!'"] * len(words))
        query = f"select session from said where context = ? and user = ? and {where}"  # noqa: S608
        rows = await self._ask(lambda db: db.execute(query, (context, user, *words)).fetchall(), [])
        return {str(row[0]) for row in rows}

    async def prompts(self) -> list[str]:
        """Return what was sent in all sessions, the newest last."""
        rows = await self._ask(lambda db: db.execute("select text from prompt order by used").fetchall(), [])
        return [str(row[0]) for row in rows]

    async def add_prompt(self, text: str) -> None:
        """Remember a text that was sent."""
        now = self._clock()

        def change(db: sqlite3.Connection) -> None:
            query = (
                "insert into prompt (text, used) values (?, ?) on conflict (text) do update set used = excluded.used"
            )
            db.execute(query, (text, now))
            keep = "select n from prompt order by used desc limit ?"
            db.execute(f"delete from prompt where n not in ({keep})", (_MOST_PROMPTS,))  # noqa: S608

        await self._ask(change, None)

    async def panes(self, context: str) -> list[OpenPane]:
        """Return the panes that were open on a context."""
        query = "select agent, session, draft from pane where context = ? order by place"
        rows = await self._ask(lambda db: db.execute(query, (context,)).fetchall(), [])
        return [OpenPane(*row) for row in rows]

    def keep_panes_now(self, context: str, panes: Sequence[OpenPane]) -> None:
        """Remember the panes that are open on a context, in order, in a thread that a program's end waits for."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("delete from pane where context = ?", (context,))
            rows = [(context, place, *pane) for place, pane in enumerate(panes)]
            db.executemany("insert into pane values (?, ?, ?, ?, ?)", rows)

        self._keeper.submit(self._locked, change, None)

    def close(self) -> None:
        """Close the file, after what is still to be written."""
        self._keeper.shutdown()
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _append(self, db: sqlite3.Connection, key: SessionKey, events: Sequence[Timed], title: str) -> None:
        db.execute(
            "insert into session (context, user, id, agent, title, used) values (?, ?, ?, ?, ?, ?)"
            " on conflict (context, user, id) do update set used = excluded.used,"
            " title = case when excluded.title = '' then title else excluded.title end",
            (key.context, key.user, key.id, key.agent, title, self._clock()),
        )
        where = (key.context, key.user, key.id)
        last = db.execute(
            "select coalesce(max(n), -1) from event where context = ? and user = ? and session = ?", where
        ).fetchone()[0]
        rows = [
            (*where, last + 1 + place, timed.at, json.dumps(as_json(timed), default=str))
            for place, timed in enumerate(events)
        ]
        db.executemany("insert into event values (?, ?, ?, ?, ?, ?)", rows)
        if words := _words([timed.event for timed in events]):
            db.execute(
                "insert into said values (?, ?, ?, ?) on conflict (context, user, session)"
                " do update set words = substr(words || excluded.words, -?)",
                (*where, words, _MOST_WORDS),
            )

    async def _ask(self, do: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        return await asyncio.to_thread(self._locked, do, otherwise)

    def _locked(self, do: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        with self._lock:
            try:
                database = self._database = self._database or self._open()
                with database:
                    return do(database)
            except (sqlite3.Error, OSError) as error:
                logger.warning("the transcript cache %s cannot be used: %s", self.file, error)
                return otherwise

    def _open(self) -> sqlite3.Connection:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.file.touch(mode=0o600)
        # The lock sees to it that one thread at a time uses it.
        database = sqlite3.connect(self.file, timeout=5.0, check_same_thread=False)
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = normal")
        [(version,)] = database.execute("pragma user_version").fetchall()
        if version > _VERSION:
            database.close()
            raise OSError(f"{self.file} was written by a newer kagent-tui")
        database.executescript(_SCHEMA)
        database.execute(f"pragma user_version = {_VERSION}")
        self._prune(database)
        return database

    def _prune(self, database: sqlite3.Connection) -> None:
        old = database.execute(
            "select context, user, id from session order by used desc limit -1 offset ?", (_MOST_SESSIONS,)
        ).fetchall()
        with database:
            for table, column in (("event", "session"), ("said", "session"), ("session", "id")):
                query = f"delete from {table} where context = ? and user = ? and {column} = ?"  # noqa: S608
                database.executemany(query, old)


def _timed(at: float, body: str) -> Timed | None:
    try:
        event = from_json(object_of(json.loads(body)))
    except (ValueError, RecursionError):
        return None
    return Timed(at, event) if event is not None else None


def _words(events: Sequence[ChatEvent]) -> str:
    """Return what was said in some events, for searching; pieces of one block stand together."""
    pieces: list[str] = []
    block = ""
    for event in events:
        match event:
            case UserMessage(text):
                pieces.append(f"\n{text}")
                block = ""
            case TextDelta(other, text) | TextReplaced(other, text):
                pieces.append(text if other == block else f"\n{text}")
                block = other
            case _:
                pass
    return "".join(pieces).casefold()


def _escaped(word: str) -> str:
    return word.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def timed_history(events: Sequence[Any]) -> list[Timed]:
    """Return events of a server's history, which does not tell when they came."""
    return [Timed(0.0, event) for event in events]
