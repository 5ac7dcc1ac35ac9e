"""The scripted model behind OpenAI's wire: ``kagent-engine scripted-model``. No rule stands here, only HTTP.

It streams word by word at a readable pace, so that demo and tests see what a real provider's stream looks like. It
takes any key and keeps nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from kagent_engine.models.scripted import Reply, reply_to

__all__ = ["DEFAULT_PACE", "create_app", "run_scripted_model", "serve_scripted"]

JsonObject: TypeAlias = dict[str, Any]

# Words a second: faster than reading, slow enough to be seen; small hosted models are about here.
DEFAULT_PACE = 60.0
MODEL_NAME = "scripted"


def create_app(*, pace: float = DEFAULT_PACE) -> Starlette:
    """Return the ASGI app; ``pace`` is words a second, 0 for no pause at all."""

    async def chat(request: Request) -> Response:
        body = await _body(request)
        if isinstance(body, str):
            return _refused(body)
        messages = _objects(body.get("messages"))
        if not messages:
            return _refused("'messages' must be a list of at least one message")
        reply = reply_to(messages, _objects(body.get("tools")))
        head = _head(body)
        usage = _usage(messages, reply)
        if body.get("stream") is not True:
            return _json({**head, "object": "chat.completion", "choices": [_choice(reply)], "usage": usage})
        options = body.get("stream_options")
        wanted = isinstance(options, dict) and cast("JsonObject", options).get("include_usage") is True
        return StreamingResponse(_stream(head, reply, usage if wanted else None, pace), media_type="text/event-stream")

    async def models(request: Request) -> Response:
        return _json({"object": "list", "data": [{"id": MODEL_NAME, "object": "model", "owned_by": "kagent-tui"}]})

    async def health(request: Request) -> Response:
        return PlainTextResponse("OK")

    routes = [Route("/health", health)]
    for prefix in ("/v1", ""):
        routes.append(Route(f"{prefix}/chat/completions", chat, methods=["POST"]))
        routes.append(Route(f"{prefix}/models", models))
    return Starlette(routes=routes)


def run_scripted_model(
    host: str = "127.0.0.1", port: int = 8080, pace: float | None = None, *, env: Mapping[str, str] | None = None
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. Without ``pace`` KAGENT_TUI_SCRIPTED_PACE says it."""
    try:
        pace = _pace(os.environ if env is None else env) if pace is None else pace
    except ValueError:
        print(  # noqa: T201 - a command's message
            "scripted-model: KAGENT_TUI_SCRIPTED_PACE must be words a second, 0 for no pause", file=sys.stderr
        )
        return 1
    try:
        listener = _listen(host, port)
    except OSError as error:
        print(  # noqa: T201 - a command's message
            f"scripted-model: cannot listen on {host}:{port}: {error.strerror or error} (choose another --port)",
            file=sys.stderr,
        )
        return 1

    async def serve(pace: float) -> None:
        server = _server(pace)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        await server.serve(sockets=[listener])

    asyncio.run(serve(pace))
    return 0


def _pace(env: Mapping[str, str]) -> float:
    pace = float(env.get("KAGENT_TUI_SCRIPTED_PACE") or DEFAULT_PACE)
    if not 0 <= pace < float("inf"):
        raise ValueError(pace)
    return pace


@asynccontextmanager
async def serve_scripted(*, host: str = "127.0.0.1", port: int = 0, pace: float = 0.0) -> AsyncGenerator[str]:
    """Serve on the running loop and yield the base URL (``http://127.0.0.1:PORT/v1``)."""
    listener = _listen(host, port)
    server = _server(pace)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://{host}:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handling, which ends the process by the signal it caught."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _server(pace: float) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            create_app(pace=pace), http="httptools", ws="none", loop="asyncio", lifespan="off", access_log=False,
            log_level="warning", timeout_graceful_shutdown=2,
        )
    )  # fmt: skip


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=256)
    # asyncio sets it for sockets of its own making only; without it a word may wait 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def _body(request: Request) -> JsonObject | str:
    """Return the request's object, or what is wrong with it."""
    try:
        body: object = orjson.loads(await request.body())
    except ValueError as error:
        return f"the body is no JSON: {error}"
    return cast("JsonObject", body) if isinstance(body, dict) else "the body is no JSON object"


async def _stream(head: JsonObject, reply: Reply, usage: JsonObject | None, pace: float) -> AsyncIterator[bytes]:
    began = time.monotonic()
    deltas = [{"role": "assistant", "content": ""}, *_deltas(reply)]
    for index, delta in enumerate(deltas):
        if pace > 0 and index:
            # Against the beginning, so that a late wake-up does not slow the whole stream down.
            await asyncio.sleep(max(0.0, began + index / pace - time.monotonic()))
        yield _chunk(head, [{"index": 0, "delta": delta, "finish_reason": None}])
    yield _chunk(head, [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if reply.calls else "stop"}])
    if usage is not None:
        yield _chunk({**head, "usage": usage}, [])
    yield b"data: [DONE]\n\n"


def _deltas(reply: Reply) -> list[JsonObject]:
    """Return the pieces: words of a text; of a call its name, then its arguments in pieces of a word's length."""
    if not reply.calls:
        return [{"content": word} for word in re.findall(r"\s*\S+\s*?(?=\s|$)|\s+", reply.text)]
    deltas: list[JsonObject] = []
    for index, call in enumerate(reply.calls):
        function = {"name": call.name, "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})
        arguments = orjson.dumps(call.arguments).decode()
        deltas.extend(
            {"tool_calls": [{"index": index, "function": {"arguments": arguments[at : at + 12]}}]}
            for at in range(0, len(arguments), 12)
        )
    return deltas


def _choice(reply: Reply) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": None if reply.calls else reply.text}
    if reply.calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function",
             "function": {"name": c.name, "arguments": orjson.dumps(c.arguments).decode()}}
            for c in reply.calls
        ]  # fmt: skip
    return {"index": 0, "message": message, "finish_reason": "tool_calls" if reply.calls else "stop"}


def _head(body: JsonObject) -> JsonObject:
    model = body.get("model")
    return {
        "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": int(time.time()),
        "model": model if isinstance(model, str) and model else MODEL_NAME,
    }  # fmt: skip


def _usage(messages: list[JsonObject], reply: Reply) -> JsonObject:
    """Count words where a real model counts tokens."""
    asked = sum(len(re.findall(r"\w+", str(message.get("content") or ""))) for message in messages)
    written = [reply.text, *(f"{call.name} {orjson.dumps(call.arguments).decode()}" for call in reply.calls)]
    answered = sum(len(re.findall(r"\w+", text)) for text in written)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _objects(value: object) -> list[JsonObject]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("JsonObject", item) for item in items if isinstance(item, dict)]


def _chunk(head: JsonObject, choices: list[JsonObject]) -> bytes:
    return b"data: " + orjson.dumps({**head, "choices": choices}) + b"\n\n"


def _json(value: JsonObject, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _refused(message: str) -> Response:
    return _json({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}, 400)
