from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kagent_engine.bridge_command import installed_first, read_adapter_file
from kagent_engine.errors import ConfigError


def adapter(**stdio: object) -> dict[str, object]:
    target = {"name": "time", "stdio": stdio} if stdio else {"name": "time", "sse": {"host": "localhost"}}
    route = {"name": "mcp", "backends": [{"weight": 100, "mcp": {"targets": [target]}}]}
    return {"config": {}, "binds": [{"port": 3000, "listeners": [{"name": "default", "routes": [route]}]}]}


def write(path: Path, content: object) -> Path:
    file = path / "local.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return file


def test_the_file_that_kmcp_writes_gives_command_environment_name_and_port(tmp_path: Path) -> None:
    command = read_adapter_file(write(tmp_path, adapter(cmd="uvx", args=["mcp-server-time", 5], env={"A": 1})))
    assert command.argv == ("uvx", "mcp-server-time", "5")
    assert (command.env, command.name, command.port) == ({"A": "1"}, "time", 3000)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("binds: [", "is no valid YAML"),
        ("just text", "holds no MCP target with stdio"),
        (adapter(), "holds no MCP target with stdio"),
        (adapter(args=["x"]), "names no command"),
    ],
)
def test_a_file_that_is_of_no_use_says_why(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_adapter_file(write(tmp_path, content))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["uvx", "mcp-server-time", "--local-timezone", "UTC"], ["mcp-server-time", "--local-timezone", "UTC"]),
        (["uvx", "mcp-server-time@2026.1", "-x"], ["mcp-server-time", "-x"]),
        (["uvx", "--from", "kubectl-mcp-server", "kubectl-mcp", "--read-only"], ["kubectl-mcp", "--read-only"]),
        (["uvx", "-q", "--python", "3.12", "mcp-server-time"], ["mcp-server-time"]),
        (["/usr/bin/uvx", "mcp-server-time"], ["mcp-server-time"]),
        (["uv", "tool", "run", "mcp-server-time"], ["mcp-server-time"]),
    ],
)
def test_an_installed_script_is_run_instead_of_uvx(tmp_path: Path, given: list[str], expected: list[str]) -> None:
    for name in ("mcp-server-time", "kubectl-mcp"):
        (tmp_path / name).touch(mode=0o755)
    assert installed_first(given, tmp_path) == (str(tmp_path / expected[0]), *expected[1:])


@pytest.mark.parametrize(
    "given",
    [
        ["uvx", "not-installed"], ["npx", "-y", "mcp-server-time"], ["uv", "run", "mcp-server-time"], ["uvx"],
        ["uvx", "../mcp-server-time"], ["mcp-server-time"], ["uvx", "plain-file"],
    ],
)  # fmt: skip
def test_everything_else_is_left_as_it_is(tmp_path: Path, given: list[str]) -> None:
    (tmp_path / "mcp-server-time").touch(mode=0o755)
    (tmp_path / "plain-file").touch(mode=0o644)
    assert installed_first(given, tmp_path) == tuple(given)
