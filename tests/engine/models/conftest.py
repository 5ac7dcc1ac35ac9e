"""A provider of which the test writes every byte, over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Seen:
    """A request as it came."""

    target: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Wire:
    """Answers each request with the next scripted bytes; ``size`` cuts them into pieces of their own packets."""

    seen: list[Seen] = field(default_factory=list[Seen])
    answers: list[tuple[bytes, int]] = field(default_factory=list[tuple[bytes, int]])
    port: int = 0
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stream(self, *events: object, done: bool = True, size: int = 0, kind: str = "text/event-stream") -> None:
        """Answer with server-sent events (or lines of JSON); a text is sent as it is."""
        lines = kind == "application/x-ndjson"
        parts = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events]
        body = "".join(f"{part}\n" if lines else f"data: {part}\n\n" for part in parts)
        self.raw(200, body + ("data: [DONE]\n\n" if done and not lines else ""), kind, size=size)

    def reply(self, body: object, status: int = 200) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.raw(status, text, "text/html" if text.startswith("<") else "application/json")

    def raw(self, status: int, body: str, kind: str, *, size: int = 0, length: int | None = None) -> None:
        content = body.encode()
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(content) if length is None else length}\r\n\r\n"
        )
        self.answers.append((head.encode() + content, size))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *rest = head.split("\r\n")
                headers = {name.lower(): v.strip() for name, _, v in (line.partition(":") for line in rest if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.seen.append(Seen(first.split(" ")[1], headers, json.loads(body)))
                if not self.answers:
                    return
                answer, size = self.answers.pop(0)
                for at in range(0, len(answer), size or len(answer)):
                    writer.write(answer[at : at + (size or len(answer))])
                    await writer.drain()
                    await asyncio.sleep(0)
                if b"Content-Length: 999999" in answer[:400]:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    answers = Wire()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await answers.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    answers.port = server.sockets[0].getsockname()[1]
    yield answers
    server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
