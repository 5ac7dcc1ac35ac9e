"""What is shown in place of a secret. It must not tell the value's length, nor any part of it."""

from __future__ import annotations

from typing import Final

__all__ = ["MASK", "mask"]

MASK: Final = "••••••••"


def mask(value: str) -> str:
    """Return the placeholder for a secret value; an empty value stays empty, since that is worth seeing."""
    return MASK if value else ""
