"""Links to a session that let others read it, or take part."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select

from kagent_operator.store.database import Database
from kagent_operator.store.sessions import Session, living_session, session_of
from kagent_operator.store.tables import share, share_access

__all__ = ["Share", "Shares"]

_TOKEN_BYTES = 24  # 48 hexadecimal digits, upstream's length


@dataclass(frozen=True, slots=True)
class Share:
    """Whoever holds the token acts on the owner's session."""

    id: int
    token: str
    session_id: str
    user_id: str
    read_only: bool
    created_at: int


class Shares:
    """Makes, finds and withdraws share links. A token is shown to the session's owner only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user_id: str, session_id: str, *, read_only: bool) -> Share:
        token = secrets.token_hex(_TOKEN_BYTES)
        async with self._database.write() as connection:
            await connection.execute(
                insert(share).values(
                    token=token,
                    session_id=session_id,
                    user_id=user_id,
                    read_only=read_only,
                    created_at=self._database.now(),
                )
            )
            row = (await connection.execute(select(share).where(share.c.token == token))).one()
        return _share(row)

    async def by_token(self, token: str) -> Share | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(share).where(share.c.token == token))).first()
        return _share(row) if row else None

    async def visit(self, share_used: Share, user_id: str) -> None:
        """Keep that a user opened a link. Asked at every use, written once."""
        opened = select(share_access.c.token).where(
            share_access.c.token == share_used.token, share_access.c.user_id == user_id
        )
        async with self._database.read() as connection:
            if (await connection.execute(opened)).first():
                return
        values = {"token": share_used.token, "user_id": user_id, "created_at": self._database.now()}
        async with self._database.write() as connection:
            await connection.execute(self._database.upsert(share_access, values, keep=("created_at",)))

    async def visited(self, user_id: str, agent_id: str = "") -> list[tuple[Share, Session]]:
        """Return the living sessions that others share with a user, newest first; of one agent where it is given."""
        query = (
            select(share)
            .join(share_access, share_access.c.token == share.c.token)
            .where(share_access.c.user_id == user_id, share.c.user_id != user_id)
            .order_by(share.c.read_only, share.c.created_at.desc())
        )
        async with self._database.read() as connection:
            shares = [_share(row) for row in (await connection.execute(query)).all()]
            found: dict[tuple[str, str], tuple[Share, Session]] = {}
            for each in shares:
                row = (await connection.execute(living_session(each.user_id, each.session_id))).first()
                if row is not None and agent_id in ("", row.agent_id):
                    # The first is the one that allows most.
                    found.setdefault((each.user_id, each.session_id), (each, session_of(row)))
        return sorted(found.values(), key=lambda pair: -pair[1].updated_at)

    async def of_session(self, user_id: str, session_id: str) -> list[Share]:
        query = select(share).where(share.c.session_id == session_id, share.c.user_id == user_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(share.c.created_at))).all()
        return [_share(row) for row in rows]

    async def withdraw(self, user_id: str, session_id: str, token: str) -> bool:
        """Remove a link; say if there was one."""
        mine = (share.c.token == token, share.c.session_id == session_id, share.c.user_id == user_id)
        async with self._database.write() as connection:
            result = await connection.execute(delete(share).where(*mine))
            if result.rowcount:
                await connection.execute(delete(share_access).where(share_access.c.token == token))
        return result.rowcount > 0


def _share(row: Row[Any]) -> Share:
    return Share(row.id, row.token, row.session_id, row.user_id, row.read_only, row.created_at)
