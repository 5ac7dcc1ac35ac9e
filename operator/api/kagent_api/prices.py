"""What models' tokens cost: the dated list that ships as ``prices.json``, and a person's own, which goes before it.

List prices, so estimates: no discounts, no tiers by length, no price of writing a cache. A model that no list names
has no price; nothing is guessed from a name that merely begins alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, cast

from kagent_api.errors import InvalidSpec

__all__ = ["Price", "list_date", "price_of", "read_prices"]

# us.anthropic.claude-x-20250929-v1:0, vertex_ai/claude-x@20250929, gpt-x-2025-04-14 and x-latest are the model x.
_REGION: Final = re.compile(r"^(us|eu|apac|global|au|jp|ca|us-gov)\.")
_VENDOR: Final = re.compile(
    r"^(anthropic|amazon|meta|mistral|cohere|deepseek|qwen|openai|ai21|google|nvidia|moonshot|minimax)\."
)
_VERSION: Final = re.compile(r"(-v\d+(:\d+)?|:\d+|@.*)$")
_DATE: Final = re.compile(r"-(\d{4}-\d{2}-\d{2}|20\d{6}|latest)$")


class Price(NamedTuple):
    """US dollars for a million tokens. ``cached`` is what input costs that the provider had in its cache."""

    prompt: float
    completion: float
    cached: float | None = None

    def of(self, prompt: int, completion: int, cached: int = 0) -> float:
        """Return the dollars that so many tokens cost; ``cached`` of the ``prompt`` tokens came from the cache."""
        again = min(cached, prompt)
        reading = self.prompt if self.cached is None else self.cached
        return ((prompt - again) * self.prompt + again * reading + completion * self.completion) / 1_000_000


def price_of(model: str, own: Mapping[str, Price] | None = None) -> Price | None:
    """Return the price of a model, with or without provider, region, version and date in its name; None if unknown."""
    exact, plain = model.casefold(), _plain(model)
    for table in (own or {}, _shipped()):
        if found := table.get(exact) or table.get(plain):
            return found
    return None


def read_prices(file: Path) -> dict[str, Price]:
    """Read a person's list: ``{"MODEL": [INPUT, OUTPUT]}`` or ``[INPUT, OUTPUT, CACHED]``, dollars a million tokens.

    The shape of ``prices.json`` itself, with the models below ``models``, is read too.

    Raises:
        InvalidSpec: the file cannot be read; names it and the entry.
    """
    try:
        parsed: object = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidSpec(f"price list {file}: {error}", remedy='expected {"MODEL": [INPUT, OUTPUT]}') from error
    entries = _object(parsed)
    found: dict[str, Price] = {}
    for model, row in (_object(entries.get("models")) or entries).items():
        numbers = cast("list[object]", row) if isinstance(row, list) else []
        usable = [float(n) for n in numbers if isinstance(n, int | float) and not isinstance(n, bool) and n >= 0]
        if len(usable) != len(numbers) or len(usable) not in (2, 3):
            raise InvalidSpec(
                f"price list {file}: expected two or three numbers", field=model, remedy="[INPUT, OUTPUT, CACHED INPUT]"
            )
        found[model.casefold()] = Price(*usable)
    return found


def list_date() -> str:
    """Return the day of the list that ships, as YYYY-MM-DD."""
    return str(_document()["date"])


def _plain(model: str) -> str:
    name = model.casefold().rpartition("/")[2]
    for pattern in (_REGION, _VENDOR, _VERSION, _DATE):
        name = pattern.sub("", name)
    return name


@cache
def _document() -> dict[str, object]:
    return _object(json.loads(Path(__file__).with_name("prices.json").read_bytes()))


@cache
def _shipped() -> dict[str, Price]:
    rows = cast("dict[str, list[float]]", _document()["models"])
    return {model: Price(*row) for model, row in rows.items()}


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
