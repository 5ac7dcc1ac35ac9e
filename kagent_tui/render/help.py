"""The help text: every command of the registry with its keys and words, grouped by where it applies."""

from __future__ import annotations

from collections.abc import Sequence

from kagent_tui.commands.registry import Registry, Scope
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note, span

__all__ = ["help_lines"]

_TITLES: tuple[tuple[Scope, str], ...] = (
    ("browse", "On an object in a table"),
    ("move", "Moving"),
    ("text", "Reading (details, YAML, logs)"),
    ("logs", "In a log"),
    ("edit", "Editing"),
    ("form", "In a form"),
    ("words", "In a long text"),
    ("tools", "Choosing tools"),
    ("review", "Before applying"),
    ("clashes", "When somebody else changed it too"),
    ("revisions", "In the list of revisions"),
    ("chat", "In the chats"),
    ("compose", "Writing to an agent"),
    ("transcript", "Reading a chat"),
    ("decide", "Deciding about a tool call"),
    ("sessions", "In the list of sessions"),
    ("inbox", "In the approvals inbox"),
    ("rows", "In both lists"),
    ("replay", "While a session is shown again"),
    ("app", "Everywhere"),
)


def help_lines(commands: Registry, *, here: Sequence[Scope] = (), place: str = "") -> list[Line]:
    """Return the help screen's lines; the scopes of the place one came from (raw text) stand first."""
    lines: list[Line] = []
    titles: dict[Scope, str] = dict(_TITLES)
    order: list[Scope] = [scope for scope in here if scope in titles and scope != "app"]
    rest: list[Scope] = [scope for scope, _ in _TITLES if scope not in order]
    for scope in (*order, *rest):
        if not commands.of(scope):
            continue
        title = titles[scope]
        if order and scope == order[0]:
            lines += [line(span("Here", Tone.OK), span(f": {place}" if place else "", Tone.DIM)), BLANK]
        elif order and scope == rest[0]:
            lines += [line(span("Elsewhere", Tone.OK)), BLANK]
        lines.append(head(title))
        for command in commands.of(scope):
            if not command.help:
                continue
            keys = " ".join(command.keys) or "-"
            write = Span(" (writes)", Tone.WARN) if command.needs_write else Span("")
            lines.append(
                line(
                    Span("  "), span(f"{keys:<23}", Tone.KEY), span(command.help), write,
                    span(f"   {command.usage}" if command.usage else "", Tone.DIM), indent=25,
                )
            )  # fmt: skip
        lines.append(BLANK)
    lines += [
        head("Filters (/)"),
        *(note(text) for text in (
            "text        the words anywhere in a row; a regular expression where it reads as one",
            "!text       rows without it",
            "-l app=x    by labels, as kubectl's -l",
            "-f abc      fuzzy: these letters in this order",
        )),
        BLANK,
        head("Signs"),
        note("● works   ○ waiting or unknown   ✖ does not work; the word beside it says the same"),
    ]  # fmt: skip
    return lines
