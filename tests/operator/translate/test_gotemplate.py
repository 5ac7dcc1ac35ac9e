"""Prompt templates: what of Go's text/template works, and what is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kagent_operator.translate.gotemplate import TemplateError, render

_DATA: dict[str, Any] = {"AgentName": "a", "ToolNames": ["x", "y"], "SkillNames": [], "Description": ""}


def _render(template: str) -> str:
    def include(arguments: Sequence[Any]) -> Any:
        return {"lib/one": "first {{.AgentName}}"}[arguments[0]]

    return render(template, _DATA, {"include": include})


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain } text { {x}", "plain } text { {x}"),
        ("{{.AgentName}}", "a"),
        ("{{ .AgentName }}", "a"),
        ('{{include "lib/one"}}', "first {{.AgentName}}"),
        ("{{range .ToolNames}}{{.}}, {{end}}", "x, y, "),
        ("{{range $i, $t := .ToolNames}}{{$i}}={{$t}} {{end}}", "0=x 1=y "),
        ("{{range .SkillNames}}{{.}}{{else}}none{{end}}", "none"),
        ("{{if .Description}}D{{else}}E{{end}}", "E"),
        ("{{if .Description}}D{{else if .ToolNames}}T{{else}}E{{end}}", "T"),
        ("{{if and .ToolNames (not .SkillNames)}}yes{{end}}", "yes"),
        ("{{range .ToolNames}}{{$.AgentName}}{{.}} {{end}}", "ax ay "),
        ("{{with .AgentName}}<{{.}}>{{end}}", "<a>"),
        ("{{$n := len .ToolNames}}{{$n}}", "2"),
        ('{{if eq .AgentName "b" "a"}}one of{{end}}', "one of"),
        ("{{.ToolNames}}", "[x y]"),
        ("a {{- .AgentName -}} b", "aab"),
        ("a\n{{- /* a note */ -}}\nb", "ab"),
        ("{{/* }} inside */}}x", "x"),
        ("{{index .ToolNames 1}}", "y"),
        ('{{"a\\tb"}}{{`raw}}`}}', "a\tbraw}}"),
        ("{{.AgentName | print}}", "a"),
        ("{{-5}}", "-5"),
        ('{{print "a" "b" 1 2 true}}', "ab1 2 true"),
        ("{{println .AgentName 3}}", "a 3\n"),
        (
            '{{printf "%s has %d, %q, %v and %t at 5%%" .AgentName 2 "x" .ToolNames true}}',
            'a has 2, "x", [x y] and true at 5%',
        ),
        ("{{if gt (len .ToolNames) 1}}several{{end}}", "several"),
        ("{{range 2}}{{.}}{{end}}", "01"),
        ("{{.}}", "{a [x y] [] }"),
    ],
)
def test_templates_render_as_in_go(template: str, expected: str) -> None:
    assert _render(template) == expected


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("a\n{{.Agent}}", "line 2: there is no field .Agent"),
        ("{{if .AgentName}}", "{{if}} has no {{end}}"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{.AgentName", "unclosed action"),
        ("{{html .AgentName}}", "function 'html' is not supported"),
        ("{{if .SkillNames}}\n{{html .AgentName}}{{end}}", "line 2: function 'html' is not supported"),
        ("{{if .SkillNames}}{{$t}}{{end}}", "undefined variable '$t'"),
        ("\n{{index .ToolNames 9}}", "line 2: index 9 is out of range"),
        ('{{printf "%x" .AgentName}}', "%x is not supported"),
        ('{{printf "%d" .AgentName}}', "%d has no value that fits"),
        ('{{printf "no verb" 1}}', "1 value(s) too many"),
        ("{{eq .ToolNames .SkillNames}}", "cannot be compared"),
        ("{{if true}}{{else}}{{else}}{{end}}", "expected end; found {{else}}"),
        ("{{ /* a space before */}}", "a comment fills its action"),
        ("{{range $i, $n := 3}}{{end}}", "can't use 3 to iterate over more than one variable"),
        ('{{template "x"}}', "{{template}} is not supported"),
        ("{{range .AgentName}}{{end}}", "can't iterate"),
        ("{{$x}}", "undefined variable"),
        ("{{.AgentName.Sub}}", "can't evaluate field Sub"),
        ("{{}}", "missing value"),
        ("{{.AgentName .Description}}", "unexpected"),
    ],
)
def test_what_cannot_be_rendered_is_refused_with_its_line(template: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        _render(template)
    assert words in str(caught.value)


def test_a_template_cannot_grow_without_end() -> None:
    loops = "{{range $.ToolNames}}" * 30 + "x" * 100 + "{{end}}" * 30
    with pytest.raises(TemplateError, match="longer than"):
        _render(loops)
