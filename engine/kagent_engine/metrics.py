"""Counts of what this process did, in Prometheus' text format. Never labels by user or session."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from kagent_engine.events import Completed, Emit, Failed, ModelReplied, Outcome, Paused, ToolReturned, TurnEvent, Warned

__all__ = ["Metrics"]


_RESULTS: Final[Mapping[type[Outcome], str]] = {Completed: "completed", Paused: "paused", Failed: "failed"}


@dataclass(slots=True)
class _Measured:
    result: str = "canceled"

    def ended(self, outcome: Outcome) -> None:
        self.result = _RESULTS[type(outcome)]


class Metrics:
    """Counters of one process. ``idle`` is set while no turn is being worked on."""

    def __init__(self) -> None:
        self._turns: Counter[str] = Counter()
        self._tools: Counter[tuple[str, str]] = Counter()
        self._warnings: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._dollars = 0.0
        self._model_calls = 0
        self._model_seconds = 0.0
        self._turn_seconds = 0.0
        self._running = 0
        self.idle = asyncio.Event()
        self.idle.set()

    @property
    def running(self) -> int:
        """How many turns are being worked on right now."""
        return self._running

    @contextmanager
    def turn(self) -> Generator[_Measured]:
        """Measure one turn; one that says nothing of its end was cancelled."""
        measured, started = _Measured(), time.monotonic()
        self._running += 1
        self.idle.clear()
        try:
            yield measured
        finally:
            self._running -= 1
            if self._running == 0:
                self.idle.set()
            self._turns[measured.result] += 1
            self._turn_seconds += time.monotonic() - started

    def counting(self, emit: Emit) -> Emit:
        """Return ``emit`` with every event counted on its way."""

        async def counted(event: TurnEvent) -> None:
            self._count(event)
            await emit(event)

        return counted

    def text(self) -> str:
        """Return all counters as Prometheus reads them."""
        lines = [
            *_family("turns_total", "counter", {f'result="{key}"': count for key, count in self._turns.items()}),
            *_family("turns_running", "gauge", {"": self._running}),
            *_family("turn_seconds_total", "counter", {"": round(self._turn_seconds, 6)}),
            *_family("model_calls_total", "counter", {"": self._model_calls}),
            *_family("model_seconds_total", "counter", {"": round(self._model_seconds, 6)}),
            *_family("tokens_total", "counter", {f'kind="{key}"': count for key, count in self._tokens.items()}),
            *_family("cost_dollars_total", "counter", {"": round(self._dollars, 8)}),
            *_family(
                "tool_calls_total",
                "counter",
                {f'tool="{_escaped(name)}",result="{result}"': n for (name, result), n in self._tools.items()},
            ),
            *_family("warnings_total", "counter", {f'code="{key}"': count for key, count in self._warnings.items()}),
        ]
        return "\n".join(lines) + "\n"

    def _count(self, event: TurnEvent) -> None:
        match event:
            case ModelReplied():
                self._model_calls += 1
                self._model_seconds += event.seconds
                self._tokens["input"] += event.usage.input_tokens
                self._tokens["output"] += event.usage.output_tokens
                self._dollars += event.usage.cost or 0.0
            case ToolReturned():
                self._tools[event.call.name, "error" if event.is_error else "ok"] += 1
            case Warned():
                self._warnings[event.code] += 1
            case _:
                pass


def _family(name: str, kind: str, samples: dict[str, float]) -> list[str]:
    full = f"kagent_engine_{name}"
    rows = [f"{full}{{{labels}}} {number}" if labels else f"{full} {number}" for labels, number in samples.items()]
    return [f"# TYPE {full} {kind}", *rows]


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
