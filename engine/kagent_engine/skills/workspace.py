"""Where a session's skills work: a folder of its own, with the skills beside it.

    BASE/<session>/          the shell's working directory; everything here may be read and written
        skills -> the skills' folder, read only by these tools
        uploads/ outputs/

The files' tools never leave it, whatever a path or a link says. The shell can: it is a program, and the Pod is what
holds it in.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kagent_engine.errors import ToolFailed

__all__ = ["Workspace"]

_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class Workspace:
    """One session's folder; made when first asked for."""

    root: Path
    skills: Path

    @classmethod
    def of(cls, session_id: str, user_id: str, skills: Path) -> Workspace:
        """Return the folder of one person's session. Ids of callers are no path names: odd ones are hashed."""
        plain = session_id if _PLAIN.fullmatch(session_id) else ""
        digest = hashlib.sha256(f"{user_id}\0{session_id}".encode()).hexdigest()[:12]
        base = Path(tempfile.gettempdir()) / "kagent"
        workspace = cls(base / "-".join(part for part in (plain, digest) if part), skills)
        for folder in ("uploads", "outputs"):
            (workspace.root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        link = workspace.root / "skills"
        if not link.is_symlink():
            link.symlink_to(skills, target_is_directory=True)
        return workspace

    def readable(self, path: str) -> Path:
        """Return the real place of a file that may be read.

        Raises:
            ToolFailed: the path leads outside.
        """
        return self._inside(path, self.root, self.skills)

    def writable(self, path: str) -> Path:
        """Return the real place of a file that may be written.

        Raises:
            ToolFailed: the path leads outside, or to the skills.
        """
        place = self._inside(path, self.root, self.skills)
        if place.is_relative_to(self.skills.resolve()):
            raise ToolFailed(f"'{path}' belongs to a skill and cannot be changed; copy it to outputs/ first")
        return place

    def _inside(self, path: str, *allowed: Path) -> Path:
        if not path or "\0" in path:
            raise ToolFailed("'file_path' must name a file")
        place = (self.root / path).resolve()
        if not any(place.is_relative_to(folder.resolve()) for folder in allowed):
            raise ToolFailed(f"'{path}' lies outside; files are below skills/, uploads/ and outputs/")
        return place
