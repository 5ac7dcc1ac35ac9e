"""What one turn took: time to the first token, tokens a second, tokens, cost. Pure; the clock is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kagent_tui.chat.blocks import seconds_text
from kagent_tui.chat.prices import Price

__all__ = ["TurnClock", "TurnFigures", "figures_text", "turn_figures"]

# English prose in common tokenisers; only where an agent tells no usage, and then marked as a guess.
_CHARACTERS_A_TOKEN: Final = 4.0


@dataclass(slots=True)
class TurnClock:
    """When things happened in a turn, by the monotonic clock; zero means not yet. ``characters`` counts the answer."""

    started: float = 0.0
    last_event: float = 0.0
    first_text: float = 0.0
    last_text: float = 0.0
    ended: float = 0.0
    characters: int = 0


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """One turn in numbers; None where it cannot be told. ``guessed`` marks token counts made from characters."""

    first_token: float | None
    total: float | None
    rate: float | None
    prompt: int
    completion: int
    cost: float | None
    guessed: bool = False


def turn_figures(clock: TurnClock, *, prompt: int, completion: int, price: Price | None) -> TurnFigures:
    """Return the figures of a turn from its clock and the token counts its agent told (zero: none)."""
    guessed = completion == 0 and clock.characters > 0
    tokens = round(clock.characters / _CHARACTERS_A_TOKEN) if guessed else completion
    streaming = clock.last_text - clock.first_text
    return TurnFigures(
        first_token=clock.first_text - clock.started if clock.first_text else None,
        total=clock.ended - clock.started if clock.ended else None,
        # One chunk has no rate.
        rate=tokens / streaming if streaming > 0 and tokens else None,
        prompt=prompt,
        completion=tokens,
        cost=None if price is None or guessed else price.of(prompt, completion),
        guessed=guessed,
    )


def figures_text(figures: TurnFigures) -> str:
    """Return the figures in one line: ``first 0.4s  41 tok/s  812 out  $0.0123  12.4s``."""
    about = "≈" if figures.guessed else ""
    parts: list[str] = []
    if figures.first_token is not None:
        parts.append(f"first {seconds_text(figures.first_token)}")
    if figures.rate is not None:
        parts.append(f"{about}{figures.rate:.0f} tok/s")
    if figures.completion:
        parts.append(f"{about}{figures.completion:,} out")
    if figures.cost is not None:
        parts.append(cost_text(figures.cost))
    if figures.total is not None:
        parts.append(seconds_text(figures.total))
    return "  ".join(parts)


def cost_text(cost: float) -> str:
    """Return an amount of US dollars with as many digits as it needs."""
    return f"${cost:.4f}" if cost < 1 else f"${cost:.2f}"
