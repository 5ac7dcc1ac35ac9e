"""Entries of a transcript as screen lines: the person's words, answers, thinking, tool cards, notices. Pure.

A card always begins with marks that text of an answer cannot have in the first column, so that no answer can pass for
a tool call or an approval; approvals themselves are decided outside the transcript.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, assert_never, cast

from kagent_api.names import NAMESPACE_SEPARATOR
from kagent_tui.chat.attachments import split_attached
from kagent_tui.chat.events import Question
from kagent_tui.chat.growing import GrowingMarkdown
from kagent_tui.chat.jsonvalue import JsonObject, object_of, objects_in, text_of
from kagent_tui.chat.lines import Piece, ScreenLine, piece, prefixed, width_of, wrap_pieces
from kagent_tui.chat.transcript import (
    AnswerEntry,
    Entry,
    NoticeEntry,
    QuestionEntry,
    ThoughtEntry,
    ToolEntry,
    ToolState,
    UserEntry,
)
from kagent_tui.render.text import Tone
from kagent_tui.render.yaml import yaml_lines
from kagent_tui.safety import cell_width, clean, has_hidden, shorten

__all__ = ["arguments_text", "entry_lines", "foldable", "result_text", "seconds_text", "tool_title"]

# Lines and characters of one argument or result in a card; the pager has all of it.
_CARD_LINES: Final = 200
_CARD_TEXT: Final = 60_000
_INDENT: Final = (Piece("  "),)
_STATE_TONES: Final = {
    ToolState.RUNNING: (Tone.WARN, "…"),
    ToolState.WAITING: (Tone.WARN, "?"),
    ToolState.ASKING: (Tone.WARN, "?"),
    ToolState.APPROVED: (Tone.WARN, "…"),
    ToolState.REJECTED: (Tone.BAD, "✖"),
    ToolState.DONE: (Tone.OK, "✔"),
    ToolState.FAILED: (Tone.BAD, "✖"),
    ToolState.UNKNOWN: (Tone.DIM, "-"),
}
_NOTICE_TONES: Final = {"note": Tone.DIM, "warning": Tone.WARN, "error": Tone.BAD}


def foldable(entry: Entry) -> bool:
    """Tell whether an entry has a short and a long form."""
    return isinstance(entry, ToolEntry | ThoughtEntry)


def entry_lines(
    entry: Entry, width: int, *, unfolded: bool, growing: GrowingMarkdown | None = None
) -> list[ScreenLine]:
    """Return an entry's lines without the empty line that follows it. ``growing`` keeps an answer's finished part."""
    match entry:
        case UserEntry(text, decision):
            return _user(text, width, decision=decision)
        case AnswerEntry(_, text):
            growing = growing or GrowingMarkdown(width)
            growing.update(text)
            return growing.lines
        case ThoughtEntry():
            return _thought(entry, width, unfolded=unfolded)
        case ToolEntry():
            return _tool(entry, width, unfolded=unfolded)
        case QuestionEntry(question, answers):
            return _question(question, answers, width)
        case NoticeEntry(level, text, remedy):
            tone = _NOTICE_TONES[level]
            mark = {"note": "·", "warning": "! warning:", "error": "✖ error:"}[level]
            lines = _text_lines(text, width - cell_width(mark) - 1, tone)
            lines = prefixed(lines, (Piece(f"{mark} ", tone),), (Piece(" " * (cell_width(mark) + 1)),))
            return [*lines, *prefixed(_text_lines(remedy, width - 4, Tone.DIM), (Piece("  → "),), (Piece("    "),))]
        case _:
            assert_never(entry)


def seconds_text(seconds: float) -> str:
    """Return a duration as people read it: ``80ms``, ``1.2s``, ``3m05s``."""
    if seconds < 0.95:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.5:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s"


def arguments_text(arguments: JsonObject) -> str:
    """Return a call's arguments as YAML, raw."""
    return _yaml(arguments) if arguments else ""


def result_text(result: Any) -> str:
    """Return what a tool answered as a person reads it, raw: MCP's text parts as text, anything else as YAML."""
    content = objects_in(object_of(result).get("content"))
    if content:
        return "\n".join(_content_text(item) for item in content)
    shape = object_of(result)
    if len(shape) == 1:
        [value] = shape.values()
        if isinstance(value, str):
            return value
    if isinstance(result, str):
        return result
    return "" if result is None else _yaml(result)


def _content_text(item: JsonObject) -> str:
    if item.get("type") == "text":
        text = text_of(item.get("text"))
        return _json_as_yaml(text)
    kind = text_of(item.get("type")) or "content"
    mime = text_of(item.get("mimeType"))
    return f"[{kind}{f' {mime}' if mime else ''}]"


def _json_as_yaml(text: str) -> str:
    stripped = text.strip()
    if stripped[:1] not in ("{", "[") or len(stripped) > _CARD_TEXT:
        return text
    try:
        return _yaml(json.loads(stripped))
    except (ValueError, RecursionError):
        return text


def _yaml(value: Any) -> str:
    from kagent_tui.chat.yamltext import dump

    return dump(value)


def _user(text: str, width: int, *, decision: bool) -> list[ScreenLine]:
    said = split_attached(text)
    lines = _text_lines(said.text, width - 2, Tone.DIM if decision else Tone.PLAIN, "" if decision else "b")
    for name, count in said.attached:
        lines += wrap_pieces((piece(f"+ {name} ({count} line{'' if count == 1 else 's'})", Tone.DIM),), width - 2)
    return prefixed(lines, (Piece("› ", Tone.KEY, "b"),), _INDENT)


def _text_lines(text: str, width: int, tone: Tone = Tone.PLAIN, face: str = "") -> list[ScreenLine]:
    if not text:
        return []
    return [line for raw in clean(text).split("\n") for line in wrap_pieces((Piece(raw, tone, face),), width)]


def _thought(entry: ThoughtEntry, width: int, *, unfolded: bool) -> list[ScreenLine]:
    lines = _text_lines(entry.text.strip(), width - 2, Tone.DIM, "i")
    if unfolded:
        return [(Piece("▾ thinking", Tone.DIM),), *prefixed(lines, _INDENT, _INDENT)]
    words = len(entry.text.split())
    head = "▸ thought" if entry.done else "▸ thinking"
    return [(Piece(f"{head} ({words} words)", Tone.DIM),)]


def _tool(entry: ToolEntry, width: int, *, unfolded: bool) -> list[ScreenLine]:
    tone, sign = _STATE_TONES[entry.state]
    time = f" {seconds_text(entry.seconds)}" if entry.seconds is not None else ""
    progress = clean(f" {entry.progress[:40]}", newlines=False) if entry.progress else ""
    state = Piece(f"  {sign} {entry.state}{time}{shorten(progress, max(0, width // 3))}", tone)
    name = Piece(shorten(tool_title(entry.name), max(8, width // 2)), Tone.HEAD)
    mark = Piece(f"{'▾' if unfolded else '▸'} {'agent' if NAMESPACE_SEPARATOR in entry.name else 'tool'} ", Tone.DIM)
    if entry.inner and not unfolded:
        state = Piece(f"  {count_inside(entry)} inside{state.text}", state.tone)
    if not unfolded:
        room = width - width_of((mark, name, state)) - 2
        brief = shorten(_brief(entry.arguments), room) if room > 8 else ""
        return [(mark, name, Piece(f"  {brief}" if brief else "", Tone.VALUE), state)]
    lines: list[ScreenLine] = [(mark, name, state)]
    if entry.hint:
        lines += prefixed(_text_lines(entry.hint, width - 2, Tone.DIM), _INDENT, _INDENT)
    if entry.arguments:
        lines += _section("arguments", arguments_text(entry.arguments), width)
    for text in entry.activity:
        lines += prefixed(_text_lines(text, width - 4, Tone.DIM), (Piece("  · ", Tone.DIM),), (Piece("    "),))
    lines += _inside(entry, width, 1)
    if entry.result is not None:
        lines += _section("result", result_text(entry.result), width, failed=entry.state is ToolState.FAILED)
    return lines


def count_inside(entry: ToolEntry) -> int:
    """Return how many calls an agent made inside a call, at any depth."""
    return sum(1 + count_inside(each) for each in entry.inner)


def _inside(entry: ToolEntry, width: int, depth: int) -> list[ScreenLine]:
    """Return a sub-agent's own calls as a tree."""
    lines: list[ScreenLine] = []
    for number, each in enumerate(entry.inner):
        tone, sign = _STATE_TONES[each.state]
        branch = "└─ " if number == len(entry.inner) - 1 else "├─ "
        lead = Piece("  " * depth + branch, Tone.DIM)
        name = Piece(shorten(tool_title(each.name), max(8, width // 2)), Tone.HEAD)
        state = Piece(f"  {sign} {each.state}", tone)
        room = width - width_of((lead, name, state)) - 2
        brief = shorten(_brief(each.arguments), room) if room > 8 else ""
        lines.append((lead, name, Piece(f"  {brief}" if brief else "", Tone.VALUE), state))
        lines += _inside(each, width, depth + 2)
    if entry.said.strip():
        said = shorten(clean(" ".join(entry.said.split())), max(8, width - 2 * depth - 4))
        lines.append((Piece("  " * depth + "  « ", Tone.DIM), Piece(said, Tone.DIM)))
    if entry.tokens:
        lines.append((Piece("  " * depth + f"  {entry.tokens:,} tokens inside", Tone.DIM),))
    return lines


def tool_title(name: str) -> str:
    """Return a tool's name, of an agent that is a tool (``ns__NS__name``) the agent's."""
    namespace, separator, agent = clean(name, newlines=False).partition(NAMESPACE_SEPARATOR)
    return f"{namespace}/{agent}".replace("_", "-") if separator else namespace or "unnamed tool"


def _section(title: str, text: str, width: int, *, failed: bool = False) -> list[ScreenLine]:
    hidden = "  contains hidden characters" if has_hidden(text) else ""
    lines: list[ScreenLine] = [(Piece(f"  {title}", Tone.DIM), Piece(hidden, Tone.WARN))]
    shown = text[:_CARD_TEXT].split("\n")
    body: list[ScreenLine] = []
    for line in yaml_lines("\n".join(shown[:_CARD_LINES])):
        pieces = [Piece(part.text, Tone.BAD if failed else part.tone) for part in line.spans]
        body += wrap_pieces(pieces, width - 4)
    more = len(text.split("\n")) - min(len(shown), _CARD_LINES)
    if more > 0 or len(text) > _CARD_TEXT:
        body.append((Piece(f"… {len(text):,} characters in all; p shows them", Tone.DIM),))
    indent = (Piece("    "),)
    return [*lines, *prefixed(body, indent, indent)]


def _brief(arguments: JsonObject) -> str:
    parts = [f"{key}: {_scalar(value)}" for key, value in list(arguments.items())[:6]]
    return clean(", ".join(parts)[:400], newlines=False)


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value[:120]
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    if isinstance(value, list):
        return f"[{len(cast('list[object]', value))} items]"
    return json.dumps(value)


def _question(question: Question, answers: Iterable[tuple[str, ...]], width: int) -> list[ScreenLine]:
    given = list(answers)
    lines: list[ScreenLine] = []
    for index, item in enumerate(question.items):
        head = (Piece("? ", Tone.WARN, "b"),)
        lines += prefixed(_text_lines(item.text, width - 2, Tone.PLAIN, "b"), head, _INDENT)
        if index < len(given):
            chosen = piece(", ".join(given[index]) or "no answer", Tone.KEY)
            lines += prefixed(wrap_pieces((chosen,), width - 4), (Piece("  → "),), (Piece("    "),))
    return lines
