"""kagent-adk 0.10.4 and our engine in each other's place: behind our gateway, as sub-agents, in our chat."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol

import httpx
import pytest

Json = dict[str, Any]
HITL = "https://kagent.dev/extensions/hitl/v1"
CLOCKS = ["upstream-clock", "own-clock"]
BOSSES = ["own-boss", "upstream-boss"]
HELLO = "Good morning"
NOW = "Which is the current time in Europe/Berlin"
CONVERT = "Convert 10:30 from Europe/Berlin to Asia/Tokyo"

pytestmark = pytest.mark.timeout(300)


class Fleet(Protocol):
    gateway: str

    def address(self, agent: str) -> str: ...


@pytest.fixture
async def client(fleet: Fleet) -> AsyncGenerator[httpx.AsyncClient]:
    user = f"ada-{uuid.uuid4().hex[:6]}"
    headers = {"X-User-Id": user}
    async with httpx.AsyncClient(base_url=fleet.gateway, headers=headers, timeout=60, trust_env=False) as made:
        yield made


class Talk:
    """One conversation with one agent through the gateway, in one dialect."""

    def __init__(self, client: httpx.AsyncClient, agent: str, dialect: str) -> None:
        self._client = client
        self._agent = agent
        self._current = dialect == "1.0"
        self.session = str(uuid.uuid4())
        self.task = ""
        self.state = ""
        self.events: list[Json] = []

    async def say(self, text: str) -> None:
        await self._send([{"text": text}] if self._current else [{"kind": "text", "text": text}], {})

    async def decide(self, approved: bool, reason: str = "") -> None:
        """Answer all that the paused task asks, in the form of the dialect."""
        (asked,) = [self.asked()] if self._current else [{}]
        if self._current:
            tools = (asked.get("nested") or asked)["tools"]
            approvals = [
                {"id": tool["id"], "approved": approved} | ({"rejection_reason": reason} if reason else {})
                for tool in tools
            ]
            body = {"type": "tool_approval_response", "approvals": approvals}
            await self._send([{"text": "decided"}], {"extensions": [HITL], "metadata": {HITL: body}})
            return
        data = {"decision_type": "approve"} if approved else {"decision_type": "reject", "rejection_reason": reason}
        await self._send([{"kind": "data", "data": data}], {})

    def asked(self) -> Json:
        return self._last()["status"]["message"]["metadata"][HITL]

    def text(self) -> str:
        """Return everything that was said in whole."""
        return json.dumps(self.events)

    async def _send(self, parts: Sequence[Json], more: Json) -> None:
        message: Json = {"messageId": uuid.uuid4().hex, "contextId": self.session, "parts": [*parts]} | more
        message |= {"role": "ROLE_USER"} if self._current else {"role": "user", "kind": "message"}
        if self.state in ("input-required", "TASK_STATE_INPUT_REQUIRED"):
            message["taskId"] = self.task
        method = "SendStreamingMessage" if self._current else "message/stream"
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": message}}
        headers = {"A2A-Version": "1.0", "A2A-Extensions": HITL} if self._current else {}
        answer = await self._client.post(f"/api/a2a/kagent/{self._agent}/", json=call, headers=headers)
        assert "event-stream" in answer.headers["content-type"], answer.text
        heard = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]
        assert not [event for event in heard if "error" in event], answer.text
        self.events = [event["result"] for event in heard]
        last = self._last()
        self.task, self.state = last["taskId"], last["status"]["state"].removeprefix("TASK_STATE_").lower()
        self.state = self.state.replace("_", "-")
        assert last["contextId"] == self.session

    def _last(self) -> Json:
        last = self.events[-1]
        return last["statusUpdate"] if self._current else last


@pytest.mark.parametrize("dialect", ["0.3", "1.0"])
@pytest.mark.parametrize("agent", CLOCKS)
async def test_what_either_engine_says_is_kept_by_our_gateway(
    client: httpx.AsyncClient, agent: str, dialect: str
) -> None:
    talk = Talk(client, agent, dialect)
    await talk.say(HELLO)
    assert talk.state == "completed"
    assert "scripted" in talk.text(), talk.text()
    await talk.say(NOW)
    assert talk.state == "completed"
    assert "Europe/Berlin" in talk.text()

    (session,) = (await client.get(f"/api/sessions/agent/kagent/{agent}")).json()["data"]
    assert session["id"] == talk.session
    found = (await client.get(f"/api/sessions/{talk.session}?order=asc&limit=-1")).json()["data"]
    events = [json.loads(event["data"]) for event in found["events"]]
    said = [event for event in events if event["author"] == "user" and event.get("content")]
    assert [event["content"]["parts"][0]["text"] for event in said] == [HELLO, NOW]
    assert "get_current_time" in json.dumps(events)

    tasks = (await client.get(f"/api/sessions/{talk.session}/tasks")).json()["data"]
    assert [task["status"]["state"] for task in tasks] == ["completed", "completed"]
    texts = [json.dumps(task["history"]) for task in tasks]
    assert HELLO in texts[0]
    assert "scripted" in texts[0], "the web UI shows what the history of a task holds"
    assert "get_current_time" in texts[1]


@pytest.mark.parametrize("dialect", ["0.3", "1.0"])
@pytest.mark.parametrize("agent", [*CLOCKS, *BOSSES])
async def test_a_tool_runs_only_after_a_yes(client: httpx.AsyncClient, agent: str, dialect: str) -> None:
    talk = Talk(client, agent, dialect)
    await talk.say(CONVERT)
    assert talk.state == "input-required", talk.text()
    assert "17:30" not in talk.text()
    assert "18:30" not in talk.text()
    stored = (await client.get(f"/api/sessions/{talk.session}/tasks")).json()["data"]
    assert [task["status"]["state"] for task in stored] == ["input-required"]
    await talk.decide(approved=True)
    assert talk.state == "completed", talk.text()
    assert "17:30" in talk.text() or "18:30" in talk.text()


@pytest.mark.parametrize("dialect", ["0.3", "1.0"])
@pytest.mark.parametrize("agent", [*CLOCKS, *BOSSES])
async def test_a_no_reaches_the_model_with_its_reason(client: httpx.AsyncClient, agent: str, dialect: str) -> None:
    talk = Talk(client, agent, dialect)
    await talk.say(CONVERT)
    assert talk.state == "input-required", talk.text()
    await talk.decide(approved=False, reason="tea first")
    assert talk.state == "completed", talk.text()
    assert "tea first" in talk.text()
    assert "17:30" not in talk.text()
    assert "18:30" not in talk.text()


@pytest.mark.parametrize("dialect", ["0.3", "1.0"])
@pytest.mark.parametrize("agent", BOSSES)
async def test_an_agent_asks_one_of_the_other_engine(client: httpx.AsyncClient, agent: str, dialect: str) -> None:
    talk = Talk(client, agent, dialect)
    await talk.say(NOW)
    assert talk.state == "completed", talk.text()
    assert "Europe/Berlin" in talk.text()
    assert "timezone" in talk.text(), "the other agent's own tool answered"
    inner = "upstream-clock" if agent == "own-boss" else "own-clock"
    shown = (await client.get(f"/api/sessions/agent/kagent/{inner}")).json()["data"]
    assert shown == [], "a session that an agent opened is hidden from people"
    sessions = (await client.get("/api/sessions")).json()["data"]
    (nested,) = [item for item in sessions if item["agent_id"].endswith(inner.replace("-", "_"))]
    assert nested["source"] == "agent"
    assert nested["id"] in talk.text(), "clients follow the sub-agent's session"


async def chat(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from kagent_tui.cli import main; sys.exit(main())",
        "chat",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(90):
        out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


@pytest.mark.parametrize("way", ["direct", "gateway"])
async def test_our_chat_talks_to_upstreams_engine(fleet: Fleet, way: str) -> None:
    url = fleet.gateway if way == "gateway" else fleet.address("upstream-clock")
    code, out, errors = await chat("upstream-clock", NOW, "--url", url)
    assert (code, "Europe/Berlin" in out) == (0, True), out + errors
    code, out, errors = await chat("upstream-clock", CONVERT, "--url", url)
    assert code == 2, out + errors
    code, out, errors = await chat("upstream-clock", CONVERT, "--url", url, "--approve", "all")
    assert (code, "17:30" in out or "18:30" in out) == (0, True), out + errors
