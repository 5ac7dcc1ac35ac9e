"""Lets a caller of one A2A dialect talk to an agent that speaks only the other.

Upstream's 0.10 engines know 0.3 alone, its newer ones 1.0 alone, and their cards do not tell. So a call goes out as it
came; an agent that does not know the method has done nothing yet, and is asked again in its own dialect.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, cast

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.approvals import ask_in_words_of_1_0, decide_in_words_of_0_3
from kagent_operator.gateway.dialects import METHODS, Dialect, event_to, result_to, send_params_to, wire_state
from kagent_operator.gateway.push import PUSH_METHODS, push_params_to, push_result_to
from kagent_operator.gateway.rpc import METHOD_NOT_FOUND, VERSION_NOT_SUPPORTED, Call

__all__ = ["Translation", "is_unknown_method"]

_CARD = "agent/getAuthenticatedExtendedCard"
_TRANSLATED = frozenset({"message/send", "message/stream", "tasks/cancel", "tasks/resubscribe", _CARD}) | PUSH_METHODS
_STREAMED = frozenset({"message/stream", "tasks/resubscribe"})
_LARGEST_EVENT = 32 * 1024 * 1024


class Translation:
    """One call in the other dialect, and its replies in the caller's."""

    def __init__(self, call: Call, legacy_method: str, method: str) -> None:
        self._call = call
        self._legacy_method = legacy_method
        self._method = method
        self.dialect: Dialect = "0.3" if call.dialect == "1.0" else "1.0"

    @classmethod
    def of(cls, call: Call) -> Translation | None:
        """Return the translation of a call, None where there is none."""
        for legacy, current in METHODS:
            # A method of one dialect under the version of the other is the caller's mistake, and the agent says so.
            if call.method == (legacy if call.dialect == "0.3" else current) and legacy in _TRANSLATED:
                return cls(call, legacy, legacy if call.dialect == "1.0" else current)
        return None

    def request(self) -> bytes:
        """Return the call as the agent understands it."""
        params = self._call.params
        if self._legacy_method in ("message/send", "message/stream"):
            params = send_params_to(self.dialect, params)
            if self.dialect == "0.3" and isinstance(params.get("message"), dict):
                params["message"] = decide_in_words_of_0_3(params["message"])
        elif self._legacy_method in PUSH_METHODS:
            params = push_params_to(self.dialect, self._legacy_method, params)
        body = {"jsonrpc": "2.0", "id": self._call.id, "method": self._method, "params": params}
        return json.dumps(body).encode()

    def reply(self, body: bytes) -> bytes:
        """Return a whole reply in the caller's dialect; what is no JSON-RPC result stays as it is."""
        try:
            reply: Any = json.loads(body)
        except ValueError:
            return body
        if not isinstance(reply, dict) or "result" not in reply:
            return body
        content = cast("JsonObject", reply)
        if self._legacy_method in PUSH_METHODS:
            content["result"] = push_result_to(self._call.dialect, self._legacy_method, content["result"])
            return json.dumps(content).encode()
        content["result"] = self._asking(result_to(self._call.dialect, self._legacy_method, content["result"]))
        return json.dumps(content).encode()

    async def stream(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield an event stream in the caller's dialect, event by event."""
        first = True
        async for frame in _frames(chunks):
            written = self._event(frame, first=first)
            first = first and written is frame
            yield written

    def _event(self, frame: bytes, *, first: bool) -> bytes:
        lines = frame.decode(errors="replace").splitlines()
        data = "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))
        try:
            content: Any = json.loads(data) if data else None
        except ValueError:
            return frame
        if not isinstance(content, dict) or not isinstance(cast("JsonObject", content).get("result"), dict):
            return frame
        event = cast("JsonObject", content)
        kept = "".join(f"{line}\n" for line in lines if line.startswith(("id:", "event:", "retry:")))
        event["result"] = self._asking(event_to(self._call.dialect, event["result"]))
        task = self._opening(event["result"]) if first and self._call.dialect == "1.0" else None
        opening = _data(event | {"result": {"task": task}}) if task else ""
        return f"{opening}{kept}{_data(event)}".encode()

    def _asking(self, result: Any) -> Any:
        if self._call.dialect == "0.3" or not isinstance(result, dict):
            return result
        return ask_in_words_of_1_0(cast("JsonObject", result))

    def _opening(self, result: JsonObject) -> JsonObject | None:
        """1.0 streams begin with the task; 0.3 engines begin with its first status."""
        update = result.get("statusUpdate")
        if not isinstance(update, dict) or self._legacy_method != "message/stream":
            return None
        about = cast("JsonObject", update)
        task: JsonObject = {
            "id": about.get("taskId", ""),
            "contextId": about.get("contextId", ""),
            "status": {"state": wire_state("submitted")},
        }
        message = self._call.params.get("message")
        return task | ({"history": [message]} if isinstance(message, dict) else {})


def is_unknown_method(body: bytes) -> bool:
    """Tell whether a reply says that the agent does not know the method or the dialect."""
    try:
        reply: Any = json.loads(body)
    except ValueError:
        return False
    error: Any = cast("JsonObject", reply).get("error") if isinstance(reply, dict) else None
    code: Any = cast("JsonObject", error).get("code") if isinstance(error, dict) else None
    return code in (METHOD_NOT_FOUND, VERSION_NOT_SUPPORTED)


def _data(content: JsonObject) -> str:
    return f"data: {json.dumps(content)}\n\n"


async def _frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut a byte stream into events; the blank line belongs to the event before it."""
    held = b""
    async for chunk in chunks:
        held += chunk
        if len(held) > _LARGEST_EVENT:
            raise ValueError(f"an event is larger than {_LARGEST_EVENT} bytes")
        while True:
            ends = [(held.find(mark), len(mark)) for mark in (b"\n\n", b"\r\n\r\n")]
            found = min(((at, at + length) for at, length in ends if at >= 0), default=None)
            if found is None:
                break
            yield held[: found[1]]
            held = held[found[1] :]
    if held:
        yield held
