"""What the environment says about this process; read once at start, nowhere else.

Names without KAGENT_TUI_ are upstream's, so that upstream's controller can start this engine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from kagent_api.names import agent_id
from kagent_engine.errors import ConfigError
from kagent_engine.loop import DEFAULT_TOOL_ROUNDS

__all__ = ["PathMap", "Settings"]

# Upstream release 0.10: the projected service account token of an agent's Pod.
_TOKEN_PATH: Final = "/var/run/secrets/tokens/kagent-token"  # noqa: S105 - a path, not a token
# Upstream release 0.10 (A2A_MAX_CONTENT_LENGTH).
_LARGEST_REQUEST: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PathMap:
    """Where a container's mount paths lie on this machine (the local cluster sets KAGENT_TUI_PATHS)."""

    prefixes: tuple[tuple[str, str], ...] = ()

    def resolve(self, path: str) -> Path:
        """Return the real place of a path; the longest prefix wins, a path under none is itself.

        A path that already lies in a real directory stays: the runner has translated it where it stood as an argument,
        and a mount such as ``/tmp`` may be a prefix of the place where all real directories lie.
        """
        if any(path == real or path.startswith(real.rstrip("/") + "/") for _mount, real in self.prefixes):
            return Path(path)
        for mount, real in sorted(self.prefixes, key=lambda item: -len(item[0])):
            if path == mount or path.startswith(mount.rstrip("/") + "/"):
                return Path(real + path[len(mount.rstrip("/")) :])
        return Path(path)


@dataclass(frozen=True, slots=True)
class Settings:
    """``controller_url`` is empty where this engine keeps its sessions itself.

    ``contained`` is False where the process is a plain program of somebody's machine, as in the local cluster.
    """

    name: str = "agent"
    namespace: str = "default"
    controller_url: str = ""
    state_dir: Path = Path("~/.local/state/kagent-tui")
    token_path: str = _TOKEN_PATH
    paths: PathMap = PathMap()
    propagate_token: bool = False
    tool_rounds: int = DEFAULT_TOOL_ROUNDS
    largest_request: int | None = _LARGEST_REQUEST
    host_name: str = ""
    skills_folder: Path | None = None
    contained: bool = True
    prices_file: Path | None = None

    @property
    def agent_id(self) -> str:
        return agent_id(self.namespace, self.name)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment.

        Raises:
            ConfigError: a variable holds what it cannot hold.
        """
        env = os.environ if environ is None else environ
        state = env.get("KAGENT_TUI_STATE")
        if not state:
            state = str(Path(env.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()) / "kagent-tui")
        return cls(
            name=env.get("KAGENT_NAME") or "agent",
            namespace=env.get("KAGENT_NAMESPACE") or "default",
            controller_url=(env.get("KAGENT_URL") or "").rstrip("/"),
            state_dir=Path(state),
            token_path=env.get("KAGENT_TUI_TOKEN_PATH") or _TOKEN_PATH,
            paths=_path_map(env.get("KAGENT_TUI_PATHS", "")),
            propagate_token=(env.get("KAGENT_PROPAGATE_TOKEN") or "").lower() == "true",
            tool_rounds=_number(env, "KAGENT_TUI_MAX_TOOL_ROUNDS", DEFAULT_TOOL_ROUNDS),
            largest_request=_size(env, "A2A_MAX_CONTENT_LENGTH"),
            host_name=env.get("HOSTNAME") or "",
            skills_folder=Path(env["KAGENT_SKILLS_FOLDER"]) if env.get("KAGENT_SKILLS_FOLDER") else None,
            contained=not env.get("KAGENT_TUI_PATHS"),
            prices_file=Path(env["KAGENT_TUI_PRICES"]) if env.get("KAGENT_TUI_PRICES") else None,
        )


def _path_map(text: str) -> PathMap:
    if not text:
        return PathMap()
    try:
        parsed: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError("environment", f"not JSON: {error}", field="KAGENT_TUI_PATHS") from error
    if not isinstance(parsed, dict):
        raise ConfigError("environment", "expected an object of mount path to directory", field="KAGENT_TUI_PATHS")
    pairs = cast("dict[str, object]", parsed)
    return PathMap(tuple((mount, str(real)) for mount, real in pairs.items()))


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name)
    if not text:
        return default
    try:
        number = int(text)
    except ValueError as error:
        raise ConfigError("environment", f"expected a whole number, found '{text}'", field=name) from error
    if number < 1:
        raise ConfigError("environment", f"expected a number above 0, found {number}", field=name)
    return number


def _size(env: Mapping[str, str], name: str) -> int | None:
    text = (env.get(name) or "").lower()
    if text in {"0", "none", "unlimited"}:
        return None
    return _number(env, name, _LARGEST_REQUEST)
