"""JSON-RPC of both dialects on one address: the method says the dialect, and every answer is in the caller's.

1.0 methods need the header ``A2A-Version: 1.0`` (or the query parameter of that name), as its specification demands; a
request without one is of 0.3. Held against the SDK's own server and clients by the tests.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import orjson

from kagent_engine.server import faults
from kagent_engine.server.codec import INTERRUPTED, TERMINAL, Dialect, task_03
from kagent_engine.server.events import Event, Subscriber, shortened
from kagent_engine.server.executor import Executor
from kagent_engine.server.faults import RpcError, error_json
from kagent_engine.server.identity import Caller
from kagent_engine.server.push import Hooks, hook_03, hook_10
from kagent_engine.server.requests import Reader, read_hook, read_list, read_send, read_task
from kagent_engine.server.tasks import TaskBoard
from kagent_engine.shapes import JsonObject, is_object

__all__ = ["Dispatcher", "Streamed"]

logger = logging.getLogger(__name__)

_VERSION: Final = re.compile(r"(\d+)(\.\d+)*")
_PATIENCE: Final = 3600.0
# What is nested deeper cannot be written again as JSON (orjson's limit is 254), and nothing sensible is.
_DEEPEST: Final = 128
_Answer = Callable[[Reader, Caller], Awaitable[object]]
_Opening = Callable[[Reader, Caller], Awaitable[Subscriber]]


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that is a stream; where there is no listener, ``fault`` is all of it."""

    listener: Subscriber | None
    dialect: Dialect
    request_id: bytes
    fault: RpcError | None = None

    def write(self, events: Sequence[Event]) -> bytes:
        """Return events as they stand in the stream."""
        head = b'data: {"jsonrpc":"2.0","id":' + self.request_id + b',"result":'
        return b"".join([head + event.json(self.dialect) + b"}\r\n\r\n" for event in events])

    def write_fault(self, error: RpcError) -> bytes:
        body = orjson.dumps(error_json(error, self.dialect))
        mark = b"event: error\r\n" if self.dialect == "1.0" else b""
        return mark + b'data: {"jsonrpc":"2.0","id":' + self.request_id + b',"error":' + body + b"}\r\n\r\n"


class Dispatcher:
    """Answers requests. ``card`` is what GetExtendedAgentCard returns."""

    def __init__(self, executor: Executor, board: TaskBoard, hooks: Hooks, card: JsonObject) -> None:
        self._executor = executor
        self._board = board
        self._hooks = hooks
        self._card = card
        self._streams: Mapping[str, _Opening] = {
            "SendStreamingMessage": self._send_streamed,
            "message/stream": self._send_streamed,
            "SubscribeToTask": self._subscribe,
            "tasks/resubscribe": self._subscribe,
        }
        self._answers: Mapping[str, _Answer] = {
            "SendMessage": self._send,
            "message/send": self._send,
            "GetTask": self._get_task,
            "tasks/get": self._get_task,
            "ListTasks": self._list_tasks,
            "CancelTask": self._cancel_task,
            "tasks/cancel": self._cancel_task,
            "CreateTaskPushNotificationConfig": self._set_hook,
            "tasks/pushNotificationConfig/set": self._set_hook,
            "GetTaskPushNotificationConfig": self._get_hook,
            "tasks/pushNotificationConfig/get": self._get_hook,
            "ListTaskPushNotificationConfigs": self._list_hooks,
            "tasks/pushNotificationConfig/list": self._list_hooks,
            "DeleteTaskPushNotificationConfig": self._delete_hook,
            "tasks/pushNotificationConfig/delete": self._delete_hook,
            "GetExtendedAgentCard": self._extended_card,
            "agent/getAuthenticatedExtendedCard": self._extended_card,
        }

    async def handle(self, body: bytes, headers: Mapping[str, str], version: str) -> bytes | Streamed:
        """Answer one POST. ``headers`` have their keys in lower case, ``version`` is the query's A2A-Version."""
        request_id: object = None
        dialect: Dialect = "1.0"
        try:
            try:
                parsed: object = orjson.loads(body)
            except orjson.JSONDecodeError as error:
                raise RpcError(faults.PARSE, f"Invalid JSON payload: {error}") from error
            given = parsed.get("id") if is_object(parsed) else None
            request_id = given if isinstance(given, str | int) and not isinstance(given, bool) else None
            if body.count(b"[") + body.count(b"{") > _DEEPEST and _deeper(parsed, _DEEPEST):
                raise RpcError(faults.REQUEST, f"Invalid request: nested deeper than {_DEEPEST} levels")
            method, params = _read_base(parsed)
            dialect = "0.3" if "/" in method else "1.0"
            if method not in self._streams and method not in self._answers:
                raise RpcError(faults.METHOD, f"Method not found: {method[:80]}")
            _check_version(headers.get("a2a-version") or version, dialect)
            reader = Reader.of_params(params, dialect)
            caller = Caller(headers.get("x-user-id", ""), dialect, headers)
            if method in self._streams:
                return await self._stream(self._streams[method], reader, caller, orjson.dumps(request_id))
            result = await self._answers[method](reader, caller)
            return orjson.dumps({"jsonrpc": "2.0", "id": request_id, "result": result})
        except RpcError as error:
            logger.info("request %s refused: %s", request_id, error)
            refused = error
        except Exception:
            logger.exception("request %s broke", request_id)
            refused = RpcError(faults.INTERNAL, "The agent ran into an error of its own; its log says which.")
        return orjson.dumps({"jsonrpc": "2.0", "id": request_id, "error": error_json(refused, dialect)})

    async def _stream(self, opening: _Opening, reader: Reader, caller: Caller, request_id: bytes) -> Streamed:
        try:
            listener = await opening(reader, caller)
        except RpcError as error:
            # 1.0 refuses with a plain answer; 0.3 clients expect it inside the stream, unless parameters are at fault.
            if caller.dialect == "1.0" or error.fault is faults.PARAMS:
                raise
            return Streamed(None, caller.dialect, request_id, fault=error)
        return Streamed(listener, caller.dialect, request_id)

    async def _send_streamed(self, reader: Reader, caller: Caller) -> Subscriber:
        request = read_send(reader)
        _, listener = await self._executor.submit(request, caller)
        listener.history_length = request.history_length
        return listener

    async def _subscribe(self, reader: Reader, caller: Caller) -> Subscriber:
        live = await self._board.take(read_task(reader).id, caller.user)
        if live.state in TERMINAL:
            self._board.release(live)
            raise RpcError(faults.UNSUPPORTED, f"Task {live.id} has ended ({live.state}); read it with GetTask")
        listener = live.subscribe(until_pause=False)
        listener.first(Event({"task": live.snapshot()}))
        # 0.3 calls the event of a pause final; 1.0 ends a subscription with the task alone. A task that works
        # elsewhere, in another replica, is told as it stands.
        listener.until_pause = caller.dialect == "0.3"
        if not live.works and live.state not in INTERRUPTED:
            listener.close()
        return listener

    async def _send(self, reader: Reader, caller: Caller) -> JsonObject:
        request = read_send(reader)
        live, listener = await self._executor.submit(request, caller)
        try:
            while (events := await listener.next(_PATIENCE)) is not None:
                if request.return_immediately and events:
                    break
        finally:
            listener.close()
        if listener.error is not None:
            raise listener.error
        task = shortened(live.snapshot(), request.history_length)
        return task_03(task) if caller.dialect == "0.3" else {"task": task}

    async def _get_task(self, reader: Reader, caller: Caller) -> JsonObject:
        request = read_task(reader)
        return _task(shortened(await self._board.get(request.id, caller.user), request.history_length), caller)

    async def _list_tasks(self, reader: Reader, caller: Caller) -> JsonObject:
        return await self._board.list(read_list(reader), caller.user)

    async def _cancel_task(self, reader: Reader, caller: Caller) -> JsonObject:
        return _task(await self._executor.cancel(read_task(reader).id, caller), caller)

    async def _set_hook(self, reader: Reader, caller: Caller) -> JsonObject:
        request = read_hook(reader, setting=True)
        live = await self._board.take(request.task_id, caller.user)
        try:
            hook = await self._hooks.add(request.task_id, caller.user, request.hook or {}, caller.dialect)
            live.hooked = True
        finally:
            self._board.release(live)
        return _hook(request.task_id, hook, caller)

    async def _get_hook(self, reader: Reader, caller: Caller) -> JsonObject:
        request = read_hook(reader)
        await self._find_hooks(request.task_id, caller)
        return _hook(request.task_id, self._hooks.find(request.task_id, request.hook_id), caller)

    async def _list_hooks(self, reader: Reader, caller: Caller) -> object:
        request = read_hook(reader)
        await self._find_hooks(request.task_id, caller)
        found = [_hook(request.task_id, hook, caller) for hook in self._hooks.of(request.task_id)]
        return found if caller.dialect == "0.3" else {"configs": found}

    async def _delete_hook(self, reader: Reader, caller: Caller) -> object:
        request = read_hook(reader)
        await self._find_hooks(request.task_id, caller)
        await self._hooks.remove(request.task_id, caller.user, request.hook_id)
        return None if caller.dialect == "0.3" else {}

    async def _find_hooks(self, task_id: str, caller: Caller) -> None:
        await self._board.get(task_id, caller.user)
        await self._hooks.load(task_id, caller.user)

    async def _extended_card(self, reader: Reader, caller: Caller) -> JsonObject:
        del reader, caller
        return self._card


def _deeper(value: object, levels: int) -> bool:
    """Tell whether a JSON value is nested deeper than so many levels."""
    layer = [value]
    for _ in range(levels):
        inner: list[object] = []
        for item in layer:
            if isinstance(item, dict):
                inner.extend(cast("JsonObject", item).values())
            elif isinstance(item, list):
                inner.extend(cast("list[object]", item))
        if not inner:
            return False
        layer = inner
    return True


def _read_base(parsed: object) -> tuple[str, object]:
    """Return method and parameters of what has to be one JSON-RPC request."""
    if isinstance(parsed, list):
        raise RpcError(faults.REQUEST, "Batch requests are not supported")
    if not is_object(parsed) or parsed.get("jsonrpc") != "2.0":
        raise RpcError(faults.REQUEST, "Invalid request: 'jsonrpc' must be exactly '2.0'")
    given = parsed.get("id")
    if isinstance(given, bool) or not (given is None or isinstance(given, str | int)):
        raise RpcError(faults.REQUEST, "Invalid request: 'id' must be text, a whole number or null")
    method = parsed.get("method")
    if not isinstance(method, str) or not method:
        raise RpcError(faults.REQUEST, "Invalid request: 'method' is required")
    params = parsed.get("params")
    if params is not None and not isinstance(params, dict | list):
        raise RpcError(faults.REQUEST, "Invalid request: 'params' must be an object")
    return method, cast("object", params)


def _check_version(version: str, dialect: Dialect) -> None:
    """Check that the caller speaks what its method belongs to; minor versions are understood."""
    spoken = version.strip() or "0.3"
    found = _VERSION.fullmatch(spoken)
    if found is None or found[1] != dialect[0]:
        raise RpcError(faults.VERSION, f"A2A version '{spoken[:20]}' has no such method; it is one of {dialect}")


def _task(task: JsonObject, caller: Caller) -> JsonObject:
    return task_03(task) if caller.dialect == "0.3" else task


def _hook(task_id: str, hook: JsonObject, caller: Caller) -> JsonObject:
    return hook_03(task_id, hook) if caller.dialect == "0.3" else hook_10(task_id, hook)
