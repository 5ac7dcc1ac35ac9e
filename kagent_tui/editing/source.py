"""Changes one field of a YAML text and leaves every other character as it is: comments, order and style are kept.

Works on the places ruamel's composer reports, never by dumping the document anew. The text must hold one object; broken
YAML raises ``BrokenYaml`` and changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias, cast

from kagent_api.errors import InvalidSpec
from kagent_tui.editing.document import broken_yaml, to_yaml
from kagent_tui.editing.schemas import is_block, is_list

__all__ = ["Path", "Step", "at", "dotted", "drop", "put", "steps"]

Step: TypeAlias = "str | int"
Path: TypeAlias = "tuple[Step, ...]"

_FLAT: Final = re.compile(r"^( *)- ", re.MULTILINE)
_STEPS: Final = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")


def dotted(path: Path) -> str:
    """Write a path as messages do: ``spec.tools[0].name``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def steps(path: str) -> Path:
    """Read such a path; names that hold a dot are not told apart."""
    return tuple(int(match[1]) if match[1] else match[2] for match in _STEPS.finditer(path))


def at(obj: object, path: Path) -> Any:
    """Return the value at a path, None where nothing is."""
    for step in path:
        if isinstance(step, int):
            found = cast("list[Any]", obj) if isinstance(obj, list) else []
            obj = found[step] if 0 <= step < len(found) else None
        else:
            obj = cast("dict[str, Any]", obj).get(step) if isinstance(obj, dict) else None
    return obj


def put(text: str, path: Path, value: object) -> str:
    """Return the text with a field set; what lies between is made, an index at the end of a list appends.

    Raises:
        BrokenYaml: the text cannot be read.
        InvalidSpec: something else than a block of fields stands in the way.
    """
    if not path:
        raise InvalidSpec("a whole object is not put into itself")
    return _Editor(text).put(path, value)


def drop(text: str, path: Path) -> str:
    """Return the text without a field or list entry; a list that becomes empty goes with it."""
    return _Editor(text).drop(path)


@dataclass(frozen=True, slots=True)
class _Place:
    """What we need of ruamel's marks."""

    index: int
    column: int


class _Flow(NamedTuple):
    """A flow value by the block entry that holds it, and the way from that entry's value to it."""

    container: Any
    step: Step
    entry: tuple[Any, Any]
    inner: Path


class _Editor:
    def __init__(self, text: str) -> None:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError

        self.text = text if text.endswith("\n") else text + "\n"
        try:
            self.root: Any = cast("Any", YAML()).compose(self.text)
        except MarkedYAMLError as error:
            raise broken_yaml(error) from error
        if self.root is None or not _is_mapping(self.root):
            raise InvalidSpec("this is no object", remedy="it begins with apiVersion:, kind:, metadata: and spec:")
        self._settle(self.root)
        first = _FLAT.search(self.text)
        before = self.text[: first.start()].rstrip("\n").rsplit("\n", 1)[-1] if first else ""
        # Whether lists stand one step inside their key, as people write them, or under it, as kubectl does.
        self.inside = first is None or len(first[1]) > len(before) - len(before.lstrip(" "))

    def _settle(self, node: Any) -> None:
        """Give values that are not there the place behind their key; the composer puts them where it looked next."""
        for entry in node.value if not _is_scalar(node) else ():
            key, value = entry if _is_mapping(node) else (None, entry)
            if _is_scalar(value) and value.style is None and not value.value:
                before = self.text.index(":", key.end_mark.index) if key is not None else self._dash(value)
                value.start_mark = value.end_mark = _Place(before + 1, 0)
            self._settle(value)

    def put(self, path: Path, value: object) -> str:
        node: Any = self.root
        parent: tuple[Any, Step, tuple[Any, Any]] | None = None
        for depth, step in enumerate(path):
            entry = _entry(node, step)
            if entry is None:
                return self._add(parent, node, step, _wrap(path[depth + 1 :], value))
            parent, node = (node, step, entry), entry[1]
        assert parent is not None
        container, last, found = parent
        return self._replace(container, last, found, value)

    def drop(self, path: Path) -> str:
        trail: list[tuple[Any, Step, tuple[Any, Any]]] = []
        node = self.root
        for step in path:
            entry = _entry(node, step)
            if entry is None:
                return self.text
            trail.append((node, step, entry))
            node = entry[1]
        container, step, entry = trail[-1]
        if isinstance(step, int) and len(container.value) == 1 and len(trail) > 1:
            return self.drop(path[:-1])
        flow = next((depth for depth, (one, _, _) in enumerate(trail) if _is_flow(one)), None)
        if flow is not None or (len(container.value) == 1 and len(trail) > 1):
            where = (flow if flow is not None else len(trail) - 1) - 1
            left: Any = _without(_plain(trail[where][2][1]), path[where + 1 :])
            return self._replace(*trail[where], left)
        return self._cut(container, step, entry)

    def _cut(self, container: Any, step: Step, entry: tuple[Any, Any]) -> str:
        key, value = entry
        begin = self._line_start(key.start_mark.index if key is not None else self._dash(value))
        end = self._end(value)
        end = self.text.index("\n", end) + 1 if end < len(self.text) and self.text[end - 1] != "\n" else end
        if key is not None and self.text[begin : key.start_mark.index].strip():
            # The first field of a list entry shares its line with the dash.
            following = container.value[1][0].start_mark.index
            return self.text[: key.start_mark.index] + self.text[following:]
        return self.text[:begin] + self.text[end:]

    def _add(self, parent: Any, container: Any, step: Step, value: object) -> str:
        if not (_is_mapping(container) or _is_sequence(container) or _is_null(container)):
            raise InvalidSpec("stands in the way: it is a plain value", field=str(step), remedy="take it out first")
        if not container.value or _is_flow(container):
            if parent is None:
                raise InvalidSpec("the object is empty")
            held: Any = _plain(container) if container.value and not _is_null(container) else None
            grown = _grown(held, step, value)
            outer, last, found = parent
            return self._replace(outer, last, found, grown)
        last = container.value[-1]
        mapping = _is_mapping(container)
        column = (last[0] if mapping else last).start_mark.column
        if mapping:
            fresh = self._render({step: value}, column)
        else:
            column = self._dash(last) - self._line_start(self._dash(last))
            fresh = self._render([value], column)
        end = self._end(last[1] if mapping else last)
        if self.text[end - 1 : end] != "\n":
            end = self.text.index("\n", end) + 1
        return f"{self.text[:end]}{' ' * column}{fresh}\n{self.text[end:]}"

    def _replace(self, container: Any, step: Step, entry: tuple[Any, Any], value: object) -> str:
        key, old = entry
        if _is_flow(container):
            trail = _flow_root(self.root, container)
            if trail is None:
                raise InvalidSpec("cannot be changed here", field=str(step), remedy="edit it as YAML")
            grown = _grown_at(_plain(trail.entry[1]), trail.inner, step, value)
            return self._replace(trail.container, trail.step, trail.entry, grown)
        start, end = old.start_mark.index, self._end(old)
        inline = self._inline(value, flow=_is_flow(old) and bool(old.value))
        plain_before = not _is_block(old, self.text)
        if inline is not None and plain_before:
            gap = "" if self.text[start - 1 : start] in (" ", "") else " "
            return self.text[:start] + gap + inline + self.text[end:]
        if key is not None:
            start, column = key.start_mark.index, key.start_mark.column
            fresh = self._render({str(step): value}, column)
        else:
            start = self._dash(old)
            column = start - self._line_start(start)
            fresh = self._render([value], column)
        rest = "" if self.text[end - 1 : end] == "\n" else self.text[end : self.text.index("\n", end)]
        if rest.strip():
            # A remark behind the old value would become part of a block of text.
            fresh = f"{rest.strip()}\n{' ' * column}{fresh}"
        tail = end + len(rest) + (0 if self.text[end - 1 : end] == "\n" else 1)
        return f"{self.text[:start]}{fresh}\n{self.text[tail:]}"

    def _inline(self, value: object, *, flow: bool) -> str | None:
        """Return a value that fits on the line of its key, None for one that does not."""
        if (is_block(value) or is_list(value)) and value:
            return _flow(value) if flow else None
        rendered = to_yaml({"k": value}).removeprefix("k:").strip()
        return None if "\n" in rendered or rendered.startswith(("|", ">")) else rendered

    def _render(self, value: dict[Any, Any] | list[Any], column: int) -> str:
        lines = to_yaml(cast("Any", value), inside=self.inside).rstrip("\n")
        if isinstance(value, list):
            # Written as a list of its own, one step further out.
            lines = "\n".join(line.removeprefix("  ") if self.inside else line for line in lines.split("\n"))
        first, *others = lines.split("\n")
        return "\n".join([first, *(" " * column + line if line else line for line in others)])

    def _end(self, node: Any) -> int:
        """Return where a value's own text ends, without the comments and blank lines behind it."""
        if node.value and not _is_flow(node) and (_is_mapping(node) or _is_sequence(node)):
            last = node.value[-1]
            return self._end(last[1] if _is_mapping(node) else last)
        if _is_scalar(node) and node.style in ("|", ">"):
            return self._block_end(node)
        return int(node.end_mark.index)

    def _block_end(self, node: Any) -> int:
        position = self.text.index("\n", node.start_mark.index) + 1
        head = self.text[self._line_start(node.start_mark.index) : node.start_mark.index]
        # The text stands further in than its key, or than the dash of its list entry.
        outer = len(head) - len(head.lstrip(" -")) if head.strip(" -") else head.rfind("-")
        end = position
        while position < len(self.text):
            following = self.text.index("\n", position) + 1
            line = self.text[position : following - 1]
            if line.strip() and len(line) - len(line.lstrip(" ")) <= outer:
                break
            position = following
            if line.strip():
                end = following
        return end

    def _dash(self, item: Any) -> int:
        return self.text.rindex("-", 0, item.start_mark.index)

    def _line_start(self, index: int) -> int:
        return self.text.rfind("\n", 0, index) + 1


def _entry(node: Any, step: Step) -> tuple[Any, Any] | None:
    if isinstance(step, int):
        return (None, node.value[step]) if _is_sequence(node) and step < len(node.value) else None
    if not _is_mapping(node):
        return None
    return next(((key, value) for key, value in node.value if key.value == step), None)


def _flow_root(root: Any, wanted: Any) -> _Flow | None:
    waiting: list[tuple[Any, _Flow | None]] = [(root, None)]
    while waiting:
        node, held = waiting.pop()
        pairs: list[tuple[Step, tuple[Any, Any]]] = []
        if _is_mapping(node):
            pairs = [(key.value, (key, value)) for key, value in node.value]
        elif _is_sequence(node):
            pairs = [(index, (None, value)) for index, value in enumerate(node.value)]
        for step, entry in pairs:
            here = held._replace(inner=(*held.inner, step)) if held else _Flow(node, step, entry, ())
            if entry[1] is wanted:
                return here
            waiting.append((entry[1], here if _is_flow(entry[1]) else None))
    return None


def _grown_at(held: Any, inner: Path, step: Step, value: object) -> Any:
    node = held
    for each in inner:
        node = node[each]
    node[step] = value
    return held


def _grown(held: Any, step: Step, value: object) -> Any:
    if isinstance(step, int):
        return [*(cast("list[Any]", held) if isinstance(held, list) else []), value]
    return {**(cast("dict[str, Any]", held) if isinstance(held, dict) else {}), step: value}


def _without(held: Any, path: Path) -> Any:
    """Return a plain value without what lies at a path; lists that become empty go too."""
    first, *rest = path
    inner = held[first]
    left: Any = _without(inner, tuple(rest)) if rest else None
    if rest and (left or isinstance(left, dict)):
        held[first] = left
    else:
        del held[first]
    return held


def _wrap(path: Path, value: object) -> object:
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


def _plain(node: Any) -> Any:
    """Read a node's value by itself."""
    from ruamel.yaml import YAML

    if _is_mapping(node):
        return {key.value: _plain(value) for key, value in node.value}
    if _is_sequence(node):
        return [_plain(one) for one in node.value]
    if node.style in ("'", '"', "|", ">"):
        return node.value
    return cast("Any", YAML(typ="safe", pure=True)).load(node.value)


def _flow(value: object) -> str:
    """Write a value on one line, as ``[a, b]``."""
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return "{" + ", ".join(f"{_flow(key)}: {_flow(one)}" for key, one in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(one) for one in cast("list[object]", value)) + "]"
    rendered = to_yaml({"k": value}).removeprefix("k:").strip() or "null"
    if isinstance(value, str) and (rendered.startswith("|") or re.search(r"[,\[\]{}]", rendered)):
        import json

        return json.dumps(value, ensure_ascii=False)
    return rendered


def _is_block(node: Any, text: str) -> bool:
    if _is_scalar(node):
        return node.style in ("|", ">")
    return bool(node.value) and not _is_flow(node)


def _is_flow(node: Any) -> bool:
    return not _is_scalar(node) and bool(node.flow_style)


def _is_mapping(node: Any) -> bool:
    return str(node.id) == "mapping"


def _is_sequence(node: Any) -> bool:
    return str(node.id) == "sequence"


def _is_scalar(node: Any) -> bool:
    return str(node.id) == "scalar"


def _is_null(node: Any) -> bool:
    return _is_scalar(node) and node.style is None and node.value in ("", "~", "null")
