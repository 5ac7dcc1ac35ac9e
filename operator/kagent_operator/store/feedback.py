"""What people thought of answers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select

from kagent_operator.store.database import Database
from kagent_operator.store.tables import feedback

__all__ = ["Feedback", "Feedbacks"]


@dataclass(frozen=True, slots=True)
class Feedback:
    id: int
    user_id: str
    message_id: str | None
    is_positive: bool
    feedback_text: str
    issue_type: str | None
    created_at: int


class Feedbacks:
    """Reads and writes feedback; each user sees their own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, user_id: str, *, is_positive: bool, feedback_text: str, issue_type: str | None, message_id: str | None
    ) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                insert(feedback).values(
                    user_id=user_id,
                    message_id=message_id,
                    is_positive=is_positive,
                    feedback_text=feedback_text,
                    issue_type=issue_type,
                    created_at=self._database.now(),
                )
            )

    async def of_user(self, user_id: str) -> list[Feedback]:
        """Return a user's feedback, oldest first."""
        query = select(feedback).where(feedback.c.user_id == user_id).order_by(feedback.c.created_at)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Feedback(
                row.id, row.user_id, row.message_id, row.is_positive, row.feedback_text, row.issue_type, row.created_at
            )
            for row in rows
        ]
