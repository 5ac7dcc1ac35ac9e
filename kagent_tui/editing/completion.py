"""What may be written at the cursor of a YAML draft: fields of the schema, and the values that it names. Pure.

A text being typed is mostly broken YAML, so the place is read from indentation alone, as a person reads it. Inside a
block of text, a comment or a flow collection nothing is offered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import items, mapping
from kagent_tui.editing.guide import applies, hint_of, rank
from kagent_tui.editing.schemas import child, described, schema_of
from kagent_tui.editing.source import Path

__all__ = ["Offer", "Spot", "offers", "schema_at", "spot_at"]

_KEY: Final = re.compile(r"""(?P<key>[\w./-]+|"[^"]*"|'[^']*')\s*:(?:\s+|$)""")
_DASHES: Final = re.compile(r"(?:-\s+)*(?:-$)?")
_TEXT_BLOCK: Final = re.compile(r"[|>][+-]?\d*(?:\s+#.*)?$")
_COMMENT: Final = re.compile(r"(?:^|\s)#")
# The versions that each kind is served in (reference kagent-v1alpha2, section 1).
_VERSIONS: Final = ("kagent.dev/v1alpha2", "kagent.dev/v1alpha1", "v1")
_KINDS: Final = ("Agent", "ModelConfig", "RemoteMCPServer", "MCPServer", "ModelProviderConfig", "Secret")


class Spot(NamedTuple):
    """Where the cursor stands. ``path`` is that of the block a field is begun in, or of the field a value is for.

    ``typed`` is what stands of the word already, from column ``start`` (from 0) on; ``beside`` the block's own fields.
    """

    path: Path
    kind: Literal["field", "value"]
    typed: str
    start: int
    beside: frozenset[str] = frozenset()


class Offer(NamedTuple):
    """One completion: ``text`` takes the place of what was typed; ``note`` says what it is."""

    text: str
    note: str = ""


class _Token(NamedTuple):
    """A key, or a dash when ``key`` is None, at its column; ``rest`` is what follows a key on its line."""

    column: int
    key: str | None
    rest: str = ""


def spot_at(lines: Sequence[str], row: int, column: int) -> Spot | None:
    """Return what is being written at a cursor (counted from 0), None where nothing can be offered."""
    line = lines[row]
    before = line[:column]
    if line[column:].strip() or _COMMENT.search(before):
        return None
    *outer, last = _tokens(before) or [_Token(len(before), "")]
    if last.key is None:
        outer, last = [*outer, last], _Token(len(before), "")
    named = bool(last.key) or last.rest.endswith(":")
    found = _path(lines, row, outer, last.column)
    if found is None:
        return None
    if named:
        typed = last.rest.lstrip()
        return None if typed[:1] in ("{", "[", "|", ">") else Spot(
            (*found, last.key or ""), "value", typed.strip("'\""), len(before) - len(typed)
        )  # fmt: skip
    typed = last.rest
    return Spot(found, "field", typed, last.column, frozenset(_beside(lines, row, last.column)))


def schema_at(lines: Sequence[str], path: Path) -> JsonObject | None:
    """Return the schema of a place in a draft whose first level says apiVersion and kind; None where there is none."""
    schema = schema_of(_top(lines, "apiVersion"), _top(lines, "kind"))
    for step in path:
        if schema is None:
            return None
        schema = child(schema, step)
    return schema


def offers(lines: Sequence[str], spot: Spot, obj: JsonObject) -> list[Offer]:
    """Return what the schema offers at a place, best first; ``obj`` is what the draft was when it could be read last.

    Values out of the cluster (models, Secrets) are not among them: see ``choices``.
    """
    if spot.kind == "value" and spot.path in (("apiVersion",), ("kind",)):
        return _matching([Offer(name) for name in (_VERSIONS if spot.path == ("apiVersion",) else _KINDS)], spot.typed)
    schema = schema_at(lines, spot.path)
    if schema is None:
        return []
    if spot.kind == "field" and schema.get("type") != "array":
        return _matching(list(_fields(spot, schema, _top(lines, "kind"), obj)), spot.typed)
    return _matching(list(_values(schema)), spot.typed)


def _fields(spot: Spot, schema: JsonObject, kind: str, obj: JsonObject) -> Iterator[Offer]:
    properties = mapping(schema.get("properties"))
    required = items(schema.get("required"))
    names = [name for name in properties if name not in spot.beside and applies(kind, (*spot.path, name), obj)]
    for name in sorted(names, key=lambda name: (name not in required, rank(kind, (*spot.path, name)), name)):
        inner = mapping(properties[name])
        opens = inner.get("type") in ("object", "array")
        needed = "needed; " if name in required else ""
        help_ = hint_of(kind, (*spot.path, name)).help
        yield Offer(f"{name}:" if opens else f"{name}: ", needed + (help_ or described(inner)))


def _values(schema: JsonObject) -> Iterator[Offer]:
    default = schema.get("default")
    for one in items(schema.get("enum")):
        yield Offer(str(one), "what it is without this line" if one == default else "")
    if schema.get("type") == "boolean":
        yield from (Offer(word) for word in ("true", "false"))
    if "enum" not in schema and isinstance(default, str | int) and not isinstance(default, bool):
        yield Offer(str(default), "what it is without this line")


def _matching(found: list[Offer], typed: str) -> list[Offer]:
    """Keep what the typed text can become: what begins with it, then what holds it."""
    wanted = typed.casefold()
    begins = [one for one in found if one.text.casefold().startswith(wanted)]
    return begins + [one for one in found if wanted in one.text.casefold() and one not in begins]


def _tokens(line: str) -> list[_Token]:
    """Return the dashes and the key of a line, left to right; a word without a colon is a key of no name."""
    body = line.lstrip(" ")
    column = len(line) - len(body)
    dashes = _DASHES.match(body)
    found: list[_Token] = []
    end = dashes.end() if dashes else 0
    found += [_Token(column + index, None) for index in range(end) if body[index] == "-"]
    body = body[end:]
    column += end
    key = _KEY.match(body)
    if key:
        found.append(_Token(column, key["key"].strip("'\""), body[key.end() :]))
    elif body:
        found.append(_Token(column, "", body))
    return found


def _path(lines: Sequence[str], row: int, own: Sequence[_Token], column: int) -> Path | None:
    """Climb from a column to the top; None where the cursor stands inside a block of text."""
    reversed_path: list[str | int] = []
    listed, index = False, 0
    for tokens in [list(own), *(_tokens(line) for line in reversed(lines[:row]) if not _is_idle(line))]:
        for token in reversed(tokens):
            if token.key is None and listed and token.column == column:
                index += 1
            elif token.key is None and token.column < column:
                if listed:
                    reversed_path.append(index)
                listed, index, column = True, 0, token.column
            elif token.key and (token.column < column or (listed and token.column == column)):
                if _TEXT_BLOCK.match(token.rest):
                    return None
                if listed:
                    reversed_path.append(index)
                    listed = False
                reversed_path.append(token.key)
                column = token.column
        if column == 0 and not listed:
            break
    return tuple(reversed(reversed_path))


def _beside(lines: Sequence[str], row: int, column: int) -> Iterator[str]:
    """Yield the fields that the block of a line at a column has already, above and below the line."""
    own_dash = any(token.key is None for token in _tokens(lines[row]))
    above: Sequence[str] = () if own_dash else lines[:row][::-1]
    for part in (above, lines[row + 1 :]):
        for line in part:
            if _is_idle(line):
                continue
            tokens = _tokens(line)
            key = next((token.key for token in tokens if token.key and token.column == column), None)
            if key is not None and (len(tokens) == 1 or part is above):
                yield key
            if tokens[0].column < column:
                break


def _is_idle(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _top(lines: Sequence[str], key: str) -> str:
    found = (token for line in lines for token in _tokens(line) if token.column == 0 and token.key == key)
    token = next(found, None)
    return token.rest.strip().strip("'\"") if token else ""
