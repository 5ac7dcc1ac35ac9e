"""The chat screen with the keys of a person, on a fake agent whose every event the test sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from textual import events
from textual.app import App
from textual.pilot import Pilot
from textual.types import CSSPathType

from kagent_api.errors import ObjectRef
from kagent_tui.app import KagentApp
from kagent_tui.chat.cache import SessionKey, TranscriptCache
from kagent_tui.chat.conversation import Conversation
from kagent_tui.chat.desk import Desk, Snippet
from kagent_tui.chat.events import Done, PendingCall, TextDelta, TurnState, UserMessage
from kagent_tui.chat.rules import Verdicts
from kagent_tui.chat.storing import Timed
from kagent_tui.chat.subject import ChatSubject
from kagent_tui.chat.target import ChatTarget
from kagent_tui.chat.transcript import NoticeEntry, ToolEntry, ToolState, UserEntry
from kagent_tui.cluster.contexts import Options
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.text import Line, Tone, line, span
from kagent_tui.screens.arguments import ArgumentsScreen
from kagent_tui.screens.base import Host
from kagent_tui.screens.chat import ChatScreen
from kagent_tui.screens.pick import PickScreen
from kagent_tui.screens.reader import ReaderScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.chat_pane import ChatPane

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
TextOf = Callable[[App[int]], str]
TIME = ObjectRef("Agent", "kagent", "time")
OPS = ObjectRef("Agent", "kagent", "ops")
ACTIVITY = "https://kagent-tui.dev/a2a/activity/v1"
HITL = "https://kagent.dev/extensions/hitl/v1"
HOSTILE = "\x1b]52;c;U1RPTEVO\x07\x1b[2J\x9b31m\x00\u202e\u200b\x7f[red]markup[/red]"


class Agent:
    """An A2A 1.0 agent: a turn's events come out of a queue; None ends the stream."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.cancelled = 0
        self.refusal: httpx.Response | None = None
        self.takes_edits = False
        self.when = ""
        self._calls = 0

    def task(self, state: str = "WORKING", message: dict[str, Any] | None = None) -> None:
        more = {"message": message} if message else {}
        status = {"state": f"TASK_STATE_{state}", **more, **({"timestamp": self.when} if self.when else {})}
        self.events.put_nowait({"statusUpdate": {"taskId": "t1", "contextId": "s1", "status": status}})

    def text(self, text: str, *, append: bool = True) -> None:
        self._artifact("answer", {"text": text}, append=append)

    def call(self, call_id: str, name: str, **arguments: Any) -> None:
        self._data(call_id, "function_call", {"id": call_id, "name": name, "args": arguments})

    def result(self, call_id: str, name: str, text: str) -> None:
        response = {"content": [{"type": "text", "text": text}]}
        self._data(f"{call_id}-r", "function_response", {"id": call_id, "name": name, "response": response})

    def ask(self, *calls: tuple[str, str]) -> None:
        tools = [{"id": f"adk-{call}", "call_id": call, "name": name, "args": {"pod": "web-0"}} for call, name in calls]
        self._pause({"type": "tool_approval_request", "hint": "Deletes it.", "tools": tools})

    def question(self, *questions: dict[str, Any]) -> None:
        self._pause({"type": "ask_user_request", "id": "adk-q", "questions": list(questions)})

    def _pause(self, request: dict[str, Any]) -> None:
        message: dict[str, Any] = {"messageId": "m", "role": "ROLE_AGENT", "parts": [], "metadata": {HITL: request}}
        self.task("INPUT_REQUIRED", message)
        self.events.put_nowait(None)

    def done(self) -> None:
        self.task("COMPLETED")
        self.events.put_nowait(None)

    def _data(self, artifact_id: str, kind: str, data: dict[str, Any]) -> None:
        self._artifact(artifact_id, {"data": data, "metadata": {"adk_type": kind}}, append=False)

    def _artifact(self, artifact_id: str, part: dict[str, Any], *, append: bool) -> None:
        artifact = {"artifactId": artifact_id, "parts": [part]}
        update = {"taskId": "t1", "contextId": "s1", "append": append, "artifact": artifact}
        self.events.put_nowait({"artifactUpdate": update})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("agent-card.json"):
            listed = [{"uri": ACTIVITY}] if self.takes_edits else []
            interfaces = [{"url": "u", "protocolVersion": "1.0"}]
            card = {"supportedInterfaces": interfaces, "capabilities": {"extensions": listed}}
            return httpx.Response(200, json=card)
        body = json.loads(request.content)
        if body["method"] == "CancelTask":
            self.cancelled += 1
            self.task("CANCELED")
            self.events.put_nowait(None)
            return httpx.Response(200, json={"result": {"id": "t1", "status": {"state": "TASK_STATE_CANCELED"}}})
        if body["method"] in ("GetTask", "ListTasks", "SubscribeToTask"):
            return httpx.Response(200, json={"error": {"code": -32601, "message": "no such method"}})
        if self.refusal is not None:
            return self.refusal
        self.sent.append(body["params"]["message"])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Events(self.events))


class Events(httpx.AsyncByteStream):
    def __init__(self, events: asyncio.Queue[dict[str, Any] | None]) -> None:
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (event := await self._events.get()) is not None:
            yield b"data: " + json.dumps({"jsonrpc": "2.0", "result": event}).encode() + b"\n\n"


class ChatApp(Host):
    """Only the chat screen, with the application's styles and keys."""

    CSS_PATH: ClassVar[CSSPathType | None] = KagentApp.CSS_PATH
    BINDINGS = bindings("app")

    def __init__(self, agent: Agent, *refs: ObjectRef, trouble: str = "", desk: Desk | None = None) -> None:
        super().__init__()
        http = httpx.AsyncClient(transport=httpx.MockTransport(agent))

        async def open_conversation(ref: ObjectRef, session_id: str) -> Conversation:
            url = f"http://gateway/api/a2a/{ref.namespace}/{ref.name}/"
            return Conversation(ChatTarget(ref, url, http, "gateway"), session_id=session_id)

        def describe(ref: ObjectRef) -> ChatSubject:
            return ChatSubject(ref, "gpt-5-mini", "scripted offline model", trouble, "look at its events")

        workspace = Workspace(Options(namespaces=("kagent",)))
        self.chat = ChatScreen(
            workspace, open_conversation, describe, agents=lambda: [TIME, OPS], refs=refs or (TIME,), desk=desk
        )

    def on_mount(self) -> None:
        self.push_screen(self.chat)

    @property
    def pane(self) -> ChatPane:
        near = self.chat.near
        assert near is not None
        return near


@pytest.fixture
async def agent() -> Agent:
    return Agent()


async def say(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*(("space" if char == " " else char) for char in text), "enter")


async def test_an_answer_streams_under_its_tool_card(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await until(pilot, lambda: "kagent/time  scripted offline model  model gpt-5-mini" in text_of(app))
        await say(pilot, "what time")
        agent.task()
        agent.call("c1", "get_time", zone="Asia/Tokyo")
        await until(pilot, lambda: "▸ tool get_time  zone: Asia/Tokyo  … running" in text_of(app))
        await until(pilot, lambda: "◌ tool get_time" in text_of(app))
        agent.result("c1", "get_time", "19:00")
        agent.text("It is **19", append=False)
        await until(pilot, lambda: "It is" in text_of(app))
        agent.text(":00** there.")
        agent.done()
        await until(pilot, lambda: "● ready" in text_of(app))
        shown = text_of(app)
        assert "✔ done" in shown
        assert "It is 19:00 there." in shown
        assert agent.sent[0]["parts"] == [{"text": "what time"}]
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "result" in text_of(app))
        await until(pilot, lambda: "zone: Asia/Tokyo" in text_of(app))


async def test_an_enter_in_one_burst_with_its_text_sends_all_of_it(agent: Agent, until: Until) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        for char in "hello":
            app.post_message(events.Key(char, char))
        app.post_message(events.Key("enter", "\r"))
        await until(pilot, lambda: bool(agent.sent))
        assert agent.sent[0]["parts"] == [{"text": "hello"}]
        agent.done()


async def test_nothing_hostile_reaches_a_strip(agent: Agent, until: Until) -> None:
    app = ChatApp(agent, trouble=HOSTILE)
    async with app.run_test(size=(80, 40)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "x")
        agent.task("WORKING")
        agent.call("c1", f"tool{HOSTILE}", **{f"key{HOSTILE}": HOSTILE})
        agent.result("c1", f"tool{HOSTILE}", HOSTILE)
        agent.text(f"{HOSTILE}\n\n# {HOSTILE}\n\n- {HOSTILE}\n\n```{HOSTILE}\n{HOSTILE}\n```\n\n")
        agent.text(f"[{HOSTILE}](http://e/{HOSTILE}) `{HOSTILE}` &#27;[2J\n\n")
        agent.text(f"|a{HOSTILE}|b|\n|-|-|\n|{HOSTILE}|x|\n")
        agent.ask(("c2", f"danger{HOSTILE}"))
        await until(pilot, lambda: app.pane.decision.is_open)
        await pilot.press("ctrl+o")
        await pilot.pause()
        strips = app.screen._compositor.render_strips()  # pyright: ignore[reportPrivateUsage] - as it is painted
        painted = "".join(segment.text for strip in strips for segment in strip if not segment.control)
        assert painted.isprintable()
        assert "markup" in painted


async def test_an_approval_is_decided_outside_the_transcript(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "delete")
        agent.task()
        agent.call("c1", "delete_pod", pod="web-0")
        agent.ask(("c1", "delete_pod"))
        await until(pilot, lambda: app.pane.decision.is_open)
        shown = text_of(app)
        assert "wants to call: delete_pod" in shown
        assert "pod: web-0" in shown
        assert "? waits for your decision" in shown
        await pilot.press("n", *"no", "enter")
        await until(pilot, lambda: len(agent.sent) == 2)
        assert agent.sent[1]["taskId"] == "t1"
        assert agent.sent[1]["parts"][1]["data"] == {
            "decision_type": "batch",
            "decisions": {"c1": "reject"},
            "rejection_reasons": {"c1": "no"},
        }
        agent.result("c1", "delete_pod", "Tool call was rejected by user.")
        agent.done()
        await until(pilot, lambda: "● ready" in text_of(app))
        [tool] = [entry for entry in app.pane.transcript.entries if isinstance(entry, ToolEntry)]
        assert tool.state is ToolState.REJECTED
        assert app.focused is app.pane.prompt


async def test_several_calls_are_sent_only_when_all_are_decided(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "go")
        agent.ask(("c1", "delete_pod"), ("c2", "scale"))
        await until(pilot, lambda: "wants to call 1 of 2: delete_pod" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: "wants to call 2 of 2: scale" in text_of(app))
        assert len(agent.sent) == 1
        await pilot.press("n", "escape", "y")
        await until(pilot, lambda: len(agent.sent) == 2)
        assert agent.sent[1]["parts"][1]["data"]["decisions"] == {"c1": "approve", "c2": "approve"}


async def test_a_question_takes_a_number_or_own_words(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "go")
        agent.question({"question": "Which?", "choices": ["dev", "prod"]}, {"question": "Why?"})
        await until(pilot, lambda: "1 dev" in text_of(app))
        await pilot.press("2", "enter")
        await until(pilot, lambda: "Why?" in text_of(app))
        await pilot.press(*"so", "enter")
        await until(pilot, lambda: len(agent.sent) == 2)
        answer = agent.sent[1]["metadata"][HITL]
        assert answer == {
            "type": "ask_user_response",
            "id": "adk-q",
            "answers": [{"answer": ["prod"]}, {"answer": ["so"]}],
        }


async def test_escape_twice_stops_the_agent_and_once_does_not(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "long")
        agent.task()
        agent.text("thinking about", append=False)
        await until(pilot, lambda: "thinking about" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: "esc again stops the agent" in text_of(app))
        assert agent.cancelled == 0
        await pilot.press("escape")
        await until(pilot, lambda: agent.cancelled == 1)
        await until(pilot, lambda: "· stopped" in text_of(app))


async def test_a_refused_message_stays_in_the_prompt_with_the_reason_and_the_remedy(
    agent: Agent, until: Until, text_of: TextOf
) -> None:
    agent.refusal = httpx.Response(503, json={"message": "no endpoints available"})
    app = ChatApp(agent, trouble="ModelConfig kagent/gpt: Secret missing")
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "precious words")
        await until(pilot, lambda: "✖ error:" in text_of(app))
        shown = text_of(app)
        assert "no endpoints available" in shown
        assert "kagent-tui describe agent time -n kagent" in shown
        assert "ModelConfig kagent/gpt: Secret missing" in shown
        assert app.pane.prompt.text == "precious words"
        assert not any(isinstance(entry, UserEntry) for entry in app.pane.transcript.entries)


async def test_what_is_sent_while_the_agent_works_waits_its_turn(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "one")
        agent.task()
        await until(pilot, lambda: len(agent.sent) == 1)
        await say(pilot, "two")
        await until(pilot, lambda: "1 queued" in text_of(app))
        agent.done()
        await until(pilot, lambda: len(agent.sent) == 2)
        assert agent.sent[1]["parts"] == [{"text": "two"}]
        agent.done()
        await until(pilot, lambda: "● ready" in text_of(app))
        await pilot.press("up", "up")
        assert app.pane.prompt.text == "one"
        await pilot.press("down", "down")
        assert app.pane.prompt.text == ""


async def test_several_lines_and_a_hostile_paste(agent: Agent, until: Until) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await pilot.press("a", "ctrl+j", "b")
        assert app.pane.prompt.text == "a\nb"
        await pilot.press("enter")
        await until(pilot, lambda: bool(agent.sent))
        assert agent.sent[0]["parts"] == [{"text": "a\nb"}]
        agent.done()


async def test_two_panes_side_by_side_are_tabs_where_it_is_narrow(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent, TIME, OPS)
    async with app.run_test(size=(140, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        first, second = app.chat.panes
        assert first.display
        assert second.display
        await pilot.press("ctrl+w")
        await until(pilot, lambda: app.focused is second.prompt)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not first.display)
        await until(pilot, lambda: " 1 kagent/time  2 kagent/ops" in text_of(app))
        await pilot.press("ctrl+w")
        await until(pilot, lambda: first.display and not second.display)
        await pilot.press("ctrl+x")
        await until(pilot, lambda: len(app.chat.panes) == 1)


async def test_a_split_asks_whom_to_talk_to(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(140, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "another chat with" in text_of(app))
        await pilot.press(*"ops", "enter")
        await until(pilot, lambda: [pane.ref for pane in app.chat.panes] == [TIME, OPS])


async def test_a_new_chat_is_another_session_and_the_answer_can_be_copied(agent: Agent, until: Until) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "one")
        agent.text("the answer", append=False)
        agent.done()
        await until(pilot, lambda: app.pane.transcript.last_answer == "the answer" and app.pane.activity == "ready")
        await pilot.press("ctrl+y")
        await until(pilot, lambda: app.clipboard == "the answer")
        await pilot.press("ctrl+n")
        assert app.pane.transcript.entries == []
        await say(pilot, "two")
        await until(pilot, lambda: len(agent.sent) == 2)
        assert agent.sent[1]["contextId"] != agent.sent[0]["contextId"]
        agent.done()


async def test_a_card_is_unfolded_and_read_with_keys(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "one")
        agent.call("c1", "list", kind="Pod")
        agent.result("c1", "list", "\n".join(f"line {number}" for number in range(300)))
        agent.done()
        await until(pilot, lambda: "✔ done" in text_of(app))
        await pilot.press("tab", "j", "enter")
        await until(pilot, lambda: "▾ tool list" in text_of(app) and "line 1" in text_of(app))
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, ReaderScreen))
        await until(pilot, lambda: "arguments" in text_of(app))
        await pilot.press("G")
        await until(pilot, lambda: "line 299" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.chat)


async def test_a_warning_and_a_failure_are_entries(agent: Agent, until: Until) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "one")
        warning = {"type": "warning", "code": "mcp", "message": "MCP server k8s did not answer"}
        extension = {"https://kagent-tui.dev/a2a/activity/v1": warning}
        status = {"state": "TASK_STATE_WORKING"}
        update = {"taskId": "t1", "contextId": "s1", "status": status, "metadata": extension}
        agent.events.put_nowait({"statusUpdate": update})
        agent.task("FAILED", {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "the model refused the key"}]})
        agent.events.put_nowait(None)
        await until(pilot, lambda: app.pane.activity == "ready" and bool(app.pane.transcript.entries[1:]))
        notices = [(entry.level, entry.text) for entry in app.pane.transcript.entries if isinstance(entry, NoticeEntry)]
        assert notices == [("warning", "MCP server k8s did not answer"), ("error", "the model refused the key")]


def test_the_chat_styles_lie_beside_their_modules() -> None:
    for name in ("screens/chat", "widgets/transcript", "widgets/chat_pane"):
        assert (Path(__file__).parents[3] / "kagent_tui" / f"{name}.tcss").is_file()


async def test_a_fault_of_our_own_ends_the_turn_and_not_the_program(
    agent: Agent, until: Until, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> list[int]:
        raise ZeroDivisionError

    app = ChatApp(agent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        monkeypatch.setattr(app.pane.transcript, "apply", broken)
        await say(pilot, "one")
        agent.task()
        await until(pilot, lambda: "this turn broke in kagent-tui itself" in text_of(app))
        assert app.pane.activity == "ready"


class Quick(Agent):
    """Answers each message at once, in a stream of its own."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.events = asyncio.Queue()
        self.text("an answer", append=False)
        self.done()
        return super().__call__(request)


async def test_one_prompt_goes_to_all_panes_and_their_answers_are_compared(until: Until, text_of: TextOf) -> None:
    agent = Quick()
    app = ChatApp(agent, TIME, OPS)
    async with app.run_test(size=(160, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await pilot.press("f4")
        await until(pilot, lambda: text_of(app).count("⇉ all panes") == 2)
        await say(pilot, "same")
        await until(pilot, lambda: len(agent.sent) == 2)
        await until(pilot, lambda: all(not pane.busy for pane in app.chat.panes))
        assert [message["parts"][0]["text"] for message in agent.sent] == ["same", "same"]
        await until(pilot, lambda: all(pane.figures is not None for pane in app.chat.panes))
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, ReaderScreen))
        await until(pilot, lambda: "FIRST TOKEN" in text_of(app) and "kagent/ops: same" in text_of(app))


async def test_panes_are_zoomed_and_resized(agent: Agent, until: Until) -> None:
    app = ChatApp(agent, TIME, OPS)
    async with app.run_test(size=(160, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        first, second = app.chat.panes
        before = first.size.width
        await pilot.press("f7", "f7")
        await until(pilot, lambda: first.size.width > before > second.size.width)
        await pilot.press("f3")
        await until(pilot, lambda: first.size.width == 160 and not second.display)
        await pilot.press("ctrl+w")
        await until(pilot, lambda: second.display and not first.display)
        await pilot.press("f3")
        await until(pilot, lambda: first.display and second.display)


async def test_a_turn_is_written_anew_in_a_fork_that_knows_what_came_before(
    agent: Agent, until: Until, text_of: TextOf
) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(160, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        for words in ("first", "second"):
            await say(pilot, words)
            agent.text(f"answer to {words}", append=False)
            agent.done()
            await until(pilot, lambda words=words: f"answer to {words}" in text_of(app) and "● ready" in text_of(app))
        await pilot.press("tab", "k", "e")
        await until(pilot, lambda: len(app.chat.panes) == 2)
        fork = app.chat.panes[1]
        await until(pilot, lambda: fork.prompt.text == "second" and app.focused is fork.prompt)
        await pilot.press("enter")
        await until(pilot, lambda: len(agent.sent) == 3)
        agent.done()
        sent = agent.sent[2]
        assert sent["contextId"] not in ("", agent.sent[0]["contextId"])
        assert sent["parts"][0] == {"text": "second"}
        assert sent["parts"][1]["text"].startswith("[attached: earlier conversation]")
        assert "User: first" in sent["parts"][1]["text"]
        assert "second" not in sent["parts"][1]["text"]


async def test_edited_arguments_are_offered_only_where_the_card_lists_them(
    agent: Agent, until: Until, text_of: TextOf
) -> None:
    agent.takes_edits = True
    app = ChatApp(agent)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "go")
        agent.ask(("c1", "delete_pod"))
        await until(pilot, lambda: "e edit" in text_of(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ArgumentsScreen) and "pod: web-0" in text_of(app))
        await pilot.press("end", "backspace", "1", "ctrl+s")
        await until(pilot, lambda: len(agent.sent) == 2)
        assert agent.sent[1]["metadata"][ACTIVITY] == {"arguments": {"adk-c1": {"pod": "web-1"}}}
        agent.done()


async def test_a_rule_answers_the_same_call_but_never_a_destructive_one(until: Until, text_of: TextOf) -> None:
    agent = Agent()
    verdicts: dict[str, Verdicts] = {"now": {"danger": "destructive"}}

    async def effect(call: PendingCall, namespace: str) -> list[Line]:
        return [line(span(f"changes {namespace}/{call.name}"))]

    app = ChatApp(agent, desk=Desk(verdicts=lambda ref: verdicts["now"], effect=effect))
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "go")
        agent.ask(("c1", "scale"))
        await until(pilot, lambda: "a always" in text_of(app) and "changes kagent/scale" in text_of(app))
        await pilot.press("a")
        await until(pilot, lambda: len(agent.sent) == 2)
        agent.ask(("c2", "scale"))
        await until(pilot, lambda: len(agent.sent) == 3)
        await until(pilot, lambda: "approved by your rule: always scale" in text_of(app))
        agent.ask(("c3", "danger"))
        await until(pilot, lambda: app.pane.decision.is_open and "marks it destructive" in text_of(app))
        assert "a always" not in text_of(app)
        await pilot.press("a")
        await pilot.pause()
        assert app.pane.decision.is_open
        await pilot.press("n", "enter")
        await until(pilot, lambda: len(agent.sent) == 4)
        # What was harmless when the rule was made may be marked since.
        verdicts["now"] = {"scale": "destructive"}
        agent.ask(("c4", "scale"))
        await until(pilot, lambda: app.pane.decision.is_open)
        assert len(agent.sent) == 4


async def test_what_was_asked_long_ago_is_approved_only_twice(agent: Agent, until: Until, text_of: TextOf) -> None:
    app = ChatApp(agent)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "go")
        agent.when = "2020-01-01T00:00:00Z"
        agent.ask(("c1", "scale"))
        await until(pilot, lambda: "what it was about may have changed" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: "press it again" in text_of(app))
        assert len(agent.sent) == 1
        await pilot.press("y")
        await until(pilot, lambda: len(agent.sent) == 2)
        agent.done()


async def test_mentions_attach_live_yaml_without_secrets_and_files(
    agent: Agent, until: Until, text_of: TextOf, tmp_path: Path
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "kagent"},
              "data": {"apikey": "aHVudGVyMg=="}}  # fmt: skip

    async def read(ref: ObjectRef) -> dict[str, Any] | None:
        return secret if ref.name == "key" else None

    notes = tmp_path / "notes.txt"
    notes.write_text("三 lines\nof\nnotes\n", encoding="utf-8")

    async def snippets() -> list[Snippet]:
        return [Snippet("kagent/lib", "why", "Explain why.")]

    app = ChatApp(agent, desk=Desk(read=read, resources=lambda: [TIME], snippets=snippets))
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await pilot.press("@")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and "kagent/time" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.pane.prompt.text == "@agent/kagent/time ")
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and "kagent/lib why" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.pane.prompt.text.endswith("Explain why."))
        app.pane.prompt.put(f" @secret/kagent/key @{notes} me@example.org")
        await pilot.press("enter")
        await until(pilot, lambda: len(agent.sent) == 1)
        agent.done()
        parts = [part["text"] for part in agent.sent[0]["parts"]]
        assert [part.split("\n")[0] for part in parts[1:]] == ["[attached: Secret kagent/key]", "[attached: notes.txt]"]
        assert "hunter2" not in "".join(parts)
        assert "aHVudGVyMg" not in "".join(parts)
        assert "三 lines" in parts[2]
        await until(pilot, lambda: "Agent/kagent/time is not attached" in text_of(app).replace(" kagent", "/kagent"))


async def test_a_kept_session_opens_at_once_and_outlives_the_server(
    agent: Agent, until: Until, text_of: TextOf, tmp_path: Path
) -> None:
    cache = TranscriptCache(tmp_path / "chats.sqlite3")
    key = SessionKey("here", "admin@kagent.dev", "kagent/time", "old-one")
    events = [UserMessage("what time"), TextDelta("b", "It was noon."), Done(TurnState.COMPLETED)]
    await cache.append(key, [Timed(0.0, event) for event in events], title="what time")
    await cache.add_prompt("an older prompt")
    app = ChatApp(agent, desk=Desk(cache, "here"))
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await app.chat.talk_to(TIME, beside=True, session_id="old-one")
        await until(pilot, lambda: "It was noon." in text_of(app))
        await until(pilot, lambda: "this is the copy that is kept here" in text_of(app).replace("\n", " "))
        await until(pilot, lambda: app.chat.history.texts == ["an older prompt"])
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and "an older prompt" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.pane.prompt.text == "an older prompt")
        await pilot.press("enter")
        await until(pilot, lambda: len(agent.sent) == 1)
        agent.text("A needle in it.", append=False)
        agent.done()
        await until(pilot, lambda: not app.pane.busy and "A needle" in text_of(app))
        app.pane.prompt.put("not sent yet")
        app.chat.keep()
    # The agent has given the session its own id.
    found = [each.event for each in await cache.events(key._replace(id="s1"))]
    assert UserMessage("an older prompt") in found
    assert await cache.find("here", "admin@kagent.dev", "NEEDLE it") == {"s1"}
    cache.close()
    again = TranscriptCache(tmp_path / "chats.sqlite3")
    panes = await again.panes("here")
    assert [(pane.agent, pane.draft) for pane in panes] == [("kagent/time", ""), ("kagent/time", "not sent yet")]
    again.close()


async def test_code_and_links_are_taken_from_an_answer(
    agent: Agent, until: Until, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = ChatApp(agent)
    copied: list[str] = []

    def put(text: str, what: str = "") -> tuple[str, Tone]:
        copied.append(text)
        return "sent", Tone.PLAIN

    monkeypatch.setattr(app, "put_on_clipboard", put)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.focused is app.pane.prompt)
        await say(pilot, "go")
        agent.text("Run:\n\n```sh\nkubectl get pods\n```\n\nsee [kagent.dev](https://evil.example/x)", append=False)
        agent.done()
        await until(pilot, lambda: "● ready" in text_of(app) and "kubectl" in text_of(app))
        await pilot.press("ctrl+g")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and "sh: kubectl get pods" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: copied == ["kubectl get pods\n"])
        await pilot.press("ctrl+l")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and "evil.example" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: "A link that an agent wrote leads to" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: copied[-1] == "https://evil.example/x")
