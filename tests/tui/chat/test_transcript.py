"""The transcript: entries in order, cards that change in place, tokens, decisions."""

from __future__ import annotations

from kagent_tui.chat.decisions import Answer, Decision, Pause
from kagent_tui.chat.events import (
    ApprovalRequest,
    Done,
    PendingCall,
    Question,
    QuestionItem,
    SubAgentActivity,
    TextDelta,
    TextReplaced,
    Thought,
    ToolCall,
    ToolProgress,
    ToolResult,
    TurnState,
    Usage,
)
from kagent_tui.chat.prompt_history import PromptHistory, Recall
from kagent_tui.chat.transcript import AnswerEntry, QuestionEntry, ThoughtEntry, ToolEntry, ToolState, Transcript


def test_blocks_grow_in_place_and_each_change_names_its_entry() -> None:
    transcript = Transcript()
    transcript.say("hi")
    assert transcript.apply(Thought("t", "hm")) == [1]
    assert transcript.apply(TextDelta("a", "one")) == [1, 2]
    assert transcript.apply(TextDelta("a", " two")) == [2]
    assert transcript.apply(TextReplaced("a", "one two three")) == [2]
    assert transcript.last_answer == "one two three"
    thought = transcript.entries[1]
    assert isinstance(thought, ThoughtEntry)
    assert thought.done


def test_a_card_goes_from_call_to_result() -> None:
    transcript = Transcript()
    transcript.apply(ToolCall("c", "scale", {"n": 1}), now=10.0)
    assert transcript.running_tool is not None
    transcript.apply(ToolProgress("c", "scale", 1, 3, "pods"), now=10.5)
    transcript.apply(SubAgentActivity("c", "helper", "s", "looking"), now=10.6)
    transcript.apply(ToolResult("c", "scale", {"ok": True}), now=12.0)
    [card] = transcript.entries
    assert isinstance(card, ToolEntry)
    assert (card.state, card.seconds, card.activity, card.progress) == (ToolState.DONE, 2.0, ["helper: looking"], "")
    assert transcript.running_tool is None


def test_waiting_for_the_person_is_no_time_of_the_tool() -> None:
    transcript = Transcript()
    call = PendingCall("r", "c", "delete", {"pod": "x"})
    pause = Pause((ApprovalRequest((call,)),))
    transcript.apply(ToolCall("c", "delete", {"pod": "x"}), now=0.0)
    assert transcript.apply(pause.approvals[0], now=1.0) == [0]
    assert transcript.decided(pause, Answer({"c": Decision(True)}), 100.0) == [0]
    transcript.apply(ToolResult("c", "delete", {}), now=101.0)
    [card] = transcript.entries
    assert isinstance(card, ToolEntry)
    assert card.seconds == 1.0


def test_a_rejected_call_stays_rejected_whatever_comes_back() -> None:
    transcript = Transcript()
    pause = Pause((ApprovalRequest((PendingCall("r", "c", "delete"),)),))
    transcript.apply(pause.approvals[0])
    transcript.decided(pause, Answer({"c": Decision(False)}), 1.0)
    transcript.apply(ToolResult("c", "delete", {"result": "Tool call was rejected by user."}))
    [card] = transcript.entries
    assert isinstance(card, ToolEntry)
    assert card.state is ToolState.REJECTED


def test_a_question_keeps_its_answers_and_its_tool_card_waits_with_it() -> None:
    transcript = Transcript()
    question = Question("r", "", (QuestionItem("Which?", ("a", "b")),))
    transcript.apply(ToolCall("c", "ask_user", {}), now=0.0)
    transcript.apply(question)
    card, entry = transcript.entries
    assert isinstance(card, ToolEntry)
    assert isinstance(entry, QuestionEntry)
    assert card.state is ToolState.ASKING
    transcript.decided(Pause(questions=(question,)), Answer(answers={"r": [["b"]]}), 5.0)
    assert entry.answers == (("b",),)
    assert card.state is ToolState.RUNNING


def test_calls_without_an_outcome_say_so_when_the_turn_is_over() -> None:
    transcript = Transcript()
    transcript.apply(ToolCall("c", "slow", {}), now=0.0)
    assert transcript.apply(Done(TurnState.FAILED)) == [0]
    [card] = transcript.entries
    assert isinstance(card, ToolEntry)
    assert card.state is ToolState.UNKNOWN


def test_tokens_are_counted_once_per_response_over_all_turns() -> None:
    transcript = Transcript()
    for _ in range(2):
        transcript.say("again")
        for usage in (Usage("r1", 10, 5, 15), Usage("r1", 10, 5, 15), Usage("r2", 20, 1, 21)):
            transcript.apply(usage)
    assert transcript.tokens == (tokens := transcript.tokens)
    assert (tokens.prompt, tokens.completion, tokens.total) == (60, 12, 72)


def test_the_same_block_id_in_another_turn_is_another_entry() -> None:
    transcript = Transcript()
    for word in ("one", "two"):
        transcript.say(word)
        transcript.apply(TextDelta("text-1", word))
    assert [entry.text for entry in transcript.entries if isinstance(entry, AnswerEntry)] == ["one", "two"]


def test_a_message_that_was_not_taken_is_taken_back() -> None:
    transcript = Transcript()
    transcript.unsay(transcript.say("lost"))
    assert transcript.entries == []


def test_earlier_prompts_come_back_and_the_draft_is_kept() -> None:
    history = PromptHistory()
    for text in ("one", "two", "two"):
        history.add(text)
    recall = Recall(history)
    assert [recall.step(1, "draft"), recall.step(1, "two"), recall.step(1, "one")] == ["two", "one", None]
    assert [recall.step(-1, "one"), recall.step(-1, "two"), recall.step(-1, "draft")] == ["two", "draft", None]
