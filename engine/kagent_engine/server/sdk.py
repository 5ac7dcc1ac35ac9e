"""The one door through which a2a-sdk's server enters: what the rest of this package needs of it, and no more.

Imported before anything else of the SDK, with the packages it does not need kept out (imports.py).
"""

from __future__ import annotations

from google.protobuf.json_format import ParseDict

from kagent_engine.imports import kept_out, untrace_a2a
from kagent_engine.shapes import JsonObject

untrace_a2a()

with kept_out():
    # First: the SDK's 0.3 adapter and its dispatcher import each other, and only this order works.
    import a2a.server.routes.jsonrpc_dispatcher  # noqa: F401  # pyright: ignore[reportUnusedImport]  # isort: split
    from a2a.auth.user import User
    from a2a.compat.v0_3 import conversions as conversions_03
    from a2a.compat.v0_3 import types as types_v03
    from a2a.compat.v0_3.conversions import to_core_task
    from a2a.compat.v0_3.jsonrpc_adapter import (
        JSONRPC03Adapter,
        _to_v03_jsonrpc_error,  # pyright: ignore[reportPrivateUsage]  # the codes 0.3 clients know
    )
    from a2a.helpers.proto_helpers import new_task_from_user_message
    from a2a.server.agent_execution import AgentExecutor, RequestContext
    from a2a.server.context import ServerCallContext
    from a2a.server.events import Event, EventQueue
    from a2a.server.jsonrpc_models import InternalError as JSONRPCInternalError
    from a2a.server.request_handlers.default_request_handler_v2 import DefaultRequestHandlerV2
    from a2a.server.request_handlers.request_handler import RequestHandler
    from a2a.server.request_handlers.response_helpers import build_error_response
    from a2a.server.routes.common import DefaultServerCallContextBuilder, create_event_source_response
    from a2a.server.routes.jsonrpc_dispatcher import JsonRpcDispatcher
    from a2a.server.tasks import TaskStore
    from a2a.types.a2a_pb2 import (
        AgentCard,
        Artifact,
        ListTasksRequest,
        ListTasksResponse,
        Message,
        Part,
        Role,
        SendMessageRequest,
        Task,
        TaskArtifactUpdateEvent,
        TaskState,
        TaskStatus,
        TaskStatusUpdateEvent,
    )
    from a2a.utils.errors import A2AError, InvalidParamsError, TaskNotFoundError, UnsupportedOperationError
    from a2a.utils.version_validator import validate_version


def sdk_card(card: JsonObject) -> AgentCard:
    """Return a card as the SDK's handler wants it; the fields of 0.3, which 1.0 does not know, are left out."""
    return ParseDict(card, AgentCard(), ignore_unknown_fields=True)


to_03_error = _to_v03_jsonrpc_error

__all__ = [
    "A2AError",
    "AgentCard",
    "AgentExecutor",
    "Artifact",
    "DefaultRequestHandlerV2",
    "DefaultServerCallContextBuilder",
    "Event",
    "EventQueue",
    "InvalidParamsError",
    "JSONRPC03Adapter",
    "JSONRPCInternalError",
    "JsonRpcDispatcher",
    "ListTasksRequest",
    "ListTasksResponse",
    "Message",
    "Part",
    "RequestContext",
    "RequestHandler",
    "Role",
    "SendMessageRequest",
    "ServerCallContext",
    "Task",
    "TaskArtifactUpdateEvent",
    "TaskNotFoundError",
    "TaskState",
    "TaskStatus",
    "TaskStatusUpdateEvent",
    "TaskStore",
    "UnsupportedOperationError",
    "User",
    "build_error_response",
    "conversions_03",
    "create_event_source_response",
    "new_task_from_user_message",
    "sdk_card",
    "to_03_error",
    "to_core_task",
    "types_v03",
    "validate_version",
]
