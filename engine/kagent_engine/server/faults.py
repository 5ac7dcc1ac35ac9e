"""What a caller did wrong, with the code and the reason that the A2A specification gives it, in either dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from kagent_engine.errors import KagentError
from kagent_engine.server.codec import Dialect
from kagent_engine.shapes import JsonObject

__all__ = ["Fault", "RpcError", "error_json"]


class Fault(NamedTuple):
    """A kind of error: JSON-RPC code, the 1.0 reason, and its words where nothing better is known."""

    code: int
    reason: str
    text: str


PARSE: Final = Fault(-32700, "JSON_PARSE", "Invalid JSON payload")
REQUEST: Final = Fault(-32600, "INVALID_REQUEST", "Invalid request")
METHOD: Final = Fault(-32601, "METHOD_NOT_FOUND", "Method not found")
PARAMS: Final = Fault(-32602, "INVALID_PARAMS", "Invalid parameters")
INTERNAL: Final = Fault(-32603, "INTERNAL_ERROR", "Internal error")
NO_TASK: Final = Fault(-32001, "TASK_NOT_FOUND", "Task not found")
NOT_CANCELABLE: Final = Fault(-32002, "TASK_NOT_CANCELABLE", "Task cannot be canceled")
UNSUPPORTED: Final = Fault(-32004, "UNSUPPORTED_OPERATION", "This operation is not supported")
VERSION: Final = Fault(-32009, "VERSION_NOT_SUPPORTED", "Version not supported")

_DETAIL: Final = "type.googleapis.com/google.rpc."
# The codes that the 0.3 specification knows; its clients take others for nothing they can name.
_NEW_IN_10: Final = frozenset({VERSION.code})


class RpcError(KagentError):
    """A request that is refused. ``fields`` are (path, what is wrong) of parameters."""

    def __init__(self, fault: Fault, message: str = "", *, fields: Sequence[tuple[str, str]] = ()) -> None:
        self.fault = fault
        self.fields = tuple(fields)
        super().__init__(message or "; ".join(f"{path}: {wrong}" for path, wrong in fields) or fault.text)


def error_json(error: RpcError, dialect: Dialect) -> JsonObject:
    """Return the ``error`` of an answer."""
    code, message = error.fault.code, str(error)
    if dialect == "0.3":
        return {"code": INTERNAL.code if code in _NEW_IN_10 else code, "message": message}
    if code in {PARSE.code, REQUEST.code, METHOD.code}:
        return {"code": code, "message": message}
    info: JsonObject = {"@type": f"{_DETAIL}ErrorInfo", "reason": error.fault.reason, "domain": "a2a-protocol.org"}
    details: list[JsonObject] = [info | {"metadata": {}}]
    if error.fields:
        broken = [{"field": path, "description": wrong} for path, wrong in error.fields]
        details.append({"@type": f"{_DETAIL}BadRequest", "fieldViolations": broken})
    return {"code": code, "message": message, "data": details}
