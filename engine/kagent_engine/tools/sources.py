"""Builds the tool sources of an agent from its configuration; only ``start`` connects, in the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kagent_api.engine_config import EngineConfig
from kagent_engine.events import Warned
from kagent_engine.settings import Settings
from kagent_engine.tools.agents import AgentAsTool
from kagent_engine.tools.base import CallContext, Tool, ToolSource
from kagent_engine.tools.mcp import McpServer
from kagent_engine.tools.mcp_stdio import StdioServer

__all__ = ["Agents", "Sources", "build_sources"]


@dataclass(frozen=True, slots=True)
class Agents:
    """The sub-agents: always offered, since each says by itself when it cannot be reached."""

    agents: Sequence[AgentAsTool]

    async def tools(self, context: CallContext) -> tuple[Sequence[Tool], Sequence[Warned]]:
        return self.agents, ()

    async def aclose(self) -> None:
        for agent in self.agents:
            await agent.aclose()


@dataclass(frozen=True, slots=True)
class Sources:
    """All sources of one agent, in the order of config.json."""

    servers: Sequence[McpServer | StdioServer]
    all: Sequence[ToolSource]

    async def start(self) -> None:
        """Let every server begin to connect."""
        for server in self.servers:
            server.start()

    def unready(self) -> str:
        """Name the servers whose first attempt is still running; a server that is known to be down does not count."""
        return ", ".join(server.label for server in self.servers if not server.settled)


def build_sources(config: EngineConfig, settings: Settings) -> Sources:
    """Make the sources of a configuration."""
    servers: list[McpServer | StdioServer] = [
        *(McpServer(entry, sse=False, paths=settings.paths) for entry in config.http_tools),
        *(McpServer(entry, sse=True, paths=settings.paths) for entry in config.sse_tools),
        *(StdioServer(entry, paths=settings.paths) for entry in config.stdio_tools),
    ]
    agents = Agents([AgentAsTool(entry, settings) for entry in config.remote_agents])
    return Sources(servers, [*servers, agents])
