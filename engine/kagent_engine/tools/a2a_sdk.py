"""The one door through which a2a-sdk's client enters the engine: sends a message to an agent in the dialect it speaks.

Returns plain facts about how it went; what they mean to the model is agents.py's. Keeps no conversation.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httpx
import orjson

from kagent_api.names import ACTIVITY_EXTENSION, HITL_EXTENSION
from kagent_engine.errors import RemoteAgentFailed
from kagent_engine.imports import kept_out, untrace_a2a
from kagent_engine.protobuf import plain, struct, struct_json, value
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text, is_object

untrace_a2a()

with kept_out():
    from a2a.client import Client, ClientCallContext, ClientConfig, ClientFactory
    from a2a.types.a2a_pb2 import (
        AgentCapabilities,
        AgentCard,
        AgentInterface,
        CancelTaskRequest,
        Message,
        Part,
        Role,
        SendMessageRequest,
        StreamResponse,
        Task,
        TaskState,
    )
    from a2a.utils.errors import A2AError, MethodNotFoundError, TaskNotFoundError, VersionNotSupportedError

__all__ = ["RemoteAgent", "RemoteAnswer", "RemoteTurn"]

logger = logging.getLogger(__name__)

_CARD_SECONDS: Final = 10.0
_CANCEL_SECONDS: Final = 5.0
_EXTENSIONS: Final = f"{HITL_EXTENSION},{ACTIVITY_EXTENSION}"
_STATES: Final[Mapping[int, str]] = {
    TaskState.TASK_STATE_COMPLETED: "completed",
    TaskState.TASK_STATE_FAILED: "failed",
    TaskState.TASK_STATE_CANCELED: "canceled",
    TaskState.TASK_STATE_REJECTED: "rejected",
    TaskState.TASK_STATE_INPUT_REQUIRED: "input-required",
    TaskState.TASK_STATE_AUTH_REQUIRED: "auth-required",
}


@dataclass(frozen=True, slots=True)
class RemoteTurn:
    """A message to send. ``data`` and ``extension`` carry an answer to a pause, in both wire forms at once."""

    text: str
    context_id: str
    task_id: str = ""
    data: JsonObject | None = None
    extension: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    """How the remote turn ended. ``pause`` holds what hitl/v1 or upstream 0.10 said about an input-required task."""

    state: str
    text: str
    task_id: str
    context_id: str
    usage: JsonObject
    pause: JsonObject
    confirmations: tuple[JsonObject, ...]


class RemoteAgent:
    """A client of one agent; finds out which dialect it speaks and keeps the connection."""

    def __init__(self, url: str, *, read_seconds: float) -> None:
        self._url = url
        timeout = httpx.Timeout(10.0, read=read_seconds)
        self._http = httpx.AsyncClient(timeout=timeout)
        self._client: Client | None = None
        self._version = ""

    async def send(
        self, turn: RemoteTurn, headers: Mapping[str, str], activity: Callable[[str], Awaitable[None]]
    ) -> RemoteAnswer:
        """Send one message and follow it to its end; a cancelled caller cancels the remote task too.

        Raises:
            RemoteAgentFailed: the agent cannot be reached or refused the message.
        """
        context = ClientCallContext(service_parameters={**headers, "A2A-Extensions": _EXTENSIONS})
        try:
            return await self._follow(turn, context, activity)
        except (MethodNotFoundError, VersionNotSupportedError) as error:
            # Upstream 0.10 lists 1.0 in cards of Pods that do not speak it.
            if self._version == "0.3":
                raise RemoteAgentFailed(f"the agent does not speak A2A 0.3 or 1.0: {error.message}") from error
        await self._connect("0.3", streaming=True)
        try:
            return await self._follow(turn, context, activity)
        except (MethodNotFoundError, VersionNotSupportedError) as error:
            raise RemoteAgentFailed(f"the agent does not speak A2A 0.3 or 1.0: {error.message}") from error

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _follow(
        self, turn: RemoteTurn, context: ClientCallContext, activity: Callable[[str], Awaitable[None]]
    ) -> RemoteAnswer:
        client = self._client or await self._discover(context)
        heard = _Heard(turn)
        try:
            async for response in client.send_message(SendMessageRequest(message=_message(turn)), context=context):
                if note := heard.take(response):
                    await activity(note)
        except asyncio.CancelledError:
            await self._cancel(client, heard.task_id, context)
            raise
        except (MethodNotFoundError, VersionNotSupportedError):
            raise
        except TaskNotFoundError as error:
            raise RemoteAgentFailed("the agent no longer knows the task that was waiting") from error
        except (A2AError, httpx.HTTPError, ValueError) as error:
            raise RemoteAgentFailed(f"the agent at {self._url} did not answer: {_words(error)}") from error
        return heard.answer()

    async def _discover(self, context: ClientCallContext) -> Client:
        """Read the card; the dialect listed first is the one the agent prefers."""
        url = self._url.rstrip("/") + "/.well-known/agent-card.json"
        headers = context.service_parameters or {}
        try:
            response = await self._http.get(url, headers=headers, timeout=_CARD_SECONDS)
            response.raise_for_status()
            card: object = orjson.loads(response.content)
        except (httpx.HTTPError, orjson.JSONDecodeError) as error:
            raise RemoteAgentFailed(f"the agent at {self._url} cannot be reached: {_words(error)}") from error
        if not is_object(card):
            raise RemoteAgentFailed(f"the agent at {self._url} has no card that can be read")
        interfaces = [
            entry for entry in as_objects(card.get("supportedInterfaces")) if entry.get("protocolBinding") == "JSONRPC"
        ]
        version = as_text(interfaces[0].get("protocolVersion")) if interfaces else as_text(card.get("protocolVersion"))
        streaming = as_object(card.get("capabilities")).get("streaming") is True
        return await self._connect("0.3" if version.startswith("0.") or not version else "1.0", streaming=streaming)

    async def _connect(self, version: str, *, streaming: bool) -> Client:
        """Make a client for the configured URL; the card's own may be known inside another network only."""
        interface = AgentInterface(url=self._url, protocol_binding="JSONRPC", protocol_version=version)
        card = AgentCard(supported_interfaces=[interface], capabilities=AgentCapabilities(streaming=streaming))
        factory = ClientFactory(ClientConfig(streaming=streaming, httpx_client=self._http))
        self._version = version
        self._client = factory.create(card)
        return self._client

    async def _cancel(self, client: Client, task_id: str, context: ClientCallContext) -> None:
        if not task_id:
            return
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                await client.cancel_task(CancelTaskRequest(id=task_id), context=context)
        except (A2AError, httpx.HTTPError, TimeoutError) as error:
            logger.info("task %s at %s could not be cancelled: %s", task_id, self._url, _words(error))


class _Heard:
    """Gathers a remote turn's stream, of either dialect, into its answer."""

    def __init__(self, turn: RemoteTurn) -> None:
        self.task_id = turn.task_id
        self._context_id = turn.context_id
        self._state = ""
        self._replies: dict[str, str] = {}
        self._status: Message | None = None
        self._usage: JsonObject = {}

    def take(self, response: StreamResponse) -> str:
        """Take one event; return a word about it where the person may want to see it."""
        match response.WhichOneof("payload"):
            case "task":
                self._take_task(response.task)
            case "message":
                self._context_id = response.message.context_id or self._context_id
                self._state = "completed"
                self._replies["message"] = _text(response.message.parts)
            case "status_update":
                update = response.status_update
                self.task_id = update.task_id or self.task_id
                self._take_metadata(struct_json(update.metadata))
                self._state = _STATES.get(update.status.state, self._state)
                if update.status.HasField("message"):
                    self._status = update.status.message
                    return _called(update.status.message.parts)
            case "artifact_update":
                artifact = response.artifact_update.artifact
                text = _text(artifact.parts)
                before = self._replies.get(artifact.artifact_id, "") if response.artifact_update.append else ""
                if text:
                    self._replies[artifact.artifact_id] = before + text
                self._take_metadata(struct_json(artifact.metadata))
                return _called(artifact.parts)
            case _:
                pass
        return ""

    def answer(self) -> RemoteAnswer:
        status = _text(self._status.parts) if self._status else ""
        # A kagent agent's last text is its answer; what it said before calling tools is not.
        text = list(self._replies.values())[-1] if self._replies else status
        extensions = struct_json(self._status.metadata) if self._status and self._status.HasField("metadata") else {}
        data = [as_object(plain(part.data)) for part in (self._status.parts if self._status else ()) if _is_data(part)]
        return RemoteAnswer(
            state=self._state,
            text=text if self._state == "completed" else status or text,
            task_id=self.task_id,
            context_id=self._context_id,
            usage=self._usage,
            pause=as_object(extensions.get(HITL_EXTENSION)),
            confirmations=tuple(item for item in data if item.get("name") == "adk_request_confirmation"),
        )

    def _take_task(self, task: Task) -> None:
        self.task_id = task.id
        self._context_id = task.context_id or self._context_id
        self._state = _STATES.get(task.status.state, self._state)
        self._take_metadata(struct_json(task.metadata))
        if task.status.HasField("message"):
            self._status = task.status.message
        for artifact in task.artifacts:
            if text := _text(artifact.parts):
                self._replies[artifact.artifact_id] = text

    def _take_metadata(self, metadata: JsonObject) -> None:
        found = metadata.get("adk_usage_metadata") or metadata.get("kagent_usage_metadata")
        if is_object(found):
            self._usage = found


def _message(turn: RemoteTurn) -> Message:
    message = Message(
        message_id=str(uuid.uuid4()), role=Role.ROLE_USER, context_id=turn.context_id, parts=[Part(text=turn.text)]
    )
    if turn.task_id:
        message.task_id = turn.task_id
    if turn.data is not None:
        message.parts.append(Part(data=value(turn.data)))
    if turn.extension is not None:
        message.extensions.append(HITL_EXTENSION)
        message.metadata.CopyFrom(struct({HITL_EXTENSION: turn.extension}))
    return message


def _text(parts: Sequence[Part]) -> str:
    """Return the text of parts, thoughts left out."""
    return "".join(part.text for part in parts if part.WhichOneof("content") == "text" and not _flag(part, "thought"))


def _called(parts: Sequence[Part]) -> str:
    names = [
        as_text(as_object(plain(part.data)).get("name"))
        for part in parts
        if _is_data(part) and _flag(part, "type") == "function_call"
    ]
    return f"calls {', '.join(names)}" if names else ""


def _flag(part: Part, key: str) -> object:
    metadata = struct_json(part.metadata) if part.HasField("metadata") else {}
    return metadata.get(f"adk_{key}", metadata.get(f"kagent_{key}"))


def _is_data(part: Part) -> bool:
    return part.WhichOneof("content") == "data"


def _words(error: Exception) -> str:
    if isinstance(error, A2AError):
        return error.message
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return str(error) or type(error).__name__
