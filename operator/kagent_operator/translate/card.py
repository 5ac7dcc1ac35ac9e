"""agent-card.json of an agent, from the raw resource, in the key order of upstream's controller (the hash needs it)."""

from __future__ import annotations

from kagent_api.agent_card import card_at
from kagent_api.names import AGENT_PORT
from kagent_operator.translate.fields import JsonObject, mapping, name_of, namespace_of, rows, section, strings, text
from kagent_operator.translate.settings import Profile

__all__ = ["translate_card"]


def translate_card(agent: JsonObject, profile: Profile) -> JsonObject:
    """Return the card. In profile upstream a skill without tags has ``"tags": null``, which a2a-sdk 0.3 refuses."""
    spec = mapping(agent, "spec")
    card: JsonObject = {
        "defaultInputModes": ["text"],
        "defaultOutputModes": ["text"],
        "description": text(spec, "description"),
    }
    for key in ("documentationUrl", "iconUrl"):
        if text(spec, key):
            card[key] = text(spec, key)
    card["name"] = name_of(agent).replace("-", "_")
    provider = section(spec, "provider")
    if provider is not None:
        card["provider"] = {"organization": text(provider, "organization"), "url": text(provider, "url")}
    card["version"] = text(spec, "version")
    card["skills"] = [_skill(skill, profile) for skill in rows(spec, "declarative", "a2aConfig", "skills")]
    card["capabilities"] = {"streaming": True}
    return card_at(card, f"http://{name_of(agent)}.{namespace_of(agent)}:{AGENT_PORT}")


def _skill(skill: JsonObject, profile: Profile) -> JsonObject:
    tags = strings(skill, "tags")
    written: JsonObject = {"description": text(skill, "description")}
    if examples := strings(skill, "examples"):
        written["examples"] = examples
    written["id"] = text(skill, "id")
    if modes := strings(skill, "inputModes"):
        written["inputModes"] = modes
    written["name"] = text(skill, "name")
    if modes := strings(skill, "outputModes"):
        written["outputModes"] = modes
    written["tags"] = tags if tags or profile == "kagent-tui" else None
    return written
