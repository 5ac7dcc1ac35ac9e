"""What a CRD's schema and rules say about an object, before the server is asked. Pure.

It must never refuse what a server takes: where the schema says nothing, nothing is said. Messages say what to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import items, mapping
from kagent_tui.editing.rules import holds
from kagent_tui.editing.schemas import child, described, is_block, is_list, kind_of, schema_of, with_defaults

__all__ = ["Fault", "validate"]


class Fault(NamedTuple):
    """One field that cannot stay as it is; ``path`` such as ``spec.tools[0].name``."""

    path: str
    message: str


# Mistakes seen in published examples and what v1alpha2 wants instead (reference users.md, kagent-v1alpha2.md 1).
_INSTEAD: Final = (
    (re.compile(r"valueFrom\.(secret|secretKeyRef)$"), "write valueFrom: {type: Secret, name: ..., key: ...}"),
    (re.compile(r"valueFrom\.(configMap|configMapKeyRef)$"), "write valueFrom: {type: ConfigMap, name: ..., key: ...}"),
    (re.compile(r"^spec\.(modelConfig|systemMessage|tools)$"), "it stands under spec.declarative"),
    (re.compile(r"apiKeySecretRef$"), "write apiKeySecret: NAME and apiKeySecretKey: KEY"),
    (re.compile(r"mcpServer\.toolServer$"), "write kind: RemoteMCPServer or MCPServer and name: NAME"),
)


def validate(obj: JsonObject) -> list[Fault]:
    """Return what is wrong, in no order; empty as well for a kind without a schema here."""
    schema = schema_of(*kind_of(obj))
    if schema is None:
        return []
    faults = list(_check(obj, schema, ""))
    if not faults:
        # The server asks its rules only of objects that fit the schema, after filling defaults in.
        faults = list(_rules(with_defaults(obj, schema), schema, ""))
    return faults


def _check(value: Any, schema: JsonObject, path: str) -> Iterator[Fault]:
    if not schema:
        return
    if value is None:
        if not schema.get("nullable"):
            yield Fault(path, f"has no value; write {described(schema)}, or take the line out")
        return
    if not _fits(value, schema):
        yield Fault(path, f"is {_word(value)}, but must be {described(schema)}{_quoting(value, schema)}")
        return
    yield from _limits(value, schema, path)
    if is_block(value):
        yield from _object(mapping(value), schema, path)
    elif is_list(value):
        for index, one in enumerate(items(value)):
            yield from _check(one, mapping(schema.get("items")), f"{path}[{index}]")


def _object(value: JsonObject, schema: JsonObject, path: str) -> Iterator[Fault]:
    known = mapping(schema.get("properties"))
    for name in items(schema.get("required")):
        if name not in value and "default" not in mapping(known.get(name)):
            yield Fault(_join(path, name), f"is missing; it is {described(mapping(known.get(name)))}")
    for name, one in value.items():
        inner, where = child(schema, name), _join(path, name)
        if inner is None:
            # Status and what else the server owns may stand in a pasted manifest; the server ignores them.
            if where != "status":
                yield Fault(where, _unknown(name, where, known))
        elif not (path == "" and name == "metadata" and not is_block(one)):
            yield from _check(one, inner, where)
        else:
            yield Fault(where, "must hold name: and namespace:")


def _fits(value: object, schema: JsonObject) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    match schema.get("type"):
        case "string":
            return isinstance(value, str)
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, float) and value.is_integer()
            )
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case _:
            return True


def _limits(value: Any, schema: JsonObject, path: str) -> Iterator[Fault]:
    if "enum" in schema and value not in items(schema["enum"]):
        near = _near(str(value), [str(one) for one in items(schema["enum"])])
        yield Fault(path, f"{value!r} is not {described(schema)}{near}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield Fault(path, f"{value} is less than {schema['minimum']}")
        if value > schema.get("maximum", value):
            yield Fault(path, f"{value} is more than {schema['maximum']}")
    size = len(cast("str | list[object]", value)) if isinstance(value, str | list) else None
    if size is not None:
        unit, low, high = (
            ("characters", "minLength", "maxLength") if isinstance(value, str) else ("entries", "minItems", "maxItems")
        )
        if size < schema.get(low, size):
            yield Fault(path, "is empty" if size == 0 else f"has {size} {unit}; at least {schema[low]} are needed")
        if size > schema.get(high, size):
            yield Fault(path, f"has {size} {unit}; at most {schema[high]} are allowed")
    if isinstance(value, str) and value and "pattern" in schema and not _matches(schema["pattern"], value):
        yield Fault(path, _pattern_words(path, value, str(schema["pattern"])))


def _pattern_words(path: str, value: str, pattern: str) -> str:
    if path == "metadata.name":
        return f"{value!r} is no name: small letters, digits, - and . only, beginning and ending with a letter or digit"
    return f"{value!r} does not match {pattern}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        # Go's syntax, not Python's: the server judges it.
        return True


def _rules(value: Any, schema: JsonObject, path: str) -> Iterator[Fault]:
    for rule in items(schema.get("x-kubernetes-validations")):
        text = str(mapping(rule).get("rule", ""))
        if not holds(text, value):
            where = path + str(mapping(rule).get("fieldPath", ""))
            yield Fault(where, str(mapping(rule).get("message") or f"breaks the rule {text}"))
    if is_block(value):
        for name, one in mapping(value).items():
            inner = child(schema, name)
            if inner:
                yield from _rules(one, inner, _join(path, name))
    elif is_list(value):
        for index, one in enumerate(items(value)):
            yield from _rules(one, mapping(schema.get("items")), f"{path}[{index}]")


def _unknown(name: str, path: str, known: JsonObject) -> str:
    for pattern, remedy in _INSTEAD:
        if pattern.search(path):
            return f"there is no such field; {remedy}"
    return f"there is no such field{_near(name, list(known))}"


def _near(word: str, known: list[str]) -> str:
    import difflib

    folded = {one.casefold(): one for one in known}
    found = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return f"; did you mean {folded[found[0]]}?" if found else ""


def _word(value: object) -> str:
    if is_block(value):
        return "a block of fields"
    if is_list(value):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"the number {value}" if isinstance(value, int | float) else f"the text {str(value)[:40]!r}"


def _quoting(value: object, schema: JsonObject) -> str:
    wants_text = schema.get("type") == "string" and isinstance(value, bool | int | float)
    return "; put it in quotes" if wants_text else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
