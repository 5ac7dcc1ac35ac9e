"""The part of Go's text/template that system prompts are written in.

Text, ``{{.Field}}``, ``{{.}}``, ``{{$.Field}}``, variables, ``if``/``else if``/``else``, ``range``/``else``, ``with``,
comments, trim markers, string literals, parentheses, pipelines, and the functions include, len, eq, ne, lt, le, gt, ge,
not, and, or, index, print, println and printf. Anything else is refused by name: a prompt is never rendered half.
Output is never expanded again. `make conformance` holds it against Go's own.
"""

from __future__ import annotations

import ast
import json
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
_WORDS: Final = {"true", "false", "nil"}
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
    known = {**_BUILTIN, **functions}
    _check_names(nodes, {"$"}, known)
    out: list[str] = []
    _Renderer(data, known, out).run(nodes, data, {"$": data})
    return "".join(out)


def _parse(template: str) -> list[_Node]:
    root: list[_Node] = []
    current = root
    stack: list[tuple[list[_Node], _Block]] = []
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
            _check_comment(match.group(), line)
            continue
        words = _tokens(body, line)
        if not words:
            raise TemplateError(f"line {line}: missing value for command")
        keyword = words[0]
        if keyword in {"if", "range", "with"}:
            block = _Block(keyword, words[1:], line)
            current.append(block)
            stack.append((current, block))
            current = block.body
        elif keyword == "else":
            if not stack:
                raise TemplateError(f"line {line}: unexpected {{{{else}}}}")
            parent, block = stack[-1]
            if current is block.otherwise:
                raise TemplateError(f"line {line}: expected end; found {{{{else}}}}")
            current = block.otherwise
            if words[1:2] == ["if"]:
                inner = _Block("if", words[2:], line)
                current.append(inner)
                stack[-1] = (parent, inner)
                current = inner.body
            elif len(words) > 1:
                raise TemplateError(f"line {line}: unexpected {words[1]!r} after else")
        elif keyword == "end":
            if not stack:
                raise TemplateError(f"line {line}: unexpected {{{{end}}}}")
            current, _ = stack.pop()
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


def _check_comment(action: str, line: int) -> None:
    """Hold a comment to Go's rule: it fills its action, with nothing but a trim marker's space beside it."""
    if "*/" not in action:
        raise TemplateError(f"line {line}: a comment does not end")
    if not re.fullmatch(r"\{\{(?:-\s+)?/\*.*?\*/(?:\s+-)?\}\}", action, re.DOTALL):
        raise TemplateError(f"line {line}: a comment fills its action: {{{{/* words */}}}}")


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


def _check_names(nodes: list[_Node], variables: set[str], functions: Functions) -> None:
    """Refuse unknown functions and variables wherever they stand, as Go does: also in a branch that does not run."""
    variables = set(variables)
    for node in nodes:
        match node:
            case _Text():
                continue
            case _Print(words, line):
                names, words = _declared(words)
                _check_words(words, line, variables, functions)
                variables.update(names)
            case _Block():
                names, words = _declared(node.expression)
                _check_words(words, node.line, variables, functions)
                for branch in (node.body, node.otherwise):
                    _check_names(branch, variables | set(names), functions)
            case _:
                assert_never(node)


def _check_words(words: list[str], line: int, variables: set[str], functions: Functions) -> None:
    for word in words:
        head = word.split(".", 1)[0]
        if head.startswith("$") and head not in variables:
            raise TemplateError(f"line {line}: undefined variable {head!r}")
        if re.fullmatch(r"[A-Za-z_]\w*", word) and word not in {*_WORDS, *functions}:
            raise TemplateError(
                f"line {line}: function {word!r} is not supported (there are: {', '.join(sorted(functions))})"
            )


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
        elif isinstance(value, int) and not isinstance(value, bool):
            # A million of nothing would take long as well.
            entries = [(number, number) for number in range(min(value, _MAX_OUTPUT))]
        else:
            raise TemplateError(f"line {block.line}: range can't iterate over {_shown(value)!r}")
        if isinstance(value, int) and len(names) == 2:
            raise TemplateError(f"line {block.line}: can't use {value} to iterate over more than one variable")
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
        if word and re.fullmatch(r"[A-Za-z_]\w*", word) and word not in _WORDS:
            self._at += 1
            function = self._functions.get(word)
            if function is None:
                known = ", ".join(sorted(self._functions))
                raise TemplateError(f"line {self._line}: function {word!r} is not supported (there are: {known})")
            arguments: list[Value] = []
            while self._peek() not in {"", "|", ")"}:
                arguments.append(self._operand())
            try:
                return function([*arguments, *piped])
            except TemplateError as error:
                raise TemplateError(f"line {self._line}: {error}") from error
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
        # The one there is is the template's data, a struct to Go.
        return "{" + " ".join(map(_shown, value.values())) + "}"
    return str(value)


def _need(name: str, arguments: Sequence[Value], least: int) -> None:
    if len(arguments) < least:
        raise TemplateError(f"{name} wants at least {least} argument(s), got {len(arguments)}")


def _length(arguments: Sequence[Value]) -> Value:
    _need("len", arguments, 1)
    value = arguments[0]
    if not isinstance(value, str | list):
        raise TemplateError(f"len of {_shown(value)[:40]!r}")
    # Go counts bytes of a string.
    return len(value.encode()) if isinstance(value, str) else len(value)


def _equal(arguments: Sequence[Value]) -> Value:
    _need("eq", arguments, 2)
    return any(_compared("eq", arguments[0], other) == 0 for other in arguments[1:])


def _not_equal(arguments: Sequence[Value]) -> Value:
    _need("ne", arguments, 2)
    return _compared("ne", arguments[0], arguments[1]) != 0


def _order(name: str, holds: Callable[[int], bool]) -> Callable[[Sequence[Value]], Value]:
    def compare(arguments: Sequence[Value]) -> Value:
        if len(arguments) != 2:
            raise TemplateError(f"{name} wants 2 arguments, got {len(arguments)}")
        if any(isinstance(argument, bool) for argument in arguments):
            raise TemplateError(f"{name}: true and false have no order")
        return holds(_compared(name, arguments[0], arguments[1]))

    return compare


def _compared(name: str, one: Value, other: Value) -> int:
    """Return -1, 0 or 1. Go compares values of one basic type only."""
    if isinstance(one, str) and isinstance(other, str):
        return (one > other) - (one < other)
    if isinstance(one, int) and isinstance(other, int) and isinstance(one, bool) == isinstance(other, bool):
        return (one > other) - (one < other)
    raise TemplateError(f"{name}: {_shown(one)[:40]!r} and {_shown(other)[:40]!r} cannot be compared")


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
    raise TemplateError(f"index {_shown(key)} is out of range")


def _print(arguments: Sequence[Value]) -> Value:
    """Join as Go's Sprint does: a space between two values neither of which is a string."""
    out = ""
    for before, value in zip((None, *arguments), arguments, strict=False):
        apart = before is not None and not isinstance(before, str) and not isinstance(value, str)
        out += f"{' ' if apart else ''}{_shown(value)}"
    return out


def _println(arguments: Sequence[Value]) -> Value:
    return " ".join(map(_shown, arguments)) + "\n"


_VERB = re.compile(r"%(.?)", re.DOTALL)


def _printf(arguments: Sequence[Value]) -> Value:
    """Format with %s, %v, %d, %q, %t and %%, each of a value that fits: Go would write its complaint into the text."""
    _need("printf", arguments, 1)
    form, values = arguments[0], list(arguments[1:])
    if not isinstance(form, str):
        raise TemplateError("printf wants a format")

    def fill(match: re.Match[str]) -> str:
        verb = match[1]
        if verb == "%":
            return "%"
        fits = _FITS.get(verb)
        if fits is None:
            raise TemplateError(f"printf: %{verb} is not supported (there are: %s, %v, %d, %q, %t, %%)")
        if not values or not fits(values[0]):
            raise TemplateError(f"printf: %{verb} has no value that fits")
        value = values.pop(0)
        return json.dumps(value, ensure_ascii=False) if verb == "q" else _shown(value)

    text = _VERB.sub(fill, form)
    if values:
        raise TemplateError(f"printf: {len(values)} value(s) too many")
    return text


_FITS: Final[Mapping[str, Callable[[Value], bool]]] = {
    "s": lambda value: isinstance(value, str | list),
    "v": lambda value: True,
    "d": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "q": lambda value: isinstance(value, str),
    "t": lambda value: isinstance(value, bool),
}

_BUILTIN: Final[Functions] = {
    "len": _length,
    "eq": _equal,
    "ne": _not_equal,
    "lt": _order("lt", lambda order: order < 0),
    "le": _order("le", lambda order: order <= 0),
    "gt": _order("gt", lambda order: order > 0),
    "ge": _order("ge", lambda order: order >= 0),
    "not": _not,
    "and": _and,
    "or": _or,
    "index": _index,
    "print": _print,
    "println": _println,
    "printf": _printf,
}
