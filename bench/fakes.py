"""What an agent needs around it, fast enough not to be measured: a model, an MCP server and a controller in memory.

All run in the loop of whoever measures, so that times taken here and there are of one clock. Not for tests: what these
say is as little as an engine needs.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httptools
import orjson

__all__ = ["Script", "serve_fakes"]

_WORDS: Final = ["pods", "restart", "in", "the", "namespace", "while", "nodes", "stay", "ready", "for", "new", "work"]
_ADD: Final = {
    "name": "add",
    "description": "Add two integers.",
    "inputSchema": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
_SSE: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Script:
    """What the model does, and when it was last asked and first answered (seconds of the monotonic clock)."""

    tokens: int = 32
    interval: float = 0.0
    asked: list[float] = field(default_factory=list[float])
    answered: list[float] = field(default_factory=list[float])
    sessions: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    tasks: dict[str, Any] = field(default_factory=dict[str, Any])


class _Connection(asyncio.Protocol):
    """One keep-alive connection; ``answer`` gets (connection, method, path, body)."""

    def __init__(self, answer: Callable[[_Connection, str, str, bytes], None]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"expect":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        path = self._url.decode().partition("?")[0]
        self._answer(self, self._parser.get_method().decode(), path, self._body)

    def reply(self, body: object, status: int = 200, extra: str = "") -> None:
        content = b"" if body is None else orjson.dumps(body)
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n{extra}\r\n"
        self.transport.write(head.encode() + content)

    def chunk(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%s\r\n" % (len(data), data))


@asynccontextmanager
async def serve_fakes(script: Script) -> AsyncGenerator[str]:
    """Serve all three on one port; yield its URL. The paths do not meet: /v1, /mcp and /api."""

    def answer(to: _Connection, method: str, path: str, body: bytes) -> None:
        if path.startswith("/v1/"):
            _model(script, to, orjson.loads(body))
        elif path == "/mcp":
            _mcp(to, method, body)
        else:
            _controller(script, to, method, path.strip("/").split("/"), body)

    server = await asyncio.get_running_loop().create_server(lambda: _Connection(answer), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def _model(script: Script, to: _Connection, request: dict[str, Any]) -> None:
    script.asked.append(time.monotonic())
    to.transport.write(_SSE)
    last = request["messages"][-1]
    if request.get("tools") and last["role"] == "user" and "add" in str(last["content"]):
        name = next(tool["function"]["name"] for tool in request["tools"] if "add" in tool["function"]["name"])
        call: dict[str, Any] = {"index": 0, "id": f"call_{uuid.uuid4().hex[:8]}", "type": "function"}
        call["function"] = {"name": name, "arguments": '{"a": 2, "b": 3}'}
        to.chunk(_delta({"role": "assistant", "content": None, "tool_calls": [call]}) + _delta({}, "tool_calls"))
        _finish(to)
        return
    loop = asyncio.get_running_loop()
    start = loop.time()

    def say(index: int) -> None:
        if to.transport.is_closing():
            return
        if index == 0:
            script.answered.append(time.monotonic())
        text = "first " if index == 0 else _WORDS[index % len(_WORDS)] + " "
        to.chunk(_delta({"content": text}))
        if index + 1 == script.tokens:
            to.chunk(_delta({}, "stop"))
            _finish(to)
        elif script.interval:
            loop.call_at(start + script.interval * (index + 1), say, index + 1)

    if script.interval:
        say(0)
        return
    for index in range(script.tokens):
        say(index)


def _delta(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "bench", "choices": [choice]}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _finish(to: _Connection) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 32, "total_tokens": 52}
    last: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "bench",
        "choices": [],
        "usage": usage,
    }
    to.chunk(b"data: " + orjson.dumps(last) + b"\n\ndata: [DONE]\n\n")
    to.transport.write(b"0\r\n\r\n")


def _mcp(to: _Connection, method: str, body: bytes) -> None:
    if method != "POST":
        to.reply(None, 405 if method == "GET" else 200)
        return
    call = orjson.loads(body)
    if "id" not in call:
        to.reply(None, 202)
        return
    params: dict[str, Any] = call.get("params") or {}
    result: object
    extra = ""
    match call["method"]:
        case "initialize":
            extra = f"mcp-session-id: {uuid.uuid4().hex}\r\n"
            about = {"name": "add", "version": "1"}
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": about}
        case "tools/list":
            result = {"tools": [_ADD]}
        case "tools/call":
            total = params["arguments"]["a"] + params["arguments"]["b"]
            result = {"content": [{"type": "text", "text": str(total)}], "isError": False}
        case "ping":
            result = {}
        case _:
            error = {"code": -32601, "message": "Method not found"}
            to.reply({"jsonrpc": "2.0", "id": call["id"], "error": error})
            return
    to.reply({"jsonrpc": "2.0", "id": call["id"], "result": result}, extra=extra)


def _controller(script: Script, to: _Connection, method: str, path: list[str], body: bytes) -> None:
    """The routes of sessions and tasks that agents of upstream's 0.10 line call."""
    given: dict[str, Any] = orjson.loads(body) if body else {}
    data: object = {}
    status = 200
    match method, path:
        case "POST", ["api", "sessions"]:
            script.sessions[given["id"]] = []
            data, status = _session(given["id"], given["user_id"]), 201
        case "POST", ["api", "sessions", session, "events"]:
            event = {"id": given["id"], "user_id": "u", "session_id": session, "data": given["data"]}
            script.sessions.setdefault(session, []).append(event)
            data, status = {"id": given["id"]}, 201
        case "GET", ["api", "sessions", session] if session in script.sessions:
            data = {"session": _session(session, "u"), "events": script.sessions[session]}
        case "POST", ["api", "tasks"]:
            script.tasks[given["id"]] = data = given
            status = 201
        case "GET", ["api", "tasks", task] if task in script.tasks:
            data = script.tasks[task]
        case _:
            to.reply({"error": True, "message": "not found"}, 404)
            return
    to.reply({"error": False, "data": data, "message": "ok"}, status)


def _session(session: str, user: str) -> dict[str, str]:
    at = "2026-01-01T00:00:00Z"
    return {"id": session, "user_id": user, "name": "", "agent_id": "a", "created_at": at, "updated_at": at}
