"""A2A 0.3 over JSON-RPC: every object names itself in ``kind``. Released kagent agents speak it. Never raises."""

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

__all__ = ["V03", "DialectV03"]

_STATES: Final = {state.value: state for state in TurnState}


class DialectV03:
    """A2A 0.3. The method names are its own; extensions travel in ``X-A2A-Extensions``."""

    version = "0.3"
    get_task = "tasks/get"
    cancel_task = "tasks/cancel"
    subscribe = "tasks/resubscribe"

    def send(self, message: Outgoing, *, streaming: bool) -> tuple[str, JsonObject]:
        """Return message/stream or message/send with its params."""
        body: JsonObject = {
            "kind": "message",
            "messageId": message.message_id,
            "contextId": message.context_id,
            "role": "user",
            "parts": [_encode_part(part) for part in message.parts],
        }
        if message.task_id:
            body["taskId"] = message.task_id
        if message.metadata:
            body["metadata"] = message.metadata
        if message.extensions:
            body["extensions"] = list(message.extensions)
        return "message/stream" if streaming else "message/send", {"message": body}

    def headers(self, extensions: tuple[str, ...]) -> dict[str, str]:
        """Return the version header (kagent's controller chooses by it) and the extensions."""
        return {"A2A-Version": "0.3", **({"X-A2A-Extensions": ", ".join(extensions)} if extensions else {})}

    def decode(self, result: JsonObject) -> WireUpdate | None:
        """Return the update in one stream event, message/send result or Task."""
        match result.get("kind"):
            case "status-update":
                return _status(result)
            case "artifact-update":
                return _artifact_update(result)
            case "task":
                return _task(result)
            case "message":
                return _message(result)
            case _:
                return None


V03: Final = DialectV03()


def _encode_part(part: Part) -> JsonObject:
    match part.kind:
        case "data":
            body: JsonObject = {"kind": "data", "data": part.data}
        case "file":
            body = {"kind": "file", "file": {"bytes": part.raw, "name": part.text, "mimeType": part.data}}
        case "text":
            body = {"kind": "text", "text": part.text}
    return {**body, "metadata": part.metadata} if part.metadata else body


def _parts(value: object) -> tuple[Part, ...]:
    return tuple(_part(item) for item in objects_in(value))


def _part(item: JsonObject) -> Part:
    metadata = object_of(item.get("metadata"))
    if item.get("kind") == "data" or "data" in item:
        return Part("data", data=integral(item.get("data")), metadata=metadata)
    if item.get("kind") == "file" or "file" in item:
        file = object_of(item.get("file"))
        name = text_of(file.get("name")) or text_of(file.get("uri")) or "file"
        return Part("file", text=name, data=text_of(file.get("mimeType")), metadata=metadata)
    return Part("text", text=text_of(item.get("text")), metadata=metadata)


def _message(item: JsonObject) -> Message:
    role: Literal["user", "agent"] = "user" if item.get("role") == "user" else "agent"
    return Message(
        message_id=text_of(item.get("messageId")),
        role=role,
        parts=_parts(item.get("parts")),
        metadata=object_of(item.get("metadata")),
        task_id=text_of(item.get("taskId")),
        context_id=text_of(item.get("contextId")),
    )


def _artifact(item: JsonObject) -> Artifact:
    return Artifact(
        artifact_id=text_of(item.get("artifactId")),
        parts=_parts(item.get("parts")),
        metadata=object_of(item.get("metadata")),
    )


def _status(item: JsonObject, *, task_key: str = "taskId") -> StatusUpdate:
    status = object_of(item.get("status"))
    message = object_of(status.get("message"))
    return StatusUpdate(
        task_id=text_of(item.get(task_key)),
        context_id=text_of(item.get("contextId")),
        state=_STATES.get(text_of(status.get("state")), TurnState.UNKNOWN),
        message=_message(message) if message else None,
        metadata=object_of(item.get("metadata")),
        time=text_of(status.get("timestamp")),
    )


def _artifact_update(item: JsonObject) -> ArtifactUpdate:
    return ArtifactUpdate(
        task_id=text_of(item.get("taskId")),
        context_id=text_of(item.get("contextId")),
        artifact=_artifact(object_of(item.get("artifact"))),
        append=item.get("append") is True,
        last_chunk=item.get("lastChunk") is True,
        metadata=object_of(item.get("metadata")),
    )


def _task(item: JsonObject) -> TaskSnapshot:
    return TaskSnapshot(
        status=_status(item, task_key="id"),
        artifacts=tuple(_artifact(artifact) for artifact in objects_in(item.get("artifacts"))),
        history=tuple(_message(message) for message in objects_in(item.get("history"))),
    )
