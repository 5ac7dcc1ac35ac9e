"""What `/` means: which rows of a table stay.

    text      the words anywhere in the row; a regular expression when it reads as one
    !text     rows without it
    -l k=v    by labels, as kubectl's -l (k, !k, k=v, k!=v, joined by commas)
    -f abc    fuzzy: these letters in this order

Pure. A broken expression is an error with the reason, never an empty table without one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from kagent_api.errors import InvalidSpec

__all__ = ["Matcher", "compile_filter"]

# Gets the row's text and its labels.
Matcher = Callable[[str, Mapping[str, str]], bool]

_META = re.compile(r"[\\^$.|?*+()\[\]{}]")


def compile_filter(expression: str) -> Matcher | None:
    """Return what an expression keeps; None for an empty one.

    Raises:
        InvalidSpec: a broken regular expression or label selector.
    """
    wanted = expression.strip()
    if wanted.startswith("-l"):
        return _labels(wanted[2:].strip())
    if wanted.startswith("-f"):
        return _fuzzy(wanted[2:].strip())
    if wanted.startswith("!"):
        inner = _words(wanted[1:].strip())
        return None if inner is None else lambda text, labels: not inner(text, labels)
    return _words(wanted)


def _words(wanted: str) -> Matcher | None:
    if not wanted:
        return None
    if not _META.search(wanted):
        folded = wanted.casefold()
        return lambda text, labels: folded in text.casefold()
    try:
        pattern = re.compile(wanted, re.IGNORECASE)
    except re.error as error:
        raise InvalidSpec(
            f"not a regular expression: {error}", field="filter", remedy="put \\ before signs meant literally"
        ) from error
    return lambda text, labels: pattern.search(text) is not None


def _fuzzy(wanted: str) -> Matcher | None:
    letters = wanted.casefold().replace(" ", "")
    if not letters:
        return None

    def match(text: str, labels: Mapping[str, str]) -> bool:
        rest = iter(text.casefold())
        return all(letter in rest for letter in letters)

    return match


def _labels(wanted: str) -> Matcher | None:
    tests = [_label(part.strip()) for part in wanted.split(",") if part.strip()]
    if not tests:
        return None
    return lambda text, labels: all(test(text, labels) for test in tests)


def _label(part: str) -> Matcher:
    found = re.fullmatch(r"(!?)([\w./-]+)(?:\s*(!=|==|=)\s*([\w.-]*))?", part)
    if found is None or (found[1] and found[3]):
        raise InvalidSpec(f"not a label selector: {part!r}", field="filter", remedy="write key, !key, key=v or key!=v")
    negated, key, operator, value = found[1], found[2], found[3], found[4] or ""
    if negated:
        return lambda text, labels: key not in labels
    if operator is None:
        return lambda text, labels: key in labels
    if operator == "!=":
        return lambda text, labels: labels.get(key) != value
    return lambda text, labels: labels.get(key) == value
