"""The simple JSON paths of printer columns, scale and selectable fields.

For instance ``.status.conditions[?(@.type=="Ready")].status``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from kagent_localcluster.apiserver.jsonvalue import is_array, is_object

__all__ = ["find_all", "find_first", "path_problem", "set_value"]

_TOKEN = re.compile(
    r"""\.(?P<key>(?:\\.|[^.\[\\])+)
      | \['(?P<quoted>[^']+)'\]
      | \[\?\(@\.(?P<field>[\w.]+)\s*==\s*(?P<mark>["'])(?P<value>.*?)(?P=mark)\)\]
      | \[(?P<index>-?\d+)\]
      | \[(?P<all>\*)\]""",
    re.VERBOSE,
)


class _Step(NamedTuple):
    kind: str
    name: str
    value: str = ""


@lru_cache(maxsize=1_024)
def _steps(path: str) -> tuple[_Step, ...]:
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = text.removeprefix("$")
    if not text.startswith((".", "[")):
        text = "." + text
    steps: list[_Step] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"no JSON path from {text[position:]!r}")
        if match["key"] is not None:
            steps.append(_Step("key", match["key"].replace("\\", "")))
        elif match["quoted"] is not None:
            steps.append(_Step("key", match["quoted"]))
        elif match["field"] is not None:
            steps.append(_Step("filter", match["field"], match["value"]))
        elif match["index"] is not None:
            steps.append(_Step("index", match["index"]))
        else:
            steps.append(_Step("all", ""))
        position = match.end()
    return tuple(steps)


def path_problem(path: str) -> str:
    """Return why a path cannot be used, "" when it can."""
    try:
        _steps(path)
    except ValueError as error:
        return str(error)
    return ""


def find_all(value: Any, path: str) -> list[Any]:
    """Return every value at the path, none for a path that is not understood."""
    try:
        steps = _steps(path)
    except ValueError:
        return []
    found: list[Any] = [value]
    for step in steps:
        found = [item for current in found for item in _follow(current, step)]
    return found


def find_first(value: Any, path: str) -> Any:
    """Return the first value at the path, None when there is none."""
    return next(iter(find_all(value, path)), None)


def _follow(value: Any, step: _Step) -> list[Any]:
    if step.kind == "key":
        return [value[step.name]] if is_object(value) and step.name in value else []
    if step.kind == "all":
        return list(value.values()) if is_object(value) else value if is_array(value) else []
    if not is_array(value):
        return []
    if step.kind == "index":
        index = int(step.name)
        return [value[index]] if -len(value) <= index < len(value) else []
    return [item for item in value if step.value in (_text(found) for found in find_all(item, step.name))]


def _text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def set_value(target: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path of plain keys, making objects on the way."""
    steps = _steps(path)
    for step in steps[:-1]:
        target = target.setdefault(step.name, {})
    target[steps[-1].name] = value
