"""spec.declarative.tools -> http_tools, sse_tools and remote_agents of config.json.

A tool's kind decides where it is; whether it works is not asked here: an agent starts with the tools that answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_api.names import AGENT_PORT, MCP_PORT, agent_id
from kagent_operator.errors import MissingReference
from kagent_operator.translate import durations
from kagent_operator.translate.fields import (
    JsonObject,
    flag,
    integer,
    mapping,
    name_of,
    namespace_of,
    quoted,
    rows,
    section,
    string_map,
    strings,
    text,
)
from kagent_operator.translate.go_json import sorted_map
from kagent_operator.translate.headers import HeaderWriter
from kagent_operator.translate.model import PodPart, tls_fields, tls_pod_part
from kagent_operator.translate.proxy import is_internal, plain_egress, through_proxy
from kagent_operator.translate.settings import Settings
from kagent_operator.translate.world import World

__all__ = [
    "ToolPart",
    "check_tools",
    "mcp_server_path",
    "mcp_server_port",
    "service_address",
    "tool_servers",
    "translate_tools",
]

_MAX_DEPTH = 10  # upstream's limit of agents calling agents
_DEFAULT_MCP_TIMEOUT = "30s"


@dataclass
class ToolPart:
    """What an agent's tools become."""

    http: list[JsonObject] = field(default_factory=list[JsonObject])
    sse: list[JsonObject] = field(default_factory=list[JsonObject])
    agents: list[JsonObject] = field(default_factory=list[JsonObject])
    pod: PodPart = field(default_factory=PodPart)
    secret_hashes: list[str] = field(default_factory=list[str])

    @property
    def names(self) -> list[str]:
        """The tool names that prompts may list: those of http servers, then those of sse servers."""
        return [name for entry in [*self.http, *self.sse] for name in strings(entry, "tools")]


def tool_kind(tool: JsonObject) -> str:
    """Return the kind a tool entry points at. Raises InvalidSpec for one that is no tool server or agent."""
    server = section(tool, "mcpServer")
    target = server if server is not None else mapping(tool, "agent")
    kind, group = text(target, "kind"), text(target, "apiGroup")
    if server is None:
        if kind in {"", "Agent", "SandboxAgent"} and group in {"", "kagent.dev"}:
            return kind or "Agent"
    elif kind in {"", "MCPServer", "RemoteMCPServer"} and group in {"", "kagent.dev"}:
        return kind or "MCPServer"
    elif kind == "Service" and group in {"", "core"}:
        return kind
    known = "Agent" if server is None else "MCPServer, RemoteMCPServer or Service"
    raise InvalidSpec(f"unknown tool kind {kind!r} of group {group!r}", remedy=f"use {known}")


def tool_servers(agent: JsonObject) -> list[tuple[str, str, str, JsonObject]]:
    """Return (kind, namespace, name, tool) of every readable tool entry of an agent."""
    found: list[tuple[str, str, str, JsonObject]] = []
    for tool in rows(agent, "spec", "declarative", "tools"):
        try:
            kind = tool_kind(tool)
        except InvalidSpec:
            continue
        target = section(tool, "mcpServer") or mapping(tool, "agent")
        found.append((kind, text(target, "namespace") or namespace_of(agent), text(target, "name"), tool))
    return found


def check_tools(agent: JsonObject) -> None:
    """Raise InvalidSpec when an agent is its own tool."""
    own = ("Agent", namespace_of(agent), name_of(agent))
    for index, tool in enumerate(rows(agent, "spec", "declarative", "tools")):
        target = section(tool, "agent")
        if target is None or text(target, "kind") not in {"", "Agent"}:
            continue
        if ("Agent", text(target, "namespace") or namespace_of(agent), text(target, "name")) == own:
            place = f"spec.declarative.tools[{index}]"
            raise InvalidSpec("agent tool cannot be used to reference itself", ref=ObjectRef(*own), field=place)


def translate_tools(agent: JsonObject, world: World, settings: Settings, headers: HeaderWriter) -> ToolPart:
    """Translate every tool of a declarative agent.

    Raises InvalidSpec for tools that cannot be used as written, MissingReference for targets not there.
    """
    check_tools(agent)
    return _Tools(agent, world, settings, headers).translate()


class _Tools:
    def __init__(self, agent: JsonObject, world: World, settings: Settings, headers: HeaderWriter) -> None:
        self._agent = agent
        self._world = world
        self._settings = settings
        self._headers = headers
        self._ref = ObjectRef("Agent", namespace_of(agent), name_of(agent))
        self._part = ToolPart()

    def translate(self) -> ToolPart:
        for index, tool in enumerate(rows(self._agent, "spec", "declarative", "tools")):
            place = f"spec.declarative.tools[{index}]"
            try:
                kind = tool_kind(tool)
            except InvalidSpec as error:
                raise InvalidSpec(error.message, ref=self._ref, field=place, remedy=error.remedy) from error
            if section(tool, "mcpServer") is None and section(tool, "agent") is None:
                raise InvalidSpec("a tool needs mcpServer or agent", ref=self._ref, field=place)
            target = section(tool, "mcpServer") or mapping(tool, "agent")
            namespace = text(target, "namespace") or self._ref.namespace
            if kind == "SandboxAgent":
                self._sandbox_agent(namespace, text(target, "name"), tool)
                continue
            found = self._find(kind, namespace, text(target, "name"), place)
            match kind:
                case "Agent":
                    self._agent_tool(found, tool, place)
                case "RemoteMCPServer":
                    self._remote(found, tool, place)
                case "MCPServer":
                    self._mcp_server(found, tool)
                case _:
                    self._service(found, tool)
        return self._part

    def _find(self, kind: str, namespace: str, name: str, place: str) -> JsonObject:
        found = self._world.get(kind, namespace, name)
        if found is None:
            there = quoted(self._world.names(kind, namespace))
            raise MissingReference(
                f"{kind} '{name}' not found in namespace '{namespace}' (there: {there})",
                ref=self._ref,
                field=place,
                remedy="create it or name another one",
            )
        return found

    def _tool_headers(self, tool: JsonObject, server: JsonObject | None, label: str) -> dict[str, str]:
        headers: dict[str, str] = {}
        if server is not None:
            owner = ObjectRef(text(server, "kind"), namespace_of(server), name_of(server))
            headers = self._headers.resolve(mapping(server, "spec"), owner.namespace, owner=owner, server=label)
        return {**headers, **self._headers.resolve(tool, self._ref.namespace, owner=self._ref, server=label)}

    def _remote(self, server: JsonObject, tool: JsonObject, place: str) -> None:
        spec = mapping(server, "spec")
        url = text(spec, "url")
        headers = self._tool_headers(tool, server, _label(server))
        if self._settings.proxy_url and is_internal(url, self._world):
            url, headers = through_proxy(url, headers, self._settings)
        elif self._settings.mcp_egress_plaintext:
            url = plain_egress(url)
        sse = text(spec, "protocol") == "SSE"
        params: JsonObject = {"url": url, "headers": sorted_map(headers)}
        for key, source in (("timeout", "timeout"), ("sse_read_timeout", "sseReadTimeout")):
            if text(spec, source):
                params[key] = self._seconds(server, source, text(spec, source))
        if not sse and isinstance(spec.get("terminateOnClose"), bool):
            params["terminate_on_close"] = flag(spec, "terminateOnClose")
        tls = section(spec, "tls")
        params.update(tls_fields(tls))
        self._part.pod = self._part.pod.merged(tls_pod_part(tls))
        if secret_hash := text(server, "status", "secretHash"):
            self._part.secret_hashes.append(secret_hash)
        (self._part.sse if sse else self._part.http).append(_entry(params, tool))

    def _mcp_server(self, server: JsonObject, tool: JsonObject) -> None:
        namespace, name = namespace_of(server), name_of(server)
        path = mcp_server_path(server) if self._headers.profile == "kagent-tui" else "/mcp"
        url = f"http://{name}.{namespace}:{mcp_server_port(server)}{path}"
        url, headers = through_proxy(url, self._tool_headers(tool, None, _label(server)), self._settings)
        timeout = self._seconds(server, "timeout", text(server, "spec", "timeout") or _DEFAULT_MCP_TIMEOUT)
        self._part.http.append(_entry({"url": url, "headers": sorted_map(headers), "timeout": timeout}, tool))

    def _service(self, service: JsonObject, tool: JsonObject) -> None:
        url, sse = service_address(service)
        url, headers = through_proxy(url, self._tool_headers(tool, None, _label(service)), self._settings)
        entry = _entry({"url": url, "headers": sorted_map(headers)}, tool)
        (self._part.sse if sse else self._part.http).append(entry)

    def _agent_tool(self, agent: JsonObject, tool: JsonObject, place: str) -> None:
        self._check_cycle(agent, [_key(self._agent)], place)
        self._add_agent(agent, f"http://{name_of(agent)}.{namespace_of(agent)}:{AGENT_PORT}", tool)

    def _sandbox_agent(self, namespace: str, name: str, tool: JsonObject) -> None:
        agent = self._world.get("SandboxAgent", namespace, name)
        if agent is None:
            raise MissingReference(f"SandboxAgent '{name}' not found in namespace '{namespace}'", ref=self._ref)
        settings = self._settings
        base = f"http://{settings.controller_name}.{settings.controller_namespace}:{settings.controller_port}"
        self._add_agent(agent, f"{base}/api/a2a-sandboxes/{namespace}/{name}", tool)

    def _add_agent(self, agent: JsonObject, url: str, tool: JsonObject) -> None:
        url, headers = through_proxy(url, self._tool_headers(tool, None, _label(agent)), self._settings)
        entry: JsonObject = {"name": agent_id(namespace_of(agent), name_of(agent)), "url": url}
        if headers:
            entry["headers"] = sorted_map(headers)
        if description := text(agent, "spec", "description"):
            entry["description"] = description
        if flag(tool, "isolateSessions"):
            entry["isolate_sessions"] = True
        self._part.agents.append(entry)

    def _check_cycle(self, agent: JsonObject, path: list[tuple[str, str]], place: str) -> None:
        key = _key(agent)
        shown = " -> ".join(f"{namespace}/{name}" for namespace, name in [*path, key])
        if key in path:
            raise InvalidSpec(f"agents call each other in a circle: {shown}", ref=self._ref, field=place)
        if len(path) > _MAX_DEPTH:
            raise InvalidSpec(f"agents call agents more than {_MAX_DEPTH} deep: {shown}", ref=self._ref, field=place)
        for kind, namespace, name, _ in tool_servers(agent):
            child = self._world.get(kind, namespace, name) if kind == "Agent" else None
            if child is not None:
                self._check_cycle(child, [*path, key], place)

    def _seconds(self, server: JsonObject, field_name: str, duration: str) -> float:
        try:
            return durations.seconds(duration)
        except ValueError as error:
            ref = ObjectRef(text(server, "kind"), namespace_of(server), name_of(server))
            raise InvalidSpec(str(error), ref=ref, field=f"spec.{field_name}") from error


def _entry(params: JsonObject, tool: JsonObject) -> JsonObject:
    server = mapping(tool, "mcpServer")
    entry: JsonObject = {"params": params}
    for key, source in (
        ("tools", "toolNames"),
        ("allowed_headers", "allowedHeaders"),
        ("require_approval", "requireApproval"),
    ):
        if names := strings(server, source):
            entry[key] = names
    return entry


def _key(agent: JsonObject) -> tuple[str, str]:
    return namespace_of(agent), name_of(agent)


def _label(target: JsonObject) -> str:
    return f"{text(target, 'kind').lower()}.{namespace_of(target)}.{name_of(target)}"


def mcp_server_port(server: JsonObject) -> int:
    """Return the port an MCPServer's Service listens on. Raises InvalidSpec for 0."""
    port = integer(server, "spec", "deployment", "port")
    if port is None:
        return MCP_PORT
    if not 0 < port < 65536:
        ref = ObjectRef("MCPServer", namespace_of(server), name_of(server))
        raise InvalidSpec(f"{port} is no port", ref=ref, field="spec.deployment.port")
    return port


def mcp_server_path(server: JsonObject) -> str:
    """Return the path of an MCPServer: its own for http (upstream's controller always takes /mcp), else /mcp."""
    if text(server, "spec", "transportType") != "http":
        return "/mcp"
    path = text(server, "spec", "httpTransport", "path")
    return f"/{path.lstrip('/')}" if path.strip("/") else "/mcp"


def service_address(service: JsonObject) -> tuple[str, bool]:
    """Return a Service tool server's address and whether it speaks SSE.

    Raises InvalidSpec when no port can be chosen.
    """
    ref = ObjectRef("Service", namespace_of(service), name_of(service))
    annotations = string_map(service, "metadata", "annotations")
    path = annotations.get("kagent.dev/mcp-service-path") or "/mcp"
    sse = annotations.get("kagent.dev/mcp-service-protocol") == "SSE"
    port = _service_port(service, annotations, ref)
    return f"http://{ref.name}.{ref.namespace}:{port}{path}", sse


def _service_port(service: JsonObject, annotations: dict[str, str], ref: ObjectRef) -> int:
    wanted = annotations.get("kagent.dev/mcp-service-port")
    if wanted:
        try:
            return int(wanted)
        except ValueError as error:
            raise InvalidSpec(
                f"{wanted!r} is no port", ref=ref, field="metadata.annotations[kagent.dev/mcp-service-port]"
            ) from error
    ports = rows(service, "spec", "ports")
    if len(ports) == 1:
        return integer(ports[0], "port") or 0
    for port in ports:
        if text(port, "appProtocol").lower() == "mcp":
            return integer(port, "port") or 0
    raise InvalidSpec(
        "no port serves MCP",
        ref=ref,
        field="spec.ports",
        remedy="set appProtocol: mcp on one port or the annotation kagent.dev/mcp-service-port",
    )
