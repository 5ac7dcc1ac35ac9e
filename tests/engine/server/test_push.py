"""Push notifications in both dialects: what a hook hears, which addresses are told, and what outlives the process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.tools.base import text_result

Json = dict[str, Any]
NEW: Json = {"messageId": "m", "role": "ROLE_USER", "contextId": "s", "parts": [{"text": "hi"}]}
OLD: Json = {"messageId": "m", "role": "user", "contextId": "s", "parts": [{"kind": "text", "text": "hi"}]}


class Drop:
    spec = ToolSpec("drop", "Dangerous.", {"type": "object"})

    async def call(self, call: ToolCall, context: Any, answer: Any = None) -> Any:
        return text_result("dropped")


class Hook:
    """An ASGI app that keeps what it is told; the first ``broken`` times it answers 503."""

    def __init__(self, broken: int = 0) -> None:
        self.told: asyncio.Queue[tuple[Json, Json]] = asyncio.Queue()
        self.broken = broken

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:
        import json

        if scope["type"] != "http":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status = 503 if self.broken else 200
        if self.broken:
            self.broken -= 1
        else:
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self.told.put_nowait((json.loads(body), headers))
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def until(self, state: str) -> list[tuple[Json, Json]]:
        """Return all that was told up to a state."""
        heard: list[tuple[Json, Json]] = []
        async with asyncio.timeout(60):
            while not heard or state not in str(heard[-1][0]):
                heard.append(await self.told.get())
        return heard


async def test_a_10_hook_hears_the_events_of_a_stream_but_no_pieces(
    serve_engine: Any, serve: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kagent_engine.server.push._PAUSES", (0.0, 0.0))
    engine, hook = await serve_engine(), Hook(broken=1)
    model.says("Hel", "lo")
    async with serve(hook) as url:
        given = {"url": url, "token": "secret", "authentication": {"scheme": "Bearer", "credentials": "key"}}
        configuration = {"taskPushNotificationConfig": given}
        sent = await engine.raw.call("SendMessage", message=NEW, configuration=configuration)
        heard = await hook.until("TASK_STATE_COMPLETED")

    bodies = [body for body, _ in heard]
    assert bodies[0]["task"]["id"] == sent["result"]["task"]["id"]
    texts = [body["artifactUpdate"]["artifact"]["parts"] for body in bodies if "artifactUpdate" in body]
    assert texts == [[{"text": "Hello"}]]
    headers = heard[0][1]
    assert (headers["x-a2a-notification-token"], headers["authorization"]) == ("secret", "Bearer key")


async def test_a_03_hook_hears_the_task_and_survives_a_restart_with_its_pause(
    serve_engine: Any, serve: Any, model: Any
) -> None:
    first = await serve_engine(tools=[Drop()], approve=["drop"])
    model.calls(ToolCall("c", "drop", {})).says("gone")
    asked = (await first.raw.call("message/send", message=OLD))["result"]
    hook = Hook()
    async with serve(hook) as url:
        params = {"taskId": asked["id"], "pushNotificationConfig": {"url": url, "id": "h"}}
        kept = (await first.raw.call("tasks/pushNotificationConfig/set", **params))["result"]
        second = await serve_engine(tools=[Drop()], approve=["drop"])
        listed = (await second.raw.call("tasks/pushNotificationConfig/list", id=asked["id"]))["result"]
        await second.raw.stream_03({"decision_type": "approve"}, contextId="s", taskId=asked["id"])
        heard = [body for body, _ in await hook.until("'completed'")]

    assert kept == {"taskId": asked["id"], "pushNotificationConfig": {"url": url, "id": "h"}}
    assert listed == [kept]
    assert {body["kind"] for body in heard} == {"task"}
    assert heard[0]["status"]["state"] == "working"


async def test_hooks_are_read_listed_and_deleted_by_their_owner_alone(serve_engine: Any, model: Any) -> None:
    engine = await serve_engine(tools=[Drop()], approve=["drop"])
    model.calls(ToolCall("c", "drop", {}))
    task_id = (await engine.raw.call("SendMessage", message=NEW))["result"]["task"]["id"]
    raw = engine.raw

    made = (await raw.call("CreateTaskPushNotificationConfig", taskId=task_id, url="https://example.test/h"))["result"]

    ids = {"taskId": task_id, "id": made["id"]}
    assert made == ids | {"url": "https://example.test/h"}
    assert (await raw.call("GetTaskPushNotificationConfig", **ids))["result"] == made
    assert (await raw.call("ListTaskPushNotificationConfigs", taskId=task_id))["result"]["configs"] == [made]
    raw.user = "mallory"
    assert (await raw.call("GetTaskPushNotificationConfig", **ids))["error"]["code"] == -32001
    raw.user = "alice"
    assert (await raw.call("DeleteTaskPushNotificationConfig", **ids))["result"] == {}
    assert (await raw.call("GetTaskPushNotificationConfig", **ids))["error"]["code"] == -32001


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("ftp://example.test", ""),
        ("http://", ""),
        ("http://169.254.169.254/latest", ""),
        ("http://[fe80::1]/", ""),
        ("http://metadata.google.internal./", ""),
        ("https://example.test", "*.allowed.test"),
    ],
)
async def test_an_address_that_may_not_be_told_is_refused_by_name(
    serve_engine: Any, monkeypatch: pytest.MonkeyPatch, url: str, hosts: str
) -> None:
    monkeypatch.setenv("KAGENT_TUI_PUSH_HOSTS", hosts)
    engine = await serve_engine()

    configuration = {"taskPushNotificationConfig": {"url": url}}
    error = (await engine.raw.call("SendMessage", message=NEW, configuration=configuration))["error"]

    assert error["code"] == -32602
    assert "url" in error["message"]
