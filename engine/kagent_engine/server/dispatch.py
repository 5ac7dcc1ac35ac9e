"""JSON-RPC of both dialects on one route: the SDK reads, checks and routes; answers are written by codec.py.

Never interprets a request: methods, versions and error codes are the SDK's.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, cast

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from kagent_engine.server.codec import Dialect, event_json, result_json
from kagent_engine.server.sdk import (
    A2AError,
    DefaultRequestHandlerV2,
    DefaultServerCallContextBuilder,
    Event,
    JSONRPC03Adapter,
    JsonRpcDispatcher,
    JSONRPCInternalError,
    RequestHandler,
    SendMessageRequest,
    ServerCallContext,
    build_error_response,
    conversions_03,
    create_event_source_response,
    to_03_error,
    validate_version,
)
from kagent_engine.shapes import JsonObject

__all__ = ["Dispatcher"]

logger = logging.getLogger(__name__)

_INVALID_PARAMS: Final = -32602
_MOST_FAULTS: Final = 5


class Dispatcher(JsonRpcDispatcher):
    """The SDK's dispatcher with our writer for what it sends back."""

    def __init__(self, handler: DefaultRequestHandlerV2, context_builder: DefaultServerCallContextBuilder) -> None:
        super().__init__(handler, context_builder)
        self.enable_v0_3_compat = True
        self._v03_adapter = _Adapter03(handler, context_builder)

    async def endpoint(self, request: Request) -> Response:
        """Answer one POST."""
        return await self.handle_requests(request)

    @validate_version("1.0")
    async def _process_streaming_request(
        self, request_id: str | int | None, request_obj: Any, context: ServerCallContext
    ) -> AsyncGenerator[Any, None]:
        handler = self.request_handler
        streaming = context.state.get("method") == "SendStreamingMessage"
        events = handler.on_message_send_stream if streaming else handler.on_subscribe_to_task
        stream = events(request_obj, context)
        # The first event is awaited here, so that a refusal goes out as a plain answer instead of a stream.
        first = await anext(stream, None)

        async def written() -> AsyncGenerator[bytes, None]:
            try:
                if first is not None:
                    yield _sse(_response(request_id, event_json(first, "1.0")))
                async for event in stream:
                    yield _sse(_response(request_id, event_json(event, "1.0")))
            except A2AError as error:
                yield b"event: error\r\n" + _sse(build_error_response(request_id, error))
            except Exception:
                logger.exception("stream of request %s broke", request_id)
                error = JSONRPCInternalError(message="the stream broke; the agent's log says why")
                yield b"event: error\r\n" + _sse(build_error_response(request_id, error))

        return written()

    def _create_response(self, context: ServerCallContext, handler_result: Any) -> Response:
        if isinstance(handler_result, AsyncGenerator):
            return create_event_source_response(handler_result)
        return _json(cast("JsonObject", handler_result))

    async def _handle_send_message(self, request_obj: SendMessageRequest, context: ServerCallContext) -> JsonObject:
        result = await self.request_handler.on_message_send(request_obj, context)
        return event_json(result, "1.0")

    async def _handle_get_task(self, request_obj: Any, context: ServerCallContext) -> JsonObject:
        return _found(await self.request_handler.on_get_task(request_obj, context), "1.0")

    async def _handle_cancel_task(self, request_obj: Any, context: ServerCallContext) -> JsonObject:
        return _found(await self.request_handler.on_cancel_task(request_obj, context), "1.0")


class _Adapter03(JSONRPC03Adapter):
    """The SDK's reader of 0.3 requests with our writer."""

    def __init__(self, handler: DefaultRequestHandlerV2, context_builder: DefaultServerCallContextBuilder) -> None:
        super().__init__(handler, context_builder)
        self._core: RequestHandler = handler

    async def handle_request(self, request_id: Any, method: str, body: Any, request: Request) -> Any:
        """Answer one request of 0.3. Its parameters are looked at here first: the SDK would call them no request."""
        try:
            self.METHOD_TO_MODEL[method].model_validate(body)
        except ValidationError as error:
            wrong = "; ".join(_fault(fault) for fault in error.errors()[:_MOST_FAULTS])
            return _json({"jsonrpc": "2.0", "id": request_id, "error": {"code": _INVALID_PARAMS, "message": wrong}})
        return await super().handle_request(request_id, method, body, request)  # pyright: ignore[reportUnknownMemberType]  # a bare dict in the SDK

    @validate_version("0.3")
    async def _process_streaming_request(  # type: ignore[override]  # a Starlette response either way
        self, request_id: str | int | None, request_obj: Any, context: ServerCallContext
    ) -> Response:
        if request_obj.method == "message/stream":
            request = conversions_03.to_core_send_message_request(request_obj)
            stream = self._core.on_message_send_stream(request, context)
        else:
            request = conversions_03.to_core_subscribe_to_task_request(request_obj)
            stream = self._core.on_subscribe_to_task(request, context)
        return create_event_source_response(_stream_03(request_id, stream))

    @validate_version("0.3")
    async def _process_non_streaming_request(  # type: ignore[override]
        self, request_id: str | int | None, request_obj: Any, context: ServerCallContext
    ) -> Response:
        match request_obj.method:
            case "message/send":
                request = conversions_03.to_core_send_message_request(request_obj)
                result = result_json(await self._core.on_message_send(request, context), "0.3")
            case "tasks/get":
                wanted = conversions_03.to_core_get_task_request(request_obj)
                result = _found(await self._core.on_get_task(wanted, context), "0.3")
            case "tasks/cancel":
                unwanted = conversions_03.to_core_cancel_task_request(request_obj)
                result = _found(await self._core.on_cancel_task(unwanted, context), "0.3")
            case _:
                return await super()._process_non_streaming_request(request_id, request_obj, context)
        return _json(_response(request_id, result))


async def _stream_03(request_id: str | int | None, stream: AsyncIterator[Event]) -> AsyncGenerator[bytes, None]:
    """Write a 0.3 stream; refusals come inside it, as 0.3 clients expect them."""
    try:
        async for event in stream:
            yield _sse(_response(request_id, event_json(event, "0.3")))
    except A2AError as error:
        body = to_03_error(error).model_dump(by_alias=True, exclude_none=True)
        yield _sse({"jsonrpc": "2.0", "id": request_id, "error": body})
    except Exception:
        logger.exception("stream of request %s broke", request_id)
        body = {"code": -32603, "message": "the stream broke; the agent's log says why"}
        yield _sse({"jsonrpc": "2.0", "id": request_id, "error": body})


def _fault(fault: Any) -> str:
    return f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}"


def _found(task: Any, dialect: Dialect) -> JsonObject:
    return result_json(task, dialect)


def _response(request_id: str | int | None, result: object) -> JsonObject:
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def _sse(message: object) -> bytes:
    return b"data: " + orjson.dumps(message) + b"\r\n\r\n"


def _json(body: JsonObject) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
