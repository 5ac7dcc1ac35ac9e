"""Which local program stands for an image: rules given as data, read again when their file changes.

The runner knows no image by itself. An image that no rule fits could only be run by a container engine, and the Pod
says so instead of guessing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import orjson

from kagent_localcluster.errors import LocalClusterError
from kagent_localcluster.runner.fields import at, items, mapping, strings, text
from kagent_localcluster.seams import JsonObject

__all__ = ["Command", "ImageMap", "ImageRule", "InvalidImageMap", "parse_rules"]

logger = logging.getLogger(__name__)


class InvalidImageMap(LocalClusterError):
    """The image map's file cannot be used; the message names the file and the rule."""


@dataclass(frozen=True)
class Command:
    """A command line beginning with ``match`` is started as ``run`` followed by the rest."""

    match: tuple[str, ...]
    run: tuple[str, ...]


@dataclass(frozen=True)
class ImageRule:
    """What a fitting image stands for."""

    image: str
    entrypoint: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict[str, str])
    commands: tuple[Command, ...] = ()
    skip: bool = False

    def resolve(self, command: Sequence[str], args: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the words of this machine and the container's words that follow them.

        Only the second part may be translated: ``run`` and ``entrypoint`` are written for this machine.
        """
        words = [*command, *args]
        for rule in self.commands:
            if tuple(words[: len(rule.match)]) == rule.match:
                return list(rule.run), words[len(rule.match) :]
        return ([], words) if command else (list(self.entrypoint), list(args))


def parse_rules(document: JsonObject, source: str) -> tuple[ImageRule, ...]:
    """Read the ``rules`` of an image map.

    Raises:
        InvalidImageMap: a rule has no image pattern or a command without match and run.
    """
    rules: list[ImageRule] = []
    for index, entry in enumerate(items(document, "rules")):
        if not text(entry, "image"):
            raise InvalidImageMap(f"image map {source}: rules[{index}] has no 'image' pattern")
        commands: list[Command] = []
        for number, command in enumerate(items(entry, "commands")):
            if not strings(command, "match") or not strings(command, "run"):
                raise InvalidImageMap(f"image map {source}: rules[{index}].commands[{number}] needs 'match' and 'run'")
            commands.append(Command(tuple(strings(command, "match")), tuple(strings(command, "run"))))
        rules.append(
            ImageRule(
                image=text(entry, "image"),
                entrypoint=tuple(strings(entry, "entrypoint")),
                path=tuple(strings(entry, "path")),
                env={name: str(value) for name, value in mapping(entry, "env").items()},
                commands=tuple(commands),
                skip=bool(at(entry, "skip")),
            )
        )
    return tuple(rules)


class ImageMap:
    """The rules of a file, current as of each lookup."""

    def __init__(self, path: Path) -> None:
        """Read the file now.

        Raises:
            InvalidImageMap: the file is missing or cannot be used.
        """
        self._path = path
        self._stamp = self._stat()
        self._rules = self._read()

    def find(self, image: str) -> ImageRule | None:
        """Return the first rule that fits; a file that became unreadable keeps the rules it had."""
        try:
            stamp = self._stat()
            if stamp != self._stamp:
                self._stamp = stamp
                self._rules = self._read()
        except InvalidImageMap as error:
            logger.warning("%s; the rules read before stay in force", error)
        return next((rule for rule in self._rules if fnmatchcase(image, rule.image)), None)

    def _stat(self) -> tuple[int, int]:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise InvalidImageMap(f"image map {self._path}: {error.strerror}") from error
        return (stat.st_mtime_ns, stat.st_size)

    def _read(self) -> tuple[ImageRule, ...]:
        try:
            document: Any = orjson.loads(self._path.read_bytes())
        except OSError as error:
            raise InvalidImageMap(f"image map {self._path}: {error.strerror}") from error
        except orjson.JSONDecodeError as error:
            raise InvalidImageMap(f"image map {self._path}: {error}") from error
        if not isinstance(document, dict):
            raise InvalidImageMap(f"image map {self._path}: an object with 'rules' is expected")
        return parse_rules(cast(JsonObject, document), str(self._path))
