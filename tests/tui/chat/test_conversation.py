"""A conversation against a scripted server: dialects, broken links, decisions, stop, history and errors."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from kagent_api.errors import ObjectRef
from kagent_tui.chat.conversation import CancelOutcome, Conversation
from kagent_tui.chat.decisions import Answer, Decision
from kagent_tui.chat.errors import AgentNotFound, AgentNotReady, AgentUnreachable, CallFailed, DecisionNeeded
from kagent_tui.chat.events import ChatEvent, Done, Failed, LinkChanged, TextDelta, ToolResult, TurnState, UserMessage
from kagent_tui.chat.jsonvalue import JsonObject
from kagent_tui.chat.target import ChatTarget
from kagent_tui.chat.transcript import AnswerEntry, Transcript

WIRE = Path(__file__).parent / "wire"
BOTH = {
    "name": "agent",
    "supportedInterfaces": [
        {"url": "http://inside/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
        {"url": "http://inside/", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
    ],
    "capabilities": {"streaming": True},
}
OLD = {"name": "agent", "url": "http://inside/", "protocolVersion": "0.3.0", "capabilities": {"streaming": True}}


def captured(name: str) -> list[JsonObject]:
    return cast("list[JsonObject]", json.loads((WIRE / f"a2a-{name}.json").read_text("utf-8")))


def sse(messages: list[JsonObject]) -> bytes:
    return b"".join(b"data: " + json.dumps(message).encode() + b"\n\n" for message in messages)


def failed(code: int, message: str) -> httpx.Response:
    return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}})


class Stream(httpx.AsyncByteStream):
    """A body in chunks of odd sizes that may end in a broken connection."""

    def __init__(self, raw: bytes, *, broken: bool = False, size: int = 7) -> None:
        self._raw = raw
        self._broken = broken
        self._size = size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._raw), self._size):
            yield self._raw[start : start + self._size]
        if self._broken:
            raise httpx.ReadError("connection reset")


def streaming(messages: list[JsonObject], *, broken: bool = False, size: int = 7) -> httpx.Response:
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return httpx.Response(200, headers=headers, stream=Stream(sse(messages), broken=broken, size=size))


Answerer = Callable[[JsonObject], httpx.Response]


@dataclass
class Server:
    """Answers each method by a queue of scripted responses and remembers what it was sent."""

    card: JsonObject | int = field(default_factory=lambda: cast("JsonObject", BOTH))
    answers: dict[str, list[httpx.Response | Answerer]] = field(default_factory=dict[str, list[Any]])
    sent: list[tuple[str, JsonObject, httpx.Headers]] = field(default_factory=list[Any])
    tasks: list[JsonObject] = field(default_factory=list[JsonObject])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("agent-card.json"):
            return httpx.Response(self.card) if isinstance(self.card, int) else httpx.Response(200, json=self.card)
        if request.url.path.endswith("/tasks"):
            return httpx.Response(200, json={"error": False, "data": self.tasks, "message": ""})
        body = json.loads(request.content)
        self.sent.append((body["method"], body["params"], request.headers))
        queue = self.answers.get(body["method"], [])
        if not queue:
            return failed(-32601, "Method not found")
        answer = queue.pop(0)
        return answer(body["params"]) if callable(answer) else answer


async def no_sleep(_: float) -> None:
    return


def talk(server: Server, *, session_id: str = "") -> Conversation:
    http = httpx.AsyncClient(transport=httpx.MockTransport(server))
    target = ChatTarget(
        ObjectRef("Agent", "kagent", "echo"), "http://gateway/api/a2a/kagent/echo/", http, "gateway", "http://gateway/"
    )
    return Conversation(target, session_id=session_id, sleep=no_sleep)


async def collect(events: AsyncGenerator[ChatEvent]) -> list[ChatEvent]:
    return [event async for event in events]


def shown(events: list[ChatEvent]) -> str:
    transcript = Transcript()
    for event in events:
        transcript.apply(event)
    return "".join(entry.text for entry in transcript.entries if isinstance(entry, AnswerEntry))


HELLO = "Hello from the fake model, this is streamed text. "


async def test_version_1_is_preferred_and_asked_for_by_header() -> None:
    server = Server(answers={"SendStreamingMessage": [streaming(captured("1.0-hello"))]})
    chat = talk(server, session_id="s-1")
    events = await collect(chat.send("hello 日本"))
    assert shown(events) == HELLO
    assert events[-1] == Done(TurnState.COMPLETED)
    [(_, params, headers)] = server.sent
    assert headers["a2a-version"] == "1.0"
    assert headers["a2a-extensions"] == "https://kagent.dev/extensions/hitl/v1"
    assert headers["x-user-id"] == "admin@kagent.dev"
    assert params["message"]["contextId"] == "s-1"
    assert params["message"]["parts"] == [{"text": "hello 日本"}]
    assert "taskId" not in params["message"]


async def test_an_agent_with_an_old_card_is_spoken_to_in_its_version() -> None:
    server = Server(card=cast("JsonObject", OLD), answers={"message/stream": [streaming(captured("0.3-hello"))]})
    assert shown(await collect(talk(server).send("hello"))) == HELLO
    assert server.sent[0][1]["message"]["parts"] == [{"kind": "text", "text": "hello"}]


@pytest.mark.parametrize("code", [-32601, -32009])
async def test_a_card_that_promises_too_much_costs_one_call(code: int) -> None:
    server = Server(
        answers={"SendStreamingMessage": [failed(code, "no")], "message/stream": [streaming(captured("0.3-hello"))] * 1}
    )
    chat = talk(server)
    assert shown(await collect(chat.send("hello"))) == HELLO
    server.answers["message/stream"] = [streaming(captured("0.3-hello"))]
    await collect(chat.send("again"))
    assert [method for method, _, _ in server.sent] == ["SendStreamingMessage", "message/stream", "message/stream"]


async def test_an_agent_that_does_not_stream_is_asked_without() -> None:
    task = {"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_COMPLETED"}}}
    task["task"]["artifacts"] = [{"artifactId": "a", "parts": [{"text": "all at once"}]}]  # type: ignore[index]
    server = Server(
        answers={
            "SendStreamingMessage": [failed(-32004, "Streaming is not supported")],
            "SendMessage": [httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": task})],
        }
    )
    events = await collect(talk(server).send("hello"))
    assert shown(events) == "all at once"
    assert events[-1] == Done(TurnState.COMPLETED)


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_a_stream_cut_at_any_event_is_rejoined_without_loss_or_repetition(version: str) -> None:
    messages = captured(f"{version}-hello")
    send, subscribe = (
        ("SendStreamingMessage", "SubscribeToTask") if version == "1.0" else ("message/stream", "tasks/resubscribe")
    )
    for cut in range(1, len(messages)):
        server = Server(
            card=cast("JsonObject", BOTH if version == "1.0" else OLD),
            answers={
                send: [streaming(messages[:cut], broken=True)],
                subscribe: [streaming(messages[cut:])],
            },
        )
        events = await collect(talk(server).send("hello"))
        assert shown(events) == HELLO, cut
        assert [event for event in events if isinstance(event, LinkChanged)] == [
            LinkChanged(up=False, attempt=1),
            LinkChanged(up=True),
        ]
        assert [method for method, _, _ in server.sent] == [send, subscribe]


async def test_a_task_that_ended_while_the_link_was_down_is_read_whole() -> None:
    messages = captured("1.0-hello")
    task_id = messages[0]["result"]["task"]["id"]
    whole = {
        "id": task_id,
        "contextId": messages[0]["result"]["task"]["contextId"],
        "status": {"state": "TASK_STATE_COMPLETED"},
        "artifacts": [messages[-3]["result"]["artifactUpdate"]["artifact"]],
    }
    server = Server(
        answers={
            "SendStreamingMessage": [streaming(messages[:5], broken=True)],
            "SubscribeToTask": [httpx.Response(503, text="starting"), failed(-32004, "task is in terminal state")],
            "GetTask": [httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": whole})],
        }
    )
    events = await collect(talk(server).send("hello"))
    assert shown(events) == HELLO
    assert events[-1] == Done(TurnState.COMPLETED)


async def test_a_link_that_stays_down_ends_with_what_to_do() -> None:
    server = Server(answers={"SendStreamingMessage": [streaming(captured("1.0-hello")[:4], broken=True)]})
    server.answers["SubscribeToTask"] = [httpx.Response(503, text="no endpoints")] * 20
    events = await collect(talk(server).send("hello"))
    assert events[-1] == Done(TurnState.UNKNOWN)
    [failure] = [event for event in events if isinstance(event, Failed)]
    assert "no endpoints" in failure.message
    assert "reopen" in failure.remedy


async def test_a_message_whose_fate_is_unknown_is_not_sent_again() -> None:
    server = Server(answers={"SendStreamingMessage": [streaming([], broken=False)]})
    events = await collect(talk(server).send("hello"))
    assert isinstance(events[-2], Failed)
    assert len(server.sent) == 1


async def test_approvals_are_answered_in_the_same_task_and_pause_other_messages() -> None:
    pause, rest = captured("1.0-tool"), captured("1.0-reject")
    server = Server(answers={"SendStreamingMessage": [streaming(pause), streaming(rest)]})
    chat = talk(server)
    await collect(chat.send("use tool"))
    assert chat.state is TurnState.INPUT_REQUIRED
    with pytest.raises(DecisionNeeded):
        await collect(chat.send("and now?"))
    answer = Answer.to_all(chat.pause, Decision(False, "no way"))
    events = await collect(chat.answer(answer))
    assert events[-1] == Done(TurnState.COMPLETED)
    assert not chat.pause
    assert any(isinstance(event, ToolResult) for event in events)
    message = server.sent[-1][1]["message"]
    assert message["taskId"] == pause[0]["result"]["task"]["id"]
    assert message["extensions"] == ["https://kagent.dev/extensions/hitl/v1"]
    assert message["parts"][1]["data"]["decision_type"] == "batch"


async def test_an_answer_that_is_refused_leaves_the_pause_as_it_was() -> None:
    server = Server(
        answers={"SendStreamingMessage": [streaming(captured("1.0-tool")), failed(-32602, "Validation failed")]}
    )
    chat = talk(server)
    await collect(chat.send("use tool"))
    before = chat.pause
    with pytest.raises(CallFailed):
        await collect(chat.answer(Answer.to_all(before, Decision(True))))
    assert chat.pause == before
    assert chat.state is TurnState.INPUT_REQUIRED
    assert not chat.busy


async def test_an_abandoned_task_is_followed_by_a_new_one_in_the_same_session() -> None:
    server = Server(
        answers={"SendStreamingMessage": [streaming(captured("1.0-tool")), streaming(captured("1.0-hello"))]}
    )
    chat = talk(server)
    await collect(chat.send("use tool"))
    session = chat.session_id
    chat.abandon()
    await collect(chat.send("something else"))
    assert server.sent[-1][1]["message"]["contextId"] == session
    assert "taskId" not in server.sent[-1][1]["message"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (httpx.Response(200, json={"result": {"id": "t", "status": {"state": "TASK_STATE_CANCELED"}}}), "canceled"),
        (failed(-32002, "terminal"), "ended"),
        (failed(-32603, "Cancellation is not supported"), "unsupported"),
        (failed(-32001, "unknown task"), "nothing"),
    ],
)
async def test_stop_says_what_came_of_it(answer: httpx.Response, outcome: str) -> None:
    server = Server(answers={"SendStreamingMessage": [streaming(captured("1.0-hello"))], "CancelTask": [answer]})
    chat = talk(server)
    assert await chat.cancel() is CancelOutcome.NOTHING
    events = chat.send("hello")
    async for event in events:
        if isinstance(event, TextDelta):
            break
    assert await chat.cancel() == outcome
    await events.aclose()
    assert not chat.busy


async def test_history_tells_both_sides_once_and_a_waiting_task_can_be_answered() -> None:
    user = {
        "kind": "message",
        "role": "user",
        "messageId": "m1",
        "parts": [{"kind": "text", "text": "use tool please"}],
    }
    pending = captured("0.3-tool")[-1]["result"]
    task = {
        "kind": "task",
        "id": pending["taskId"],
        "contextId": pending["contextId"],
        "status": pending["status"],
        "history": [user, user, captured("0.3-tool")[2]["result"]["status"]["message"]],
    }
    server = Server(tasks=[task])
    chat = talk(server, session_id=pending["contextId"])
    events = await chat.history()
    assert [event for event in events if isinstance(event, UserMessage)] == [UserMessage("use tool please", "m1")]
    assert chat.pause
    assert chat.task_id == pending["taskId"]
    server.answers["SendStreamingMessage"] = [streaming(captured("1.0-reject"))]
    await collect(chat.answer(Answer.to_all(chat.pause, Decision(False))))
    assert server.sent[-1][1]["message"]["taskId"] == pending["taskId"]


async def test_a_running_task_found_in_history_is_followed_to_its_end() -> None:
    messages = captured("1.0-hello")
    task = {**messages[0]["result"]["task"], "status": {"state": "TASK_STATE_WORKING"}}
    server = Server(tasks=[task], answers={"SubscribeToTask": [streaming(messages[1:])]})
    chat = talk(server)
    await chat.history()
    events = await collect(chat.rejoin())
    assert shown(events) == HELLO
    assert events[-1] == Done(TurnState.COMPLETED)


async def test_an_unknown_agent_and_one_without_pods_are_told_apart() -> None:
    with pytest.raises(AgentNotFound) as unknown:
        await collect(talk(Server(card=404)).send("hello"))
    assert "Agent kagent/echo" in str(unknown.value)
    server = Server(answers={"SendStreamingMessage": [httpx.Response(503, json={"message": "no endpoints available"})]})
    with pytest.raises(AgentNotReady) as down:
        await collect(talk(server).send("hello"))
    assert "describe agent echo -n kagent" in str(down.value)


async def test_nothing_at_the_address_is_said_with_the_address() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    http = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    chat = Conversation(ChatTarget(ObjectRef("Agent", "", "x"), "http://127.0.0.1:9/", http, "url"))
    with pytest.raises(AgentUnreachable, match=r"127\.0\.0\.1:9"):
        await collect(chat.send("hello"))
    assert not chat.busy
