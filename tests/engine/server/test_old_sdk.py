"""The client of a2a-sdk 0.3 (upstream 0.10 speaks it) against our server, in a process with an environment of its own.

It cannot be installed beside 1.3. KAGENT_A2A_03_PYTHON names a Python that has it (``pip install a2a-sdk==0.3.26``).
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from kagent_engine.models.base import Finish, TextDelta, ToolCall

PYTHON = os.environ.get("KAGENT_A2A_03_PYTHON", "")

CLIENT = """
import asyncio, sys, uuid
import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import Message, Part, Role, TaskIdParams, TaskQueryParams, TextPart


def message(text, **ids):
    return Message(role=Role.user, message_id=str(uuid.uuid4()), parts=[Part(root=TextPart(text=text))], **ids)


async def turn(client, text, **ids):
    task = None
    async for event in client.send_message(message(text, **ids)):
        task = event[0]
    return task


async def main():
    async with httpx.AsyncClient(timeout=30) as http:
        card = await A2ACardResolver(http, sys.argv[1]).get_agent_card()
        card.url = sys.argv[1]
        streaming = ClientFactory(ClientConfig(httpx_client=http, streaming=True)).create(card)
        plain = ClientFactory(ClientConfig(httpx_client=http, streaming=False)).create(card)
        print("stream", (await turn(streaming, "hi")).status.state.value)
        print("send", (await turn(plain, "hi")).status.state.value)
        paused = await turn(streaming, "ask me", context_id="s")
        print("pause", paused.status.state.value)
        print("resume", (await turn(streaming, "this", context_id="s", task_id=paused.id)).status.state.value)
        async for event in streaming.send_message(message("long")):
            running = event[0]
            if running.status.state.value == "working":
                break
        canceled = await streaming.cancel_task(TaskIdParams(id=running.id))
        print("cancel", canceled.status.state.value)
        async for event in streaming.send_message(message("longer")):
            running = event[0]
            if running.status.state.value == "working":
                break
        print("ready", flush=True)
        state = None
        async for event in streaming.resubscribe(TaskIdParams(id=running.id)):
            state = event[0].status.state.value
            if state == "working":
                print("listening", flush=True)
        print("resubscribe", state)
        print("get", (await streaming.get_task(TaskQueryParams(id=running.id))).status.state.value)


asyncio.run(main())
"""


@pytest.mark.skipif(not PYTHON, reason="KAGENT_A2A_03_PYTHON names no Python with a2a-sdk 0.3")
async def test_the_client_of_03_sends_streams_pauses_cancels_and_listens_again(serve_engine: Any, model: Any) -> None:
    never, goes_on = asyncio.Event(), asyncio.Event()
    model.says("one").says("two")
    model.calls(ToolCall("c", "ask_user", {"questions": [{"question": "Which?"}]})).says("three")
    model.plan.append([TextDelta("so far"), never])
    model.plan.append([TextDelta("so far"), goes_on, TextDelta(" and on"), Finish("stop")])
    engine = await serve_engine()
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-c", CLIENT, engine.url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[str] = []
    async with asyncio.timeout(90):
        async for line in process.stdout:
            said.append(line.decode().strip())
            if said[-1] == "listening":
                goes_on.set()
        complaint = (await process.stderr.read()).decode()
        await process.wait()

    assert [line for line in said if line not in ("ready", "listening")] == [
        "stream completed", "send completed", "pause input-required", "resume completed", "cancel canceled",
        "resubscribe completed", "get completed",
    ], complaint[-3000:]  # fmt: skip
