"""The agent card: what agent-card.json says, plus what this engine really speaks and does.

Both JSON-RPC dialects are always listed, 1.0 first; without the 0.3 entry clients of that dialect cannot even read the
card (trap G12). Never invents an address: it keeps the file's, or names where this process listens.
"""

from __future__ import annotations

from google.protobuf.json_format import ParseDict

from kagent_api.names import ACTIVITY_EXTENSION, HITL_EXTENSION, VERSION
from kagent_engine.server.sdk import AgentCard
from kagent_engine.shapes import JsonObject, as_objects, as_text

__all__ = ["build_card"]

_ACTIVITY_NOTE = "Warnings, progress and durations of tools in metadata; edited arguments in the answer to an approval."
_HITL_NOTE = "Approvals of tool calls and questions to the user."


def build_card(given: JsonObject, *, default_url: str) -> AgentCard:
    """Return the card as the SDK serves it, from a card file of either dialect."""
    url = _url(given) or default_url
    skills = [_skill(skill) for skill in as_objects(given.get("skills"))]
    card: JsonObject = {
        "name": as_text(given.get("name")),
        "description": as_text(given.get("description")),
        "version": as_text(given.get("version")) or VERSION,
        "supportedInterfaces": [
            {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": version} for version in ("1.0", "0.3")
        ],
        "capabilities": {
            "streaming": True,
            "pushNotifications": False,
            "extensions": [
                {"uri": HITL_EXTENSION, "description": _HITL_NOTE, "required": False},
                {"uri": ACTIVITY_EXTENSION, "description": _ACTIVITY_NOTE, "required": False},
            ],
        },
        "defaultInputModes": given.get("defaultInputModes") or ["text"],
        "defaultOutputModes": given.get("defaultOutputModes") or ["text"],
        "skills": skills,
    }
    for key in ("provider", "iconUrl", "documentationUrl"):
        if given.get(key):
            card[key] = given[key]
    return ParseDict(card, AgentCard(), ignore_unknown_fields=True)


def _url(given: JsonObject) -> str:
    interfaces = as_objects(given.get("supportedInterfaces"))
    return as_text(given.get("url")) or next((as_text(entry.get("url")) for entry in interfaces), "")


def _skill(given: JsonObject) -> JsonObject:
    """Return one skill with the fields both dialects insist on (upstream's controller writes ``"tags": null``)."""
    skill = {key: item for key, item in given.items() if item is not None}
    name = as_text(given.get("name")) or as_text(given.get("id"))
    required: JsonObject = {"id": name, "name": name, "description": "", "tags": []}
    return required | skill
