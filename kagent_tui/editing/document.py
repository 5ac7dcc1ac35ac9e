"""An object as the YAML a person edits, and back.

What the server owns (status, uid, versions, managed fields) is left out and put back on the way out. Control and
invisible characters stand as YAML escapes, so that what is seen is what is there. Comments live in the text only;
the cluster never sees them.
"""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from kagent_api.errors import InvalidSpec
from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import mapping

__all__ = ["BrokenYaml", "Parsed", "as_scalar", "broken_yaml", "editable", "parse", "to_yaml", "with_server_fields"]

# Owned by the server or by tools; a person who edits them breaks something or nothing.
_SERVER_METADATA: Final = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "managedFields", "selfLink", "ownerReferences",
)  # fmt: skip
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
# YAML 1.1, which kubectl and Go read, takes these plain words for booleans, numbers or null; YAML 1.2 does not.
_YAML_1_1: Final = re.compile(
    r"(?i:y|n|yes|no|on|off|~)|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|0[0-7_]+|[-+]?0b[01_]+"
)
# Letters that show nothing; everything else unseen is not printable in Unicode's own terms.
_BLANK_LETTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_SPECIAL: Final = re.compile(r"[^\n\x20-\x7e]")


class BrokenYaml(InvalidSpec):
    """The text is no YAML of one object; ``line`` counts from 1."""

    def __init__(self, message: str, line: int, column: int = 1, *, remedy: str = "") -> None:
        self.line = line
        self.column = column
        super().__init__(message, field=f"line {line}", remedy=remedy)


@dataclass(frozen=True, slots=True)
class Parsed:
    """An object and the line (from 1) each of its fields stands on, by path such as ``spec.tools[0].name``."""

    object: JsonObject
    lines: Mapping[str, int]

    def line_of(self, path: str) -> int:
        """Return the line of a field, or of the nearest enclosing one."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = re.sub(r"(\.[^.\[\]]*|\[[^\]]*\])$", "", path) if re.search(r"[.\[]", path) else ""
        return 1


def editable(obj: JsonObject) -> JsonObject:
    """Return the part of an object that a person edits."""
    meta = {key: value for key, value in mapping(obj.get("metadata")).items() if key not in _SERVER_METADATA}
    notes = {key: value for key, value in mapping(meta.get("annotations")).items() if key != _LAST_APPLIED}
    if notes:
        meta["annotations"] = notes
    else:
        meta.pop("annotations", None)
    first = {key: obj[key] for key in ("apiVersion", "kind") if key in obj}
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    return {**first, "metadata": meta, **rest}


def with_server_fields(edited: JsonObject, live: JsonObject) -> JsonObject:
    """Return an edited object with what ``editable`` left out of the live one, ready for an update."""
    server = mapping(live.get("metadata"))
    meta = dict(mapping(edited.get("metadata")))
    for key in ("uid", "resourceVersion", "ownerReferences"):
        if key in server:
            meta[key] = server[key]
    applied = mapping(server.get("annotations")).get(_LAST_APPLIED)
    if applied is not None:
        meta["annotations"] = {**mapping(meta.get("annotations")), _LAST_APPLIED: applied}
    return {**edited, "metadata": meta}


def to_yaml(obj: JsonObject, *, inside: bool = False) -> str:
    """Write an object as YAML: long texts as blocks, ambiguous words quoted, hidden characters escaped.

    ``inside`` writes lists one step inside their key, as people do; else under it, as kubectl does.
    """
    from ruamel.yaml import YAML

    writer = YAML()
    writer.width = 10_000
    writer.default_flow_style = False
    if inside:
        writer.indent(mapping=2, sequence=4, offset=2)  # pyright: ignore[reportUnknownMemberType] - ruamel's own
    target = io.StringIO()
    cast("Any", writer).dump(_styled(obj), target)  # ruamel's own types are partly unknown
    return _SPECIAL.sub(lambda match: _escape(match[0]) if _unseen(match[0]) else match[0], target.getvalue())


def as_scalar(value: str) -> str:
    """Write a text of one line as it stands behind ``key: ``, in quotes where YAML would take it for something else."""
    return to_yaml({"k": value}).removeprefix("k: ").rstrip("\n")


def parse(text: str) -> Parsed:
    """Read one object.

    Raises:
        BrokenYaml: with line and column.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    reader = YAML()
    try:
        documents: list[Any] = [one for one in cast("Any", reader).load_all(text) if one is not None]
    except MarkedYAMLError as error:
        raise broken_yaml(error) from error
    except YAMLError as error:
        raise BrokenYaml(_reader_message(error), _reader_line(error, text)) from error
    if len(documents) != 1:
        what = "there is nothing here" if not documents else "there is more than one object here"
        raise BrokenYaml(what, 1, remedy="write one object; kubectl apply takes several")
    lines: dict[str, int] = {}
    plain = _plain(documents[0], "", lines)
    if not isinstance(plain, dict):
        raise BrokenYaml("this is no object", 1, remedy="it begins with apiVersion:, kind:, metadata: and spec:")
    return Parsed(cast("JsonObject", plain), lines)


def broken_yaml(found: Exception) -> BrokenYaml:
    """Turn ruamel's marked error, whose types are unknown, into ours."""
    error = cast("Any", found)
    mark = error.problem_mark or error.context_mark
    if error.context_mark and "could not find expected ':'" in str(error.problem):
        # It is found missing where the next line begins; the line without it is what a person looks for.
        mark = error.context_mark
    said = " ".join(str(part) for part in (error.context, error.problem) if part)
    return BrokenYaml(said or "not YAML", int(mark.line) + 1 if mark else 1, int(mark.column) + 1 if mark else 1)


def _plain(node: Any, path: str, lines: dict[str, int]) -> Any:
    """Turn ruamel's nodes into JSON values and note their lines."""
    if isinstance(node, Mapping):
        found: JsonObject = {}
        for key, value in cast("Mapping[Any, Any]", node).items():
            name = key if isinstance(key, str) else str(key).lower() if isinstance(key, bool) else str(key)
            inner = f"{path}.{name}" if path else name
            _note(node, key, inner, lines, "key")
            found[name] = _plain(value, inner, lines)
        return found
    if isinstance(node, list):
        result: list[Any] = []
        for index, value in enumerate(cast("list[Any]", node)):
            inner = f"{path}[{index}]"
            _note(node, index, inner, lines, "item")
            result.append(_plain(value, inner, lines))
        return result
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    if isinstance(node, datetime.datetime | datetime.date):
        # JSON has no dates: what looks like one is text.
        return node.isoformat()
    return str(node)


def _note(node: Any, key: Any, path: str, lines: dict[str, int], how: str) -> None:
    place = getattr(node, "lc", None)
    try:
        found = getattr(place, how)(key) if place is not None else None
    except (KeyError, TypeError, AttributeError):
        # Merged keys (<<) have no place of their own.
        found = None
    if found:
        lines[path] = int(found[0]) + 1


def _styled(value: Any) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

    if isinstance(value, dict):
        return {_key(key): _styled(one) for key, one in cast("JsonObject", value).items()}
    if isinstance(value, list):
        return [_styled(one) for one in cast("list[Any]", value)]
    if isinstance(value, str):
        if _needs_quotes(value):
            return DoubleQuotedScalarString(value)
        if "\n" in value and not any(part.endswith((" ", "\t")) for part in value.split("\n")):
            return LiteralScalarString(value)
    return value


def _key(key: str) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    return DoubleQuotedScalarString(key) if _needs_quotes(key) else key


def _needs_quotes(text: str) -> bool:
    if _YAML_1_1.fullmatch(text):
        return True
    return any(_unseen(match[0]) for match in _SPECIAL.finditer(text))


def _unseen(character: str) -> bool:
    return not character.isprintable() or character in _BLANK_LETTERS


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _reader_message(error: Exception) -> str:
    character = getattr(error, "character", None)
    if isinstance(character, int):
        return f"the character U+{character:04X} may not stand in YAML; write it as an escape in double quotes"
    return str(error).splitlines()[0] if str(error) else "not YAML"


def _reader_line(error: Exception, text: str) -> int:
    position = getattr(error, "position", None)
    return text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
