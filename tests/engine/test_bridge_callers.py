"""Whom a server behind a bridge asks and tells, when it does not say whom it means."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import mcp_types as types

from kagent_engine.bridge_callers import Callers

QUESTION = types.CreateMessageRequestParams(
    messages=[types.SamplingMessage(role="user", content=types.TextContent(type="text", text="?"))], max_tokens=5
)
LINE = types.LoggingMessageNotificationParams(level="info", data="the weather is read")


class Session:
    """A caller's side; keeps what reached it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []
        self.told: list[tuple[object, object]] = []

    async def send_request(self, request: Any, result: object, *, metadata: Any) -> object:
        self.asked.append((request.method, metadata.related_request_id))
        return types.CreateMessageResult(role="assistant", content=types.TextContent(type="text", text="!"), model="m")

    async def send_notification(self, notification: Any, *, related_request_id: object) -> None:
        self.told.append((notification.params.data, related_request_id))


def call(session_id: str, request_id: int) -> Any:
    headers = {"mcp-session-id": session_id}
    found = SimpleNamespace(session=Session(), request=SimpleNamespace(headers=headers), request_id=request_id)
    return cast("Any", found)


async def test_the_only_caller_is_asked_and_told_within_its_newest_call() -> None:
    callers, first, second = Callers(), call("ada", 1), call("ada", 2)
    with callers.during(first), callers.during(second):
        assert isinstance(await callers.sample(None, QUESTION), types.CreateMessageResult)
        await callers.log(LINE)
    assert second.session.asked == [("sampling/createMessage", 2)]
    assert second.session.told == [("the weather is read", 2)]
    assert first.session.asked == []


async def test_of_several_callers_nobody_is_asked_or_told() -> None:
    callers, ada, bob = Callers(), call("ada", 1), call("bob", 1)
    with callers.during(ada), callers.during(bob):
        refused = await callers.sample(None, QUESTION)
        await callers.log(LINE)
    assert isinstance(refused, types.ErrorData)
    assert "several callers" in refused.message
    assert ada.session.asked == bob.session.asked == ada.session.told == bob.session.told == []


async def test_while_no_call_runs_nobody_is_asked() -> None:
    refused = await Callers().elicit(None, types.ElicitRequestFormParams(message="?", requested_schema={}))
    assert isinstance(refused, types.ErrorData)
    assert "no call is running" in refused.message
