"""An API server of a few lines whose every byte the test decides: cut streams, stale versions, refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import pytest

from kagent_api.kube import Access, KubeClient

End = Literal["clean", "cut", "hold"]


@dataclass
class Recorded:
    """A request as it came over the socket."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What to write back. ``pieces`` leave the socket one by one; ``cut`` drops the connection without an end."""

    pieces: Sequence[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    end: End = "clean"


@dataclass
class FakeApi:
    """Answers each request with the next scripted reply; with none left it waits for one."""

    requests: list[Recorded] = field(default_factory=list[Recorded])
    replies: asyncio.Queue[Reply] = field(default_factory=asyncio.Queue[Reply])
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    port: int = 0
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reply(self, body: object, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.replies.put_nowait(Reply([content], status, {k.replace("_", "-"): v for k, v in headers.items()}))

    def refuse(self, status: int, reason: str, message: str, *, causes: Sequence[dict[str, str]] = ()) -> None:
        details = {"causes": list(causes)} if causes else {}
        self.reply(
            {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status,
             "details": details}, status,
        )  # fmt: skip

    def stream(self, data: bytes, *, size: int = 0, end: End = "clean") -> None:
        pieces = [data[i : i + size] for i in range(0, len(data), size)] if size else [data]
        self.replies.put_nowait(Reply([piece for piece in pieces if piece], end=end))

    def drop(self) -> None:
        """Close the next request's connection without a single byte."""
        self.replies.put_nowait(Reply([], status=0, end="cut"))

    async def request(self, count: int) -> Recorded:
        """Wait until ``count`` requests have come and return the last of these."""
        async with asyncio.timeout(5), self.arrived:
            await self.arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *rest = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        parts = urlsplit(target)
        self.requests.append(Recorded(method, parts.path, dict(parse_qsl(parts.query)), headers, body))
        async with self.arrived:
            self.arrived.notify_all()
        reply = await self.replies.get()
        if reply.status:
            extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
            writer.write(
                f"HTTP/1.1 {reply.status} X\r\nContent-Type: application/json\r\n{extra}"
                "Transfer-Encoding: chunked\r\n\r\n".encode()
            )
        for piece in reply.pieces:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        if reply.end == "clean":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        elif reply.end == "cut":
            raise ConnectionResetError
        else:
            await reader.read()


@pytest.fixture
async def api() -> AsyncGenerator[FakeApi]:
    fake = FakeApi()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await fake.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**24)
    fake.port = server.sockets[0].getsockname()[1]
    yield fake
    server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def client(api: FakeApi) -> AsyncGenerator[KubeClient]:
    async with KubeClient(Access(server=api.url, context="test", user="tester"), env={}, sleep=no_sleep) as kube:
        yield kube


async def no_sleep(seconds: float) -> None:
    """Stand in for asyncio.sleep, so that no test waits."""
    await asyncio.sleep(0)
