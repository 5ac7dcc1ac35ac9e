"""What tokens cost, in US dollars a million: list prices that a person can correct, never an invoice.

Providers change prices without notice; what is shown is an estimate. A file of the person's own goes before this list:
XDG_CONFIG_HOME/kagent-tui/prices.json, ``{"model-prefix": [input, output]}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, cast

from kagent_tui.chat.jsonvalue import object_of

__all__ = ["Price", "price_of", "prices_file"]


class Price(NamedTuple):
    """US dollars for a million tokens."""

    prompt: float
    completion: float

    def of(self, prompt: int, completion: int) -> float:
        """Return what so many tokens cost."""
        return (prompt * self.prompt + completion * self.completion) / 1_000_000


# The providers' public lists as known in 2025; the longest prefix of a model's name decides.
_LIST: Final[Mapping[str, tuple[float, float]]] = {
    "gpt-5": (1.25, 10.0), "gpt-5-mini": (0.25, 2.0), "gpt-5-nano": (0.05, 0.4),
    "gpt-4.1": (2.0, 8.0), "gpt-4.1-mini": (0.4, 1.6), "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4o": (2.5, 10.0), "gpt-4o-mini": (0.15, 0.6), "o3": (2.0, 8.0), "o4-mini": (1.1, 4.4),
    "claude-opus-4": (15.0, 75.0), "claude-opus-4-5": (5.0, 25.0), "claude-sonnet-4": (3.0, 15.0),
    "claude-3-7-sonnet": (3.0, 15.0), "claude-3-5-sonnet": (3.0, 15.0), "claude-3-5-haiku": (0.8, 4.0),
    "claude-haiku-4-5": (1.0, 5.0), "gemini-2.5-pro": (1.25, 10.0), "gemini-2.5-flash": (0.3, 2.5),
    "gemini-2.5-flash-lite": (0.1, 0.4), "gemini-2.0-flash": (0.1, 0.4),
}  # fmt: skip


def prices_file() -> Path:
    """Return the person's own price list."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "kagent-tui" / "prices.json"


def price_of(model: str) -> Price | None:
    """Return the price of a model by its name, with or without a provider before a slash; None if it is not known."""
    name = model.casefold().rpartition("/")[2]
    for table in (_own(), _LIST):
        known = max((prefix for prefix in table if name.startswith(prefix)), key=len, default=None)
        if known is not None:
            return Price(*table[known])
    return None


@cache
def _own() -> Mapping[str, tuple[float, float]]:
    """Read the person's list once; what cannot be read is no list."""
    try:
        entries = object_of(json.loads(prices_file().read_text("utf-8")))
    except (OSError, ValueError):
        return {}
    found: dict[str, tuple[float, float]] = {}
    for prefix, pair in entries.items():
        if isinstance(pair, list):
            numbers = [item for item in cast("list[object]", pair) if isinstance(item, int | float)]
            if len(numbers) == 2:
                found[prefix.casefold()] = (float(numbers[0]), float(numbers[1]))
    return found
