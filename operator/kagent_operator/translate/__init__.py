"""Resources -> desired objects and config.json, as pure functions: no cluster, no clock, no environment."""

from __future__ import annotations

from kagent_operator.translate.agent import Translation, translate_agent
from kagent_operator.translate.agent_models import model_config_name
from kagent_operator.translate.mcpserver import mcp_server_url, translate_mcpserver
from kagent_operator.translate.settings import PROFILES, Profile, Settings, profile_of
from kagent_operator.translate.world import Snapshot, World

__all__ = [
    "PROFILES", "Profile", "Settings", "Snapshot", "Translation", "World", "mcp_server_url", "model_config_name",
    "profile_of", "translate_agent", "translate_mcpserver",
]  # fmt: skip
