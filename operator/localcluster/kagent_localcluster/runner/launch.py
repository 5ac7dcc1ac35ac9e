"""What is started for a container: command line, environment and directory, worked out without starting anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from kagent_localcluster.runner.environment import Variables
from kagent_localcluster.runner.fields import at, items, strings, text
from kagent_localcluster.runner.images import ImageRule
from kagent_localcluster.runner.translate import expand, translate, translate_command
from kagent_localcluster.seams import JsonObject

__all__ = ["DEFAULT_MESSAGE_PATH", "CannotStart", "Launch", "Surroundings", "plan_command", "plan_launch"]

DEFAULT_MESSAGE_PATH = "/dev/termination-log"


class CannotStart(Exception):
    """The program is not on this machine, or there is no command at all."""


@dataclass(frozen=True)
class Launch:
    """A process to start."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: Path


@dataclass(frozen=True)
class Surroundings:
    """What the Pod gives each of its containers.

    ``provided`` overrides the machine's variables and is overridden by declared ones; ``paths`` are prefixes beyond the
    mounts that programs may ask for through KAGENT_TUI_PATHS.
    """

    machine: Mapping[str, str]
    provided: Mapping[str, str]
    ports: Mapping[int, int]
    mounts: Mapping[str, str]
    paths: Mapping[str, str]
    directory: Path


def plan_launch(container: JsonObject, rule: ImageRule, variables: Variables, around: Surroundings) -> Launch:
    """Return what to start.

    Raises:
        CannotStart: there is no command, or its program cannot be found.
    """
    declared = {
        name: value if name in variables.private else translate([value], around.ports, around.mounts)[0]
        for name, value in variables.values.items()
    }
    env = {**around.machine, **rule.env, **around.provided, **declared}
    search = [*rule.path, *declared.get("PATH", around.machine.get("PATH", os.defpath)).split(os.pathsep)]
    env["PATH"] = os.pathsep.join(dict.fromkeys(entry for entry in search if entry))
    env["KAGENT_TUI_PATHS"] = orjson.dumps({**around.paths, **around.mounts}).decode()
    own_port = next((around.ports[port] for port in _declared_ports(container) if port in around.ports), None)
    if own_port is not None:
        env.setdefault("PORT", str(own_port))
    command = [expand(word, variables.values) for word in strings(container, "command")]
    args = [expand(word, variables.values) for word in strings(container, "args")]
    here, theirs = rule.resolve(command, args)
    argv = [*here, *translate_command(theirs, around.ports, around.mounts)]
    return Launch((_program(argv, env, container, around.directory), *argv[1:]), env, _directory(container, around))


def plan_command(command: list[str], container: JsonObject, launch: Launch, around: Surroundings) -> Launch:
    """Return how an exec probe or hook runs beside a container that was started by ``launch``.

    Raises:
        CannotStart: its program cannot be found.
    """
    argv = translate_command(command, around.ports, around.mounts)
    return Launch((_program(argv, launch.env, container, launch.cwd), *argv[1:]), launch.env, launch.cwd)


def _declared_ports(container: JsonObject) -> list[int]:
    ports = (port.get("containerPort") for port in items(container, "ports"))
    return [port for port in ports if isinstance(port, int)]


def _program(argv: list[str], env: Mapping[str, str], container: JsonObject, directory: Path) -> str:
    image = text(container, "image")
    if not argv:
        raise CannotStart(
            f"no command: image '{image}' has no entrypoint here; give the container a command, "
            "or its rule in the image map an entrypoint"
        )
    word = argv[0]
    if "/" in word:
        path = word if word.startswith("/") else str(directory / word)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
        raise CannotStart(
            f"exec: '{word}' is no program of this machine: containers run here as local programs, and the files of "
            f"image '{image}' do not exist; install it, or add a rule for the image to the image map"
        )
    found = shutil.which(word, path=env.get("PATH"))
    if found is None:
        raise CannotStart(
            f"exec: '{word}' was not found in PATH: containers run here as local programs; "
            f"install it, or add a rule for image '{image}' to the image map"
        )
    return found


def _directory(container: JsonObject, around: Surroundings) -> Path:
    """Return the working directory; one that exists only in the image gives way to the container's own."""
    declared = at(container, "workingDir")
    if isinstance(declared, str) and declared:
        real = Path(translate([declared], {}, around.mounts)[0])
        if real.is_dir():
            return real
    return around.directory
