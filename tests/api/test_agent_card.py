from __future__ import annotations

import json
from pathlib import Path

import yaml

from kagent_api.agent_card import agent_card, card_at
from kagent_api.agents import Agent, AgentSpec


def test_upstreams_golden_cards_are_reproduced_byte_for_byte(shared: Path) -> None:
    for file in sorted((shared / "fixtures/translator/outputs").glob("*.json")):
        manifest = json.loads(file.read_text())["manifest"]
        text = next(obj for obj in manifest if obj["kind"] == "Secret")["stringData"]["agent-card.json"]
        case = yaml.safe_load((shared / f"fixtures/translator/inputs/{file.stem}.yaml").read_text())
        raw = next(
            obj for obj in case["objects"] if obj["kind"] == "Agent" and obj["metadata"]["name"] == case["targetObject"]
        )
        card = agent_card(case["namespace"], case["targetObject"], Agent.model_validate(raw).spec)
        assert json.dumps(card, indent=2) == text, file.name


def test_a_skill_without_tags_gets_a_list_because_the_old_sdk_refuses_null() -> None:
    spec = AgentSpec.model_validate({"declarative": {"a2aConfig": {"skills": [{"name": "n", "examples": ["e"]}]}}})
    assert agent_card("ns", "a", spec)["skills"] == [
        {"id": "", "name": "n", "description": "", "tags": [], "examples": ["e"]}
    ]


def test_optional_parts_stand_only_where_the_spec_has_them() -> None:
    spec = AgentSpec.model_validate({"iconUrl": "http://i", "provider": {"organization": "o", "url": "http://o"}})
    card = agent_card("ns", "my-agent", spec, extensions=[{"uri": "https://e"}])
    assert card["iconUrl"] == "http://i"
    assert card["provider"] == {"organization": "o", "url": "http://o"}
    assert card["capabilities"] == {"streaming": True, "extensions": [{"uri": "https://e"}]}
    assert "documentationUrl" not in card
    assert card["name"] == "my_agent"


def test_moving_a_card_replaces_every_address() -> None:
    card = card_at(agent_card("ns", "a", AgentSpec()), "http://gateway/api/a2a/ns/a/")
    assert "http://a.ns:8080" not in json.dumps(card)
    assert card["url"] == "http://gateway/api/a2a/ns/a/"
    assert [entry["protocolVersion"] for entry in card["supportedInterfaces"]] == ["0.3", "1.0"]
