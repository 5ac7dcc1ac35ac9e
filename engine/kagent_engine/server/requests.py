"""What callers send, read strictly and in either dialect: what is wrong is named by field, what is unknown is ignored.

1.0 is protobuf's JSON: names may be camelCase or snake_case, null and the default mean "not set". Never looks at tasks.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from kagent_engine.server.codec import STATES, Dialect, message_10
from kagent_engine.server.faults import PARAMS, RpcError
from kagent_engine.shapes import JsonObject, is_object

__all__ = [
    "HookRequest",
    "ListRequest",
    "Reader",
    "SendRequest",
    "TaskRequest",
    "read_hook",
    "read_list",
    "read_send",
    "read_task",
    "whole",
]

_HUMP: Final = re.compile("([A-Z])")
_ROLES_10: Final[Mapping[object, str]] = {
    "ROLE_USER": "ROLE_USER", "ROLE_AGENT": "ROLE_AGENT", 1: "ROLE_USER", 2: "ROLE_AGENT",
}  # fmt: skip
_CONTENTS: Final = ("text", "raw", "url", "data")
_MOST_FAULTS: Final = 5
# Bounds of the A2A specification for ListTasks.
_LARGEST_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A message and how its sender wants the answer; ``message`` is a 1.0 message in both dialects."""

    message: JsonObject
    return_immediately: bool = False
    history_length: int | None = None
    hook: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A task's id, with what GetTask may add."""

    id: str
    history_length: int | None = None


@dataclass(frozen=True, slots=True)
class ListRequest:
    context_id: str = ""
    status: str = ""
    page_size: int = 50
    page_token: str = ""
    history_length: int | None = None
    after: datetime | None = None
    include_artifacts: bool = False


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A push notification config, or (``hook`` None) which one is meant."""

    task_id: str
    hook_id: str = ""
    hook: JsonObject | None = None


@dataclass(slots=True)
class Reader:
    """Reads the fields of one object and keeps what is wrong with them; ``check`` raises it."""

    value: JsonObject
    path: str
    dialect: Dialect
    faults: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @classmethod
    def of_params(cls, params: object, dialect: Dialect) -> Reader:
        prefix = "params." if dialect == "0.3" else ""
        if params is None:
            params = {}
        if not is_object(params):
            raise RpcError(PARAMS, "params: expected an object")
        return cls(params, prefix, dialect)

    def check(self) -> None:
        """Raise what was found.

        Raises:
            RpcError: a parameter is missing or is not what it must be.
        """
        if self.faults:
            raise RpcError(PARAMS, fields=self.faults[:_MOST_FAULTS])

    def raw(self, name: str) -> object:
        found = self.value.get(name)
        if found is None and self.dialect == "1.0":
            found = self.value.get(_HUMP.sub(lambda hump: "_" + hump[1].lower(), name))
        return found

    def wrong(self, name: str, what: str) -> None:
        self.faults.append((f"{self.path}{name}", what))

    def text(self, name: str, *, required: bool = False) -> str:
        found = self.raw(name)
        if isinstance(found, str) and (found or not required):
            return found
        if found is not None and not isinstance(found, str):
            self.wrong(name, "expected text")
        elif required:
            self.wrong(name, "Field required")
        return ""

    def flag(self, name: str) -> bool | None:
        found = self.raw(name)
        if found is None or isinstance(found, bool):
            return found
        self.wrong(name, "expected true or false")
        return None

    def number(self, name: str) -> int | None:
        found = self.raw(name)
        if isinstance(found, str) and self.dialect == "1.0" and re.fullmatch(r"-?\d{1,10}", found):
            return int(found)
        if found is None or (isinstance(found, int) and not isinstance(found, bool)):
            return found
        if isinstance(found, float) and found.is_integer():
            return int(found)
        self.wrong(name, "expected a whole number")
        return None

    def history_length(self) -> int | None:
        length = self.number("historyLength")
        if length is not None and length < 0:
            self.wrong("historyLength", "must not be negative")
        return length

    def inside(self, name: str, *, required: bool = False) -> Reader | None:
        """Return a reader of the object in a field; its faults are this one's."""
        found = self.raw(name)
        if is_object(found):
            return Reader(found, f"{self.path}{name}.", self.dialect, self.faults)
        if found is not None:
            self.wrong(name, "expected an object")
        elif required:
            self.wrong(name, "Field required")
        return None

    def objects(self, name: str, *, required: bool = False) -> list[Reader]:
        found = self.raw(name)
        if found is None or (found == [] and self.dialect == "1.0"):
            if required:
                self.wrong(name, "Field required")
            return []
        if not isinstance(found, list):
            self.wrong(name, "expected a list")
            return []
        readers: list[Reader] = []
        for index, item in enumerate(cast("list[object]", found)):
            if is_object(item):
                readers.append(Reader(item, f"{self.path}{name}.{index}.", self.dialect, self.faults))
            else:
                self.wrong(f"{name}.{index}", "expected an object")
        return readers

    def texts(self, name: str) -> list[str]:
        found = self.raw(name)
        if found is None:
            return []
        if isinstance(found, list) and all(isinstance(item, str) for item in cast("list[object]", found)):
            return cast("list[str]", found)
        self.wrong(name, "expected a list of text")
        return []


def read_send(reader: Reader) -> SendRequest:
    """Read the parameters of a message, streamed or not.

    Raises:
        RpcError: they cannot be used.
    """
    inner = reader.inside("message", required=True)
    message = _message(inner) if inner else {}
    wanted = reader.inside("configuration")
    immediately, length, hook = False, None, None
    if wanted is not None:
        length = wanted.history_length()
        wanted.texts("acceptedOutputModes")
        if reader.dialect == "0.3":
            immediately = wanted.flag("blocking") is False
            asked = wanted.inside("pushNotificationConfig")
        else:
            immediately = bool(wanted.flag("returnImmediately"))
            asked = wanted.inside("taskPushNotificationConfig")
        hook = _hook(asked) if asked else None
    reader.check()
    return SendRequest(message, immediately, length, hook)


def read_task(reader: Reader) -> TaskRequest:
    """Read the parameters of GetTask, CancelTask and SubscribeToTask."""
    request = TaskRequest(reader.text("id", required=True), reader.history_length())
    reader.check()
    return request


def read_list(reader: Reader) -> ListRequest:
    """Read the parameters of ListTasks."""
    size, status, after = reader.number("pageSize"), reader.raw("status"), reader.text("statusTimestampAfter")
    if size is not None and not 1 <= size <= _LARGEST_PAGE:
        reader.wrong("pageSize", f"must be between 1 and {_LARGEST_PAGE}")
    if isinstance(status, int) and 0 <= status < len(STATES):
        status = STATES[status]
    if status is not None and status not in STATES:
        reader.wrong("status", "expected a task state")
    since: datetime | None = None
    if after:
        try:
            since = datetime.fromisoformat(after)
            since = since if since.tzinfo else since.replace(tzinfo=UTC)
        except ValueError:
            reader.wrong("statusTimestampAfter", "expected an RFC 3339 time")
    request = ListRequest(
        context_id=reader.text("contextId"),
        status=str(status) if status and status != STATES[0] else "",
        page_size=size if size is not None else 50,
        page_token=reader.text("pageToken"),
        history_length=reader.history_length(),
        after=since,
        include_artifacts=bool(reader.flag("includeArtifacts")),
    )
    reader.check()
    return request


def read_hook(reader: Reader, *, setting: bool = False) -> HookRequest:
    """Read the parameters of the push notification methods; ``setting`` where a config comes with them."""
    if reader.dialect == "0.3":
        if setting:
            inner = reader.inside("pushNotificationConfig", required=True)
            request = HookRequest(reader.text("taskId", required=True), hook=_hook(inner) if inner else None)
        else:
            request = HookRequest(reader.text("id", required=True), reader.text("pushNotificationConfigId"))
    elif setting:
        request = HookRequest(reader.text("taskId", required=True), hook=_hook(reader))
    else:
        request = HookRequest(reader.text("taskId", required=True), reader.text("id"))
    reader.check()
    return request


def _hook(reader: Reader) -> JsonObject:
    """Return a push notification config in the words of 1.0."""
    hook: JsonObject = {"id": reader.text("id"), "url": reader.text("url", required=True)}
    if token := reader.text("token"):
        hook["token"] = token
    if inner := reader.inside("authentication"):
        schemes = inner.texts("schemes") if reader.dialect == "0.3" else [inner.text("scheme")]
        hook["authentication"] = {"scheme": schemes[0] if schemes else "", "credentials": inner.text("credentials")}
    return hook


def _message(reader: Reader) -> JsonObject:
    message: JsonObject = {"messageId": reader.text("messageId", required=True)}
    role = reader.raw("role")
    known: object = _ROLES_10.get(role) if isinstance(role, str | int) else None
    if reader.dialect == "0.3":
        known = role if role in ("user", "agent") else None
    if known is None:
        reader.wrong("role", "Field required" if role is None else "expected user or agent")
    for name in ("contextId", "taskId"):
        if given := reader.text(name):
            message[name] = given
    readers = reader.objects("parts", required=True)
    read: Callable[[Reader], JsonObject] = _part_03 if reader.dialect == "0.3" else _part_10
    message["parts"] = [read(part) for part in readers]
    for name in ("extensions", "referenceTaskIds"):
        if listed := reader.texts(name):
            message[name] = listed
    if metadata := reader.inside("metadata"):
        message["metadata"] = metadata.value
    if reader.dialect == "0.3":
        return message_10(message | {"role": known})
    return message | {"role": known}


def _part_10(reader: Reader) -> JsonObject:
    given = [name for name in _CONTENTS if name in reader.value]
    if len(given) != 1:
        reader.wrong(given[1] if given else _CONTENTS[0], "expected exactly one of text, raw, url and data")
        return {}
    (name,) = given
    part: JsonObject = {name: reader.value[name]}
    if name != "data":
        if not isinstance(part[name], str):
            reader.wrong(name, "expected text")
        elif name == "raw":
            part[name] = _base64(reader, name, part[name])
    for extra in ("filename", "mediaType"):
        if told := reader.text(extra):
            part[extra] = told
    return _with_metadata(part, reader)


def _part_03(reader: Reader) -> JsonObject:
    kind = reader.raw("kind")
    if kind is None:
        kind = next((name for name in ("text", "file", "data") if name in reader.value), None)
    part: JsonObject = {}
    match kind:
        case "text":
            found = reader.raw("text")
            part["text"] = found
            if not isinstance(found, str):
                reader.wrong("text", "Field required" if found is None else "expected text")
        case "data":
            inner = reader.inside("data", required=True)
            part["data"] = inner.value if inner else {}
        case "file":
            if file := reader.inside("file", required=True):
                part["file"] = _file(file)
        case _:
            reader.wrong("kind", "expected text, file or data")
    return _with_metadata(part, reader)


def _file(reader: Reader) -> JsonObject:
    file: JsonObject = {name: given for name in ("mimeType", "name") if (given := reader.text(name))}
    if isinstance(content := reader.raw("bytes"), str):
        return file | {"bytes": _base64(reader, "bytes", content)}
    return file | {"uri": reader.text("uri", required=True)}


def _with_metadata(part: JsonObject, reader: Reader) -> JsonObject:
    metadata = reader.inside("metadata")
    return part | {"metadata": metadata.value} if metadata and metadata.value else part


def _base64(reader: Reader, name: str, content: str) -> str:
    """Check base64, of either alphabet and with or without its padding; return the usual form."""
    usual = content.translate(str.maketrans("-_", "+/")).rstrip("=")
    usual += "=" * (-len(usual) % 4)
    try:
        base64.b64decode(usual, validate=True)
    except (binascii.Error, ValueError):
        reader.wrong(name, "expected base64")
    return usual


def whole(value: Any) -> Any:
    """Return a JSON value with integral floats as whole numbers: protobuf's JSON knows floats only."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole(item) for key, item in cast("JsonObject", value).items()}
    if isinstance(value, list):
        return [whole(item) for item in cast("list[Any]", value)]
    return value
