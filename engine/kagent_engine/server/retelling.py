"""What a 1.0 turn said, told again in the places where readers of 0.3 look.

A 1.0 turn speaks in artifacts and pauses in an extension; the web UI of upstream's 0.10 line, which reads stored tasks,
knows only messages of the history and ``adk_request_confirmation`` parts. Telling twice changes nothing.
"""

from __future__ import annotations

from kagent_api.names import HITL_EXTENSION
from kagent_engine.history import CONFIRMATION
from kagent_engine.server.identity import both
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text

__all__ = ["retell_artifacts", "with_confirmations"]


def retell_artifacts(task: JsonObject) -> None:
    """Put each artifact that the history does not hold yet at its end, as a message of the agent."""
    history: list[JsonObject] = task["history"]
    told = {message.get("messageId") for message in history}
    said = [message["parts"] for message in history if message.get("role") == "ROLE_AGENT"]
    for artifact in task.get("artifacts", ()):
        # A 0.3 turn repeats its last message as an artifact.
        if artifact["artifactId"] in told or artifact["parts"] in said:
            continue
        message = {"messageId": artifact["artifactId"], "role": "ROLE_AGENT", "taskId": task["id"]}
        message |= {"contextId": task["contextId"], "parts": artifact["parts"]}
        if "metadata" in artifact:
            message["metadata"] = artifact["metadata"]
        history.append(message)


def with_confirmations(task: JsonObject) -> JsonObject:
    """Return a stored 0.3 task whose pause, if it stands in the extension alone, is a part of its message as well."""
    status = as_object(task.get("status"))
    message = as_object(status.get("message"))
    request = as_object(as_object(message.get("metadata")).get(HITL_EXTENSION))
    parts = as_objects(message.get("parts"))
    if not request or any(as_object(part.get("data")).get("name") == CONFIRMATION for part in parts):
        return task
    metadata = both({"type": "function_call", "is_long_running": True})
    asked = [{"kind": "data", "data": data, "metadata": metadata} for data in _confirmations(request)]
    return task | {"status": status | {"message": message | {"parts": [*parts, *asked]}}}


def _confirmations(request: JsonObject) -> list[JsonObject]:
    nested = as_object(request.get("nested"))
    confirmation: JsonObject = {"hint": as_text(request.get("hint")), "confirmed": False}
    if nested:
        inner = [
            {"name": CONFIRMATION, "id": tool.get("id"), "originalFunctionCall": _call(tool)}
            for tool in as_objects(nested.get("tools"))
        ]
        kept = {key: as_text(nested.get(key)) for key in ("task_id", "context_id", "subagent_name")}
        confirmation["payload"] = {**kept, "hitl_parts": inner}
    tools = as_objects(request.get("tools"))
    if request.get("type") == "ask_user_request":
        arguments = {"questions": as_objects(request.get("questions"))}
        tools = [{"id": request.get("id"), "name": "ask_user", "args": arguments}]
    return [
        {
            "id": tool.get("id"),
            "name": CONFIRMATION,
            "args": {"originalFunctionCall": _call(tool), "toolConfirmation": confirmation},
        }
        for tool in tools
    ]


def _call(tool: JsonObject) -> JsonObject:
    return {"id": tool.get("call_id") or tool.get("id"), "name": tool.get("name"), "args": as_object(tool.get("args"))}
