"""The two files of the configuration directory, read once at start. No default ever hides a fault in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kagent_api.engine_config import EngineConfig
from kagent_api.errors import InvalidSpec
from kagent_engine.card import read_card
from kagent_engine.errors import ConfigError
from kagent_engine.settings import Settings
from kagent_engine.shapes import JsonObject

__all__ = ["Configuration", "load"]


@dataclass(frozen=True, slots=True)
class Configuration:
    """``card`` is agent-card.json as it stands, in either dialect's shape."""

    config: EngineConfig
    card: JsonObject


def load(directory: Path, settings: Settings) -> Configuration:
    """Read config.json and agent-card.json.

    Raises:
        ConfigError: a file is missing or wrong; says which, and which field.
    """
    folder = settings.paths.resolve(str(directory))
    config = _config(folder / "config.json")
    if config.model is None:
        raise ConfigError(
            "config.json",
            "there is no model",
            field="model",
            remedy="a BYO agent runs its own image; a declarative one needs a ModelConfig",
        )
    for field, servers in (("http_tools", config.http_tools), ("sse_tools", config.sse_tools)):
        for index, server in enumerate(servers):
            if not server.params.url:
                raise ConfigError("config.json", "there is no URL", field=f"{field}.{index}.params.url")
    for index, program in enumerate(config.stdio_tools):
        if not program.command:
            raise ConfigError("config.json", "is empty", field=f"stdio_tools.{index}.command")
    for index, agent in enumerate(config.remote_agents):
        if not agent.name or not agent.url:
            missing = "url" if agent.name else "name"
            raise ConfigError("config.json", "is empty", field=f"remote_agents.{index}.{missing}")
    return Configuration(config, read_card(folder / "agent-card.json"))


def _config(path: Path) -> EngineConfig:
    try:
        return EngineConfig.from_json(_read(path), source=path.name)
    except InvalidSpec as error:
        if isinstance(error, ConfigError):
            raise
        message = error.message.removeprefix(f"{path.name}: ")
        raise ConfigError(path.name, message, field=error.field, remedy=error.remedy) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            path.name, f"cannot be read: {error.strerror}", remedy=f"--filepath names its folder, now {path.parent}"
        ) from error
