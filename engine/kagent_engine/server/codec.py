"""A2A objects as JSON. Inside this server they are what 1.0 says; here they are written and read as 0.3.

The SDK's way between the dialects takes two conversions through protobuf, turns every number into a float and leaves
out ``final`` where a turn waits for a person; upstream's clients rely on the last two. Never decides what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = [
    "CANCELED",
    "COMPLETED",
    "FAILED",
    "INPUT_REQUIRED",
    "INTERRUPTED",
    "STATES",
    "SUBMITTED",
    "TERMINAL",
    "WORKING",
    "Dialect",
    "event_03",
    "message_10",
    "part_10",
    "task_03",
    "task_10",
]

Dialect = Literal["0.3", "1.0"]

SUBMITTED: Final = "TASK_STATE_SUBMITTED"
WORKING: Final = "TASK_STATE_WORKING"
COMPLETED: Final = "TASK_STATE_COMPLETED"
FAILED: Final = "TASK_STATE_FAILED"
CANCELED: Final = "TASK_STATE_CANCELED"
INPUT_REQUIRED: Final = "TASK_STATE_INPUT_REQUIRED"
_REJECTED: Final = "TASK_STATE_REJECTED"
_AUTH_REQUIRED: Final = "TASK_STATE_AUTH_REQUIRED"
TERMINAL: Final = frozenset({COMPLETED, FAILED, CANCELED, _REJECTED})
INTERRUPTED: Final = frozenset({INPUT_REQUIRED, _AUTH_REQUIRED})

_STATES_03: Final[Mapping[str, str]] = {
    SUBMITTED: "submitted",
    WORKING: "working",
    COMPLETED: "completed",
    FAILED: "failed",
    CANCELED: "canceled",
    INPUT_REQUIRED: "input-required",
    _REJECTED: "rejected",
    _AUTH_REQUIRED: "auth-required",
}
_STATES_10: Final = {old: new for new, old in _STATES_03.items()}
# In the order of protobuf's numbers, which 1.0 callers may send instead of names.
STATES: Final = (
    "TASK_STATE_UNSPECIFIED", SUBMITTED, WORKING, COMPLETED, FAILED, CANCELED, INPUT_REQUIRED, _REJECTED,
    _AUTH_REQUIRED,
)  # fmt: skip
# Fields that both dialects spell alike and whose values are the same in both.
_MESSAGE: Final = ("messageId", "contextId", "taskId", "extensions", "referenceTaskIds", "metadata")
_ARTIFACT: Final = ("artifactId", "name", "description", "extensions", "metadata")
# The SDK's own mark for data that 0.3, which knows objects only, cannot say otherwise.
_BARE_DATA: Final = "data_part_compat"


def event_03(event: JsonObject) -> JsonObject:
    """Return one event of a 1.0 stream as the ``result`` of a 0.3 stream."""
    if update := event.get("statusUpdate"):
        state = update["status"]["state"]
        made: JsonObject = {"kind": "status-update", "taskId": update["taskId"], "contextId": update["contextId"]}
        made |= {"status": _status_03(update["status"]), "final": state in TERMINAL or state in INTERRUPTED}
    elif update := event.get("artifactUpdate"):
        made = {"kind": "artifact-update", "taskId": update["taskId"], "contextId": update["contextId"]}
        made["artifact"] = _artifact_03(update["artifact"])
        for key in ("append", "lastChunk"):
            if key in update:
                made[key] = update[key]
    else:
        return task_03(event["task"])
    if "metadata" in update:
        made["metadata"] = update["metadata"]
    return made


def task_03(task: JsonObject) -> JsonObject:
    """Return a task as 0.3 says it."""
    made: JsonObject = {"kind": "task", "id": task["id"], "contextId": task["contextId"]}
    made["status"] = _status_03(task["status"])
    if artifacts := task.get("artifacts"):
        made["artifacts"] = [_artifact_03(artifact) for artifact in artifacts]
    if history := task.get("history"):
        made["history"] = [_message_03(message) for message in history]
    if "metadata" in task:
        made["metadata"] = task["metadata"]
    return made


def task_10(stored: JsonObject) -> JsonObject:
    """Read a 0.3 task, such as an archive holds; what is no task comes out with an unspecified state."""
    status = as_object(stored.get("status"))
    made_status: JsonObject = {"state": _STATES_10.get(as_text(status.get("state")), STATES[0])}
    if message := as_object(status.get("message")):
        made_status["message"] = message_10(message)
    if timestamp := as_text(status.get("timestamp")):
        made_status["timestamp"] = timestamp
    made: JsonObject = {"id": as_text(stored.get("id")), "contextId": as_text(stored.get("contextId"))}
    made["status"] = made_status
    made["artifacts"] = [_artifact_10(artifact) for artifact in as_objects(stored.get("artifacts"))]
    made["history"] = [message_10(message) for message in as_objects(stored.get("history"))]
    if metadata := as_object(stored.get("metadata")):
        made["metadata"] = metadata
    return made


def message_10(message: JsonObject) -> JsonObject:
    """Read a 0.3 message."""
    made = {key: message[key] for key in _MESSAGE if message.get(key)}
    made["role"] = "ROLE_USER" if message.get("role") == "user" else "ROLE_AGENT"
    made["parts"] = [part_10(part) for part in as_objects(message.get("parts"))]
    return made


def part_10(part: JsonObject) -> JsonObject:
    """Read a 0.3 part."""
    made: JsonObject
    metadata = as_object(part.get("metadata"))
    if "text" in part:
        made = {"text": part["text"]}
    elif "data" in part:
        bare = metadata.get(_BARE_DATA) is True
        made = {"data": as_object(part["data"]).get("value") if bare else part["data"]}
        metadata = {key: item for key, item in metadata.items() if key != _BARE_DATA}
    else:
        file = as_object(part.get("file"))
        made = {"raw": file["bytes"]} if "bytes" in file else {"url": file.get("uri", "")}
        for ours, theirs in (("mediaType", "mimeType"), ("filename", "name")):
            if file.get(theirs):
                made[ours] = file[theirs]
    return made | ({"metadata": metadata} if metadata else {})


def _status_03(status: JsonObject) -> JsonObject:
    made: JsonObject = {"state": _STATES_03.get(status["state"], "unknown")}
    if "message" in status:
        made["message"] = _message_03(status["message"])
    if "timestamp" in status:
        made["timestamp"] = status["timestamp"]
    return made


def _message_03(message: JsonObject) -> JsonObject:
    made: JsonObject = {"kind": "message", "role": "user" if message.get("role") == "ROLE_USER" else "agent"}
    for key in _MESSAGE:
        if key in message:
            made[key] = message[key]
    made["parts"] = [_part_03(part) for part in message["parts"]]
    return made


def _artifact_03(artifact: JsonObject) -> JsonObject:
    made = {key: artifact[key] for key in _ARTIFACT if key in artifact}
    made["parts"] = [_part_03(part) for part in artifact["parts"]]
    return made


def _artifact_10(artifact: JsonObject) -> JsonObject:
    made = {key: artifact[key] for key in _ARTIFACT if artifact.get(key)}
    made["parts"] = [part_10(part) for part in as_objects(artifact.get("parts"))]
    return made


def _part_03(part: JsonObject) -> JsonObject:
    made: JsonObject
    if "text" in part:
        made = {"kind": "text", "text": part["text"]}
    elif "data" in part:
        data = part["data"]
        made = {"kind": "data", "data": data if isinstance(data, dict) else {"value": data}}
        if not isinstance(data, dict):
            return made | {"metadata": as_object(part.get("metadata")) | {_BARE_DATA: True}}
    else:
        file: JsonObject = {"bytes": part["raw"]} if "raw" in part else {"uri": part.get("url", "")}
        if "mediaType" in part:
            file["mimeType"] = part["mediaType"]
        if "filename" in part:
            file["name"] = part["filename"]
        made = {"kind": "file", "file": file}
    if "metadata" in part:
        made["metadata"] = part["metadata"]
    return made
