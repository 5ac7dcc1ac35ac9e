"""A2A objects as JSON of either dialect, written directly from the SDK's messages.

The SDK's own way takes two conversions for 0.3, turns every number into a float and leaves out ``final`` where a turn
waits for a person; upstream's clients rely on the last two. Whole numbers come out whole. Never decides what is sent.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from kagent_engine.protobuf import plain, struct_json
from kagent_engine.server.sdk import (
    Artifact,
    Event,
    Message,
    Part,
    Role,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
    to_core_task,
    types_v03,
)
from kagent_engine.shapes import JsonObject

__all__ = ["INTERRUPTED", "TERMINAL", "Dialect", "event_json", "result_json", "task_from_03"]

Dialect = Literal["0.3", "1.0"]

TERMINAL: Final = frozenset(
    {
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_CANCELED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_REJECTED,
    }
)
INTERRUPTED: Final = frozenset({TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED})

_STATES_03: Final[Mapping[int, str]] = {
    TaskState.TASK_STATE_UNSPECIFIED: "unknown",
    TaskState.TASK_STATE_SUBMITTED: "submitted",
    TaskState.TASK_STATE_WORKING: "working",
    TaskState.TASK_STATE_COMPLETED: "completed",
    TaskState.TASK_STATE_FAILED: "failed",
    TaskState.TASK_STATE_CANCELED: "canceled",
    TaskState.TASK_STATE_INPUT_REQUIRED: "input-required",
    TaskState.TASK_STATE_REJECTED: "rejected",
    TaskState.TASK_STATE_AUTH_REQUIRED: "auth-required",
}


def event_json(event: Event, dialect: Dialect) -> JsonObject:
    """Return the ``result`` of one event of a stream."""
    if dialect == "0.3":
        return _event_03(event)
    if isinstance(event, Task):
        return {"task": _task_10(event)}
    if isinstance(event, Message):
        return {"message": _message(event, "1.0")}
    if isinstance(event, TaskStatusUpdateEvent):
        made: JsonObject = {
            "taskId": event.task_id,
            "contextId": event.context_id,
            "status": _status(event.status, "1.0"),
        }
        return {"statusUpdate": _with_metadata(made, event)}
    made = {"taskId": event.task_id, "contextId": event.context_id, "artifact": _artifact(event.artifact, "1.0")}
    if event.append:
        made["append"] = True
    if event.last_chunk:
        made["lastChunk"] = True
    return {"artifactUpdate": _with_metadata(made, event)}


def result_json(result: Task | Message, dialect: Dialect) -> JsonObject:
    """Return a task or message as it stands in an answer that is no stream."""
    if isinstance(result, Task):
        return _task_03(result) if dialect == "0.3" else _task_10(result)
    return _message(result, dialect)


def task_from_03(stored: JsonObject) -> Task:
    """Read a stored task back.

    Raises:
        ValueError: it is no A2A 0.3 task.
    """
    return to_core_task(types_v03.Task.model_validate(stored))


def _event_03(event: Event) -> JsonObject:
    if isinstance(event, Task):
        return _task_03(event)
    if isinstance(event, Message):
        return _message(event, "0.3")
    made: JsonObject = {"taskId": event.task_id, "contextId": event.context_id}
    if isinstance(event, TaskStatusUpdateEvent):
        final = event.status.state in TERMINAL or event.status.state in INTERRUPTED
        made |= {"kind": "status-update", "status": _status(event.status, "0.3"), "final": final}
        return _with_metadata(made, event)
    made |= {"kind": "artifact-update", "artifact": _artifact(event.artifact, "0.3")}
    if event.append:
        made["append"] = True
    if event.last_chunk:
        made["lastChunk"] = True
    return _with_metadata(made, event)


def _task_03(task: Task) -> JsonObject:
    made: JsonObject = {
        "kind": "task",
        "id": task.id,
        "contextId": task.context_id,
        "status": _status(task.status, "0.3"),
    }
    if task.artifacts:
        made["artifacts"] = [_artifact(artifact, "0.3") for artifact in task.artifacts]
    if task.history:
        made["history"] = [_message(message, "0.3") for message in task.history]
    return _with_metadata(made, task)


def _task_10(task: Task) -> JsonObject:
    made: JsonObject = {"id": task.id, "contextId": task.context_id, "status": _status(task.status, "1.0")}
    if task.artifacts:
        made["artifacts"] = [_artifact(artifact, "1.0") for artifact in task.artifacts]
    if task.history:
        made["history"] = [_message(message, "1.0") for message in task.history]
    return _with_metadata(made, task)


def _status(status: TaskStatus, dialect: Dialect) -> JsonObject:
    state = _STATES_03[status.state] if dialect == "0.3" else TaskState.Name(status.state)
    made: JsonObject = {"state": state}
    if status.HasField("message"):
        made["message"] = _message(status.message, dialect)
    if status.HasField("timestamp"):
        made["timestamp"] = status.timestamp.ToJsonString()
    return made


def _message(message: Message, dialect: Dialect) -> JsonObject:
    made: JsonObject = {"messageId": message.message_id}
    if dialect == "0.3":
        made |= {"kind": "message", "role": "user" if message.role == Role.ROLE_USER else "agent"}
    else:
        made["role"] = Role.Name(message.role)
    if message.context_id:
        made["contextId"] = message.context_id
    if message.task_id:
        made["taskId"] = message.task_id
    made["parts"] = _parts(message.parts, dialect)
    if message.extensions:
        made["extensions"] = list(message.extensions)
    if message.reference_task_ids:
        made["referenceTaskIds"] = list(message.reference_task_ids)
    return _with_metadata(made, message)


def _artifact(artifact: Artifact, dialect: Dialect) -> JsonObject:
    made: JsonObject = {"artifactId": artifact.artifact_id, "parts": _parts(artifact.parts, dialect)}
    if artifact.name:
        made["name"] = artifact.name
    if artifact.description:
        made["description"] = artifact.description
    if artifact.extensions:
        made["extensions"] = list(artifact.extensions)
    return _with_metadata(made, artifact)


def _parts(parts: Sequence[Part], dialect: Dialect) -> list[JsonObject]:
    write = _part_03 if dialect == "0.3" else _part_10
    return [_with_metadata(write(part), part) for part in parts]


def _part_10(part: Part) -> JsonObject:
    made: JsonObject
    match part.WhichOneof("content"):
        case "text":
            made = {"text": part.text}
        case "data":
            made = {"data": plain(part.data)}
        case "raw":
            made = {"raw": base64.b64encode(part.raw).decode("ascii")}
        case _:
            made = {"url": part.url}
    if part.filename:
        made["filename"] = part.filename
    if part.media_type:
        made["mediaType"] = part.media_type
    return made


def _part_03(part: Part) -> JsonObject:
    match part.WhichOneof("content"):
        case "text":
            return {"kind": "text", "text": part.text}
        case "data":
            data = plain(part.data)
            if isinstance(data, dict):
                return {"kind": "data", "data": data}
            # The SDK's own mark for data that 0.3, which knows objects only, cannot say otherwise.
            return {"kind": "data", "data": {"value": data}, "metadata": {"data_part_compat": True}}
        case "raw":
            file: JsonObject = {"bytes": base64.b64encode(part.raw).decode("ascii")}
        case _:
            file = {"uri": part.url}
    if part.media_type:
        file["mimeType"] = part.media_type
    if part.filename:
        file["name"] = part.filename
    return {"kind": "file", "file": file}


def _with_metadata(
    made: JsonObject, source: Task | Message | Part | Artifact | TaskStatusUpdateEvent | TaskArtifactUpdateEvent
) -> JsonObject:
    if source.HasField("metadata"):
        made["metadata"] = struct_json(source.metadata) | made.get("metadata", {})
    return made
