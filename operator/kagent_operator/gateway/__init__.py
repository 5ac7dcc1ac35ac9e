"""The HTTP API: sessions and tasks, agents and tool servers, and the A2A front of every agent.

It reads resources from copies that the operator keeps; it never waits for the API server, and what agents and people
say to each other is handed on, not looked at.
"""

from kagent_operator.gateway.app import create_app
from kagent_operator.gateway.cluster_auth import open_cluster_auth
from kagent_operator.gateway.directory import AgentDirectory
from kagent_operator.gateway.settings import GatewaySettings
from kagent_operator.gateway.writer import KubeWriter, ResourceWriter

__all__ = ["AgentDirectory", "GatewaySettings", "KubeWriter", "ResourceWriter", "create_app", "open_cluster_auth"]
