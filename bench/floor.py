"""The floor under any engine in Python: an ASGI app that hands a model's stream on as A2A, and does nothing else."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvicorn


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--filepath", type=Path)
    options = parser.parse_args()
    config = json.loads((options.filepath / "config.json").read_text())
    sessions: list[aiohttp.ClientSession] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        message = await receive()
        text = orjson.loads(message["body"])["params"]["message"]["parts"][0]["text"]
        body = orjson.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]})
        if not sessions:
            sessions.append(aiohttp.ClientSession())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        async with sessions[0].post(f"{config['model']['base_url']}/chat/completions", data=body) as answer:
            async for chunk in answer.content.iter_any():
                texts = [line[6:] for line in chunk.split(b"\n") if line.startswith(b"data: {")]
                said = [orjson.loads(each)["choices"] for each in texts]
                joined = "".join(choice[0]["delta"].get("content") or "" for choice in said if choice)
                event = {"kind": "status-update", "status": {"state": "working", "text": joined}}
                out = b"data: " + orjson.dumps({"jsonrpc": "2.0", "id": 1, "result": event}) + b"\r\n\r\n"
                await send({"type": "http.response.body", "body": out, "more_body": True})
        last = {"kind": "status-update", "status": {"state": "completed"}, "final": True}
        out = b"data: " + orjson.dumps({"jsonrpc": "2.0", "id": 1, "result": last}) + b"\r\n\r\n"
        await send({"type": "http.response.body", "body": out})

    uvicorn.run(app, host=options.host, port=options.port, lifespan="off", http="httptools", loop="asyncio",
                ws="none", log_level="warning")  # fmt: skip


if __name__ == "__main__":
    main()
