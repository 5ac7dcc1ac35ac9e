"""The inbox and the list of sessions, on a gateway in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from kagent_tui.app import KagentApp
from kagent_tui.safety.audit import AuditTrail
from kagent_tui.screens.ask import AskScreen
from kagent_tui.screens.chat import ChatScreen
from kagent_tui.screens.decide import DecideScreen
from kagent_tui.screens.entry import EntryScreen
from kagent_tui.screens.inbox import InboxScreen
from kagent_tui.screens.sessions import SessionsScreen

if TYPE_CHECKING:
    from ..conftest import MemoryKube

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
TextOf = Callable[[KagentApp], str]
SIZE = (100, 30)


class Told(httpx.AsyncByteStream):
    """What our gateway tells of what waits, as long as the test says it."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[str] = asyncio.Queue()

    def tell(self, event: str, data: object) -> None:
        self.frames.put_nowait(f"event: {event}\ndata: {json.dumps(data)}\n\n")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield (await self.frames.get()).encode()


class FakeGateway:
    """Two sessions, one of which waits for a decision, behind the API server's proxy."""

    def __init__(self) -> None:
        self.sessions: list[dict[str, Any]] = [
            {"id": "s1", "name": "pods", "agent_id": "kagent__NS__k8s_agent", "created_at": "2027-01-15T07:00:00Z",
             "updated_at": "2027-01-15T07:50:00Z"},
            {"id": "s2", "name": "\x1b[31mclocks", "agent_id": "kagent__NS__time", "created_at": "2027-01-15T06:00:00Z",
             "updated_at": "2027-01-15T06:50:00Z"},
        ]  # fmt: skip
        self.waits = True
        self.down = False
        self.stream: Told | None = None
        self.listed = 0
        self.sent: list[dict[str, Any]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.partition("/proxy/")[2]
        if self.down:
            return httpx.Response(503, json={"message": "no endpoints available for service"})
        match path.split("/"):
            case ["api", "kagent-tui", "v1", "approvals"]:
                if self.stream is None:
                    return httpx.Response(404, text="404 page not found")
                return httpx.Response(200, stream=self.stream, headers={"content-type": "text/event-stream"})
            case ["api", "sessions"]:
                self.listed += 1
                return httpx.Response(200, json={"error": False, "data": self.sessions})
            case ["api", "sessions", session, "tasks"]:
                return httpx.Response(200, json={"data": [self._task(session)]})
            case ["api", "sessions", session] if request.method == "DELETE":
                self.sessions = [one for one in self.sessions if one["id"] != session]
                return httpx.Response(200, json={"error": False})
            case ["api", "sessions", session]:
                found = next(one for one in self.sessions if one["id"] == session)
                found["name"] = json.loads(request.content)["name"]
                return httpx.Response(200, json={"data": found})
            case [*_, ".well-known", "agent-card.json"]:
                card = {"name": "x", "protocolVersion": "0.3.0", "url": "http://x", "capabilities": {"streaming": True}}
                return httpx.Response(200, json=card)
            case _ if json.loads(request.content)["method"] == "tasks/get":
                return httpx.Response(200, json={"jsonrpc": "2.0", "id": "1", "result": self._task("s1")})
            case _:
                self.sent.append(json.loads(request.content))
                self.waits = False
                update = {
                    "kind": "status-update", "taskId": "t-s1", "contextId": "s1", "final": True,
                    "status": {"state": "completed"},
                }  # fmt: skip
                body = f"data: {json.dumps({'jsonrpc': '2.0', 'id': '1', 'result': update})}\n\n"
                return httpx.Response(200, text=body, headers={"content-type": "text/event-stream"})

    def _task(self, session: str) -> dict[str, Any]:
        call = {"id": "c1", "name": "delete_pod", "args": {"name": "web-\x1b]52;c;x\x07"}}
        asked = {"originalFunctionCall": call, "toolConfirmation": {"hint": "", "confirmed": False}}
        part = {
            "kind": "data", "data": {"name": "adk_request_confirmation", "id": "adk-1", "args": asked},
            "metadata": {"kagent_type": "function_call", "kagent_is_long_running": True},
        }  # fmt: skip
        message = {"kind": "message", "role": "agent", "messageId": "m1", "parts": [part]}
        waits = self.waits and session == "s1"
        status = {"state": "input-required", "message": message} if waits else {"state": "completed"}
        return {"kind": "task", "id": f"t-{session}", "contextId": session, "status": status}


@pytest.fixture
def gateway(kube: MemoryKube, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeGateway:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = FakeGateway()
    kube.web = httpx.AsyncClient(transport=httpx.MockTransport(made.answer))
    kube.put(
        {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kagent-controller", "namespace": "kagent",
                         "labels": {"app.kubernetes.io/component": "controller"}},
            "spec": {"ports": [{"port": 8083}]},
        }
    )  # fmt: skip
    return made


async def test_what_waits_is_counted_decided_and_written_down(
    app: KagentApp, gateway: FakeGateway, until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "approvals 1" in text_of(app))
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, InboxScreen) and "call delete_pod" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DecideScreen) and "wants to call" in text_of(app))
        await until(pilot, lambda: "]52;c;x" in text_of(app))
        assert "\x1b" not in text_of(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, InboxScreen))
        assert gateway.sent == []
        await pilot.press("enter", "n", *"no", "enter")
        await until(pilot, lambda: "Nothing waits" in text_of(app) and "approvals 1" not in text_of(app))
    data = next(part["data"] for part in gateway.sent[0]["params"]["message"]["parts"] if part["kind"] == "data")
    assert data == {"decision_type": "batch", "decisions": {"c1": "reject"}, "rejection_reasons": {"c1": "no"}}
    record = AuditTrail().read()[0]
    assert (record.agent, record.tool, record.decision, record.reason, record.via) == (
        "kagent/k8s-agent", "delete_pod", "rejected", "no", "inbox",
    )  # fmt: skip


async def test_our_gateway_tells_what_waits_and_no_session_is_asked(
    app: KagentApp, gateway: FakeGateway, until: Until, text_of: TextOf
) -> None:
    gateway.stream = told = Told()
    item = {
        "id": "t-s1", "session_id": "s1", "session_name": "pods", "agent_id": "kagent__NS__k8s_agent",
        "state": "input-required", "since": "2027-01-15T07:50:00Z",
    }  # fmt: skip
    told.tell("snapshot", [item])
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "approvals 1" in text_of(app))
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, InboxScreen) and "call delete_pod" in text_of(app))
        told.tell("added", item | {"id": "t-s9", "session_id": "s9", "share_token": "x"})
        told.tell("removed", {"id": "t-s1", "session_id": "s1"})
        await until(pilot, lambda: "Nothing waits" in text_of(app))
        assert "the gateway tells" in text_of(app)
        told.tell("added", item)
        await until(pilot, lambda: "call delete_pod" in text_of(app))
    assert gateway.listed == 0


async def test_what_was_decided_elsewhere_leaves_the_inbox(
    app: KagentApp, gateway: FakeGateway, until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "approvals 1" in text_of(app))
        await pilot.press("A")
        await until(pilot, lambda: "call delete_pod" in text_of(app))
        gateway.waits = False
        gateway.sessions[0]["updated_at"] = "2027-01-15T07:55:00Z"
        await pilot.press("R")
        await until(pilot, lambda: "Nothing waits" in text_of(app))


async def test_sessions_are_listed_renamed_deleted_saved_and_resumed(
    app: KagentApp, gateway: FakeGateway, until: Until, text_of: TextOf, tmp_path: Path
) -> None:
    gateway.waits = False
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "客服助手" in text_of(app))
        await pilot.press("colon", *"sessions", "enter")
        await until(pilot, lambda: isinstance(app.screen, SessionsScreen) and "clocks" in text_of(app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, EntryScreen))
        app.screen.query_one(Input).value = "my pods"
        await pilot.press("enter")
        await until(pilot, lambda: "my pods" in text_of(app))
        await pilot.press("w")
        await until(pilot, lambda: "saved as" in text_of(app))
        saved = (tmp_path / "kagent-tui" / "sessions" / "s1.md").read_text()
        assert saved.startswith("# my pods\n")
        await pilot.press("j", "D")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("y")
        await until(pilot, lambda: "clocks" not in text_of(app) and isinstance(app.screen, SessionsScreen))
        assert [one["id"] for one in gateway.sessions] == ["s1"]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen) and bool(app.screen.panes))
        assert isinstance(app.screen, ChatScreen)
        assert app.screen.panes[0].session_id == "s1"


async def test_the_sessions_of_one_agent(app: KagentApp, gateway: FakeGateway, until: Until, text_of: TextOf) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "客服助手" in text_of(app))
        await pilot.press("j", "S")
        await until(pilot, lambda: isinstance(app.screen, SessionsScreen) and "pods" in text_of(app))
        assert "clocks" not in text_of(app)


async def test_a_gateway_that_does_not_answer_is_said_to_be_away(
    app: KagentApp, gateway: FakeGateway, until: Until, text_of: TextOf
) -> None:
    gateway.down = True
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "客服助手" in text_of(app))
        await pilot.press("colon", *"sessions", "enter")
        await until(pilot, lambda: "the gateway cannot be asked" in text_of(app))
        await pilot.press("escape", "A")
        await until(pilot, lambda: "no endpoints available" in text_of(app))


async def test_without_a_controller_it_is_said_that_there_is_none(
    app: KagentApp, until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "客服助手" in text_of(app))
        await pilot.press("colon", *"sessions", "enter")
        await until(pilot, lambda: "no controller with an HTTP API" in text_of(app))
        await pilot.press("escape", "A")
        await until(pilot, lambda: "is it installed?" in text_of(app))
