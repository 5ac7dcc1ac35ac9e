"""One thing wrong with the configuration, said so that it can be put right."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Problem"]


class Problem(NamedTuple):
    """Where it stands (dotted; "" for the whole file), what is wrong, and what to write instead."""

    field: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{where}{self.message}" + (f" ({self.remedy})" if self.remedy else "")
