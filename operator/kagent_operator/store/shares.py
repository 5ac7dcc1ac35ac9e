"""Links to a session that let others read it, or take part."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select

from kagent_operator.store.database import Database
from kagent_operator.store.tables import share

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
        return result.rowcount > 0


def _share(row: Row[Any]) -> Share:
    return Share(row.id, row.token, row.session_id, row.user_id, row.read_only, row.created_at)
