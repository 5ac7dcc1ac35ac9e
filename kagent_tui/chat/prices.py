"""What tokens cost, in US dollars a million: list prices that a person can correct, never an invoice.

A file of the person's own goes before the list that ships: XDG_CONFIG_HOME/kagent-tui/prices.json,
``{"MODEL": [INPUT, OUTPUT]}`` (kagent_api.prices has the shape).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from kagent_api import prices
from kagent_api.errors import InvalidSpec
from kagent_api.prices import Price

__all__ = ["Price", "price_of", "prices_file"]

logger = logging.getLogger(__name__)


def prices_file() -> Path:
    """Return the person's own price list."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "kagent-tui" / "prices.json"


def price_of(model: str) -> Price | None:
    """Return the price of a model by its name, with or without a provider before a slash; None if it is not known."""
    return prices.price_of(model, _own(prices_file()))


@cache
def _own(file: Path) -> Mapping[str, Price]:
    """Read the person's list once; one that cannot be read is named in the log and is no list."""
    if not file.exists():
        return {}
    try:
        return prices.read_prices(file)
    except InvalidSpec as error:
        logger.warning("%s", error)
        return {}
