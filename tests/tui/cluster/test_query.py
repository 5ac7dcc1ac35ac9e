"""Filters of tables."""

from __future__ import annotations

import pytest

from kagent_api.errors import InvalidSpec
from kagent_tui.cluster.query import compile_filter

ROWS = {
    "k8s-agent kagent gpt-5 ✖ DeploymentNotReady": {"app": "k8s", "tier": "ops"},
    "helm-agent kagent claude ● yes": {"app": "helm"},
    "客服助手 team-a qwen ● yes": {},
}


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("", [0, 1, 2]),
        ("AGENT", [0, 1]),
        ("!agent", [2]),
        ("^(helm|客)", [1, 2]),
        ("notready$", [0]),
        ("客服", [2]),
        ("-l app", [0, 1]),
        ("-l !app", [2]),
        ("-l app=helm", [1]),
        ("-l app!=helm,tier", [0]),
        ("-l tier=ops, app==k8s", [0]),
        ("-f hlmcl", [1]),
        ("-f", [0, 1, 2]),
        ("!", [0, 1, 2]),
    ],
)
def test_an_expression_keeps_these_rows(expression: str, kept: list[int]) -> None:
    matcher = compile_filter(expression)
    assert [i for i, (text, labels) in enumerate(ROWS.items()) if matcher is None or matcher(text, labels)] == kept


@pytest.mark.parametrize("expression", ["a(", "-l a=b=c", "-l !a=b", "-l a b"])
def test_a_broken_expression_says_why(expression: str) -> None:
    with pytest.raises(InvalidSpec, match="not a"):
        compile_filter(expression)
