"""Hands a text to the person's own editor and takes it back, while watches and chats go on behind it.

The file is readable by its owner only and gone afterwards. Textual's ``suspend`` does not survive an exception inside
it, so nothing may be raised there.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from kagent_api.errors import KagentError

__all__ = ["EditorFailed", "edit_externally"]


class EditorFailed(KagentError):
    """The editor could not be started, or ended with an error; the text is as it was."""


async def edit_externally(app: App[Any], text: str) -> str:
    """Return the text as the person left it.

    Raises:
        EditorFailed: with what to do.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise EditorFailed(f"EDITOR is no command: {error}", remedy="set EDITOR, or edit here with e") from error
    directory = Path(tempfile.mkdtemp(prefix="kagent-tui-"))
    file = directory / "edit.yaml"
    try:
        await asyncio.to_thread(_create, file, text)
        await _run(app, [*words, str(file)], words[0] if words else "")
        return await asyncio.to_thread(file.read_text, encoding="utf-8", errors="replace")
    finally:
        # With whatever the editor left beside it (backups hold the text too).
        shutil.rmtree(directory, ignore_errors=True)


def _create(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


async def _run(app: App[Any], words: list[str], name: str) -> None:
    failure: OSError | None = None
    code = 0
    try:
        with app.suspend():
            try:
                process = await asyncio.create_subprocess_exec(*words)
                code = await process.wait()
            except OSError as error:
                failure = error
    except SuspendNotSupported as error:
        raise EditorFailed("this terminal cannot be handed to an editor", remedy="edit here with e") from error
    if failure is not None:
        reason = failure.strerror or str(failure)
        raise EditorFailed(f"{name} cannot be started: {reason}", remedy="set EDITOR, or edit here with e") from failure
    if code != 0:
        raise EditorFailed(f"{name} ended with status {code}; nothing was changed", remedy="edit here with e")
