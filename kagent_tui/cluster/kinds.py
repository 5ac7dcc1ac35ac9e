"""The kinds the dashboard knows, and the views that show them.

Light on purpose: read before the first paint, so the Kubernetes client is only imported inside functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from kagent_api.errors import ObjectRef

if TYPE_CHECKING:
    from kagent_api.kube.resources import Resource

__all__ = [
    "AGENT",
    "CONFIGMAP",
    "DEPLOYMENT",
    "EVENT",
    "MCP_SERVER",
    "MODEL_CONFIG",
    "POD",
    "PROMPTS",
    "PROMPT_LABEL",
    "PROVIDER",
    "REMOTE_MCP_SERVER",
    "SECRET",
    "VIEWS",
    "JsonObject",
    "ObjectRef",
    "View",
    "api_version",
    "ref_of",
    "resource_of",
    "view_of",
]

# A Kubernetes object as JSON gives it; its shape is the API's, known only at run time.
JsonObject: TypeAlias = dict[str, Any]

AGENT: Final = "Agent"
MODEL_CONFIG: Final = "ModelConfig"
REMOTE_MCP_SERVER: Final = "RemoteMCPServer"
MCP_SERVER: Final = "MCPServer"
DEPLOYMENT: Final = "Deployment"
POD: Final = "Pod"
SECRET: Final = "Secret"  # noqa: S105 - the name of a kind
CONFIGMAP: Final = "ConfigMap"
EVENT: Final = "Event"
PROVIDER: Final = "ModelProviderConfig"
# ConfigMaps with this label (upstream's) are prompt libraries. Here they are a kind of their own: the ConfigMaps of
# tools are others.
PROMPTS: Final = "PromptLibrary"
PROMPT_LABEL: Final = "kagent.dev/prompt-library"


class View(NamedTuple):
    """One table of the dashboard and the kinds whose objects are its rows."""

    id: str
    title: str
    kinds: tuple[str, ...]


VIEWS: Final[Mapping[str, View]] = {
    view.id: view
    for view in (
        View("agents", "Agents", (AGENT,)),
        View("models", "Models", (MODEL_CONFIG,)),
        View("mcp", "MCP servers", (REMOTE_MCP_SERVER, MCP_SERVER)),
        View("providers", "Providers", (PROVIDER,)),
        View("prompts", "Prompts", (PROMPTS,)),
    )
}


def view_of(kind: str) -> View | None:
    """Return the view whose rows are of this kind."""
    return next((view for view in VIEWS.values() if kind in view.kinds), None)


def api_version(kind: str) -> str:
    """Return the apiVersion that the dashboard reads and writes a kind in."""
    return resource_of(kind).api_version


def resource_of(kind: str) -> Resource:
    """Return where the API server serves a kind.

    Raises:
        KeyError: a kind the dashboard does not know.
    """
    from kagent_api.kube import resources as r

    return {
        AGENT: r.AGENTS,
        MODEL_CONFIG: r.MODELCONFIGS,
        REMOTE_MCP_SERVER: r.REMOTEMCPSERVERS,
        MCP_SERVER: r.MCPSERVERS,
        DEPLOYMENT: r.DEPLOYMENTS,
        POD: r.PODS,
        SECRET: r.SECRETS,
        CONFIGMAP: r.CONFIGMAPS,
        EVENT: r.EVENTS,
        PROVIDER: r.MODELPROVIDERCONFIGS,
        PROMPTS: r.CONFIGMAPS,
    }[kind]


def ref_of(obj: JsonObject, kind: str = "") -> ObjectRef:
    """Name an object; ``kind`` helps where a list left it out of its items."""
    meta: JsonObject = obj.get("metadata") or {}
    return ObjectRef(kind or str(obj.get("kind", "")), str(meta.get("namespace", "")), str(meta.get("name", "")))
