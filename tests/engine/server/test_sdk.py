"""Our server writes and reads A2A itself; here the SDK's types and its client judge what it says, strictly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from a2a.client import ClientConfig, create_client  # pyright: ignore[reportUnknownVariableType]
from a2a.client.client import Client, ClientCallContext
from a2a.compat.v0_3 import types as types_v03
from a2a.types import a2a_pb2 as pb
from google.protobuf.json_format import ParseDict

from kagent_engine.models.base import ModelError, TextDelta, ThoughtDelta, ToolCall, ToolSpec
from kagent_engine.tools.base import text_result

Json = dict[str, Any]
QUESTIONS = {"questions": [{"question": "Which?", "choices": ["a", "b"], "multiple": False}]}
SCENARIOS = ("hello", "thinking", "tool", "approval", "question", "failure", "file")


class Echo:
    def __init__(self, name: str) -> None:
        self.spec = ToolSpec(name, "Echo.", {"type": "object"})

    async def call(self, call: ToolCall, context: Any, answer: Any = None) -> Any:
        return text_result(str(call.arguments))


def play(model: Any, scenario: str) -> None:
    match scenario:
        case "thinking":
            model.plan.append([ThoughtDelta("hm "), ThoughtDelta("ha"), *model.says("so", "me").plan.pop()])
        case "tool":
            model.calls(ToolCall("c", "echo", {"n": 1, "deep": [{"x": None}, 1.5, True]})).says("done")
        case "approval":
            model.calls(ToolCall("c", "drop", {"n": 1}), ToolCall("d", "drop", {}))
        case "question":
            model.calls(ToolCall("c", "ask_user", QUESTIONS))
        case "failure":
            model.plan.append([TextDelta("partly"), ModelError("gone", code="API_ERROR")])
        case _:
            model.says("Hel", "lo")


FILES: list[Json] = [
    {"raw": "aGk=", "mediaType": "text/plain", "filename": "a.txt"},
    {"url": "https://example.test/b.png", "mediaType": "image/png"},
    {"data": [1, "two"], "metadata": {"k": "v"}},
]


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_sdks_types_take_all_that_is_written(serve_engine: Any, model: Any, scenario: str) -> None:
    engine = await serve_engine(tools=[Echo("echo"), Echo("drop")], approve=["drop"])
    message: Json = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}], "extensions": ["urn:x"]}
    message |= {"metadata": {"k": [1, 2.5]}, "contextId": "s"}
    message["parts"] += FILES if scenario == "file" else []
    play(model, scenario)
    body = {"method": "SendStreamingMessage", "params": {"message": message}}

    new = [event async for event in engine.raw.events(body, {"A2A-Version": "1.0"})]

    for event in new:
        ParseDict(event, pb.StreamResponse())
    task_id = new[0]["task"]["id"]
    for dialect, method in (("1.0", "GetTask"), ("0.3", "tasks/get")):
        task = (await engine.raw.call(method, id=task_id))["result"]
        if dialect == "1.0":
            ParseDict(task, pb.Task())
            assert task["history"][0] == message | {"taskId": task_id}
        else:
            types_v03.Task.model_validate(task)
    ParseDict((await engine.raw.call("ListTasks", includeArtifacts=True))["result"], pb.ListTasksResponse())

    play(model, scenario)
    for event in await engine.raw.stream_03("x", contextId="other"):
        answer = {"jsonrpc": "2.0", "id": 1, "result": event}
        parsed = types_v03.SendStreamingMessageSuccessResponse.model_validate(answer)
        assert parsed.model_dump(mode="json", by_alias=True, exclude_none=True)["result"] == event


@asynccontextmanager
async def sdk_client(url: str, version: str) -> AsyncGenerator[Client]:
    """The SDK's own client, made from our card as it is served."""
    async with httpx.AsyncClient(timeout=60) as http:
        given = (await http.get(f"{url}/.well-known/agent-card.json")).json()
        card = ParseDict(given, pb.AgentCard(), ignore_unknown_fields=True)
        kept = [entry for entry in card.supported_interfaces if entry.protocol_version == version]
        del card.supported_interfaces[:]
        for entry in kept:
            entry.url = url
            card.supported_interfaces.append(entry)
        yield await create_client(card, ClientConfig(streaming=True, httpx_client=http))


ALICE = ClientCallContext(service_parameters={"x-user-id": "alice"})


def said(text: str, *, context_id: str = "", task_id: str = "") -> pb.SendMessageRequest:
    parts = [pb.Part(text=text)]
    message = pb.Message(message_id="m", role=pb.Role.ROLE_USER, parts=parts, context_id=context_id, task_id=task_id)
    return pb.SendMessageRequest(message=message)


def state_of(event: pb.StreamResponse) -> int:
    match event.WhichOneof("payload"):
        case "task":
            return event.task.status.state
        case "status_update":
            return event.status_update.status.state
        case _:
            return 0


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_the_sdks_client_sends_streams_answers_cancels_and_comes_back(
    serve_engine: Any, model: Any, version: str
) -> None:
    engine = await serve_engine(tools=[Echo("drop")], approve=["drop"])
    async with asyncio.timeout(60), sdk_client(engine.url, version) as client:
        model.calls(ToolCall("c", "drop", {})).says("dropped")
        asked = [event async for event in client.send_message(said("go", context_id="s"), context=ALICE)]
        task_id = asked[0].task.id
        assert state_of(asked[-1]) == pb.TaskState.TASK_STATE_INPUT_REQUIRED
        answer = said("yes", context_id="s", task_id=task_id)
        answer.message.parts.append(ParseDict({"data": {"decision_type": "approve"}}, pb.Part()))
        done = [event async for event in client.send_message(answer, context=ALICE)]
        assert state_of(done[-1]) == pb.TaskState.TASK_STATE_COMPLETED
        found = await client.get_task(pb.GetTaskRequest(id=task_id), context=ALICE)
        assert found.artifacts[-1].parts[0].text == "dropped"

        go_on = asyncio.Event()
        model.plan.append([TextDelta("one "), go_on, *model.says("two").plan.pop()])
        async for event in client.send_message(said("again"), context=ALICE):
            if event.HasField("task"):
                task_id = event.task.id
            if state_of(event) == pb.TaskState.TASK_STATE_WORKING:
                break
        back: list[int] = []
        async for event in client.subscribe(pb.SubscribeToTaskRequest(id=task_id), context=ALICE):
            go_on.set()
            back.append(state_of(event))
        assert back[-1] == pb.TaskState.TASK_STATE_COMPLETED

        model.plan.append([TextDelta("one "), asyncio.Event()])
        states: list[int] = []
        async for event in client.send_message(said("stop"), context=ALICE):
            if event.HasField("task"):
                task_id = event.task.id
            states.append(state_of(event))
            if states[-1] == pb.TaskState.TASK_STATE_WORKING and states.count(states[-1]) == 1:
                gone = await client.cancel_task(pb.CancelTaskRequest(id=task_id), context=ALICE)
                assert gone.status.state == pb.TaskState.TASK_STATE_CANCELED
        assert states[-1] == pb.TaskState.TASK_STATE_CANCELED
        card = await client.get_extended_agent_card(pb.GetExtendedAgentCardRequest(), context=ALICE)
        assert card.name == "tester"
