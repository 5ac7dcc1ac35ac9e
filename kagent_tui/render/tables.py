"""Which columns and rows each view has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kagent_tui.render.agents import AGENTS
from kagent_tui.render.models import MODELS
from kagent_tui.render.prompts import PROMPT_LIBRARIES
from kagent_tui.render.providers import PROVIDERS
from kagent_tui.render.row import TableSpec
from kagent_tui.render.servers import SERVERS

__all__ = ["TABLES"]

TABLES: Final[Mapping[str, TableSpec]] = {
    "agents": AGENTS, "models": MODELS, "mcp": SERVERS, "providers": PROVIDERS, "prompts": PROMPT_LIBRARIES,
}  # fmt: skip
