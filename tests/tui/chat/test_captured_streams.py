"""Every captured stream of both upstream generations, replayed: nothing is lost or shown twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from kagent_tui.chat.dialect_v03 import V03
from kagent_tui.chat.dialect_v1 import V1
from kagent_tui.chat.events import (
    ApprovalRequest,
    ChatEvent,
    Done,
    PendingCall,
    Question,
    QuestionItem,
    TextDelta,
    TextReplaced,
    ToolCall,
    ToolResult,
    TurnState,
    Usage,
    to_json,
)
from kagent_tui.chat.jsonvalue import JsonObject
from kagent_tui.chat.normaliser import Normaliser
from kagent_tui.chat.transcript import AnswerEntry, ToolEntry, ToolState, Transcript

WIRE = Path(__file__).parent / "wire"
FILES = sorted(path.name for path in WIRE.glob("*.json"))


def messages(name: str) -> list[JsonObject]:
    captured = cast("list[JsonObject]", json.loads((WIRE / name).read_text("utf-8")))
    return [message["result"] for message in captured]


def play(name: str, results: list[JsonObject], normaliser: Normaliser | None = None) -> list[ChatEvent]:
    dialect = V03 if "-0.3-" in name else V1
    normaliser = normaliser or Normaliser()
    events: list[ChatEvent] = []
    for result in results:
        update = dialect.decode(result)
        assert update is not None
        events += normaliser.feed(update)
    return events


def answer(events: list[ChatEvent]) -> str:
    transcript = Transcript()
    for event in events:
        transcript.apply(event)
    return "|".join(entry.text for entry in transcript.entries if isinstance(entry, AnswerEntry))


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("hello", "Hello from the fake model, this is streamed text. "),
        ("reject", "Done: Tool call was rejected by user. Reason: no way "),
        ("tool", ""),
        ("ask_user", ""),
    ],
)
@pytest.mark.parametrize("version", ["0.3", "1.0"])
def test_the_answer_is_shown_once(version: str, case: str, text: str) -> None:
    name = f"a2a-{version}-{case}.json"
    assert answer(play(name, messages(name))) == text


def test_an_answer_streams_as_deltas_that_the_full_text_confirms_without_an_event() -> None:
    for version in ("0.3", "1.0"):
        name = f"a2a-{version}-hello.json"
        events = play(name, messages(name))
        assert sum(isinstance(event, TextDelta) for event in events) == 9
        assert not any(isinstance(event, TextReplaced) for event in events)
        assert events[-1] == Done(TurnState.COMPLETED)
        assert len([event for event in events if isinstance(event, Usage)]) == 1


@pytest.mark.parametrize("version", ["0.3", "1.0"])
def test_a_call_that_needs_approval_is_one_card_and_one_request(version: str) -> None:
    name = f"a2a-{version}-tool.json"
    events = play(name, messages(name))
    [call] = [event for event in events if isinstance(event, ToolCall)]
    [request] = [event for event in events if isinstance(event, ApprovalRequest)]
    assert (call.name, call.arguments) == ("echo", {"message": "hi"})
    [pending] = request.calls
    assert pending == PendingCall(pending.request_id, call.call_id, "echo", {"message": "hi"})
    assert pending.request_id.startswith("adk-")
    assert request.hint == "Tool 'echo' requires approval before execution."
    assert not any(isinstance(event, ToolResult) for event in events)
    assert events[-1] == Done(TurnState.INPUT_REQUIRED)


@pytest.mark.parametrize("version", ["0.3", "1.0"])
def test_a_question_comes_with_its_choices(version: str) -> None:
    name = f"a2a-{version}-ask_user.json"
    events = play(name, messages(name))
    [question] = [event for event in events if isinstance(event, Question)]
    assert question.items == (QuestionItem("Which env?", ("dev", "prod")),)
    assert question.request_id.startswith("adk-")
    assert not any(isinstance(event, ApprovalRequest | TextDelta) for event in events)


@pytest.mark.parametrize("version", ["0.3", "1.0"])
def test_results_of_a_batch_land_on_their_cards(version: str) -> None:
    name = f"a2a-{version}-batch.json"
    transcript = Transcript()
    for event in play(name, messages(name)):
        transcript.apply(event)
    tools = [entry for entry in transcript.entries if isinstance(entry, ToolEntry)]
    assert [tool.name for tool in tools] == ["echo", "get-sum"]
    assert tools[0].state is ToolState.DONE
    assert tools[0].result == {"content": [{"type": "text", "text": "Echo: one"}], "isError": False}


@pytest.mark.parametrize("name", FILES)
def test_a_stream_cut_at_any_event_tells_a_prefix(name: str) -> None:
    results = messages(name)
    whole = play(name, results)
    for cut in range(len(results)):
        assert whole[: len(part := play(name, results[:cut]))] == part


@pytest.mark.parametrize("name", FILES)
def test_a_server_that_repeats_itself_after_a_cut_shows_nothing_twice(name: str) -> None:
    results = messages(name)
    once = answer(play(name, results))
    for cut in range(len(results) + 1):
        repeated = results[:cut] + [result for result in results[:cut] if not _appends(result)] + results[cut:]
        events = play(name, repeated)
        assert answer(events) == once
        calls = [event.call_id for event in events if isinstance(event, ToolCall)]
        assert len(calls) == len(set(calls))
        assert sum(isinstance(event, ApprovalRequest | Question) for event in events) <= 1


def _appends(result: JsonObject) -> bool:
    # A protobuf delta has no id of its own; only its repetition cannot be told from more of the same text.
    return "artifactUpdate" in result and (
        result["artifactUpdate"].get("append") or not result["artifactUpdate"].get("lastChunk")
    )


@pytest.mark.parametrize("name", FILES)
def test_reordered_and_odd_events_raise_nothing(name: str) -> None:
    results = messages(name)
    play(name, results[::-1])
    normaliser = Normaliser()
    dialect = V03 if "-0.3-" in name else V1
    for result in results:
        for key in list(result):
            for odd in (None, 7, "x", [], {}, [None], {"status": 3}):
                update = dialect.decode({**result, key: odd})
                if update is not None:
                    normaliser.feed(update)


def test_numbers_that_protobuf_made_floats_are_integers_again() -> None:
    update = V1.decode(
        {
            "artifactUpdate": {
                "artifact": {
                    "artifactId": "a",
                    "parts": [
                        {
                            "data": {"id": "c", "name": "sum", "args": {"a": 1.0, "b": [2.0, 2.5], "c": {"d": 3.0}}},
                            "metadata": {"adk_type": "function_call"},
                        }
                    ],
                }
            }
        }
    )
    assert update is not None
    [call] = Normaliser().feed(update)
    assert isinstance(call, ToolCall)
    assert json.dumps(call.arguments) == '{"a": 1, "b": [2, 2.5], "c": {"d": 3}}'


def test_the_longer_prefix_of_metadata_wins_and_either_is_read() -> None:
    for metadata in (
        {"kagent_type": "function_call"},
        {"adk_type": "function_call", "kagent_type": "function_response"},
    ):
        update = V03.decode(
            {
                "kind": "status-update",
                "taskId": "t",
                "contextId": "c",
                "status": {
                    "state": "working",
                    "message": {
                        "role": "agent",
                        "parts": [{"kind": "data", "data": {"id": "1", "name": "n", "args": {}}, "metadata": metadata}],
                    },
                },
            }
        )
        assert update is not None
        assert [type(event).__name__ for event in Normaliser().feed(update)] == [
            "TaskStarted",
            "ToolCall",
            "StatusChanged",
        ]


def test_an_event_as_json_names_its_type_in_snake_case() -> None:
    assert to_json(TextDelta("b", "x")) == {"type": "text_delta", "block": "b", "text": "x"}
    assert to_json(Done(TurnState.FAILED)) == {"type": "done", "state": "failed"}
    assert json.dumps(to_json(ApprovalRequest((PendingCall("r", "c", "n"),))))
