"""Names and numbers that several programs rely on. Sources: upstream release 0.10 where marked, else the design."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"

GROUP: Final = "kagent.dev"
OWN_GROUP: Final = "kagent-tui.dev"

# Upstream 0.10: sessions and apps are filed under this id.
NAMESPACE_SEPARATOR: Final = "__NS__"

# Upstream 0.10 (constants of its controller); scripts and agents rely on them.
CONTROLLER_NAME: Final = "kagent-controller"
CONTROLLER_NAMESPACE: Final = "kagent"
CONTROLLER_PORT: Final = 8083
HEALTH_PORT: Final = 8082
AGENT_PORT: Final = 8080
MCP_PORT: Final = 3000
DEFAULT_MODEL_CONFIG: Final = "default-model-config"
CONFIG_HASH_ANNOTATION: Final = "kagent.dev/config-hash"
TOKEN_AUDIENCE: Final = "kagent"  # noqa: S105 - an audience, not a credential

ENGINE_ANNOTATION: Final = "kagent-tui.dev/engine"
BRIDGE_ANNOTATION: Final = "kagent-tui.dev/bridge"
FALLBACK_MODELS_ANNOTATION: Final = "kagent-tui.dev/fallback-models"
TOOLS_LABEL: Final = "kagent-tui.dev/tools"
ACTIVITY_EXTENSION: Final = "https://kagent-tui.dev/a2a/activity/v1"
HITL_EXTENSION: Final = "https://kagent.dev/extensions/hitl/v1"

OPERATOR_IMAGE: Final = f"ghcr.io/kagent-tui/kagent-operator:{VERSION}"
ENGINE_IMAGE: Final = f"ghcr.io/kagent-tui/kagent-engine:{VERSION}"


def agent_id(namespace: str, name: str) -> str:
    """Return the id of an agent in sessions, configs and headers: ``ns__NS__name`` with ``-`` as ``_`` (upstream)."""
    return f"{namespace}{NAMESPACE_SEPARATOR}{name}".replace("-", "_")
