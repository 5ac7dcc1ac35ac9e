"""RemoteMCPServer (kagent.dev/v1alpha2) and MCPServer (kagent.dev/v1alpha1, kmcp's): where tools come from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kagent_api.agents import ServiceAccountConfig
from kagent_api.core import (
    Affinity,
    Container,
    LocalObjectReference,
    PodSecurityContext,
    ResourceRequirements,
    SecurityContext,
    Toleration,
    Volume,
    VolumeMount,
)
from kagent_api.meta import Condition, Resource, Status
from kagent_api.references import AllowedNamespaces, TLSConfig, ValueRef
from kagent_api.schema import Rule, Shape, crd, required

__all__ = [
    "DiscoveredTool", "HTTPTransport", "HTTPTransportTLS", "MCPServer", "MCPServerDeployment", "MCPServerInit",
    "MCPServerSpec", "MCPServerStatus", "RemoteMCPServer", "RemoteMCPServerSpec", "RemoteMCPServerStatus",
    "StdioTransport",
]  # fmt: skip

PullPolicy = Literal["Always", "Never", "IfNotPresent"]


class RemoteMCPServerSpec(Shape):
    rules: ClassVar = (
        Rule(
            "!(has(self.tls) && has(self.url) && self.url.startsWith('http://'))",
            "spec.tls must be unset when spec.url has http:// scheme",
        ),
        Rule(
            "!(has(self.allowedNamespaces) && has(self.allowedNamespaces.from) && self.allowedNamespaces.from != 'Same'"
            " && has(self.tls) && has(self.tls.caCertSecretRef) && size(self.tls.caCertSecretRef) > 0)",
            "tls.caCertSecretRef works in this namespace only: remove it, or set allowedNamespaces.from to Same",
        ),
    )

    description: Annotated[str, required()] = ""
    url: Annotated[str, required(minLength=1)] = ""
    protocol: Annotated[Literal["SSE", "STREAMABLE_HTTP"] | str | None, crd(default="STREAMABLE_HTTP")] = None
    headers_from: list[ValueRef] | None = None
    timeout: Annotated[str | None, crd(default="30s")] = None
    sse_read_timeout: str | None = None
    terminate_on_close: Annotated[bool | None, crd(default=True)] = None
    tls: TLSConfig | None = None
    allowed_namespaces: AllowedNamespaces | None = None


class DiscoveredTool(Shape):
    name: Annotated[str, required()] = ""
    description: Annotated[str, required()] = ""


class RemoteMCPServerStatus(Status):
    secret_hash: str | None = None
    discovered_tools: list[DiscoveredTool] | None = None


class RemoteMCPServer(Resource):
    spec: RemoteMCPServerSpec = RemoteMCPServerSpec()
    status: RemoteMCPServerStatus | None = None


class MCPServerInit(Shape):
    image: str | None = None
    image_pull_policy: PullPolicy | str | None = None
    resources: ResourceRequirements | None = None
    security_context: SecurityContext | None = None


class NamedObject(Shape):
    name: str | None = None


class MCPServerDeployment(Shape):
    rules: ClassVar = (
        Rule(
            "!(has(self.serviceAccount) && has(self.serviceAccountName))",
            "serviceAccount and serviceAccountName are mutually exclusive",
        ),
    )

    image: str | None = None
    image_pull_policy: PullPolicy | str | None = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    port: Annotated[int | None, crd(default=3000)] = None
    cmd: str | None = None
    args: list[str] | None = None
    env: dict[str, str] | None = None
    secret_refs: list[NamedObject] | None = None
    config_map_refs: list[NamedObject] | None = None
    volumes: list[Volume] | None = None
    volume_mounts: list[VolumeMount] | None = None
    init_container: MCPServerInit | None = None
    service_account: ServiceAccountConfig | None = None
    service_account_name: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    replicas: Annotated[int | None, crd(default=1, format="int32")] = None
    resources: ResourceRequirements | None = None
    security_context: SecurityContext | None = None
    pod_security_context: PodSecurityContext | None = None
    sidecars: list[Container] | None = None
    tolerations: list[Toleration] | None = None
    affinity: Affinity | None = None
    node_selector: dict[str, str] | None = None


class HTTPTransportTLS(Shape):
    secret_ref: str | None = None
    insecure_skip_verify: Annotated[bool | None, crd(default=False)] = None


class HTTPTransport(Shape):
    target_port: Annotated[int | None, crd(format="int32")] = None
    path: str | None = None
    tls: HTTPTransportTLS | None = None


class StdioTransport(Shape):
    """Empty: the program stands in ``deployment``."""


class MCPServerSpec(Shape):
    deployment: Annotated[MCPServerDeployment, required()] = Field(default_factory=MCPServerDeployment)
    transport_type: Literal["stdio", "http"] | str | None = None
    stdio_transport: StdioTransport | None = None
    http_transport: HTTPTransport | None = None
    timeout: Annotated[str | None, crd(default="30s")] = None


class MCPServerStatus(Shape):
    conditions: Annotated[
        list[Condition] | None,
        crd(maxItems=8, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = None
    observed_generation: Annotated[int | None, crd(format="int64")] = None


class MCPServer(Resource):
    spec: MCPServerSpec = MCPServerSpec()
    status: MCPServerStatus | None = None
