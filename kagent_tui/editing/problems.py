"""What is wrong with a draft, by field and line: the server's refusals turned into places in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from kagent_api.errors import InvalidSpec, KagentError
from kagent_tui.editing.document import BrokenYaml, Parsed, parse
from kagent_tui.editing.validating import validate

__all__ = ["Problem", "check", "problems_of"]

_UNKNOWN = re.compile(r'unknown field "([^"]+)"')
_DUPLICATE = re.compile(r'duplicate field "([^"]+)"')


class Problem(NamedTuple):
    """One thing to correct; ``line`` and ``column`` count from 1."""

    line: int
    field: str
    message: str
    column: int = 1


def check(text: str) -> list[Problem]:
    """Return what can be said about a text without asking the server: YAML, schema and rules, by line."""
    try:
        parsed = parse(text)
    except InvalidSpec as error:
        return problems_of(error, None)
    found = [Problem(parsed.line_of(path), path, message) for path, message in validate(parsed.object)]
    return sorted(set(found))


def problems_of(error: KagentError, parsed: Parsed | None) -> list[Problem]:
    """Return what an error says about a draft, in the order of its lines."""
    if isinstance(error, BrokenYaml):
        remedy = f" ({error.remedy})" if error.remedy else ""
        return [Problem(error.line, "", error.message + remedy, error.column)]
    found = list(_from_server(error, parsed))
    if not found:
        remedy = f" ({error.remedy})" if error.remedy else ""
        line = parsed.line_of(error.field) if parsed is not None and error.field else 1
        found = [Problem(line, error.field, error.message + remedy)]
    return sorted(set(found))


def _from_server(error: KagentError, parsed: Parsed | None) -> Iterator[Problem]:
    causes = getattr(error, "causes", ())
    for cause in causes:
        field = str(cause.field).removeprefix("<nil>")
        yield Problem(_line(parsed, field), field, _readable(str(cause.message)))
    for pattern, word in ((_UNKNOWN, "unknown field"), (_DUPLICATE, "this field stands here twice")):
        for match in pattern.finditer(error.message):
            yield Problem(_line(parsed, match[1]), match[1], word)


def _line(parsed: Parsed | None, field: str) -> int:
    return parsed.line_of(field) if parsed is not None and field else 1


def _readable(message: str) -> str:
    # "Invalid value: "object": tools must ..." says nothing with its value: a whole block was meant.
    return re.sub(r'^Invalid value: "(?:object|array)": ', "", message)
