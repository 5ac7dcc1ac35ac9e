"""Prompt templates against Go's own text/template: the same where both render, and nothing that Go refuses.

Thousands of made-up templates from a seed, most of them wrong in some way. Ours may refuse more, by name.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from kagent_operator.translate.gotemplate import TemplateError, Value, render

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not shutil.which("go"), reason="there is no Go to render templates with"),
]

_COUNT: Final = 4000
_DATA: Final[dict[str, Value]] = {
    "AgentName": "my-agent",
    "AgentNamespace": "ns",
    "Description": 'a "d" <x>',
    "ToolNames": ["t1", "t2", "t3"],
    "SkillNames": [],
}
_LIBRARY: Final = {"b/k": "LIB {{.AgentName}}\n", "b/e": "", "c/x y": "z"}
_VALUES: Final = (
    *(".AgentName", ".Description", ".ToolNames", ".SkillNames", "$.AgentName", ".", "$", ".Missing", "$x", "nil"),
    *('"lit"', "`raw`", '"a\\"b"', '"}}"', "`}}`", '"\\t\\u00e9"', "3", "-1", "0", "1.5", "true", "false", "'c'"),
    *("(len .ToolNames)", "(index .ToolNames 0)", '(print "a" (len .SkillNames) 3)', ".AgentName.X"),
)
_CALLS: Final = (
    *(
        'include "b/k"',
        "include `b/e`",
        'include "zz"',
        '"c/x y" | include',
        "len .ToolNames",
        "len .AgentName",
        "len 3",
    ),
    *(
        'eq .AgentName "my-agent"',
        "eq 1 1 2",
        "eq 3 2 3",
        "eq .ToolNames .SkillNames",
        'ne .AgentName "x"',
        "eq 1 true",
    ),
    *("lt 1 2", "le 1 1", "gt (len .ToolNames) 2", "ge 1 2", 'lt "a" "b"', "lt true false", "not .SkillNames", "not"),
    *("and .AgentName .SkillNames", "or .SkillNames .AgentName", 'or 0 ""', "and", "index .ToolNames 1", "index"),
    *("index .ToolNames 9", 'print .AgentName "x" 3', 'print 1 2 "a" 3 true', "print", "println .AgentName 3"),
    *('printf "%s-%d" .AgentName 3', 'printf "%v %q" .ToolNames .AgentName', 'printf "%t%%" true', "html .AgentName"),
    *(".AgentName | print", ".AgentName | len", ".ToolNames | len | eq 3", '.AgentName | eq "my-agent"', "js 3"),
)
_TEXTS: Final = ("", " ", "\n", "  \n ", "\t", " text ", "a\n\nb", "{", "}", "{ {", "} }", "-", '"', "é中")
_COMMENTS: Final = ("{{/* c */}}", "{{- /* a\nb */ -}}", "{{/*x*/ -}}", "{{ /*x*/}}", "{{/* c }} */}}", "{{/* a */ }}")
_BROKEN: Final = ("{{break}}", "{{else}}", "{{end}}", "{{", "}}", "{{}}", "{{.AgentName", '{{"a')


class _Maker:
    """Writes templates."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def template(self, depth: int = 0) -> str:
        choose = self._random
        out = ""
        for _ in range(choose.randint(1, 3)):
            out += choose.choice(_TEXTS)
            kind = choose.random()
            if kind < 0.4 or (depth > 2 and kind < 0.9):
                out += self._action(self._expression())
            elif kind < 0.47:
                out += self._action(f"$x := {self._expression()}") + self._action("$x")
            elif kind < 0.62:
                otherwise = choose.choice(["", "else", f"else if {self._expression()}"])
                out += self._block(f"if {self._expression()}", otherwise, depth)
            elif kind < 0.8:
                names = choose.choice(["", "$i, $t := ", "$t := "])
                over = choose.choice([".ToolNames", ".SkillNames", "$.ToolNames", self._expression()])
                out += self._block(f"range {names}{over}", choose.choice(["", "else"]), depth)
            elif kind < 0.88:
                out += self._block(f"with {self._expression()}", choose.choice(["", "else"]), depth)
            elif kind < 0.97:
                out += choose.choice(_COMMENTS)
            else:
                out += choose.choice(_BROKEN)
        return out

    def _expression(self) -> str:
        return self._random.choice([self._random.choice(_VALUES), self._random.choice(_CALLS), ".AgentName", ".", "$t"])

    def _action(self, body: str) -> str:
        left, right = self._random.choice(["{{", "{{- ", "{{ ", "{{-\n"]), self._random.choice(["}}", " -}}", " }}"])
        return left + body + right

    def _block(self, opening: str, otherwise: str, depth: int) -> str:
        rest = self._action(otherwise) + self.template(depth + 1) if otherwise else ""
        return self._action(opening) + self.template(depth + 1) + rest + self._action("end")


def _include(arguments: Sequence[Value]) -> Value:
    if len(arguments) != 1 or not isinstance(arguments[0], str) or arguments[0] not in _LIBRARY:
        raise TemplateError("there is none")
    return _LIBRARY[arguments[0]]


def test_what_go_renders_is_rendered_the_same_or_refused_and_what_it_refuses_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "gotemplate"
    source = Path(__file__).parent / "gotemplate" / "main.go"
    subprocess.run(["go", "build", "-o", str(program), str(source)], check=True, timeout=300, cwd=tmp_path)
    maker = _Maker(20260101)
    templates = [maker.template() for _ in range(_COUNT)]
    lines = [json.dumps({"Template": template, "Data": _DATA, "Library": _LIBRARY}) for template in templates]
    done = subprocess.run([program], input="\n".join(lines), capture_output=True, text=True, check=True, timeout=300)
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    rendered = refused = 0
    for template, answer in zip(templates, answers, strict=True):
        try:
            ours = render(template, _DATA, {"include": _include})
        except TemplateError:
            refused += "text" in answer
            continue
        assert "text" in answer, (template, ours, answer["error"])
        assert ours == answer["text"], template
        rendered += 1
    # Templates that say something, and few that only ours refuses.
    assert rendered > _COUNT / 20
    assert refused < rendered / 4
