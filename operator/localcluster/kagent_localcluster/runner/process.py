"""One started program with all that it starts in turn, its output, and its end.

Ending it ends everything: the process group is asked, and what is left afterwards - children in sessions of their own,
daemons that forked twice - is found by descent, session and mark.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

from kagent_localcluster.runner.launch import Launch
from kagent_localcluster.runner.processes import alive, descendants, marked, send

__all__ = ["MARK", "Process"]

logger = logging.getLogger(__name__)

MARK = "LOCALCLUSTER_CONTAINER"
READ_SIZE = 64 * 1024
KILL_PATIENCE = 1.0
FATAL_SIGNAL = 128  # a container killed by signal n reports exit code 128 + n


class Process:
    """A running container or probe command."""

    def __init__(
        self, popen: subprocess.Popen[bytes], program: str, mark: str, on_output: Callable[[bytes], None]
    ) -> None:
        self._popen = popen
        self._program = program
        self._mark = mark
        self._on_output = on_output
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._family: set[int] = set()
        self._pidfd = -1
        self._output = -1
        self._watch_output()
        self._watch_end()

    @classmethod
    def start(cls, launch: Launch, mark: str, on_output: Callable[[bytes], None]) -> Process:
        """Start a program in a session of its own.

        Raises:
            OSError: the system refuses to start it.
        """
        popen = subprocess.Popen(
            launch.argv,
            cwd=launch.cwd,
            env={**launch.env, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(popen, launch.argv[0], mark, on_output)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def members(self) -> set[int]:
        """Return this process and everything that belongs to it."""
        return {self.pid} | descendants({self.pid}) | marked(f"{MARK}={self._mark}")

    async def wait(self) -> int:
        """Return the exit code once the program has ended (its offspring may live on)."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """Ask the program and its group to end."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGTERM)

    async def end(self, grace: float) -> int:
        """Ask, wait as long as the grace period says, then end by force; returns the exit code."""
        family = descendants({self.pid})
        self.terminate()
        try:
            async with asyncio.timeout(max(0.0, grace)):
                await self.wait()
        except TimeoutError:
            # Its program only: arguments may hold what came out of a Secret.
            logger.info("%s (%s) did not end within %.1f s; ended by force", self._mark, self._program, grace)
        await self.sweep(family)
        return await self.wait()

    async def sweep(self, family: set[int] | None = None) -> None:
        """End by force whatever still belongs to this program, and take over its last output."""
        deadline = asyncio.get_running_loop().time() + KILL_PATIENCE
        while left := alive(self._left_over(family or set())):
            send(left, signal.SIGKILL)
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.01)
        if not self._ended.done():
            await self.wait()
        self._close_output()

    async def end_alone(self) -> None:
        """End this process and its descendants only: a probe shares its container's mark."""
        if not self._ended.done():
            send({self.pid} | descendants({self.pid}), signal.SIGKILL)
            await self.wait()
        self._close_output()

    def _left_over(self, family: set[int]) -> set[int]:
        # Once reaped, the number may belong to a stranger: only what was seen before then, or carries the mark, counts.
        mine = set[int]() if self._ended.done() else {self.pid} | descendants({self.pid})
        return mine | family | self._family | marked(f"{MARK}={self._mark}")

    def _watch_output(self) -> None:
        assert self._popen.stdout is not None
        self._output = self._popen.stdout.fileno()
        os.set_blocking(self._output, False)
        asyncio.get_running_loop().add_reader(self._output, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._output, READ_SIZE)
        except BlockingIOError:
            return
        if data:
            self._on_output(data)
        else:
            asyncio.get_running_loop().remove_reader(self._output)

    def _close_output(self) -> None:
        if self._output < 0:
            return
        asyncio.get_running_loop().remove_reader(self._output)
        with suppress(BlockingIOError):
            while data := os.read(self._output, READ_SIZE):
                self._on_output(data)
        self._output = -1
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    def _watch_end(self) -> None:
        loop = asyncio.get_running_loop()
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):
                self._pidfd = os.pidfd_open(self.pid)
                loop.add_reader(self._pidfd, self._reap)
                return
        threading.Thread(target=self._wait_in_thread, args=(loop,), daemon=True).start()

    def _reap(self) -> None:
        self._family |= descendants({self.pid})  # while the zombie still holds the number
        code = self._popen.poll()
        if code is None:
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._finish(code)

    def _wait_in_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self._popen.wait()
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._finish, code)

    def _finish(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code if code >= 0 else FATAL_SIGNAL - code)
