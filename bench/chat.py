"""Chats in a real terminal of 200x50: four streams at once, memory, first token to pixel, a long session, key to wire.

The agent is in the same process and costs little: its events are made before they are needed. Run as a program with a
task, this module is the program under measurement; it writes what only it can see to the file it is given.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import pty
import resource
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bench.road import Figure

__all__ = ["chat"]

_SIZE = (50, 200)
_RATE = 200.0
_TOKENS = 2_000
_TOKEN = "word "


def _answer() -> list[str]:
    """Return about 2,000 tokens of the Markdown that models write: prose, lists, code, a table."""
    lines: list[str] = []
    while sum(len(line.split()) for line in lines) < _TOKENS:
        number = len(lines)
        lines += [
            f"## Part {number}\n\n",
            "The Deployment is not ready because its container cannot pull the image from the registry. " * 3 + "\n\n",
            "- check the **name** of the image\n- check `imagePullSecrets`\n- look at the events\n\n",
            "```yaml\nspec:\n  containers:\n    - name: web\n      image: nginx:1.27\n```\n\n",
            "| pod | state | restarts |\n|---|---|---|\n| web-0 | Pending | 0 |\n| web-1 | Running | 4 |\n\n",
        ]
    words = "".join(lines).split(" ")
    return [f"{word} " for word in words[:_TOKENS]]


class _Terminal:
    """The program in a pty; bytes are looked at, not drawn."""

    def __init__(self, *arguments: str) -> None:
        descriptor, name = tempfile.mkstemp(prefix="kagent-tui-bench-")
        os.close(descriptor)
        self.file = Path(name)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execvpe(sys.executable, [sys.executable, "-m", "bench.chat", name, *arguments], environment)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))

    def read(self, seconds: float) -> bytes:
        readable, _, _ = select.select([self._fd], [], [], seconds)
        try:
            return os.read(self._fd, 65536) if readable else b""
        except OSError:
            return b""

    def until(self, shown: bytes, *, seconds: float = 60.0) -> float:
        """Read until some bytes were written; return when that was."""
        deadline, seen = time.perf_counter() + seconds, b""
        while shown not in seen:
            if time.perf_counter() > deadline:
                raise AssertionError(f"the chat did not write {shown!r} within {seconds:.0f} s")
            seen = seen[-4000:] + self.read(1.0)
        return time.monotonic()

    def quiet(self, seconds: float = 0.3) -> None:
        while self.read(seconds):
            pass

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def told(self, seconds: float = 300.0) -> dict[str, Any]:
        """Read until the program has written its findings; return them."""
        deadline = time.perf_counter() + seconds
        while not (text := self.file.read_text(encoding="utf-8")).endswith("\n"):
            if time.perf_counter() > deadline:
                raise AssertionError("the chat did not end its measurement")
            self.read(0.1)
        return json.loads(text)

    def end(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        while self.read(5.0):
            pass
        os.waitpid(self.pid, 0)
        os.close(self._fd)
        self.file.unlink()


def chat(rounds: int) -> list[Figure]:
    """Measure the chat screen."""
    return [*_streams(), *_memory(), *_first_pixel(5 * rounds), *_long_session(), *_wire(5 * rounds)]


def _streams() -> list[Figure]:
    terminal = _Terminal("stream", "4", str(_RATE), "1")
    found = terminal.told()
    terminal.end()
    return [
        Figure("4 panes at 200 tokens/s: late", found["late"] * 100, "%", "<= 2"),
        Figure("4 panes at 200 tokens/s: CPU of a core", found["cpu"] * 100, "%", "<= 60"),
        Figure("4 panes at 200 tokens/s: frames of the focused pane", found["frames"], "/s", ">= 10"),
        Figure("4 panes at 200 tokens/s: loop lag, p95", found["lag"] * 1000, "ms", "<= 60"),
    ]


def _memory() -> list[Figure]:
    terminal = _Terminal("stream", "1", "0", "100")
    found = terminal.told()
    terminal.end()
    at = found["memory"]
    return [
        Figure("memory of a 2,000-token answer (the first 20)", (at[20] - at[1]) / 19, "MB", "<= 3"),
        Figure("memory from 100,000 to 200,000 tokens", at[-1] - at[50], "MB", "bounded"),
    ]


def _first_pixel(rounds: int) -> list[Figure]:
    terminal = _Terminal("stamp")
    terminal.until(b"rite to the agent")
    terminal.quiet()
    taken: list[float] = []
    for number in range(rounds):
        terminal.send("x\r")
        # Older stamps are painted again when the text moves up.
        mark, seen = f"@S{number}:".encode(), b""
        while not (mark in seen and b"@E" in seen.split(mark)[1]):
            seen += terminal.read(1.0)
        taken.append(time.monotonic() - int(seen.split(mark)[1].split(b"@E")[0]) / 1e9)
        terminal.quiet()
    terminal.end()
    return [Figure("first token received to pixel, median", statistics.median(taken) * 1000, "ms", "<= 60")]


def _long_session() -> list[Figure]:
    terminal = _Terminal("history")
    found = terminal.told()
    terminal.quiet(1.0)
    terminal.send("\t")
    terminal.quiet()
    taken: list[float] = []
    for _ in range(20):
        begin = time.monotonic()
        terminal.send("\x02")
        while not terminal.read(1.0):
            pass
        taken.append(time.monotonic() - begin)
        terminal.quiet(0.15)
    terminal.end()
    return [
        Figure("a session of 1,000 messages: opened", found["open"] * 1000, "ms", "<= 300"),
        Figure("a session of 1,000 messages: a page", statistics.median(taken) * 1000, "ms", "<= 40"),
    ]


def _wire(rounds: int) -> list[Figure]:
    terminal = _Terminal("wire")
    terminal.until(b"rite to the agent")
    terminal.quiet()
    taken: list[float] = []
    for number in range(rounds):
        terminal.send("x")
        terminal.quiet()
        begin = time.monotonic()
        terminal.send("\r")
        while terminal.file.read_text(encoding="utf-8").count(";") <= number:
            terminal.read(0.001)
        stamp = terminal.file.read_text(encoding="utf-8").split(";")[number]
        taken.append(float(stamp) - begin)
        terminal.quiet()
    terminal.end()
    return [Figure("key to request on the wire, median", statistics.median(taken[1:]) * 1000, "ms", "<= 30")]


def _event(result: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({"jsonrpc": "2.0", "id": "1", "result": result}).encode() + b"\n\n"


def _status(state: str) -> bytes:
    status = {"taskId": "t", "contextId": "s", "status": {"state": f"TASK_STATE_{state}"}}
    return _event({"statusUpdate": status})


def _text(text: str, *, append: bool = True) -> bytes:
    artifact = {"artifactId": "a", "parts": [{"text": text}]}
    return _event({"artifactUpdate": {"taskId": "t", "contextId": "s", "append": append, "artifact": artifact}})


def _program(file: Path, task: str, arguments: list[str]) -> int:
    """Run the chat screen with an agent that does what the task wants."""
    import httpx

    from kagent_api.errors import ObjectRef
    from kagent_tui.app import KagentApp
    from kagent_tui.chat.conversation import Conversation
    from kagent_tui.chat.subject import ChatSubject
    from kagent_tui.chat.target import ChatTarget
    from kagent_tui.cluster.contexts import Options
    from kagent_tui.cluster.workspace import Workspace
    from kagent_tui.screens.base import Host
    from kagent_tui.screens.chat import ChatScreen
    from kagent_tui.widgets.bindings import bindings

    panes = int(arguments[0]) if task == "stream" else 1
    rate = float(arguments[1]) if task == "stream" else 0.0
    turns = int(arguments[2]) if task == "stream" else 0
    stamps = itertools.count()
    tokens = [_text(token, append=number > 0) for number, token in enumerate(_answer())]

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield _status("WORKING")
            if task == "stamp":
                await asyncio.sleep(0.2)
                yield _text(f"@S{next(stamps)}:{time.monotonic_ns()}@E", append=False)
            elif task == "stream":
                begin = time.monotonic()
                for number, token in enumerate(tokens):
                    wait = begin + number / rate - time.monotonic() if rate else 0.0
                    if wait > 0 or number % 50 == 0:
                        await asyncio.sleep(max(0.0, wait))
                    yield token
            yield _status("COMPLETED")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("agent-card.json"):
            return httpx.Response(200, json={"supportedInterfaces": [{"url": "u", "protocolVersion": "1.0"}]})
        if request.url.path.endswith("/tasks"):
            return httpx.Response(200, json={"data": [_told_task(number) for number in range(500)]})
        if task == "wire":
            with file.open("a", encoding="utf-8") as written:
                written.write(f"{time.monotonic()};")
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    refs = [ObjectRef("Agent", "bench", f"agent-{number}") for number in range(panes)]

    async def open_conversation(ref: ObjectRef, session_id: str) -> Conversation:
        target = ChatTarget(ref, "http://gateway/a/", http, "gateway", "http://gateway/")
        return Conversation(target, session_id=session_id)

    class Program(Host):
        CSS_PATH = KagentApp.CSS_PATH
        BINDINGS = bindings("app")

        def on_mount(self) -> None:
            workspace = Workspace(Options())
            self.chat = ChatScreen(workspace, open_conversation, lambda ref: ChatSubject(ref), refs=refs)
            self.push_screen(self.chat)
            self.call_after_refresh(self.begin)

        def begin(self) -> None:
            if task == "stream":
                self.run_worker(_stream(self.chat, turns, rate, lambda found: _tell(file, found)))
            elif task == "history":
                self.run_worker(self.history())

        async def history(self) -> None:
            await asyncio.sleep(1.0)
            begin = time.monotonic()
            await self.chat.talk_to(refs[0], beside=True, session_id="old")
            pane = self.chat.panes[-1]
            done = asyncio.Event()
            while not pane.transcript.entries or pane.busy:  # noqa: ASYNC110 - what is measured has no event for it
                await asyncio.sleep(0.002)
            pane.view.call_after_refresh(done.set)
            await done.wait()
            _tell(file, {"open": time.monotonic() - begin})

    Program().run(mouse=False)
    return 0


def _told_task(number: int) -> dict[str, Any]:
    said = {"messageId": f"u{number}", "role": "ROLE_USER", "parts": [{"text": f"question {number}?"}]}
    words = f"## Answer {number}\n\n" + "The Pod is **pending** because no node has room for it. " * 4
    artifact = {"artifactId": f"a{number}", "parts": [{"text": words}]}
    status = {"state": "TASK_STATE_COMPLETED", "timestamp": f"2026-01-01T{number // 60:02}:{number % 60:02}:00Z"}
    return {"id": f"t{number}", "contextId": "old", "status": status, "history": [said], "artifacts": [artifact]}


def _tell(file: Path, found: dict[str, Any]) -> None:
    file.write_text(json.dumps(found) + "\n", encoding="utf-8")


async def _stream(screen: Any, turns: int, rate: float, tell: Callable[[dict[str, Any]], None]) -> None:
    """Send to all panes and watch: the loop's lag, frames of the focused pane, CPU and memory."""
    lags: list[float] = []
    frames = [0]
    near = screen.near.view
    flush = near._flush

    def counted() -> None:
        frames[0] += 1
        flush()

    near._flush = counted

    async def watch() -> None:
        while True:
            begin = time.monotonic()
            await asyncio.sleep(0.01)
            lags.append(time.monotonic() - begin - 0.01)

    await asyncio.sleep(1.0)
    watcher = asyncio.create_task(watch())
    memory = [_resident()]
    begin, cpu = time.monotonic(), _cpu()
    for _ in range(turns):
        for pane in screen.panes:
            pane.send("go")
        while any(pane.busy for pane in screen.panes):  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.02)
        memory.append(_resident())
    spent, used = time.monotonic() - begin, _cpu() - cpu
    watcher.cancel()
    ideal = turns * _TOKENS / rate if rate else spent
    lag = sorted(lags)[int(len(lags) * 0.95)]
    tell({"late": spent / ideal - 1, "cpu": used / spent, "frames": frames[0] / spent, "lag": lag, "memory": memory,
          "seconds": used})  # fmt: skip


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident() -> float:
    """Return resident memory in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    sys.exit(_program(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
