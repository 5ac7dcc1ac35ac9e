"""Runs one command line for a skill: bounded in time and output, without the Pod's secrets, its group ended after it.

This is no sandbox: the command can do what this process can, less the environment. In a Pod the Pod is the boundary;
outside of one every command needs a person's yes (see tools.py).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Finished", "run_shell", "scrubbed"]

# Upstream's two limits; Python's own start and imports are why the second is longer.
_SECONDS: Final = 30.0
_PYTHON_SECONDS: Final = 60.0
_SHELL: Final = shutil.which("bash") or "/bin/sh"
_LAST_WORDS_SECONDS: Final = 1.0
_MOST_OUTPUT: Final = 1024 * 1024
_SECRET_NAME: Final = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|(^|_)(AUTH|PAT|PWD|DSN|SESSION)(_|$)|^(KUBE|DATABASE|REDIS)",
    re.IGNORECASE,
)
_WITH_PASSWORD: Final = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@\s]+@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a command: its output (both streams, in order), how it ended, and whether output was cut."""

    output: str
    code: int
    timed_out: float | None = None
    cut: bool = False


def scrubbed(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the variables that a command may see: none that is named like a secret or holds a URL with a password."""
    kept = {
        name: value
        for name, value in environ.items()
        if not _SECRET_NAME.search(name) and not _WITH_PASSWORD.match(value)
    }
    if venv := environ.get("BASH_VENV_PATH"):
        kept["PATH"] = f"{venv.rstrip('/')}/bin{os.pathsep}{kept.get('PATH', os.defpath)}"
        kept["VIRTUAL_ENV"] = venv
    return kept | {"HOME": str(home), "PWD": str(home)}


async def run_shell(command: str, folder: Path, environ: Mapping[str, str]) -> Finished:
    """Run a command line with bash, or sh where there is none; when this is cancelled the command ends too.

    Raises:
        OSError: no shell can be started.
    """
    seconds = _PYTHON_SECONDS if "python" in command else _SECONDS
    process = await asyncio.create_subprocess_exec(
        _SHELL, "-c", command,
        cwd=folder, env=scrubbed(environ, folder), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    output = _Output()
    reading = asyncio.create_task(output.read(process.stdout))
    ending = asyncio.create_task(process.wait())
    timed_out: float | None = None
    try:
        done, _ = await asyncio.wait([ending], timeout=seconds)
        timed_out = None if done else seconds
    finally:
        _end_group(process.pid)
        await ending
        # What left the group may hold the pipe open for ever; what it writes from now on is not this command's.
        await asyncio.wait([reading], timeout=_LAST_WORDS_SECONDS)
        reading.cancel()
    return Finished(output.text, process.returncode or 0, timed_out, output.cut)


@dataclass(slots=True)
class _Output:
    kept: bytearray = field(default_factory=bytearray)
    cut: bool = False

    @property
    def text(self) -> str:
        return self.kept.decode("utf-8", "replace")

    async def read(self, stream: asyncio.StreamReader) -> None:
        while block := await stream.read(65536):
            room = _MOST_OUTPUT - len(self.kept)
            self.kept += block[:room]
            self.cut = self.cut or len(block) > room


def _end_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
