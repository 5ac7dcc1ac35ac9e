"""The agent card: one JSON object that clients of A2A 0.3 and of 1.0 both read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kagent_api.names import AGENT_PORT

if TYPE_CHECKING:
    # The resource types cost a quarter of a second to import; the operator needs the addresses only.
    from kagent_api.agents import A2ASkill, AgentSpec
    from kagent_api.schema import JsonObject

__all__ = ["CARD_PATH", "LEGACY_CARD_PATH", "agent_card", "card_at"]

CARD_PATH = "/.well-known/agent-card.json"
LEGACY_CARD_PATH = "/.well-known/agent.json"


def agent_card(namespace: str, name: str, spec: AgentSpec, *, extensions: Sequence[JsonObject] = ()) -> JsonObject:
    """Build the card of an agent at its Service. ``tags`` of a skill is always a list: a2a-sdk 0.3 refuses null."""
    capabilities: JsonObject = {"streaming": True}
    if extensions:
        capabilities["extensions"] = list(extensions)
    card: JsonObject = {
        "defaultInputModes": ["text"],
        "defaultOutputModes": ["text"],
        "description": spec.description or "",
        "name": name.replace("-", "_"),
        "version": spec.version or "",
        "skills": [_skill(skill) for skill in _skills(spec)],
        "capabilities": capabilities,
    }
    if spec.icon_url:
        card["iconUrl"] = spec.icon_url
    if spec.documentation_url:
        card["documentationUrl"] = spec.documentation_url
    if spec.provider:
        card["provider"] = {"organization": spec.provider.organization, "url": spec.provider.url}
    return card_at(card, f"http://{name}.{namespace}:{AGENT_PORT}")


def card_at(card: JsonObject, url: str) -> JsonObject:
    """Return the card with every address replaced by ``url``, both dialects and the old top-level keys."""
    moved = {key: value for key, value in card.items() if key not in {"url", "protocolVersion", "preferredTransport"}}
    moved["supportedInterfaces"] = [
        {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": version} for version in ("0.3", "1.0")
    ]
    return moved | {"url": url, "protocolVersion": "0.3", "preferredTransport": "JSONRPC"}


def _skills(spec: AgentSpec) -> Sequence[A2ASkill]:
    config = spec.declarative.a2a_config if spec.declarative else None
    return (config.skills or ()) if config else ()


def _skill(skill: A2ASkill) -> JsonObject:
    written: JsonObject = {
        "id": skill.id or "",
        "name": skill.name,
        "description": skill.description or "",
        "tags": skill.tags or [],
    }
    for key, values in (
        ("examples", skill.examples), ("inputModes", skill.input_modes), ("outputModes", skill.output_modes)
    ):  # fmt: skip
        if values:
            written[key] = values
    return written
