"""Upstream's own translations: profile upstream must reproduce them, byte for byte where the hash depends on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kagent_operator.translate import Settings, Snapshot, translate_agent

_FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures" / "translator"
_NAMES = sorted(path.stem for path in (_FIXTURES / "inputs").glob("*.yaml"))
_STRIPPED = {"id", "created_at", "updated_at", "uuid"}  # what upstream's golden writer removes everywhere

pytestmark = pytest.mark.skipif(not _NAMES, reason="upstream's golden translations (../shared/fixtures) are not here")


def _golden(value: Any) -> Any:
    """Bring a value into the form of the golden files: some keys stripped, empty lists null."""
    if isinstance(value, dict):
        return {key: _golden(item) for key, item in cast(dict[str, Any], value).items() if key not in _STRIPPED}
    if isinstance(value, list):
        return [_golden(item) for item in cast(list[Any], value)] or None
    return value


@pytest.mark.parametrize("name", _NAMES)
def test_profile_upstream_reproduces_the_golden_translation(name: str) -> None:
    case = yaml.safe_load((_FIXTURES / "inputs" / f"{name}.yaml").read_text())
    expected = json.loads((_FIXTURES / "outputs" / f"{name}.json").read_text())
    world = Snapshot(case["objects"], namespaces=["kagent"])
    agent = world.get("Agent", case["namespace"], case["targetObject"])
    assert agent is not None
    settings = Settings(
        profile="upstream",
        image_tag="dev",
        proxy_url=case.get("proxyURL", ""),
        default_service_account=case.get("defaultServiceAccountName", ""),
    )
    done = translate_agent(agent, world, settings)
    assert _golden(done.objects) == _golden(expected["manifest"])
    assert _golden(done.config) == _golden(expected["config"])
    card = {key: done.card[key] for key in expected["agentCard"]}
    assert _golden(card) == _golden(expected["agentCard"])
