"""What a bridge is to run: read from agentgateway's ``local.yaml`` or from the command line. Pure but for the files.

Only the part of agentgateway's configuration that kmcp writes is understood: one bind, one MCP target with ``stdio``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from kagent_engine.errors import ConfigError
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["BridgeCommand", "installed_first", "read_adapter_file"]

# Options of uvx that take a value, as of uv 0.11; all others are flags.
_UVX_VALUES = frozenset(
    {
        "--from", "--with", "--with-editable", "--with-requirements", "-c", "--constraints", "--constraint",
        "-b", "--build-constraints", "--overrides", "--override", "--env-file", "-p", "--python", "--index",
        "--default-index", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--index-strategy",
        "--keyring-provider", "--resolution", "--prerelease", "--fork-strategy", "--exclude-newer", "--link-mode",
        "--cache-dir", "--color", "--directory", "--project", "--config-file", "-w", "-P", "--upgrade-package",
        "--refresh-package", "--reinstall-package", "--torch-backend", "--python-platform",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BridgeCommand:
    """A stdio MCP server: its command line, what its environment has besides ours, and where it is to be served."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    name: str = "mcp-server"
    port: int | None = None


def read_adapter_file(path: Path) -> BridgeCommand:
    """Read agentgateway's configuration as kmcp writes it.

    Raises:
        ConfigError: the file cannot be read, or holds no stdio target.
    """
    try:
        loaded: object = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ConfigError(path.name, f"cannot be read from {path}: {error.strerror}", remedy="check -f") from error
    except yaml.YAMLError as error:
        raise ConfigError(path.name, f"is no valid YAML: {error}") from error
    for index, bind in enumerate(as_objects(as_object(loaded).get("binds"))):
        target = next((t for t in _targets(bind) if as_object(t.get("stdio"))), None)
        if target is not None:
            return _command(path.name, target, as_object(target.get("stdio")), bind.get("port"), index)
    raise ConfigError(
        path.name, "holds no MCP target with stdio", field="binds",
        remedy="a bridge serves stdio servers; http servers need none",
    )  # fmt: skip


def _targets(bind: JsonObject) -> list[JsonObject]:
    return [
        target
        for listener in as_objects(bind.get("listeners"))
        for route in as_objects(listener.get("routes"))
        for backend in as_objects(route.get("backends"))
        for target in as_objects(as_object(backend.get("mcp")).get("targets"))
    ]


def _command(file: str, target: JsonObject, stdio: JsonObject, port: object, index: int) -> BridgeCommand:
    command = as_text(stdio.get("cmd"))
    if not command:
        raise ConfigError(file, "names no command", field="stdio.cmd", remedy="set deployment.cmd of the MCPServer")
    if port is not None and (not isinstance(port, int) or not 0 <= port < 65536):
        raise ConfigError(file, f"{port!r} is no port", field=f"binds[{index}].port")
    arguments = cast("list[Any]", stdio.get("args") or [])
    env = {name: str(value) for name, value in as_object(stdio.get("env")).items()}
    name = as_text(target.get("name")) or "mcp-server"
    return BridgeCommand((command, *(str(argument) for argument in arguments)), env, name, port)


def installed_first(argv: Sequence[str], scripts: Path | None = None) -> tuple[str, ...]:
    """Return the command with ``uvx NAME`` replaced by a script NAME that is installed beside this Python.

    The rule of the local cluster for working offline: what ``make demo`` has installed is not downloaded again. A
    version (``NAME@1.2``) is not looked at. Anything else, ``npx`` too, is left as it is.
    """
    scripts = scripts or Path(sys.executable).parent
    rest = _after_uvx(argv)
    while rest and rest[0].startswith("-"):
        takes_value = rest[0] in _UVX_VALUES
        rest = rest[2:] if takes_value else rest[1:]
    if not rest:
        return tuple(argv)
    name = rest[0].split("@", 1)[0].split("==", 1)[0]
    script = scripts / name
    if not name or "/" in name or not os.access(script, os.X_OK):
        return tuple(argv)
    return (str(script), *rest[1:])


def _after_uvx(argv: Sequence[str]) -> list[str]:
    words = list(argv)
    if not words:
        return []
    program = Path(words[0]).name
    if program == "uvx":
        return words[1:]
    if program == "uv" and words[1:3] == ["tool", "run"]:
        return words[3:]
    return []
