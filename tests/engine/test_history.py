"""Events of a session and the conversation they mean: what is written is read back, and no call stays open."""

from __future__ import annotations

from kagent_engine.events import Ask, Compacted, ModelReplied, Nested, NestedCall, Pending, ToolReturned
from kagent_engine.history import Author, conversation, open_pause
from kagent_engine.models.base import (
    AssistantMessage,
    FilePart,
    TextPart,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from kagent_engine.tools.base import Answer, Decision

AUTHOR = Author("tester", "e-1")
CALL = ToolCall("c1", "add", {"a": 1})


def reply(text: str = "", *calls: ToolCall, thought: str = "") -> ModelReplied:
    return ModelReplied("ev", text, thought, calls, Usage(3, 2), "tool_calls" if calls else "stop")


def returned(call: ToolCall, text: str) -> ToolReturned:
    return ToolReturned(call, text, {"result": text}, False, 0.1)


def test_a_turn_with_a_tool_reads_back_as_it_was() -> None:
    picture = FilePart("image/png", data=b"\x89PNG", name="p.png")
    events = [
        AUTHOR.user([TextPart("add"), picture]),
        AUTHOR.model(reply("let me see", CALL, thought="hm")),
        AUTHOR.results([returned(CALL, "2")]),
        AUTHOR.model(reply("it is 2")),
    ]

    assert conversation(events) == [
        UserMessage((TextPart("add"), picture)),
        AssistantMessage("let me see", (CALL,), "hm"),
        ToolMessage("c1", "add", "2"),
        AssistantMessage("it is 2"),
    ]


def test_what_a_provider_signed_comes_back_with_the_call() -> None:
    signed = ToolCall("c1", "add", {"a": 1}, signature="c2ln")
    events = [
        AUTHOR.user([TextPart("add")]),
        AUTHOR.model(reply("", signed, CALL)),
        AUTHOR.results([returned(CALL, "2")]),
    ]

    parts = events[1]["content"]["parts"]
    assert [part.get("thought_signature") for part in parts] == ["c2ln", None]
    assert conversation(events)[1] == AssistantMessage("", (signed, CALL))


def test_an_event_has_the_shape_of_google_adk() -> None:
    event = AUTHOR.model(reply("x", CALL))

    assert event["id"] == "ev"
    assert (event["author"], event["invocation_id"]) == ("tester", "e-1")
    assert event["content"] == {
        "role": "model",
        "parts": [{"text": "x"}, {"function_call": {"id": "c1", "name": "add", "args": {"a": 1}}}],
    }
    assert event["usage_metadata"] == {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    assert event["actions"] == {"state_delta": {}, "artifact_delta": {}}
    assert isinstance(event["timestamp"], float)


def test_events_of_upstreams_go_engine_in_camel_case_are_read() -> None:
    events = [
        {"content": {"role": "user", "parts": [{"text": "add"}]}},
        {"content": {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "add", "args": {"a": 1}}}]}},
        {
            "content": {
                "role": "user",
                "parts": [{"functionResponse": {"id": "c1", "name": "add", "response": {"result": "2"}}}],
            }
        },
    ]

    assert conversation(events)[1:] == [AssistantMessage("", (CALL,)), ToolMessage("c1", "add", "2")]


def test_a_call_whose_turn_broke_off_is_closed_for_the_model() -> None:
    events = [
        AUTHOR.user([TextPart("add")]),
        AUTHOR.model(reply("", CALL)),
        AUTHOR.failure("INTERRUPTED", "stopped"),
        AUTHOR.user([TextPart("go on")]),
    ]

    roles = conversation(events)

    assert [type(message).__name__ for message in roles] == [
        "UserMessage", "AssistantMessage", "ToolMessage", "UserMessage",
    ]  # fmt: skip
    assert isinstance(roles[2], ToolMessage)
    assert "no result" in roles[2].content


def test_ids_that_a_provider_uses_again_do_not_mix_results_up() -> None:
    events = [
        AUTHOR.user([TextPart("1")]),
        AUTHOR.model(reply("", CALL)),
        AUTHOR.results([returned(CALL, "first")]),
        AUTHOR.model(reply("", CALL)),
        AUTHOR.results([returned(CALL, "second")]),
    ]

    results = [message.content for message in conversation(events) if isinstance(message, ToolMessage)]

    assert results == ["first", "second"]


def test_a_pause_is_read_back_with_what_a_sub_agent_asked() -> None:
    inner = NestedCall("adk-inner", ToolCall("i1", "drop", {"x": [1, None]}))
    nested = Pending(
        "adk-2", ToolCall("c2", "helper", {}), Ask("approval", "?", Nested("helper", "t", "ctx", (inner,)))
    )
    plain = Pending("adk-1", CALL, Ask("approval", "sure?"))
    question = Pending("adk-3", ToolCall("c3", "ask_user", {"questions": []}), Ask("question", "what?"))
    pending = (plain, nested, question)
    events = [AUTHOR.user([TextPart("x")]), AUTHOR.model(reply("", CALL)), AUTHOR.pause(pending)]

    assert open_pause(events) == pending


def test_a_pause_ends_with_the_results_of_its_calls() -> None:
    pending = Pending("adk-1", CALL, Ask("approval", "sure?"))
    paused = [AUTHOR.user([TextPart("x")]), AUTHOR.model(reply("", CALL)), AUTHOR.pause([pending])]
    decided = AUTHOR.decisions([(pending, Answer(pending.ask, Decision(True)))])
    done = [*paused, decided, AUTHOR.results([returned(CALL, "2")])]

    assert open_pause(done) == ()
    assert conversation(done) == [
        UserMessage((TextPart("x"),)),
        AssistantMessage("", (CALL,)),
        ToolMessage("c1", "add", "2"),
    ]


def test_calls_that_are_about_to_run_stay_open_and_undecided_ones_are_called_so() -> None:
    pending = Pending("adk-1", CALL, Ask("approval", "sure?"))
    events = [AUTHOR.user([TextPart("x")]), AUTHOR.model(reply("", CALL)), AUTHOR.pause([pending])]

    assert conversation(events, waiting=["c1"])[-1] == AssistantMessage("", (CALL,))
    last = conversation([*events, AUTHOR.user([TextPart("never mind")])])[2]
    assert isinstance(last, ToolMessage)
    assert "not executed" in last.content


def test_a_call_that_was_approved_and_then_broke_off_is_not_said_to_have_been_left_out() -> None:
    """kill -9 while an approved tool runs: the decision is there, the result is not, and the tool may have worked."""
    pending = Pending("adk-1", CALL, Ask("approval", "sure?"))
    other = Pending("adk-2", ToolCall("c2", "drop", {}), Ask("approval", "sure?"))
    events = [AUTHOR.user([TextPart("x")]), AUTHOR.model(reply("", CALL, other.call)), AUTHOR.pause([pending, other])]
    events.append(AUTHOR.decisions([(pending, Answer(pending.ask, Decision(True)))]))

    assert open_pause(events) == (other,)
    first, second = conversation([*events, AUTHOR.user([TextPart("and?")])])[2:4]
    assert isinstance(first, ToolMessage)
    assert isinstance(second, ToolMessage)
    assert "may or may not" in first.content
    assert "not executed" in second.content


def test_a_summary_takes_the_place_of_what_it_covers() -> None:
    old = [AUTHOR.user([TextPart("one")]), AUTHOR.model(reply("uno"))]
    kept = [AUTHOR.user([TextPart("two")]), AUTHOR.model(reply("due"))]
    summary = AUTHOR.compaction(Compacted("they counted", old[0]["timestamp"], old[1]["timestamp"]))

    messages = conversation([*old, *kept, summary])

    assert isinstance(messages[0], UserMessage)
    assert isinstance(messages[0].parts[0], TextPart)
    assert "they counted" in messages[0].parts[0].text
    assert messages[1:] == [UserMessage((TextPart("two"),)), AssistantMessage("due")]
