"""What a server or a line may do to a stream: cut it anywhere, repeat, reorder and invent events, fall silent."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from kagent_api.errors import ObjectRef
from kagent_tui.chat import conversation as conversing
from kagent_tui.chat.conversation import Conversation
from kagent_tui.chat.decisions import Answer, Decision
from kagent_tui.chat.dialect_v03 import V03
from kagent_tui.chat.dialect_v1 import V1
from kagent_tui.chat.errors import DecisionIncomplete, DecisionOutdated
from kagent_tui.chat.events import ChatEvent, Done, LinkChanged, ToolResult, TurnState
from kagent_tui.chat.jsonvalue import JsonObject
from kagent_tui.chat.normaliser import Normaliser
from kagent_tui.chat.target import ChatTarget
from kagent_tui.chat.transcript import AnswerEntry, ToolEntry, Transcript
from kagent_tui.chat.wire import Dialect

WIRE = Path(__file__).parent / "wire"
NAMES = sorted(path.stem.removeprefix("a2a-") for path in WIRE.glob("*.json"))
CARD = {"supportedInterfaces": [{"url": "http://inside/", "protocolVersion": "1.0"}]}


def captured(name: str) -> list[JsonObject]:
    found = cast("list[JsonObject]", json.loads((WIRE / f"a2a-{name}.json").read_text("utf-8")))
    return [message["result"] for message in found if "result" in message]


def dialect_of(name: str) -> Dialect:
    return V03 if name.startswith("0.3") else V1


def told(dialect: Dialect, results: list[JsonObject], normaliser: Normaliser | None = None) -> Transcript:
    normaliser = normaliser or Normaliser()
    transcript = Transcript()
    for result in results:
        update = dialect.decode(result)
        for event in normaliser.feed(update) if update is not None else []:
            transcript.apply(event)
    return transcript


def said(transcript: Transcript) -> str:
    return "".join(entry.text for entry in transcript.entries if isinstance(entry, AnswerEntry))


def calls(transcript: Transcript) -> list[tuple[str, str]]:
    return [(entry.call_id, entry.name) for entry in transcript.entries if isinstance(entry, ToolEntry)]


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_cut_at_any_event_and_told_again_from_its_beginning_shows_everything_once(name: str) -> None:
    dialect, results = dialect_of(name), captured(name)
    whole = told(dialect, results)
    for cut in range(len(results)):
        normaliser = Normaliser()
        transcript = told(dialect, results[:cut], normaliser)
        for result in results:
            update = dialect.decode(result)
            for event in normaliser.feed(update) if update is not None else []:
                transcript.apply(event)
        assert calls(transcript) == calls(whole), cut
        assert transcript.state == whole.state, cut


@pytest.mark.parametrize("name", NAMES)
def test_repeated_events_change_nothing_but_deltas_which_cannot_be_told_apart(name: str) -> None:
    dialect, results = dialect_of(name), captured(name)
    whole = told(dialect, results)
    doubled = [each for result in results for each in ((result,) if _partial(result) else (result, result))]
    again = told(dialect, doubled)
    assert said(again) == said(whole)
    assert calls(again) == calls(whole)
    assert again.state == whole.state


def _partial(result: JsonObject) -> bool:
    text = json.dumps(result)
    return '"append": true' in text or 'partial": true' in text


def test_reordered_and_invented_events_never_raise_and_no_call_is_shown_twice() -> None:
    chance = random.Random(7)
    junk: list[Any] = [None, "", 0, -1.5, [], {}, True, "\x1b[2J", {"id": 1}, [None], {"text": {}}, "x" * 5000]
    for name in NAMES:
        dialect, results = dialect_of(name), captured(name)
        for _ in range(30):
            mixed = [json.loads(json.dumps(result)) for result in results]
            chance.shuffle(mixed)
            for result in mixed:
                _spoil(result, chance, junk)
            transcript = told(dialect, mixed)
            ids = [call_id for call_id, _ in calls(transcript)]
            assert len(ids) == len(set(ids))


def _spoil(value: Any, chance: random.Random, junk: list[Any]) -> None:
    """Replace some values anywhere in an event by others of any type."""
    items: list[tuple[Any, Any]] = (
        list(cast("JsonObject", value).items())
        if isinstance(value, dict)
        else list(enumerate(cast("list[Any]", value)))
    )
    for key, item in items:
        if chance.random() < 0.04:
            value[key] = chance.choice(junk)
        elif isinstance(item, dict | list):
            _spoil(item, chance, junk)


class Body(httpx.AsyncByteStream):
    """Chunks, then silence for ever, a broken line, or the end."""

    def __init__(self, chunks: list[bytes], *, then: str = "end") -> None:
        self._chunks = chunks
        self._then = then

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._then == "silence":
            await asyncio.Event().wait()
        if self._then == "break":
            raise httpx.ReadError("connection reset")


def event(result: JsonObject) -> bytes:
    return b"data: " + json.dumps({"result": result}, ensure_ascii=False).encode() + b"\n\n"


def status(state: str, **more: Any) -> JsonObject:
    return {"taskId": "t", "contextId": "s", "status": {"state": f"TASK_STATE_{state}", **more}}


def task(state: str, text: str, **more: Any) -> JsonObject:
    artifacts = [{"artifactId": "a", "parts": [{"text": text}]}]
    return {"id": "t", "contextId": "s", "status": {"state": f"TASK_STATE_{state}", **more}, "artifacts": artifacts}


def text(words: str, *, append: bool = True) -> JsonObject:
    artifact = {"artifactId": "a", "parts": [{"text": words}]}
    return {"artifactUpdate": {"taskId": "t", "contextId": "s", "append": append, "artifact": artifact}}


def talk(answer: Callable[[str, JsonObject], httpx.Response], *, session_id: str = "s") -> Conversation:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=CARD)
        body = json.loads(request.content)
        return answer(body["method"], body["params"])

    async def no_sleep(_: float) -> None:
        return

    http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    target = ChatTarget(ObjectRef("Agent", "kagent", "echo"), "http://gateway/a/", http, "gateway")
    return Conversation(target, session_id=session_id, sleep=no_sleep)


def stream(body: Body) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)


def rpc(result: JsonObject) -> httpx.Response:
    return httpx.Response(200, json={"result": result})


async def collect(events: AsyncGenerator[ChatEvent]) -> list[ChatEvent]:
    return [each async for each in events]


def shown(events: list[ChatEvent]) -> str:
    transcript = Transcript()
    for each in events:
        transcript.apply(each)
    return said(transcript)


async def test_a_silent_line_is_asked_about_and_joined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversing, "SILENCE_SECONDS", 0.05)
    asked: list[str] = []

    def answer(method: str, params: JsonObject) -> httpx.Response:
        asked.append(method)
        if method == "SendStreamingMessage":
            return stream(
                Body([event({"task": task("WORKING", "")}), event(text("one ", append=False))], then="silence")
            )
        if method == "SubscribeToTask":
            return httpx.Response(200, json={"error": {"code": -32004, "message": "it is over"}})
        # First it still runs: the stream is left alone. Then it is over, which the stream does not say.
        return rpc(task("WORKING", "one ") if asked.count("GetTask") < 3 else task("COMPLETED", "one two"))

    async with asyncio.timeout(30):
        events = await collect(talk(answer).send("hello"))
    assert shown(events) == "one two"
    assert events[-1] == Done(TurnState.COMPLETED)
    assert asked[0] == "SendStreamingMessage"
    assert asked.count("SendStreamingMessage") == 1


async def test_four_streams_survive_the_gateways_restart() -> None:
    up = asyncio.Event()
    sent: list[str] = []

    def answer(method: str, params: JsonObject) -> httpx.Response:
        if method == "SendStreamingMessage":
            sent.append(params["message"]["messageId"])
            return stream(
                Body([event({"task": task("WORKING", "")}), event(text("half ", append=False))], then="break")
            )
        if not up.is_set():
            raise httpx.ConnectError("refused")
        if method == "SubscribeToTask":
            rest = [
                event({"task": task("WORKING", "half and ")}),
                event(text("whole")),
                event({"statusUpdate": status("COMPLETED")}),
            ]
            return stream(Body(rest))
        return rpc(task("COMPLETED", "half and whole"))

    async def one() -> list[ChatEvent]:
        events: list[ChatEvent] = []
        async for each in talk(answer).send("hello"):
            events.append(each)
            if isinstance(each, LinkChanged) and each.attempt == 3:
                up.set()
        return events

    async with asyncio.timeout(30):
        found = await asyncio.gather(*(one() for _ in range(4)))
    assert [shown(events) for events in found] == ["half and whole"] * 4
    assert len(set(sent)) == 4


async def test_a_result_of_five_megabytes_and_half_a_character_come_through() -> None:
    large = "语" * (5 * 1024 * 1024 // 3)
    data = {"id": "c", "name": "read", "response": {"content": [{"type": "text", "text": large}]}}
    result = {"artifactId": "r", "parts": [{"data": data, "metadata": {"adk_type": "function_response"}}]}
    raw = event({"artifactUpdate": {"taskId": "t", "contextId": "s", "artifact": result}})
    raw += event({"statusUpdate": status("COMPLETED")})
    chunks = [raw[at : at + 65_521] for at in range(0, len(raw), 65_521)]
    events = await collect(talk(lambda method, params: stream(Body(chunks))).send("hello"))
    [found] = [each for each in events if isinstance(each, ToolResult)]
    assert found.result["content"][0]["text"] == large


def request(*names: str) -> JsonObject:
    tools: list[JsonObject] = [{"id": f"adk-{name}", "call_id": name, "name": name, "args": {}} for name in names]
    hitl: JsonObject = {
        "https://kagent.dev/extensions/hitl/v1": {"type": "tool_approval_request", "hint": "", "tools": tools}
    }
    return {"message": {"messageId": f"m-{'-'.join(names)}", "role": "ROLE_AGENT", "parts": [], "metadata": hitl}}


async def test_two_terminals_decide_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now: list[JsonObject] = [task("INPUT_REQUIRED", "", **request("first"))]
    answers: list[JsonObject] = []

    def answer(method: str, params: JsonObject) -> httpx.Response:
        if method in ("GetTask", "SubscribeToTask"):
            return rpc(now[0])
        if "taskId" not in params["message"]:
            return stream(Body([event({"task": now[0]})]))
        answers.append(params["message"])
        now[0] = task("INPUT_REQUIRED", "", **request("second"))
        return stream(
            Body(
                [
                    event({"statusUpdate": status("WORKING")}),
                    event({"statusUpdate": status("INPUT_REQUIRED", **request("second"))}),
                ]
            )
        )

    one, other = talk(answer), talk(answer)
    for each in (one, other):
        await collect(each.send("go"))
        assert [call.name for call in each.pause.calls] == ["first"]
    await collect(one.answer(Answer.to_all(one.pause, Decision(True))))
    assert len(answers) == 1
    with pytest.raises(DecisionOutdated, match="something else waits now"):
        await collect(other.answer(Answer.to_all(other.pause, Decision(True))))
    assert len(answers) == 1
    assert [call.name for call in other.pause.calls] == ["second"]
    await collect(other.answer(Answer.to_all(other.pause, Decision(False))))
    assert len(answers) == 2


async def test_arguments_are_not_edited_for_an_agent_that_does_not_take_them() -> None:
    def answer(method: str, params: JsonObject) -> httpx.Response:
        return stream(Body([event({"task": task("INPUT_REQUIRED", "", **request("first"))})]))

    one = talk(answer)
    await collect(one.send("go"))
    with pytest.raises(DecisionIncomplete, match="does not take edited arguments"):
        await collect(one.answer(Answer.to_all(one.pause, Decision(True, arguments={"a": 1}))))
    assert one.pause
