"""Where each kind is served: group, version, plural. The only place that builds API paths."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import quote

__all__ = [
    "AGENTS", "CONFIGMAPS", "CONTROLLERREVISIONS", "CRDS", "DEPLOYMENTS", "EVENTS", "LEASES", "MCPSERVERS",
    "MODELCONFIGS", "MODELPROVIDERCONFIGS", "NAMESPACES", "PODS", "REMOTEMCPSERVERS", "REPLICASETS", "ROLEBINDINGS",
    "ROLES", "SANDBOXAGENTS", "SECRETS", "SERVICEACCOUNTS", "SERVICES", "JsonObject", "Resource",
]  # fmt: skip

# A Kubernetes object as JSON gives it; its shape is the API's, known only at run time.
JsonObject: TypeAlias = dict[str, Any]


class Resource(NamedTuple):
    """A kind and where it is served; ``group`` is "" for core."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """``agents.kagent.dev``, as RBAC and error messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Return the URL path of a collection, an object or a subresource (which may hold ``/`` of its own)."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(quote(subresource))
        return "/" + "/".join(parts)


AGENTS: Final = Resource("kagent.dev", "v1alpha2", "agents", "Agent")
MODELCONFIGS: Final = Resource("kagent.dev", "v1alpha2", "modelconfigs", "ModelConfig")
REMOTEMCPSERVERS: Final = Resource("kagent.dev", "v1alpha2", "remotemcpservers", "RemoteMCPServer")
SANDBOXAGENTS: Final = Resource("kagent.dev", "v1alpha2", "sandboxagents", "SandboxAgent")
MODELPROVIDERCONFIGS: Final = Resource("kagent.dev", "v1alpha2", "modelproviderconfigs", "ModelProviderConfig")
MCPSERVERS: Final = Resource("kagent.dev", "v1alpha1", "mcpservers", "MCPServer")

DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
REPLICASETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
CONTROLLERREVISIONS: Final = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
PODS: Final = Resource("", "v1", "pods", "Pod")
SERVICES: Final = Resource("", "v1", "services", "Service")
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
CONFIGMAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
SERVICEACCOUNTS: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount")
EVENTS: Final = Resource("", "v1", "events", "Event")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
ROLES: Final = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLEBINDINGS: Final = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CRDS: Final = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
