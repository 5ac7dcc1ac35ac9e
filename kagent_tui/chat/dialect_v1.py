"""A2A 1.0 over JSON-RPC: protobuf's JSON mapping, one of four fields names the payload. Pure, and it never raises."""

from __future__ import annotations

from typing import Final, Literal

from kagent_tui.chat.events import TurnState
from kagent_tui.chat.jsonvalue import JsonObject, integral, object_of, objects_in, text_of
from kagent_tui.chat.wire import (
    Artifact,
    ArtifactUpdate,
    Message,
    Outgoing,
    Part,
    StatusUpdate,
    TaskSnapshot,
    WireUpdate,
)

__all__ = ["V1", "DialectV1"]

_STATES: Final = {
    "TASK_STATE_SUBMITTED": TurnState.SUBMITTED,
    "TASK_STATE_WORKING": TurnState.WORKING,
    "TASK_STATE_INPUT_REQUIRED": TurnState.INPUT_REQUIRED,
    "TASK_STATE_AUTH_REQUIRED": TurnState.AUTH_REQUIRED,
    "TASK_STATE_COMPLETED": TurnState.COMPLETED,
    "TASK_STATE_FAILED": TurnState.FAILED,
    "TASK_STATE_CANCELED": TurnState.CANCELED,
    "TASK_STATE_REJECTED": TurnState.REJECTED,
}


class DialectV1:
    """A2A 1.0. Without its version header a server reads a request as 0.3 and refuses it (-32009)."""

    version = "1.0"
    get_task = "GetTask"
    cancel_task = "CancelTask"
    subscribe = "SubscribeToTask"

    def send(self, message: Outgoing, *, streaming: bool) -> tuple[str, JsonObject]:
        """Return SendStreamingMessage or SendMessage with its params."""
        body: JsonObject = {
            "messageId": message.message_id,
            "contextId": message.context_id,
            "role": "ROLE_USER",
            "parts": [_encode_part(part) for part in message.parts],
        }
        if message.task_id:
            body["taskId"] = message.task_id
        if message.metadata:
            body["metadata"] = message.metadata
        if message.extensions:
            body["extensions"] = list(message.extensions)
        return "SendStreamingMessage" if streaming else "SendMessage", {"message": body}

    def headers(self, extensions: tuple[str, ...]) -> dict[str, str]:
        """Return the version header and the extensions the client understands."""
        return {"A2A-Version": "1.0", **({"A2A-Extensions": ", ".join(extensions)} if extensions else {})}

    def decode(self, result: JsonObject) -> WireUpdate | None:
        """Return the update in one StreamResponse, SendMessageResponse or Task."""
        if "statusUpdate" in result:
            return _status(object_of(result["statusUpdate"]))
        if "artifactUpdate" in result:
            return _artifact_update(object_of(result["artifactUpdate"]))
        if "task" in result:
            return _task(object_of(result["task"]))
        if "message" in result:
            return _message(object_of(result["message"]))
        if "id" in result and "status" in result and "kind" not in result:
            return _task(result)
        return None


V1: Final = DialectV1()


def _encode_part(part: Part) -> JsonObject:
    match part.kind:
        case "data":
            body: JsonObject = {"data": part.data}
        case "file":
            body = {"raw": part.raw, "filename": part.text, "mediaType": part.data}
        case "text":
            body = {"text": part.text}
    return {**body, "metadata": part.metadata} if part.metadata else body


def _parts(value: object) -> tuple[Part, ...]:
    return tuple(_part(item) for item in objects_in(value))


def _part(item: JsonObject) -> Part:
    metadata = object_of(item.get("metadata"))
    if "text" in item:
        return Part("text", text=text_of(item["text"]), metadata=metadata)
    if "data" in item:
        return Part("data", data=integral(item["data"]), metadata=metadata)
    name = text_of(item.get("filename")) or text_of(item.get("url")) or "file"
    return Part("file", text=name, data=text_of(item.get("mediaType")), metadata=metadata)


def _message(item: JsonObject) -> Message:
    role: Literal["user", "agent"] = "user" if item.get("role") == "ROLE_USER" else "agent"
    return Message(
        message_id=text_of(item.get("messageId")),
        role=role,
        parts=_parts(item.get("parts")),
        metadata=integral(object_of(item.get("metadata"))),
        task_id=text_of(item.get("taskId")),
        context_id=text_of(item.get("contextId")),
    )


def _artifact(item: JsonObject) -> Artifact:
    return Artifact(
        artifact_id=text_of(item.get("artifactId")),
        parts=_parts(item.get("parts")),
        metadata=integral(object_of(item.get("metadata"))),
    )


def _status(item: JsonObject, *, task_key: str = "taskId") -> StatusUpdate:
    status = object_of(item.get("status"))
    message = object_of(status.get("message"))
    return StatusUpdate(
        task_id=text_of(item.get(task_key)),
        context_id=text_of(item.get("contextId")),
        state=_STATES.get(text_of(status.get("state")), TurnState.UNKNOWN),
        message=_message(message) if message else None,
        metadata=integral(object_of(item.get("metadata"))),
        time=text_of(status.get("timestamp")),
    )


def _artifact_update(item: JsonObject) -> ArtifactUpdate:
    return ArtifactUpdate(
        task_id=text_of(item.get("taskId")),
        context_id=text_of(item.get("contextId")),
        artifact=_artifact(object_of(item.get("artifact"))),
        append=item.get("append") is True,
        last_chunk=item.get("lastChunk") is True,
        metadata=integral(object_of(item.get("metadata"))),
    )


def _task(item: JsonObject) -> TaskSnapshot:
    return TaskSnapshot(
        status=_status(item, task_key="id"),
        artifacts=tuple(_artifact(artifact) for artifact in objects_in(item.get("artifacts"))),
        history=tuple(_message(message) for message in objects_in(item.get("history"))),
    )
