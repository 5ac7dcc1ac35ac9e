"""The agent card: what agent-card.json says, plus what this engine really speaks and does.

Both JSON-RPC dialects are always listed, 1.0 first, beside the fields of a 0.3 card; without those, clients of that
dialect cannot even read it (trap G12). Never invents an address: it keeps the file's, or names where this process
listens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from kagent_api.names import ACTIVITY_EXTENSION, HITL_EXTENSION, VERSION
from kagent_engine.errors import ConfigError
from kagent_engine.shapes import JsonObject, as_objects, as_text, is_object

__all__ = ["build_card", "extended_card", "read_card"]

_ACTIVITY_NOTE: Final = (
    "Warnings, progress and durations of tools in metadata; edited arguments in the answer to an approval."
)
_HITL_NOTE: Final = "Approvals of tool calls and questions to the user."


def read_card(path: Path) -> JsonObject:
    """Read agent-card.json, of either dialect.

    Raises:
        ConfigError: it is missing or cannot be used; says which field.
    """
    try:
        given: object = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            path.name, f"cannot be read: {error.strerror}", remedy=f"--filepath names its folder, now {path.parent}"
        ) from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(path.name, f"is not JSON: {error}") from error
    if not is_object(given):
        raise ConfigError(path.name, "expected an object")
    if not as_text(given.get("name")):
        raise ConfigError(path.name, "expected text", field="name")
    skills = given.get("skills")
    if skills is not None and not isinstance(skills, list):
        raise ConfigError(path.name, "expected a list", field="skills")
    return given


def build_card(given: JsonObject, *, default_url: str) -> JsonObject:
    """Return the card as it is served: a 1.0 card that 0.3 clients can read too."""
    url = _url(given) or default_url
    interfaces = [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": version} for version in ("1.0", "0.3")]
    card: JsonObject = {
        "name": as_text(given.get("name")),
        "description": as_text(given.get("description")),
        "version": as_text(given.get("version")) or VERSION,
        "supportedInterfaces": interfaces,
        "capabilities": {
            "streaming": True,
            "pushNotifications": True,
            "extendedAgentCard": True,
            "extensions": [
                {"uri": HITL_EXTENSION, "description": _HITL_NOTE, "required": False},
                {"uri": ACTIVITY_EXTENSION, "description": _ACTIVITY_NOTE, "required": False},
            ],
        },
        "defaultInputModes": given.get("defaultInputModes") or ["text"],
        "defaultOutputModes": given.get("defaultOutputModes") or ["text"],
        "skills": [_skill(skill) for skill in as_objects(given.get("skills"))],
        "url": url,
        "preferredTransport": "JSONRPC",
        "protocolVersion": "0.3",
        "supportsAuthenticatedExtendedCard": True,
    }
    for key in ("provider", "iconUrl", "documentationUrl"):
        if given.get(key):
            card[key] = given[key]
    return card


def extended_card(card: JsonObject) -> JsonObject:
    """Return the card for callers that ask for the extended one: the same, since this agent hides nothing in it."""
    return card


def _url(given: JsonObject) -> str:
    interfaces = as_objects(given.get("supportedInterfaces"))
    return as_text(given.get("url")) or next((as_text(entry.get("url")) for entry in interfaces), "")


def _skill(given: JsonObject) -> JsonObject:
    """Return one skill with the fields both dialects insist on (upstream's controller writes ``"tags": null``)."""
    skill = {key: item for key, item in given.items() if item is not None}
    name = as_text(given.get("name")) or as_text(given.get("id"))
    required: JsonObject = {"id": name, "name": name, "description": "", "tags": []}
    return required | skill
