"""Text with meaning instead of colour: what every renderer returns and every widget paints.

A tone says what a piece of text means; only widgets know what a tone looks like. Every outside string must come through
``span`` or ``cell`` (they sanitise); building a Span by hand is for our own literals.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from kagent_api.errors import ObjectRef
from kagent_tui.safety import clean

__all__ = ["BLANK", "Line", "Span", "Tone", "brief", "head", "line", "note", "span"]


class Tone(StrEnum):
    """What a piece of text means."""

    PLAIN = "plain"
    DIM = "dim"
    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    HEAD = "head"
    KEY = "key"
    LINK = "link"
    VALUE = "value"
    ADD = "add"
    REMOVE = "remove"
    # The colours a context may have: a badge, so that nobody takes one cluster for another.
    RED = "red"
    YELLOW = "yellow"
    GREEN = "green"
    BLUE = "blue"
    PURPLE = "purple"
    CYAN = "cyan"
    GREY = "grey"


class Span(NamedTuple):
    """A piece of one line; the text is clean and has no line breaks."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line; a pane may wrap it under ``indent``. ``target`` is where Enter leads."""

    spans: tuple[Span, ...] = ()
    indent: int = 0
    target: ObjectRef | None = None

    @property
    def plain(self) -> str:
        return "".join(part.text for part in self.spans)


BLANK = Line()
LONGEST_MESSAGE: Final = 600


def brief(text: str) -> str:
    """Return a message cut to what a person reads on a screen; raw text. YAML and logs show all of it."""
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]} … ({len(text):,} characters)"


def span(text: str, tone: Tone = Tone.PLAIN) -> Span:
    """Return outside text as a span: sanitised, on one line."""
    return Span(clean(text, newlines=False), tone)


def line(*parts: Span | str, indent: int = 0, target: ObjectRef | None = None) -> Line:
    """Join spans into a line; bare strings are outside text too and are sanitised."""
    spans = tuple(part if isinstance(part, Span) else span(part) for part in parts)
    return Line(spans, indent, target)


def head(text: str) -> Line:
    """A heading."""
    return Line((Span(clean(text, newlines=False), Tone.HEAD),))


def note(text: str, indent: int = 2) -> Line:
    """A remark in a quiet tone."""
    return Line((Span(" " * indent), Span(clean(text, newlines=False), Tone.DIM)), indent)
