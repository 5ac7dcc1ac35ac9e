"""What the three tables show of raw objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.render.row import Row
from kagent_tui.render.tables import TABLES
from kagent_tui.render.text import Tone

if TYPE_CHECKING:
    from ..conftest import DictWorld, Samples

World = Callable[..., "DictWorld"]


def texts(row: Row) -> list[str]:
    return [cell.text for cell in row.cells]


def tones(row: Row) -> list[Tone]:
    return [cell.tone for cell in row.cells]


def render(view: str, obj: JsonObject, world: DictWorld, now: float) -> Row:
    return TABLES[view].row(obj, world, now)


def test_an_agent_shows_its_model_its_usable_tools_and_both_conditions(samples: type[Samples], world: World) -> None:
    server = samples.remote("k8s", "get_pods", "get_logs")
    agent = samples.agent("doctor", tools=[samples.tool_of("k8s", "RemoteMCPServer", "get_pods", "delete_all")])
    agent["metadata"]["creationTimestamp"] = "2027-01-15T05:00:00Z"
    row = render("agents", agent, world(agent, server, samples.model()), samples.NOW)
    assert texts(row) == ["doctor", "kagent", "gpt-5-mini", "1/2", "● yes", "● yes", "3h"]
    assert tones(row)[3:6] == [Tone.WARN, Tone.OK, Tone.OK]


def test_an_agent_that_is_not_ready_says_why_and_counts_as_trouble(samples: type[Samples], world: World) -> None:
    row = render("agents", samples.agent("down", ready="False"), world(samples.model()), samples.NOW)
    assert (texts(row)[4], tones(row)[4]) == ("✖ 0/1 not ready", Tone.BAD)
    assert row.trouble


def test_an_agent_without_its_model_says_which_one_is_missing(samples: type[Samples], world: World) -> None:
    row = render("agents", samples.agent("lost", modelConfig="nowhere"), world(), samples.NOW)
    assert (texts(row)[2], tones(row)[2]) == ("✖ nowhere missing", Tone.BAD)


def test_an_agent_without_a_model_config_uses_the_default_one(samples: type[Samples], world: World) -> None:
    agent = samples.agent("plain")
    del agent["spec"]["declarative"]["modelConfig"]
    assert texts(render("agents", agent, world(samples.model()), samples.NOW))[2] == "gpt-5-mini"


def test_the_scripted_model_is_labelled_wherever_it_is_used(samples: type[Samples], world: World) -> None:
    model = samples.model(note="scripted offline model")
    agent = samples.agent("demo")
    assert texts(render("agents", agent, world(model), samples.NOW))[2] == "scripted (offline)"
    assert texts(render("models", model, world(), samples.NOW))[3] == "scripted (offline)"


def test_an_agent_of_its_own_image_has_no_model(samples: type[Samples], world: World) -> None:
    agent = samples.agent("byo")
    agent["spec"] = {"type": "BYO", "byo": {"deployment": {"image": "x:1"}}}
    assert texts(render("agents", agent, world(), samples.NOW))[2:4] == ["own image", "-"]


def test_sub_agents_count_as_tools_and_only_ready_ones_are_usable(samples: type[Samples], world: World) -> None:
    boss = samples.agent("boss", tools=[{"type": "Agent", "agent": {"name": name}} for name in ("up", "down", "gone")])
    found = world(samples.agent("up"), samples.agent("down", ready="False"), samples.model())
    assert texts(render("agents", boss, found, samples.NOW))[3] == "1/3"


def test_without_tool_names_all_tools_of_the_server_count(samples: type[Samples], world: World) -> None:
    agent = samples.agent("all", tools=[samples.tool_of("k8s", "RemoteMCPServer")])
    found = world(samples.remote("k8s", "a", "b", "c"), samples.model())
    assert texts(render("agents", agent, found, samples.NOW))[3] == "3/3"


def test_a_condition_about_an_older_spec_is_shown_as_updating(samples: type[Samples], world: World) -> None:
    agent = samples.agent("new")
    agent["metadata"]["generation"] = 2
    row = render("agents", agent, world(samples.model()), samples.NOW)
    assert texts(row)[4:6] == ["○ updating", "○ updating"]
    assert not row.trouble


def test_an_agent_nobody_looked_at_is_waiting(samples: type[Samples], world: World) -> None:
    agent = samples.agent("fresh")
    del agent["status"]
    assert texts(render("agents", agent, world(samples.model()), samples.NOW))[4] == "○ waiting"


def test_a_model_shows_where_its_key_is_but_never_the_key(samples: type[Samples], world: World) -> None:
    row = render("models", samples.model("qwen", secret="dashscope"), world(), samples.NOW)
    assert texts(row)[:6] == ["qwen", "kagent", "OpenAI", "gpt-5-mini", "dashscope[API_KEY]", "● yes"]


def test_both_kinds_of_mcp_server_share_one_table(samples: type[Samples], world: World) -> None:
    remote = render("mcp", samples.remote("k8s", "a", "b"), world(), samples.NOW)
    local = render("mcp", samples.stdio("clock"), world(), samples.NOW)
    assert texts(remote)[2:6] == ["remote http", "http://k8s.kagent:8000/mcp", "2", "● yes"]
    assert texts(local)[2:6] == ["stdio", "uvx mcp-server-time", "?", "● yes"]


def test_tools_of_a_stdio_server_come_from_the_tools_config_map(samples: type[Samples], world: World) -> None:
    tools: JsonObject = {
        "kind": "ConfigMap",
        "metadata": {"name": "clock-mcpserver-tools", "namespace": "kagent"},
        "data": {"tools.json": '{"tools": [{"name": "now", "description": "Tells."}]}'},
    }
    assert texts(render("mcp", samples.stdio("clock"), world(tools), samples.NOW))[4] == "1"


@pytest.mark.parametrize("view", ["agents", "models", "mcp"])
def test_hostile_names_reach_no_cell(samples: type[Samples], world: World, view: str) -> None:
    obj = {"agents": samples.agent, "models": samples.model, "mcp": samples.remote}[view](
        "a\x1b]52;c;eHh4\x07b\u202ec\x9b31m[red]"
    )
    obj["status"]["conditions"][0]["reason"] = "\x1b[2Jgone"
    obj["status"]["conditions"][0]["status"] = "False"
    row = render(view, obj, world(), samples.NOW)
    shown = "".join(texts(row))
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 or character == "\u202e" for character in shown)
    assert "[red]" in shown


@pytest.mark.parametrize(
    "spec", [None, [], "x", {"declarative": []}, {"declarative": {"tools": [None, 3, {"mcpServer": 1}]}}]
)
def test_half_written_objects_render_too(samples: type[Samples], world: World, spec: object) -> None:
    agent = samples.agent("odd")
    agent["spec"] = spec
    agent["status"] = {"conditions": [None, {"type": 1}]}
    assert texts(render("agents", agent, world(), samples.NOW))[0] == "odd"
