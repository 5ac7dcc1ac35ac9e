"""Label selectors as text: ``app=web,tier in (a,b),!legacy,weight>3``; the grammar and the words are apimachinery's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kagent_localcluster.apiserver.meta import label_problems, label_value_problem
from kagent_localcluster.errors import BadRequest
from kagent_localcluster.seams import JsonObject

__all__ = ["Requirement", "label_selector"]

_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!<>(),]|[^=!<>(), \t\r\n]+)")
_WORDS = {"in": "in", "notin": "notin", "=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}
_SYMBOLS = frozenset("=!<>(),") | {"==", "!="}
_OPERATORS = "in, notin, =, ==, !=, gt, lt"


class Requirement(NamedTuple):
    """One term; ``operator`` is in, notin, exists, absent, gt or lt."""

    key: str
    operator: str
    values: frozenset[str]

    def holds(self, labels: dict[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "gt" | "lt":
                return value is not None and _compares(self.operator, value, next(iter(self.values)))
            case _:
                return value is None


def _compares(operator: str, value: str, bound: str) -> bool:
    try:
        return int(value) > int(bound) if operator == "gt" else int(value) < int(bound)
    except ValueError:
        return False


def label_selector(text: str) -> Callable[[JsonObject], bool] | None:
    """Return the predicate of a label selector, None for an empty one.

    Raises:
        BadRequest: the text is no selector.
    """
    requirements = _Parser(text).parse()
    if not requirements:
        return None
    return lambda obj: all(item.holds(obj["metadata"].get("labels") or {}) for item in requirements)


class _Parser:
    """Reads one selector; the end of the text is the token ""."""

    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), ""]
        self._position = 0

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        if not self._next:
            return found
        while True:
            if not self._is_word() and self._next != "!":
                raise BadRequest(f"found '{self._next}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except BadRequest as error:
                raise BadRequest(f"unable to parse requirement: {error.message}") from error
            follows = self._take()
            if not follows:
                return found
            if follows != ",":
                raise BadRequest(f"found '{follows}', expected: ',' or 'end of string'")
            if not self._is_word() and self._next != "!":
                raise BadRequest(f"found '{self._next}', expected: identifier after ','")

    @property
    def _next(self) -> str:
        return self._tokens[self._position]

    def _is_word(self) -> bool:
        return bool(self._next) and self._next not in _SYMBOLS

    def _take(self) -> str:
        token = self._next
        self._position += bool(token)
        return token

    def _requirement(self) -> Requirement:
        absent = self._next == "!"
        if absent:
            self._take()
        if not self._is_word():
            raise BadRequest(f"found '{self._next}', expected: identifier")
        key = self._take()
        for problem in label_problems({key: ""}, "<nil>"):
            raise BadRequest(f"<nil>: {problem.message}")
        if absent:
            return Requirement(key, "absent", frozenset())
        if self._next in ("", ","):
            return Requirement(key, "exists", frozenset())
        sign = self._take()
        if sign not in _WORDS:
            raise BadRequest(f"found '{sign}', expected: {_OPERATORS}")
        values = self._values() if sign in ("in", "notin") else [self._value()]
        return _checked(Requirement(key, _WORDS[sign], frozenset(values)), sorted(values))

    def _value(self) -> str:
        if self._next in ("", ","):
            return ""
        if not self._is_word():
            raise BadRequest(f"found '{self._next}', expected: identifier")
        return self._take()

    def _values(self) -> list[str]:
        if (token := self._take()) != "(":
            raise BadRequest(f"found '{token}' expected: '('")
        values: list[str] = []
        while True:
            values.append(self._take() if self._is_word() else "")
            follows = self._take()
            if follows == ")":
                return values
            if follows != ",":
                raise BadRequest(f"found '{follows}', expected: ',' or ')'")


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while match := _TOKEN.match(text, position):
        position = match.end()
        yield match[1]


def _checked(requirement: Requirement, values: list[str]) -> Requirement:
    for index, value in enumerate(values):
        if requirement.operator in ("gt", "lt") and not re.fullmatch(r"[-+]?\d+", value):
            raise BadRequest(
                f"values[{index}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
            )
        if problem := label_value_problem(value):
            raise BadRequest(f'values[{index}][{requirement.key}]: Invalid value: "{value}": {problem}')
    return requirement
