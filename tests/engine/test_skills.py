"""Skills: what the model is told, what the tools reach, and what a command may see."""

from __future__ import annotations

import os
import select
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kagent_api.engine_config import EngineConfig
from kagent_engine.compose import compose
from kagent_engine.config import Configuration
from kagent_engine.errors import ToolFailed
from kagent_engine.models.base import ToolCall
from kagent_engine.settings import PathMap, Settings
from kagent_engine.skills import read_skills, skill_tools, skills_notes
from kagent_engine.skills.shell import scrubbed
from kagent_engine.tools.base import CallContext, ToolResult

HEAD = "---\nname: {name}\ndescription: {about}\n---\n# How\nDo it well.\n"
CONTEXT = CallContext(user_id="u", session_id="s-1")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    folder = tmp_path / "skills"
    (folder / "report" / "templates").mkdir(parents=True)
    (folder / "report" / "SKILL.md").write_text(HEAD.format(name="weekly-report", about="Writes  the\n  report"))
    (folder / "report" / "templates" / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "repo" / "skills" / "inner").mkdir(parents=True)
    (folder / "repo" / "skills" / "inner" / "SKILL.md").write_text("no front matter")
    (folder / "broken").mkdir()
    (folder / "broken" / "SKILL.md").write_text("---\nname: [\n---\n")
    (folder / "empty").mkdir()
    return folder


async def run(root: Path, name: str, environ: Mapping[str, str] | None = None, **arguments: Any) -> ToolResult:
    tools = {tool.spec.name: tool for tool in skill_tools(read_skills(root), root, environ)}
    result = await tools[name].call(ToolCall("1", name, arguments), CONTEXT)
    assert isinstance(result, ToolResult)
    return result


def test_every_folder_with_a_skill_file_is_a_skill_and_a_broken_one_is_named(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = read_skills(root)
    assert [(skill.name, skill.description) for skill in found] == [
        ("inner", ""),
        ("weekly-report", "Writes the report"),
    ]
    assert "broken/SKILL.md is left out" in caplog.text
    assert "- weekly-report: Writes the report" in skills_notes(found)


async def test_a_skill_is_loaded_with_its_instructions_and_files(root: Path) -> None:
    told = (await run(root, "skills", command="weekly-report")).content
    assert "Do it well." in told
    assert "name:" not in told
    assert "- skills/report/templates/a.txt" in told
    assert "two" in (await run(root, "read_file", file_path="skills/report/templates/a.txt", offset=2, limit=1)).content
    with pytest.raises(ToolFailed, match="there are: inner, weekly-report"):
        await run(root, "skills", command="nope")


async def test_files_are_written_read_and_edited_in_the_sessions_folder_only(root: Path, tmp_path: Path) -> None:
    await run(root, "write_file", file_path="outputs/a/x.md", content="a b a")
    assert "     1\ta b a" in (await run(root, "read_file", file_path="outputs/a/x.md")).content
    with pytest.raises(ToolFailed, match="stands 2 times"):
        await run(root, "edit_file", file_path="outputs/a/x.md", old_string="a", new_string="c")
    await run(root, "edit_file", file_path="outputs/a/x.md", old_string="a", new_string="c", replace_all=True)
    assert "c b c" in (await run(root, "bash", command="cat outputs/a/x.md")).content
    (tmp_path / "outside").write_text("private")
    await run(root, "bash", command=f"ln -s {tmp_path / 'outside'} outputs/link")
    for path in ("../../outside", str(tmp_path / "outside"), "outputs/link", "/etc/passwd", ""):
        with pytest.raises(ToolFailed):
            await run(root, "read_file", file_path=path)
        with pytest.raises(ToolFailed):
            await run(root, "write_file", file_path=path, content="x")
    with pytest.raises(ToolFailed, match="belongs to a skill"):
        await run(root, "write_file", file_path="skills/report/SKILL.md", content="x")
    assert (tmp_path / "outside").read_text() == "private"


async def test_sessions_and_people_do_not_see_each_others_files(root: Path) -> None:
    await run(root, "write_file", file_path="outputs/x", content="mine")
    tool = {tool.spec.name: tool for tool in skill_tools(read_skills(root), root)}["read_file"]
    for other in (CallContext(user_id="v", session_id="s-1"), CallContext(user_id="u", session_id="../s-1")):
        with pytest.raises(ToolFailed, match="no file"):
            await tool.call(ToolCall("1", "read_file", {"file_path": "outputs/x"}), other)


async def test_a_command_tells_its_output_and_how_it_failed(root: Path) -> None:
    failed = await run(root, "bash", command="echo out; echo err >&2; exit 3")
    assert failed.is_error
    assert failed.content == "out\nerr\n[exit code 3]"
    assert (await run(root, "bash", command="true")).content == "[no output]"
    assert "dropped" in (await run(root, "bash", command="head -c 2000000 /dev/zero | tr '\\0' x")).response["result"]


async def test_a_command_that_takes_too_long_is_stopped_with_what_it_started(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kagent_engine.skills.shell._SECONDS", 0.5)
    stopped = await run(root, "bash", command="echo begun; sleep 300 & echo $! > outputs/pid; sleep 300")
    assert stopped.is_error
    assert stopped.content.startswith("begun\n[stopped after")
    pid = int((await run(root, "read_file", file_path="outputs/pid")).content.split()[-1])
    with suppress(ProcessLookupError):
        assert select.select([os.pidfd_open(pid)], [], [], 60)[0], "the background process outlived the command"


async def test_a_command_sees_no_secret_of_the_agent(root: Path) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "OPENAI_API_KEY": "sk-secret",
        "AWS_SECRET_ACCESS_KEY": "aws-secret",
        "DB_PASSWORD": "pw-secret",
        "HTTP_PROXY": "http://pod:proxy-secret@127.0.0.1:1",
        "KUBECONFIG": "/secret/kubeconfig",
        "REPORT_URL": "http://reports.example",
    }
    seen = (await run(root, "bash", environ, command="env")).content
    assert not [line for line in seen.splitlines() if "-secret" in line or line.startswith("KUBECONFIG")]
    assert "REPORT_URL=http://reports.example" in seen
    assert scrubbed({"BASH_VENV_PATH": "/venv", "PATH": "/bin"}, Path("/w"))["PATH"] == "/venv/bin:/bin"


@pytest.mark.parametrize("contained", [True, False])
async def test_outside_of_a_pod_each_command_needs_a_persons_yes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contained: bool
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    config = EngineConfig.model_validate(
        {"model": {"type": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}, "instruction": "Be kind."}
    )
    settings = Settings(
        state_dir=tmp_path,
        skills_folder=Path("/skills"),
        paths=PathMap((("/skills", str(root)),)),
        contained=contained,
    )
    agent = compose(Configuration(config, {"name": "x"}), settings, url="http://here").agent
    assert "weekly-report" in agent.instruction
    assert {tool.spec.name for tool in agent.own_tools} >= {"skills", "bash", "read_file", "write_file", "edit_file"}
    assert agent.require_approval == (frozenset() if contained else {"bash"})
    await agent.aclose()
