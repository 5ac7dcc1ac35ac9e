"""CEL rules (``x-kubernetes-validations``), by the Rust evaluator, with the functions Kubernetes adds to CEL.

Rules are compiled once per text. A rule that fails to evaluate is a fault of the object, as in a real API server: it
never passes silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from kagent_localcluster.apiserver.jsonvalue import at, is_array, is_object
from kagent_localcluster.apiserver.schema.cel_library import compile_rule, new_context, standard_functions
from kagent_localcluster.apiserver.schema.formats import is_quantity
from kagent_localcluster.apiserver.schema.node import Node
from kagent_localcluster.apiserver.schema.validation import counterpart
from kagent_localcluster.errors import Cause

if TYPE_CHECKING:
    import cel

__all__ = ["check_rules", "compile_problem"]

# CEL's reserved words: a field of that name is reached as __word__.
_RESERVED = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
    "loop", "package", "namespace", "return", "var", "void", "while",
})  # fmt: skip
_LOOKS_BACK = re.compile(r"\boldSelf\b")

# What evaluating can raise: types that do not fit, missing fields, division by zero.
_EVALUATION_ERRORS = (ValueError, TypeError, RuntimeError, KeyError, ArithmeticError)


def compile_problem(rule: str) -> str:
    """Return why a rule does not compile, "" when it does."""
    try:
        _compiled(rule)
    except ValueError as error:
        return str(error)
    return ""


def check_rules(
    node: Node, value: Any, old: Any = None, path: str = "", *, transitions: bool = True
) -> Iterator[Cause]:
    """Yield the failed rules of the value and of everything below it; ``old`` is None on create.

    Where nothing changed only rules that look at ``oldSelf`` are asked again (validation ratcheting), and without
    ``transitions``, when the schema has no such rules, not even those.
    """
    if not node.ruled:
        return
    unchanged = old is not None and value == old
    if unchanged and not transitions:
        return
    if is_object(value):
        for key, item in value.items():
            if child := node.child(key):
                where = f"{path}.{key}" if path else key
                yield from check_rules(child, item, at(old, key), where, transitions=transitions)
    elif is_array(value):
        for index, item in enumerate(value):
            former = counterpart(node, item, old)
            yield from check_rules(node.items, item, former, f"{path}[{index}]", transitions=transitions)
    if rules := node.raw.get("x-kubernetes-validations"):
        scope = _Scope(value, old)
        for rule in rules:
            looks_back = _LOOKS_BACK.search(rule["rule"]) is not None
            if (old is not None or not looks_back) and (looks_back or not unchanged):
                yield from _check(rule, scope, path)


class _Scope:
    """The variables of one value's rules; contexts are made once, since filling one copies the value."""

    def __init__(self, value: Any, old: Any) -> None:
        self.value = value
        self.old = old
        self._contexts: dict[bool, cel.Context] = {}

    def evaluate(self, text: str) -> Any:
        rule = _compiled(text)
        context = self._contexts.get(rule.escaped)
        if context is None:
            context = self._contexts[rule.escaped] = new_context()
            context.add_variable("self", _escape(self.value) if rule.escaped else self.value)
            if self.old is not None:
                context.add_variable("oldSelf", _escape(self.old) if rule.escaped else self.old)
        for name, function in rule.functions:
            context.add_function(name, function)
        return rule.program.execute(context)


_WORDS = {"FieldValueForbidden": "Forbidden", "FieldValueRequired": "Required value"}


def _check(rule: dict[str, Any], scope: _Scope, path: str) -> Iterator[Cause]:
    text: str = rule["rule"]
    value = scope.value
    reason = rule.get("reason", "FieldValueInvalid")
    where = (path + rule.get("fieldPath", "")).lstrip(".") or "<nil>"
    try:
        message = "" if scope.evaluate(text) is True else _message(rule, scope)
    except _EVALUATION_ERRORS as error:
        message = f"{text}: {error}"
    if message:
        shown = "" if isinstance(value, (dict, list)) else f": {_shown(value)}"
        word = {**_WORDS, "FieldValueDuplicate": f"Duplicate value{shown}"}.get(reason, f"Invalid value{shown}")
        yield Cause(where, f"{word}: {message}", reason)


def _shown(value: Any) -> str:
    import orjson

    return orjson.dumps(value).decode()


def _message(rule: dict[str, Any], scope: _Scope) -> str:
    if expression := rule.get("messageExpression"):
        try:
            text = scope.evaluate(expression)
        except _EVALUATION_ERRORS:
            text = ""
        if isinstance(text, str) and text.strip() and "\n" not in text:
            return text
    return rule.get("message") or f"failed rule: {rule['rule']}"


class _Compiled(NamedTuple):
    """A rule ready to run: the functions it may call, and whether it names fields in escaped form."""

    program: cel.Program
    functions: tuple[tuple[str, Callable[..., Any]], ...]
    escaped: bool


@cache
def _compiled(text: str) -> _Compiled:
    functions = tuple((name, function) for name, function in _functions().items() if name in text)
    return _Compiled(compile_rule(text), functions, "__" in text)


def _escape(value: Any) -> Any:
    """Rename fields as Kubernetes does for CEL (``namespace`` -> ``__namespace__``, ``a-b`` -> ``a__dash__b``)."""
    if is_object(value):
        return {_escape_name(key): _escape(item) for key, item in value.items()}
    if is_array(value):
        return [_escape(item) for item in value]
    return value


def _escape_name(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    name = name.replace("__", "__underscores__")
    return name.replace(".", "__dot__").replace("-", "__dash__").replace("/", "__slash__")


@cache
def _functions() -> dict[str, Callable[..., Any]]:
    return {**standard_functions(), **_KUBERNETES_FUNCTIONS}


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if not separator:
        return list(text)
    return text.split(separator, limit - 1) if limit > 0 else text.split(separator)


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match[0] if match else ""


def _find_all(text: str, pattern: str) -> list[str]:
    return [match[0] for match in re.finditer(pattern, text)]


def _is_url(text: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path.startswith("/"))) or text.startswith("/")


def _is_ip(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _is_sorted(values: list[Any]) -> bool:
    return all(first <= second for first, second in pairwise(values))


def _index_of(value: str | list[Any], item: Any) -> int:
    if isinstance(value, str):
        return value.find(item)
    return value.index(item) if item in value else -1


# https://kubernetes.io/docs/reference/using-api/cel/ lists them; quantity() and url() return objects the evaluator
# cannot hold, so rules that use those fail with its own message.
_KUBERNETES_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "split": _split,
    "find": _find,
    "findAll": _find_all,
    "isURL": _is_url,
    "isIP": _is_ip,
    "isCIDR": _is_cidr,
    "isSorted": _is_sorted,
    "isQuantity": is_quantity,
    "indexOf": _index_of,
}
