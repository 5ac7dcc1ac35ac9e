"""The part of Go's text/template that system prompts are written in.

Text, ``{{.Field}}``, ``{{.}}``, ``{{$.Field}}``, variables, ``if``/``else if``/``else``, ``range``/``else``, ``with``,
comments, trim markers, string literals, parentheses, pipelines, and the functions include, len, eq, ne, not, and, or,
index and print. Anything else is refused by name: a prompt is never rendered half. Output is never expanded again.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

__all__ = ["TemplateError", "render"]

Value: TypeAlias = "str | bool | int | list[str] | Mapping[str, Value]"

_ACTION = re.compile(
    r"\{\{(?:-(?=\s))?(?P<body>(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|/\*.*?\*/|[^}]|\}(?!\}))*?)(?:(?<=\s)-)?\}\}", re.DOTALL
)
_TOKEN = re.compile(r"""\s*(?:("(?:\\.|[^"\\])*"|`[^`]*`)|(-?\d+)|(\$?\w*(?:\.\w+)+|\$\w*|\.|\w+)|(:=|[(),|=]))""")
_MAX_OUTPUT: Final = 1_000_000  # characters; a prompt that long is a mistake, and nested ranges could grow without end


class TemplateError(Exception):
    """A template cannot be parsed or rendered; the text says what and on which line."""


@dataclass
class _Text:
    text: str


@dataclass
class _Print:
    expression: list[str]
    line: int


@dataclass
class _Block:
    keyword: str  # if, range, with
    expression: list[str]
    line: int
    body: list[_Node] = field(default_factory=list["_Node"])
    otherwise: list[_Node] = field(default_factory=list["_Node"])


_Node: TypeAlias = "_Text | _Print | _Block"
Functions: TypeAlias = Mapping[str, Callable[[Sequence[Value]], Value]]


def render(template: str, data: Mapping[str, Value], functions: Functions) -> str:
    """Render a template.

    Raises TemplateError; errors of the given functions pass through.
    """
    nodes = _parse(template)
    out: list[str] = []
    _Renderer(data, {**_BUILTIN, **functions}, out).run(nodes, data, {"$": data})
    return "".join(out)


def _parse(template: str) -> list[_Node]:
    root: list[_Node] = []
    current = root
    stack: list[tuple[list[_Node], _Block, bool]] = []
    position = 0
    trim_next = False
    for match in _ACTION.finditer(template):
        piece = template[position : match.start()]
        _add_text(
            current,
            piece,
            left=trim_next,
            right=match.group().startswith("{{-") and template[match.start() + 3].isspace(),
        )
        trim_next = match.group().endswith("-}}") and match.group()[-4].isspace()
        position = match.end()
        line = template.count("\n", 0, match.start()) + 1
        body = match["body"].strip()
        if body.startswith("/*"):
            if not body.endswith("*/"):
                raise TemplateError(f"line {line}: a comment does not end")
            continue
        words = _tokens(body, line)
        if not words:
            raise TemplateError(f"line {line}: missing value for command")
        keyword = words[0]
        if keyword in {"if", "range", "with"}:
            block = _Block(keyword, words[1:], line)
            current.append(block)
            stack.append((current, block, False))
            current = block.body
        elif keyword == "else":
            if not stack:
                raise TemplateError(f"line {line}: unexpected {{{{else}}}}")
            parent, block, _ = stack[-1]
            current = block.otherwise
            if words[1:2] == ["if"]:
                inner = _Block("if", words[2:], line)
                current.append(inner)
                stack[-1] = (parent, inner, True)
                current = inner.body
            elif len(words) > 1:
                raise TemplateError(f"line {line}: unexpected {words[1]!r} after else")
        elif keyword == "end":
            if not stack:
                raise TemplateError(f"line {line}: unexpected {{{{end}}}}")
            current, _, _ = stack.pop()
        elif keyword in {"template", "define", "block", "break", "continue"}:
            raise TemplateError(f"line {line}: {{{{{keyword}}}}} is not supported in system messages")
        else:
            current.append(_Print(words, line))
    if stack:
        raise TemplateError(f"line {stack[-1][1].line}: {{{{{stack[-1][1].keyword}}}}} has no {{{{end}}}}")
    rest = template[position:]
    if "{{" in rest:
        raise TemplateError(f"line {template.count(chr(10), 0, position + rest.index('{{')) + 1}: unclosed action")
    _add_text(current, rest, left=trim_next, right=False)
    return root


def _add_text(nodes: list[_Node], text: str, *, left: bool, right: bool) -> None:
    if "{{" in text:
        raise TemplateError(f"unclosed action in {text[text.index('{{') :][:40]!r}")
    if left:
        text = text.lstrip(" \t\r\n")
    if right:
        text = text.rstrip(" \t\r\n")
    if text:
        nodes.append(_Text(text))


def _tokens(body: str, line: int) -> list[str]:
    words: list[str] = []
    position = 0
    while position < len(body.rstrip()):
        match = _TOKEN.match(body, position)
        if match is None:
            raise TemplateError(f"line {line}: cannot read {body[position:].strip()[:40]!r}")
        words.append(next(group for group in match.groups() if group))
        position = match.end()
    return words


class _Renderer:
    def __init__(self, root: Mapping[str, Value], functions: Functions, out: list[str]) -> None:
        self._root = root
        self._functions = functions
        self._out = out
        self._size = 0

    def run(self, nodes: list[_Node], dot: Value, variables: dict[str, Value]) -> None:
        variables = dict(variables)
        for node in nodes:
            match node:
                case _Text(text):
                    self._write(text)
                case _Print(expression, line):
                    self._print(expression, line, dot, variables)
                case _Block():
                    self._block(node, dot, variables)
                case _:
                    assert_never(node)

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > _MAX_OUTPUT:
            raise TemplateError(f"the rendered system message is longer than {_MAX_OUTPUT} characters")
        self._out.append(text)

    def _print(self, words: list[str], line: int, dot: Value, variables: dict[str, Value]) -> None:
        if len(words) > 2 and words[0].startswith("$") and words[1] in {":=", "="}:
            variables[words[0]] = self._evaluate(words[2:], line, dot, variables)
            return
        self._write(_shown(self._evaluate(words, line, dot, variables)))

    def _block(self, block: _Block, dot: Value, variables: dict[str, Value]) -> None:
        names, words = _declared(block.expression)
        value = self._evaluate(words, block.line, dot, variables)
        if block.keyword == "range":
            self._range(block, value, names, dot, variables)
            return
        scope = {**variables, names[0]: value} if names else variables
        if _true(value):
            self.run(block.body, value if block.keyword == "with" else dot, scope)
        else:
            self.run(block.otherwise, dot, scope)

    def _range(self, block: _Block, value: Value, names: list[str], dot: Value, variables: dict[str, Value]) -> None:
        if isinstance(value, list):
            entries: list[tuple[Value, Value]] = list(enumerate(value))
        elif isinstance(value, Mapping):
            entries = [(key, value[key]) for key in sorted(value)]
        else:
            raise TemplateError(f"line {block.line}: range can't iterate over {_shown(value)!r}")
        if not entries:
            self.run(block.otherwise, dot, variables)
        for key, item in entries:
            given: list[Value] = [key, item] if len(names) == 2 else [item]
            self.run(block.body, item, {**variables, **dict(zip(names, given, strict=False))})

    def _evaluate(self, words: list[str], line: int, dot: Value, variables: dict[str, Value]) -> Value:
        parser = _Expression(words, line, dot, variables, self._functions)
        value = parser.pipeline()
        parser.finish()
        return value


def _declared(words: list[str]) -> tuple[list[str], list[str]]:
    if ":=" not in words:
        return [], words
    at = words.index(":=")
    return [word for word in words[:at] if word != ","], words[at + 1 :]


class _Expression:
    def __init__(
        self, words: list[str], line: int, dot: Value, variables: dict[str, Value], functions: Functions
    ) -> None:
        self._words = words
        self._line = line
        self._dot = dot
        self._variables = variables
        self._functions = functions
        self._at = 0

    def finish(self) -> None:
        if self._at < len(self._words):
            raise TemplateError(f"line {self._line}: unexpected {self._words[self._at]!r}")

    def pipeline(self) -> Value:
        value = self._command([])
        while self._peek() == "|":
            self._at += 1
            value = self._command([value])
        return value

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _command(self, piped: list[Value]) -> Value:
        word = self._peek()
        if word and re.fullmatch(r"[A-Za-z_]\w*", word) and word not in {"true", "false", "nil"}:
            self._at += 1
            function = self._functions.get(word)
            if function is None:
                known = ", ".join(sorted(self._functions))
                raise TemplateError(f"line {self._line}: function {word!r} is not supported (there are: {known})")
            arguments: list[Value] = []
            while self._peek() not in {"", "|", ")"}:
                arguments.append(self._operand())
            return function([*arguments, *piped])
        value = self._operand()
        if piped:
            raise TemplateError(f"line {self._line}: a value cannot be piped into {word!r}")
        return value

    def _operand(self) -> Value:
        word = self._peek()
        self._at += 1
        if word == "(":
            value = self.pipeline()
            if self._peek() != ")":
                raise TemplateError(f"line {self._line}: missing )")
            self._at += 1
            return value
        if word.startswith('"'):
            try:
                return str(ast.literal_eval(word))
            except (SyntaxError, ValueError) as error:
                raise TemplateError(f"line {self._line}: cannot read the string {word}") from error
        if word.startswith("`"):
            return word[1:-1]
        if re.fullmatch(r"-?\d+", word):
            return int(word)
        if word in {"true", "false"}:
            return word == "true"
        if word == ".":
            return self._dot
        if word.startswith((".", "$")):
            return self._path(word)
        raise TemplateError(f"line {self._line}: unexpected {word!r}" if word else f"line {self._line}: missing value")

    def _path(self, word: str) -> Value:
        head, *fields = word.split(".")
        if head and head not in self._variables:
            raise TemplateError(f"line {self._line}: undefined variable {head!r}")
        value = self._variables[head] if head else self._dot
        for name in fields:
            if not isinstance(value, Mapping):
                raise TemplateError(f"line {self._line}: can't evaluate field {name} of {_shown(value)[:40]!r}")
            if name not in value:
                known = ", ".join(f".{key}" for key in value)
                raise TemplateError(f"line {self._line}: there is no field .{name} (there are: {known})")
            value = value[name]
        return value


def _true(value: Value) -> bool:
    return bool(value)


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(value)}]"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{_shown(value[key])}" for key in sorted(value)) + "]"
    return str(value)


def _need(name: str, arguments: Sequence[Value], least: int) -> None:
    if len(arguments) < least:
        raise TemplateError(f"{name} wants at least {least} argument(s), got {len(arguments)}")


def _length(arguments: Sequence[Value]) -> Value:
    _need("len", arguments, 1)
    value = arguments[0]
    if isinstance(value, bool | int):
        raise TemplateError("len of a number")
    # Go counts bytes of a string.
    return len(value.encode()) if isinstance(value, str) else len(value)


def _equal(arguments: Sequence[Value]) -> Value:
    _need("eq", arguments, 2)
    return any(arguments[0] == other for other in arguments[1:])


def _not_equal(arguments: Sequence[Value]) -> Value:
    _need("ne", arguments, 2)
    return arguments[0] != arguments[1]


def _not(arguments: Sequence[Value]) -> Value:
    _need("not", arguments, 1)
    return not _true(arguments[0])


def _and(arguments: Sequence[Value]) -> Value:
    _need("and", arguments, 1)
    return next((value for value in arguments if not _true(value)), arguments[-1])


def _or(arguments: Sequence[Value]) -> Value:
    _need("or", arguments, 1)
    return next((value for value in arguments if _true(value)), arguments[-1])


def _index(arguments: Sequence[Value]) -> Value:
    _need("index", arguments, 2)
    value, key = arguments[0], arguments[1]
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    if isinstance(value, Mapping) and isinstance(key, str) and key in value:
        return value[key]
    raise TemplateError(f"index {_shown(key)} is out of range")


def _print(arguments: Sequence[Value]) -> Value:
    return "".join(_shown(value) for value in arguments)


_BUILTIN: Final[Functions] = {
    "len": _length,
    "eq": _equal,
    "ne": _not_equal,
    "not": _not,
    "and": _and,
    "or": _or,
    "index": _index,
    "print": _print,
}
