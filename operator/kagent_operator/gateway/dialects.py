"""A2A 0.3 and 1.0 as JSON, one turned into the other.

Pure functions on plain objects: no SDK types, so numbers, key order and unknown metadata survive. A conversion never
changes its input, and what already is in the wanted dialect is returned as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, cast

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.push import push_config_to

__all__ = [
    "METHODS", "Dialect", "dialect_of_task", "event_to", "legacy_state", "message_to", "result_to", "send_params_to",
    "task_to", "wire_state",
]  # fmt: skip

Dialect = Literal["0.3", "1.0"]

# Method names of the two dialects that mean the same (the 0.3 name first); tasks/list is kagent's own extension.
METHODS: Final = (
    ("message/send", "SendMessage"),
    ("message/stream", "SendStreamingMessage"),
    ("tasks/get", "GetTask"),
    ("tasks/list", "ListTasks"),
    ("tasks/cancel", "CancelTask"),
    ("tasks/resubscribe", "SubscribeToTask"),
    ("tasks/pushNotificationConfig/set", "CreateTaskPushNotificationConfig"),
    ("tasks/pushNotificationConfig/get", "GetTaskPushNotificationConfig"),
    ("tasks/pushNotificationConfig/list", "ListTaskPushNotificationConfigs"),
    ("tasks/pushNotificationConfig/delete", "DeleteTaskPushNotificationConfig"),
    ("agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard"),
)

_STATES = (
    "submitted", "working", "input-required", "completed", "canceled", "failed", "rejected", "auth-required",
)  # fmt: skip
_STATE_PREFIX = "TASK_STATE_"
# The stream ends with these; 0.3 says so in each status event.
_FINAL = frozenset({"completed", "canceled", "failed", "rejected", "input-required", "auth-required"})
_EVENTS = {"task": "task", "message": "message", "statusUpdate": "status-update", "artifactUpdate": "artifact-update"}
# Marks a 0.3 data part that wraps something other than an object (a2a-sdk's convention).
_WRAPPED = "data_part_compat"


def legacy_state(state: str) -> str:
    """Return a state as 0.3 writes it, from either dialect."""
    if state.startswith(_STATE_PREFIX):
        state = state.removeprefix(_STATE_PREFIX).lower().replace("_", "-")
    return state if state in _STATES else "unknown"


def wire_state(state: str) -> str:
    """Return a state as 1.0 writes it, from either dialect."""
    legacy = legacy_state(state)
    return f"{_STATE_PREFIX}UNSPECIFIED" if legacy == "unknown" else _STATE_PREFIX + legacy.upper().replace("-", "_")


def dialect_of_task(task: JsonObject) -> Dialect:
    """Tell the dialect of a task by its shape."""
    status = _object(task.get("status"))
    return "1.0" if str(status.get("state", "")).startswith(_STATE_PREFIX) and "kind" not in task else "0.3"


def task_to(dialect: Dialect, task: JsonObject) -> JsonObject:
    """Return a task in a dialect."""
    if dialect_of_task(task) == dialect:
        return task
    written = _without_kind(task)
    written["status"] = _status_to(dialect, _object(task.get("status")))
    for key, convert in (("history", message_to), ("artifacts", _artifact_to)):
        if isinstance(task.get(key), list):
            written[key] = [convert(dialect, item) for item in _objects(task[key])]
    return _with_kind(dialect, written, "task")


def message_to(dialect: Dialect, message: JsonObject) -> JsonObject:
    """Return a message in a dialect."""
    written = _without_kind(message)
    user = str(message.get("role", "")).removeprefix("ROLE_").lower() == "user"
    if dialect == "0.3":
        written["role"] = "user" if user else "agent"
    else:
        written["role"] = "ROLE_USER" if user else "ROLE_AGENT"
    written["parts"] = [_part_to(dialect, part) for part in _objects(message.get("parts"))]
    return _with_kind(dialect, written, "message")


def event_to(dialect: Dialect, result: JsonObject) -> JsonObject:
    """Return one streamed result (task, message, status or artifact update) in a dialect."""
    if dialect == "1.0":
        kind = result.get("kind") or ("message" if "messageId" in result else "task")
        name = next((new for new, old in _EVENTS.items() if old == kind), "")
        return {name: _body_to(dialect, name, result)} if name else result
    for name, body in result.items():
        if name in _EVENTS:
            return _body_to(dialect, name, _object(body))
    return result


def result_to(dialect: Dialect, legacy_method: str, result: Any) -> Any:
    """Return the result of a call in a dialect; results of no known shape stay as they are."""
    if not isinstance(result, dict):
        return result
    plain = cast("JsonObject", result)
    if legacy_method in ("message/send", "message/stream", "tasks/resubscribe"):
        return event_to(dialect, plain)
    if legacy_method in ("tasks/get", "tasks/cancel"):
        return task_to(dialect, plain)
    return plain


def send_params_to(dialect: Dialect, params: JsonObject) -> JsonObject:
    """Return the parameters of a send call in a dialect."""
    written = dict(params)
    if isinstance(params.get("message"), dict):
        written["message"] = message_to(dialect, params["message"])
    if isinstance(params.get("configuration"), dict):
        configuration = dict(_object(params["configuration"]))
        for name in ("pushNotificationConfig", "taskPushNotificationConfig"):
            if isinstance(configuration.get(name), dict):
                configuration[name] = push_config_to(dialect, configuration[name])
        if dialect == "0.3":
            configuration["blocking"] = not configuration.pop("returnImmediately", False)
            _rename(configuration, "taskPushNotificationConfig", "pushNotificationConfig")
        else:
            if "blocking" in configuration:
                configuration["returnImmediately"] = not configuration.pop("blocking")
            _rename(configuration, "pushNotificationConfig", "taskPushNotificationConfig")
        written["configuration"] = configuration
    return written


def _body_to(dialect: Dialect, name: str, body: JsonObject) -> JsonObject:
    if name == "task":
        return task_to(dialect, body)
    if name == "message":
        return message_to(dialect, body)
    written = _without_kind(body)
    if name == "artifactUpdate":
        written["artifact"] = _artifact_to(dialect, _object(body.get("artifact")))
        return _with_kind(dialect, written, "artifact-update")
    status = _status_to(dialect, _object(body.get("status")))
    written["status"] = status
    written.pop("final", None)
    if dialect == "0.3":
        written["final"] = status["state"] in _FINAL
    return _with_kind(dialect, written, "status-update")


def _status_to(dialect: Dialect, status: JsonObject) -> JsonObject:
    written = dict(status)
    state = str(status.get("state", ""))
    written["state"] = legacy_state(state) if dialect == "0.3" else wire_state(state)
    if isinstance(status.get("message"), dict):
        written["message"] = message_to(dialect, status["message"])
    if dialect == "1.0" and isinstance(status.get("timestamp"), str):
        written["timestamp"] = status["timestamp"].replace("+00:00", "Z")
    return written


def _artifact_to(dialect: Dialect, artifact: JsonObject) -> JsonObject:
    return artifact | {"parts": [_part_to(dialect, part) for part in _objects(artifact.get("parts"))]}


def _part_to(dialect: Dialect, part: JsonObject) -> JsonObject:
    convert: Callable[[JsonObject], JsonObject] = _part_to_legacy if dialect == "0.3" else _part_to_current
    return convert(part)


def _part_to_legacy(part: JsonObject) -> JsonObject:
    if "kind" in part:
        return part
    metadata = dict(_object(part.get("metadata")))
    if "data" in part:
        data = part["data"]
        if not isinstance(data, dict):
            data, metadata = {"value": data}, metadata | {_WRAPPED: True}
        written: JsonObject = {"kind": "data", "data": data}
    elif "raw" in part or "url" in part:
        file: JsonObject = {"bytes": part["raw"]} if "raw" in part else {"uri": part["url"]}
        for old, new in (("mimeType", "mediaType"), ("name", "filename")):
            if part.get(new):
                file[old] = part[new]
        written = {"kind": "file", "file": file}
    else:
        written = {"kind": "text", "text": part.get("text", "")}
    return written | ({"metadata": metadata} if metadata else {})


def _part_to_current(part: JsonObject) -> JsonObject:
    kind = part.get("kind")
    metadata = dict(_object(part.get("metadata")))
    if kind == "data":
        data = part.get("data")
        if metadata.pop(_WRAPPED, False):
            data = _object(data).get("value")
        written: JsonObject = {"data": data}
    elif kind == "file":
        file = _object(part.get("file"))
        written = {"raw": file["bytes"]} if "bytes" in file else {"url": file.get("uri", "")}
        for old, new in (("mimeType", "mediaType"), ("name", "filename")):
            if file.get(old):
                written[new] = file[old]
    elif kind == "text":
        written = {"text": part.get("text", "")}
    else:
        return part
    return written | ({"metadata": metadata} if metadata else {})


def _without_kind(obj: JsonObject) -> JsonObject:
    return {key: value for key, value in obj.items() if key != "kind" and value is not None}


def _with_kind(dialect: Dialect, obj: JsonObject, kind: str) -> JsonObject:
    return obj | {"kind": kind} if dialect == "0.3" else obj


def _rename(obj: JsonObject, old: str, new: str) -> None:
    if old in obj:
        obj[new] = obj.pop(old)


def _object(value: Any) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def _objects(value: Any) -> list[JsonObject]:
    return [_object(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []
