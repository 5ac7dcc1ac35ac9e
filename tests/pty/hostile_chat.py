"""The program of test_chat_output: a chat screen, or the plain printer, fed by a hostile agent; it ends by itself."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from typing import ClassVar

import httpx
from textual.types import CSSPathType

from kagent_api.errors import ObjectRef
from kagent_tui.app import KagentApp
from kagent_tui.chat.conversation import Conversation
from kagent_tui.chat.desk import Desk, Snippet
from kagent_tui.chat.events import PendingCall
from kagent_tui.chat.subject import ChatSubject
from kagent_tui.chat.target import ChatTarget
from kagent_tui.cluster.contexts import Options
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.text import Line, line, span
from kagent_tui.screens.base import Host
from kagent_tui.screens.chat import ChatScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.text_pane import TextPane

BAD = (
    "\x1b]52;c;U1RPTEVO\x07\x1b]2;PWNED\x1b\\\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\\x1b[2J\x1b[1;1H\x1bPq\x1b\\"
    "\x9b31m\x9d2;PWNED\x9c\x00\x7f\x07\u202e\u200b\u2066\U000e0041[red]markup[/red][link=http://evil]x[/link]"
)
HITL = "https://kagent.dev/extensions/hitl/v1"
ACTIVITY = "https://kagent-tui.dev/a2a/activity/v1"
REF = ObjectRef("Agent", "kagent", f"time{BAD}")


def status(state: str, **more: object) -> dict[str, dict[str, object]]:
    body: dict[str, object] = {"state": f"TASK_STATE_{state}", **more}
    return {"statusUpdate": {"taskId": f"t{BAD}", "contextId": f"s{BAD}", "status": body}}


def artifact(name: str, *parts: dict[str, object]) -> dict[str, object]:
    body = {"artifactId": name, "parts": parts}
    return {"artifactUpdate": {"taskId": f"t{BAD}", "contextId": "s", "artifact": body}}


def tool(kind: str, **fields: object) -> dict[str, object]:
    metadata = {"adk_type": kind, "adk_subagent_session_id": f"inner{BAD}"}
    return {"data": {"id": f"c{BAD}", "name": f"tool{BAD}", **fields}, "metadata": metadata}


def inner_task() -> dict[str, object]:
    """What the sub-agent did: a call of its own and a last word."""
    call = {
        "data": {"id": "i", "name": f"MARKER-INNER{BAD}", "args": {BAD: BAD}},
        "metadata": {"adk_type": "function_call"},
    }
    parts = [{"artifactId": "i", "parts": [call]}, {"artifactId": "j", "parts": [{"text": f"said {BAD}"}]}]
    return {"id": "i", "contextId": "i", "status": {"state": "TASK_STATE_WORKING"}, "artifacts": parts}


def events() -> list[object]:
    code = f"```{BAD}\n{BAD}\n```"
    table = f"| a{BAD} | b |\n|---|---|\n| {BAD} | c |"
    answer = f"# {BAD}\n\n- {BAD}\n\n> {BAD}\n\n{code}\n\n{table}\n\n[{BAD}](http://{BAD}) `{BAD}` MARKER-ANSWER"
    warning = status("WORKING")
    warning["statusUpdate"]["metadata"] = {ACTIVITY: {"type": "warning", "code": BAD, "message": BAD}}
    arguments = {f"key{BAD}": f"MARKER-APPROVAL{BAD}"}
    waiting = [{"id": "adk", "call_id": f"d{BAD}", "name": f"danger{BAD}", "args": arguments}]
    request = {"type": "tool_approval_request", "hint": BAD, "tools": waiting}
    message = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": BAD}], "metadata": {HITL: request}}
    result = {"content": [{"type": "text", "text": f"MARKER-RESULT{BAD}"}]}
    return [
        warning,
        artifact("call", tool("function_call", args={f"k{BAD}": [BAD, {"deep": BAD}]})),
        artifact("result", tool("function_response", response=result)),
        artifact("answer", {"text": f"thinking {BAD}", "metadata": {"adk_thought": True}}, {"text": answer}),
        status("INPUT_REQUIRED", message=message),
    ]


class Body(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in events():
            yield b"data: " + json.dumps({"result": event}).encode() + b"\n\n"


def agent(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("agent-card.json"):
        return httpx.Response(
            200,
            json={
                "capabilities": {"extensions": [{"uri": ACTIVITY}]},
                "name": BAD,
                "supportedInterfaces": [{"url": BAD, "protocolVersion": "1.0"}],
            },
        )
    if request.url.path.endswith("/tasks"):
        return httpx.Response(200, json={"data": [inner_task()]})
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())


def conversation() -> Conversation:
    http = httpx.AsyncClient(transport=httpx.MockTransport(agent))
    return Conversation(ChatTarget(REF, "http://gateway/a/", http, "gateway", "http://gateway/"))


async def open_conversation(ref: ObjectRef, session_id: str) -> Conversation:
    return conversation()


def describe(ref: ObjectRef) -> ChatSubject:
    return ChatSubject(REF, f"model{BAD}", f"note{BAD}", f"trouble{BAD}", f"remedy{BAD}", (f"missing{BAD}",))


async def effect(call: PendingCall, namespace: str) -> list[Line]:
    return [line(span(f"MARKER-EFFECT {namespace} {call.name}"))]


async def snippets() -> list[Snippet]:
    return [Snippet(BAD, BAD, f"MARKER-SNIPPET{BAD}")]


LISTS = ("compare", "history", "mention", "snippet", "code", "links")


class Program(Host):
    CSS_PATH: ClassVar[CSSPathType | None] = KagentApp.CSS_PATH
    BINDINGS = bindings("app")
    unfolded = False
    opened = 0
    read = False

    def on_mount(self) -> None:
        workspace = Workspace(Options(namespaces=(BAD,)), banner=BAD)
        desk = Desk(user=f"user{BAD}", effect=effect, snippets=snippets, resources=lambda: [REF])
        self.chat = ChatScreen(workspace, open_conversation, describe, refs=[REF], desk=desk)
        self.push_screen(self.chat)
        self.call_after_refresh(self.begin)

    def begin(self) -> None:
        for pane in self.chat.panes:
            pane.send(f"hello{BAD}")
        self.set_interval(0.2, self.look)

    def look(self) -> None:
        pane = self.chat.panes[0]
        if not pane.decision.is_open or not any(entry.inner for _, entry, _ in pane.transcript.subagent_calls):
            return
        if self.screen is not self.chat:
            self.screen.dismiss(None)
            return
        if not self.unfolded:
            self.unfolded = True
            pane.view.action_fold_all()
            pane.view.action_first()
        elif pane.view.scroll_y < pane.view.max_scroll_y:
            pane.view.action_page_down()
        elif not self.read:
            self.read = True
            pane.decision.query_one(TextPane).action_last()
        elif self.opened < len(LISTS):
            self.opened += 1
            pane.post_message(pane.Asked(pane, LISTS[self.opened - 1]))
        else:
            self.exit(0)


async def plain() -> None:
    from kagent_tui.chat.printing import PlainPrinter

    printer = PlainPrinter(sys.stdout, sys.stderr)
    async for event in conversation().send(BAD):
        printer.show(event, 0.0)
    printer.finish()


if __name__ == "__main__":
    if sys.argv[1:] == ["plain"]:
        import asyncio

        asyncio.run(plain())
    else:
        Program().run(mouse=False)
