"""What tokens cost, by the name that a provider or a person gives the model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kagent_api.errors import InvalidSpec
from kagent_api.prices import Price, list_date, price_of, read_prices


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("openai/GPT-4o", "gpt-4o"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("gemini/gemini-2.5-pro", "gemini-2.5-pro"),
        ("amazon.nova-pro-v1:0", "nova-pro"),
    ],
)
def test_a_models_other_names_have_its_price(name: str, same: str) -> None:
    assert price_of(name) is not None
    assert price_of(name) == price_of(same)


@pytest.mark.parametrize("name", ["scripted", "", "gpt-5-imagined", "claude", "my-finetune"])
def test_an_unknown_model_has_no_price(name: str) -> None:
    assert price_of(name) is None


def test_the_list_is_dated_and_its_prices_are_prices() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", list_date())
    price = price_of("gpt-4o")
    assert price is not None
    assert price.of(1_000_000, 0) == price.prompt > 0
    assert price.of(1_000_000, 0, cached=1_000_000) == price.cached
    assert Price(2.0, 8.0).of(500_000, 250_000, cached=100_000) == 3.0


def test_a_persons_list_goes_first_and_a_bad_entry_is_named(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text('{"GPT-4o": [1, 2], "house-model": [0.5, 1, 0.1]}')
    own = read_prices(file)
    assert price_of("gpt-4o-2024-11-20", own) == Price(1, 2)
    assert price_of("house-model", own) == Price(0.5, 1, 0.1)
    assert price_of("gpt-4o-mini", own) == price_of("gpt-4o-mini")
    file.write_text('{"models": {"m": [1, "two"]}}')
    with pytest.raises(InvalidSpec) as refused:
        read_prices(file)
    assert refused.value.field == "m"
    with pytest.raises(InvalidSpec, match=r"none\.json"):
        read_prices(tmp_path / "none.json")
