"""The small parent of a local cluster: whatever happens to the server, nothing that it started stays behind.

It starts the server in a session of its own, ends it when asked (SIGTERM, SIGINT) or when the pipe of whoever started
it closes, and then ends everything left over, found by descent and by a mark in the environment: process groups alone
miss programs with sessions of their own. Run as
``python -S -E -I supervisor.py [--lifeline FD] [--state FILE] -- CMD...``; the standard library only, since it stays in
memory as long as the cluster runs (about 12 MB, most of it shared with the server).

The server gets a pipe of its own (LOCALCLUSTER_LIFELINE) and ends itself when this process is killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is another megabyte
    from typing import NoReturn

MARK = "LOCALCLUSTER_SUPERVISOR"
LIFELINE = "LOCALCLUSTER_LIFELINE"
LINUX = sys.platform == "linux"
PR_SET_CHILD_SUBREAPER = 36
SERVER_PATIENCE = 15.0  # the server gives its Pods 3 s and its connections 2 s
LEFTOVER_PATIENCE = 3.0
FATAL_SIGNAL = 128
USAGE = 64
CANNOT_START = 127


class Options:
    """The command line: ``lifeline`` is -1 and ``state`` "" where they are not given."""

    def __init__(self, arguments: list[str]) -> None:
        self.lifeline = -1
        self.state = ""
        self.command: list[str] = []
        words = iter(arguments)
        for word in words:
            if word == "--":
                self.command = list(words)
            elif word == "--lifeline":
                self.lifeline = int(next(words, "-1"))
            elif word == "--state":
                self.state = next(words, "")
            else:
                raise ValueError(f"unknown argument '{word}'")
        if not self.command:
            raise ValueError("no command after '--'")

    def port(self) -> int | None:
        """Return the value of the command's --port."""
        for word, following in zip(self.command, [*self.command[1:], ""], strict=True):
            value = (
                following if word == "--port" else word.removeprefix("--port=") if word.startswith("--port=") else ""
            )
            if value.isdigit():
                return int(value)
        return None


class Supervisor:
    """Starts one server and outlives it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._mark = os.urandom(12).hex()  # the secrets module would bring OpenSSL, 5 MB
        self._asked = False
        self._deadline = 0.0

    def run(self) -> int:
        """Supervise until nothing is left; returns the server's exit code."""
        if LINUX:
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, _ignore)
        server, keep_open = self._start()
        self._write_state(server)
        code = self._wait(server, wake_read)
        self._end_leftovers()
        os.close(keep_open)
        self._remove_state()
        return code

    def _start(self) -> tuple[int, int]:
        """Start the server; returns its process id and the pipe end whose closing tells it that we are gone."""
        theirs, ours = os.pipe()
        if self._options.lifeline >= 0:
            os.set_inheritable(self._options.lifeline, False)
        environment = {**os.environ, MARK: self._mark, LIFELINE: str(theirs)}
        server = os.fork()
        if server == 0:
            os.set_inheritable(theirs, True)  # every other descriptor of Python's closes by itself
            _become(self._options.command, environment)
        os.close(theirs)
        return server, ours

    def _wait(self, server: int, wake: int) -> int:
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        if self._options.lifeline >= 0:
            os.set_blocking(self._options.lifeline, False)
            poll.register(self._options.lifeline, select.POLLIN | select.POLLHUP)
        while True:
            left = max(0.0, self._deadline - time.monotonic()) if self._asked else None
            for descriptor, _ in poll.poll(None if left is None else int(left * 1000) + 1):
                if descriptor == wake:
                    self._on_signals(wake, server)
                elif not _readable(descriptor):
                    poll.unregister(descriptor)
                    self._ask(server)
            if (code := _reap(server)) is not None:
                return code
            if self._asked and time.monotonic() >= self._deadline:
                _send([server], signal.SIGKILL)

    def _on_signals(self, wake: int, server: int) -> None:
        numbers = os.read(wake, 512)
        if any(number != signal.SIGCHLD for number in numbers):
            self._ask(server)

    def _ask(self, server: int) -> None:
        if not self._asked:
            self._asked = True
            self._deadline = time.monotonic() + SERVER_PATIENCE
            _send([server], signal.SIGTERM)

    def _end_leftovers(self) -> None:
        """Ask what is left to end, then end it by force."""
        begun = time.monotonic()
        left = _alive(self._left_over())
        _send(left, signal.SIGTERM)
        while left and time.monotonic() - begun < LEFTOVER_PATIENCE:
            time.sleep(0.02)
            _reap(-1)
            left = _alive(left | self._left_over())
        for _ in range(100):
            left = _alive(left | self._left_over())
            if not left:
                return
            _send(left, signal.SIGKILL)
            time.sleep(0.02)
            _reap(-1)

    def _left_over(self) -> set[int]:
        return (_descendants(os.getpid()) | _marked(f"{MARK}={self._mark}")) - {os.getpid()}

    def _write_state(self, server: int) -> None:
        if not self._options.state or self._another_runs():
            return
        state = {
            "pid": os.getpid(),
            "server": server,
            "started": time.time(),
            "mark": self._mark,
            "port": self._options.port(),
        }
        os.makedirs(os.path.dirname(os.path.abspath(self._options.state)), mode=0o700, exist_ok=True)
        swap = f"{self._options.state}.{os.getpid()}"
        with open(os.open(swap, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(state, file)
        os.replace(swap, self._options.state)

    def _another_runs(self) -> bool:
        """Tell whether the state is of a supervisor at work: our server will be refused, and its state must stay."""
        try:
            with open(self._options.state) as file:
                other = json.load(file)
            return bool(_alive({other["pid"]})) and other["server"] in _marked(f"{MARK}={other['mark']}")
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _remove_state(self) -> None:
        """Remove the state file if it is still ours: another supervisor may have been refused beside us, or follow."""
        if not self._options.state:
            return
        try:
            with open(self._options.state) as file:
                ours = json.load(file).get("mark") == self._mark
            if ours:
                os.unlink(self._options.state)
        except (OSError, ValueError):
            return


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Turn this forked child into the server, in a session of its own and with nothing to read."""
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.execvpe(command[0], command, environment)  # noqa: S606 the command is ours, and no shell is wanted
    except OSError as error:
        sys.stderr.write(f"supervisor: {command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    finally:
        os._exit(CANNOT_START)


def _ignore(number: int, frame: object) -> None:
    """Take a signal: the wake-up pipe tells which."""


def _readable(descriptor: int) -> bool:
    """Read from the lifeline; False once its other end has closed."""
    try:
        return bool(os.read(descriptor, 512))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _reap(wanted: int) -> int | None:
    """Collect every ended child; returns the exit code of ``wanted`` if it was among them."""
    code: int | None = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == wanted:
            value = os.waitstatus_to_exitcode(status)
            code = value if value >= 0 else FATAL_SIGNAL - value


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def _alive(pids: Iterable[int]) -> set[int]:
    table = _table()
    return {pid for pid in pids if pid in table and table[pid][1] not in "ZX"}


def _descendants(root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in _table().items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    pending = [root]
    while pending:
        for child in children.get(pending.pop(), ()):
            if child not in found:
                found.add(child)
                pending.append(child)
    return found


def _table() -> dict[int, tuple[int, str]]:
    """Return parent and state by process id."""
    table: dict[int, tuple[int, str]] = {}
    if LINUX:
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    words = file.read().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            table[int(name)] = (int(words[1]), words[0])
        return table
    for line in _output(["ps", "-axo", "pid=,ppid=,stat="]):
        words = line.split()
        if len(words) == 3 and words[0].isdigit() and words[1].isdigit():
            table[int(words[0])] = (int(words[1]), words[2][0])
    return table


def _marked(mark: str) -> set[int]:
    if not LINUX:
        lines = (line.split(None, 1) for line in _output(["ps", "-axEwwo", "pid=,command="]))
        return {int(words[0]) for words in lines if len(words) == 2 and f" {mark}" in f"{words[1]} "}
    found: set[int] = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if mark.encode() in file.read().split(b"\0"):
                    found.add(int(name))
        except OSError:
            continue
    return found


def _output(command: list[str]) -> list[str]:
    import subprocess  # 2 MB that Linux does without

    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except OSError:
        return []


def main(arguments: list[str]) -> int:
    """Run a supervisor for a command line."""
    try:
        options = Options(arguments)
    except ValueError as error:
        sys.stderr.write(f"supervisor: {error}\n")
        return USAGE
    return Supervisor(options).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
