"""Keeps the files of a person's message where the skills' tools find them: in the session's ``uploads/``.

Their names are the sender's and hostile: only the last part of a path counts, nothing is hidden, nothing is written
over and no link is followed. Files that are only an address are not fetched: the model sees the address and decides.
"""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from kagent_engine.errors import ToolFailed
from kagent_engine.models.base import FilePart, TextPart
from kagent_engine.skills.workspace import Workspace
from kagent_engine.tools.base import CallContext

__all__ = ["Uploads", "file_name"]

_LONGEST_NAME: Final = 100
# Characters that shells and listings read as something else than a name.
_REFUSED: Final = re.compile(r"[^\w.,()+@ -]")
_MOST_NAMESAKES: Final = 1000


@dataclass(frozen=True, slots=True)
class Uploads:
    """The door for files into the sessions of an agent with skills."""

    skills: Path

    async def keep(self, files: Sequence[FilePart], context: CallContext) -> TextPart:
        """Write the files and return the words that tell the model where they are.

        Raises:
            OSError: they cannot be written.
        """
        return await asyncio.to_thread(self._keep, files, context)

    def _keep(self, files: Sequence[FilePart], context: CallContext) -> TextPart:
        workspace = Workspace.of(context.session_id, context.user_id, self.skills)
        kept = [f"uploads/{self._write(workspace, file)} ({file.mime_type}, {len(file.data)} bytes)" for file in files]
        return TextPart(f"[Files of this message: {', '.join(kept)}]")

    def _write(self, workspace: Workspace, file: FilePart) -> str:
        wanted = PurePosixPath(file_name(file))
        for number in range(1, _MOST_NAMESAKES):
            name = wanted.name if number == 1 else f"{wanted.stem}-{number}{wanted.suffix}"
            try:
                place = workspace.writable(f"uploads/{name}")
            except ToolFailed:
                # A link that a command left there.
                continue
            try:
                with place.open("xb") as opened:
                    opened.write(file.data)
            except FileExistsError:
                if not place.is_file() or place.read_bytes() != file.data:
                    continue
            return name
        raise FileExistsError(17, f"too many files are named {wanted.name}")


def file_name(file: FilePart) -> str:
    """Return a harmless name for a file: the last part of what its sender called it, or one after its type."""
    last = re.split(r"[/\\]", file.name)[-1]
    plain = _REFUSED.sub("_", last).strip(" .-")
    if not plain.strip("_"):
        return f"file{mimetypes.guess_extension(file.mime_type) or ''}"
    if len(plain) <= _LONGEST_NAME:
        return plain
    suffix = PurePosixPath(plain).suffix[:10]
    return plain[: _LONGEST_NAME - len(suffix)].rstrip(" .") + suffix
