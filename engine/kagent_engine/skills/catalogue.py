"""Which skills an agent has: every folder below KAGENT_SKILLS_FOLDER that holds a SKILL.md.

The front matter of SKILL.md gives ``name`` and ``description``; both are other people's words and are shown to the
model as such. A folder that cannot be read is named in the log and left out: the agent works without it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from kagent_engine.shapes import as_object, as_text

__all__ = ["Skill", "read_skills"]

logger = logging.getLogger(__name__)

_FILE: Final = "SKILL.md"
_DEPTH: Final = 3  # a repository may hold several skills: skills/<name>/SKILL.md below its own folder
_LONGEST_FILE: Final = 256 * 1024
_LONGEST_DESCRIPTION: Final = 1024


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill: what the model is told of it, and the folder of its SKILL.md."""

    name: str
    description: str
    folder: Path

    def body(self) -> str:
        """Return the text of SKILL.md without its front matter, as it is now.

        Raises:
            OSError: the file is gone or cannot be read.
        """
        return _split(_read(self.folder / _FILE))[1]


def read_skills(root: Path) -> tuple[Skill, ...]:
    """Return the skills below a folder, sorted by name; of two with one name the first folder's stays."""
    found: dict[str, Skill] = {}
    for folder in _folders(root, _DEPTH):
        try:
            front, _ = _split(_read(folder / _FILE))
            parsed: object = yaml.safe_load(front) if front else {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            logger.warning("skill %s is left out: %s", folder / _FILE, str(error).replace("\n", " "))
            continue
        head = as_object(parsed)
        name = as_text(head.get("name")).strip() or folder.name
        if name in found:
            logger.warning("skill %s is left out: %s is named '%s' too", folder, found[name].folder, name)
            continue
        description = " ".join(as_text(head.get("description")).split())[:_LONGEST_DESCRIPTION]
        found[name] = Skill(name, description, folder)
    return tuple(found[name] for name in sorted(found))


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """Walk down to the first SKILL.md of each branch; what lies below one belongs to that skill."""
    try:
        children = sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
    except OSError as error:
        logger.warning("skills folder %s: %s", root, error.strerror)
        return
    for child in children:
        if (child / _FILE).is_file():
            yield child
        elif depth > 1:
            yield from _folders(child, depth - 1)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LONGEST_FILE).decode("utf-8")


def _split(text: str) -> tuple[str, str]:
    """Return front matter and body; without the two lines of ``---`` all of it is body."""
    lines = text.lstrip("\ufeff").splitlines(keepends=True)
    if not lines or lines[0].strip() != "---":
        return "", text
    for index, line in enumerate(lines[1:], start=1):
        if line.strip() == "---":
            return "".join(lines[1:index]), "".join(lines[index + 1 :])
    return "", text
