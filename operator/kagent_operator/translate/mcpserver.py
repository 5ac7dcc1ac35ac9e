"""One MCPServer -> Deployment, Service, ConfigMap and ServiceAccount, in the shape of the kmcp controller.

A stdio server runs behind an adapter that an init container copies in, since no bridge of ours can run in people's
images; one that uvx starts needs none and may run in our engine's image behind our bridge, by annotation. Profile
upstream is kmcp's own output; ours adds what kmcp leaves out: a declared port and probe, the path and target port of
http servers, and labels on the objects around the Pods.
"""

from __future__ import annotations

import copy
import hashlib
from typing import Final

import yaml

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_api.names import BRIDGE_ANNOTATION, OWN_GROUP
from kagent_operator.translate.config_hash import secret_hash
from kagent_operator.translate.deployment import last_words
from kagent_operator.translate.fields import (
    JsonObject,
    config_values,
    integer,
    mapping,
    name_of,
    namespace_of,
    rows,
    secret_values,
    section,
    string_map,
    strings,
    text,
)
from kagent_operator.translate.goform import canonical_pod, with_zero_values
from kagent_operator.translate.metadata import object_meta
from kagent_operator.translate.settings import Profile, Settings, profile_of
from kagent_operator.translate.tools import mcp_server_path, mcp_server_port
from kagent_operator.translate.world import World
from kagent_operator.yaml_text import dump_yaml

__all__ = ["CONFIG_HASH", "SECRETS_HASH", "mcp_server_url", "missing_references", "translate_mcpserver"]

CONFIG_HASH: Final = "kmcp.kagent.dev/mcpserver-config-hash"
SECRETS_HASH: Final = f"{OWN_GROUP}/secrets-hash"
_ADAPTER: Final = "/adapterbin/agentgateway"
_GO_WIDTH: Final = 80  # where Go's YAML writer folds
_SCRATCH: Final = "/tmp"  # noqa: S108 - a path in the container
_DEFAULT_IMAGES: Final = {"npx": "node:24-alpine3.21", "uvx": "ghcr.io/astral-sh/uv:debian"}


def mcp_server_url(server: JsonObject, profile: Profile) -> str:
    """Return where an MCPServer's tools are. Raises InvalidSpec for a port that is none."""
    path = mcp_server_path(server) if profile == "kagent-tui" else "/mcp"
    return f"http://{name_of(server)}.{namespace_of(server)}:{mcp_server_port(server)}{path}"


def translate_mcpserver(
    server: JsonObject, world: World, settings: Settings, *, profile: Profile | None = None
) -> list[JsonObject]:
    """Return the objects of an MCPServer in the order they are written.

    ``world`` is asked for the Secrets and ConfigMaps behind env, whose change must roll the Pods out.

    Raises InvalidSpec when the server cannot run as written.
    """
    profile = profile or profile_of(server, settings)
    _validate(server)
    _own_bridge(server, profile)
    local = _adapter_config(server)
    if profile == "upstream":
        local = _as_it_stands(server, world, local)
    objects: list[JsonObject] = []
    deployment = mapping(server, "spec", "deployment")
    labels = {**_selector(server), "app.kubernetes.io/managed-by": "kmcp"}
    # kmcp labels its Pods only.
    own_labels = labels if profile == "kagent-tui" else {}
    if not text(deployment, "serviceAccountName"):
        account = mapping(deployment, "serviceAccount")
        meta = object_meta(
            server,
            labels={**own_labels, **string_map(account, "labels")},
            annotations=string_map(account, "annotations"),
            controller=False,
        )
        objects.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    meta = object_meta(server, labels=own_labels, controller=False)
    objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"local.yaml": local}})
    for obj in (_deployment(server, world, settings, profile, labels, local), _service(server, settings, profile)):
        obj["metadata"] = object_meta(server, labels=own_labels, controller=False)
        objects.append(obj)
    return [with_zero_values(obj) for obj in objects] if profile == "upstream" else objects


def _ref(server: JsonObject) -> ObjectRef:
    return ObjectRef("MCPServer", namespace_of(server), name_of(server))


def _selector(server: JsonObject) -> dict[str, str]:
    return {"app.kubernetes.io/name": name_of(server), "app.kubernetes.io/instance": name_of(server)}


def _validate(server: JsonObject) -> None:
    spec = mapping(server, "spec")
    transport = text(spec, "transportType")
    if transport not in {"stdio", "http"}:
        raise InvalidSpec(
            f"unsupported transport type {transport!r}",
            ref=_ref(server),
            field="spec.transportType",
            remedy="use stdio or http",
        )
    command = text(spec, "deployment", "cmd")
    if not text(spec, "deployment", "image") and command not in _DEFAULT_IMAGES:
        raise InvalidSpec(
            "an image is needed, as the command is neither npx nor uvx",
            ref=_ref(server),
            field="spec.deployment.image",
        )
    if transport == "http" and not integer(spec, "httpTransport", "targetPort"):
        raise InvalidSpec(
            "an http server needs the port it listens on", ref=_ref(server), field="spec.httpTransport.targetPort"
        )
    mcp_server_port(server)


def _own_bridge(server: JsonObject, profile: Profile) -> bool:
    """Tell whether a server runs behind our bridge, in the engine's image.

    Raises InvalidSpec when it is asked for and cannot be.
    """
    wanted = text(server, "metadata", "annotations", BRIDGE_ANNOTATION)
    if not wanted or profile == "upstream":
        return False
    spec = mapping(server, "spec")
    problem, remedy = "", "remove the annotation"
    if wanted != "engine":
        problem, remedy = f"{wanted!r} is no bridge", "write engine, or remove the annotation"
    elif text(spec, "transportType") != "stdio":
        problem = "only stdio servers need a bridge"
    elif text(spec, "deployment", "image"):
        problem, remedy = "the engine's bridge runs in its own image", "remove spec.deployment.image or the annotation"
    elif text(spec, "deployment", "cmd") != "uvx":
        problem = f"the engine's image has uvx, not {text(spec, 'deployment', 'cmd')!r}"
    if problem:
        raise InvalidSpec(problem, ref=_ref(server), field=f"metadata.annotations[{BRIDGE_ANNOTATION}]", remedy=remedy)
    return True


def _adapter_config(server: JsonObject) -> str:
    """Return local.yaml: what agentgateway, or our bridge in its place, serves and how it starts the server."""
    spec, deployment = mapping(server, "spec"), mapping(server, "spec", "deployment")
    target: JsonObject = {"name": name_of(server)}
    if text(spec, "transportType") == "stdio":
        stdio: JsonObject = {"cmd": text(deployment, "cmd")}
        if args := strings(deployment, "args"):
            stdio["args"] = args
        if env := string_map(deployment, "env"):
            stdio["env"] = dict(sorted(env.items()))
        target["stdio"] = stdio
    else:
        target["sse"] = {
            "host": "localhost",
            "port": integer(spec, "httpTransport", "targetPort"),
            "path": text(spec, "httpTransport", "path"),
        }
    route: JsonObject = {
        "name": "mcp",
        "matches": [{"path": {"pathPrefix": "/sse"}}, {"path": {"pathPrefix": "/mcp"}}],
        "backends": [{"weight": 100, "mcp": {"targets": [target]}}],
    }
    listener: JsonObject = {"name": "default", "protocol": "HTTP", "routes": [route]}
    config: JsonObject = {
        "config": {},
        "binds": [{"port": mcp_server_port(server), "listeners": [listener]}],
    }
    return dump_yaml(config, sort_keys=True, width=_GO_WIDTH)


def _as_it_stands(server: JsonObject, world: World, local: str) -> str:
    """Return the configuration that another writer left where it says the same: its hash decides over a rollout."""
    found = world.get("ConfigMap", namespace_of(server), name_of(server))
    standing = string_map(found, "data").get("local.yaml", "")
    try:
        same = standing != local and yaml.safe_load(standing) == yaml.safe_load(local)
    except yaml.YAMLError:
        return local
    return standing if same else local


def _deployment(
    server: JsonObject,
    world: World,
    settings: Settings,
    profile: Profile,
    labels: dict[str, str],
    local: str,
) -> JsonObject:
    block = mapping(server, "spec", "deployment")
    annotations = {
        **string_map(block, "annotations"),
        CONFIG_HASH: hashlib.sha256(local.encode()).hexdigest()[:8],
    }
    if profile == "kagent-tui" and (referenced := _env_sources(server, world)):
        annotations[SECRETS_HASH] = secret_hash(referenced)[:16]
    pod = _pod(server, settings, profile)
    canonical_pod(pod)
    replicas = integer(block, "replicas")
    spec: JsonObject = {
        "replicas": 1 if replicas is None else replicas,
        "selector": {"matchLabels": _selector(server)},
        "template": {
            "metadata": {"labels": {**labels, **string_map(block, "labels")}, "annotations": annotations},
            "spec": pod,
        },
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}


def missing_references(server: JsonObject, world: World) -> list[str]:
    """Return one line per Secret or ConfigMap that an MCPServer names and that is not there."""
    namespace = namespace_of(server)
    return [
        f"spec.deployment.{field}: {kind} '{name}' not found in namespace '{namespace}'"
        for kind, field, name in _references(server)
        if world.get(kind, namespace, name) is None
    ]


def _references(server: JsonObject) -> list[tuple[str, str, str]]:
    block = mapping(server, "spec", "deployment")
    return [
        (kind, field, text(entry, "name"))
        for kind, field in (("Secret", "secretRefs"), ("ConfigMap", "configMapRefs"))
        for entry in rows(block, field)
    ]


def _env_sources(server: JsonObject, world: World) -> dict[str, dict[str, bytes]]:
    """Return what env comes from; a Secret that is not there yet counts once it is."""
    found: dict[str, dict[str, bytes]] = {}
    for kind, _, name in _references(server):
        obj = world.get(kind, namespace_of(server), name)
        if obj is not None:
            found[f"{kind}/{namespace_of(server)}/{name}"] = (secret_values if kind == "Secret" else config_values)(obj)
    return found


def _pod(server: JsonObject, settings: Settings, profile: Profile) -> JsonObject:
    block = mapping(server, "spec", "deployment")
    own = _own_bridge(server, profile)
    adapted = text(server, "spec", "transportType") == "stdio" and not own
    pod: JsonObject = {"serviceAccountName": text(block, "serviceAccountName") or name_of(server)}
    if adapted:
        pod["initContainers"] = [{**_adapter_container(block, settings), **last_words(profile)}]
    container = _container(server, profile, adapted=adapted)
    if own:
        _put_behind_our_bridge(container, server, settings)
    pod["containers"] = [container, *copy.deepcopy(rows(block, "sidecars"))]
    volumes: list[JsonObject] = [{"name": "config", "configMap": {"name": name_of(server)}}]
    if adapted:
        volumes.append({"name": "binary", "emptyDir": {}})
    if own and _needs_scratch(block):
        volumes.append({"name": "tmp", "emptyDir": {}})
    for entry in rows(block, "configMapRefs"):
        volumes.append({"name": f"cm-{text(entry, 'name')}", "configMap": {"name": text(entry, "name")}})
    pod["volumes"] = [*volumes, *copy.deepcopy(rows(block, "volumes"))]
    for key, target in (
        ("imagePullSecrets", "imagePullSecrets"),
        ("podSecurityContext", "securityContext"),
        ("tolerations", "tolerations"),
        ("affinity", "affinity"),
        ("nodeSelector", "nodeSelector"),
    ):
        if block.get(key):
            pod[target] = copy.deepcopy(block[key])
    if own:
        security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        pod["securityContext"] = {**security, **mapping(pod, "securityContext")}
    return pod


def _put_behind_our_bridge(container: JsonObject, server: JsonObject, settings: Settings) -> None:
    """Have a container run the engine's bridge, which starts the server as the adapter would."""
    port = str(mcp_server_port(server))
    container["image"] = settings.engine_image
    container["args"] = ["mcp-bridge", "--file", "/config/local.yaml", "--host", settings.bind_host, "--port", port]
    # The root is read-only: what uvx fetches lies in the scratch directory.
    places = {"HOME": _SCRATCH, "UV_CACHE_DIR": f"{_SCRATCH}/uv"}
    env = {**places, **string_map(server, "spec", "deployment", "env")}
    container["env"] = [{"name": key, "value": value} for key, value in sorted(env.items())]
    container["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        **mapping(container, "securityContext"),
    }
    if _needs_scratch(mapping(server, "spec", "deployment")):
        container["volumeMounts"].append({"name": "tmp", "mountPath": _SCRATCH})


def _needs_scratch(block: JsonObject) -> bool:
    """Tell whether the author left /tmp to us."""
    taken = any(text(mount, "mountPath").rstrip("/") == _SCRATCH for mount in rows(block, "volumeMounts"))
    return not taken and all(text(volume, "name") != "tmp" for volume in rows(block, "volumes"))


def _adapter_container(block: JsonObject, settings: Settings) -> JsonObject:
    options = mapping(block, "initContainer")
    container: JsonObject = {
        "name": "copy-binary",
        "image": text(options, "image") or settings.adapter_image,
        "imagePullPolicy": text(options, "imagePullPolicy") or "IfNotPresent",
        "args": ["--copy-self", _ADAPTER],
        "volumeMounts": [{"name": "binary", "mountPath": "/adapterbin"}],
    }
    if options.get("resources"):
        container["resources"] = copy.deepcopy(options["resources"])
    security = section(options, "securityContext") or section(block, "securityContext")
    if security is not None:
        container["securityContext"] = copy.deepcopy(security)
    return container


def _container(server: JsonObject, profile: Profile, *, adapted: bool) -> JsonObject:
    block = mapping(server, "spec", "deployment")
    command = text(block, "cmd")
    container: JsonObject = {
        "name": "mcp-server",
        "image": text(block, "image") or _DEFAULT_IMAGES[command],
        "imagePullPolicy": text(block, "imagePullPolicy") or "IfNotPresent",
    }
    if adapted:
        container["command"] = [_ADAPTER]
        container["args"] = ["-f", "/config/local.yaml"]
    elif text(server, "spec", "transportType") == "http":
        if command:
            container["command"] = [command]
        if args := strings(block, "args"):
            container["args"] = args
    if env := string_map(block, "env"):
        container["env"] = [{"name": key, "value": value} for key, value in sorted(env.items())]
    if refs := [{"secretRef": {"name": text(entry, "name")}} for entry in rows(block, "secretRefs")]:
        container["envFrom"] = refs
    if block.get("resources"):
        container["resources"] = copy.deepcopy(block["resources"])
    if profile == "kagent-tui":
        container["ports"] = [{"name": "http", "containerPort": _listens_on(server)}]
        # The adapter listens once it can start the server; without a probe "Ready" would only mean "started".
        container["readinessProbe"] = {"tcpSocket": {"port": "http"}, "initialDelaySeconds": 1, "periodSeconds": 1}
    container.update(last_words(profile))
    if security := section(block, "securityContext"):
        container["securityContext"] = copy.deepcopy(security)
    mounts: list[JsonObject] = [{"name": "config", "mountPath": "/config"}]
    if adapted:
        mounts.append({"name": "binary", "mountPath": "/adapterbin"})
    for entry in rows(block, "configMapRefs"):
        name = text(entry, "name")
        mounts.append({"name": f"cm-{name}", "mountPath": f"/configmaps/{name}", "readOnly": True})
    container["volumeMounts"] = [*mounts, *copy.deepcopy(rows(block, "volumeMounts"))]
    return container


def _listens_on(server: JsonObject) -> int:
    """Return the port inside the Pod: an http server's own, else the adapter's."""
    if text(server, "spec", "transportType") == "http":
        return integer(server, "spec", "httpTransport", "targetPort") or mcp_server_port(server)
    return mcp_server_port(server)


def _service(server: JsonObject, settings: Settings, profile: Profile) -> JsonObject:
    port = mcp_server_port(server)
    entry: JsonObject = {"name": "http", "protocol": "TCP", "port": port, "targetPort": port}
    if profile == "kagent-tui":
        entry["targetPort"] = _listens_on(server)
    if settings.mcp_app_protocol:
        entry["appProtocol"] = "kgateway.dev/mcp"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"selector": _selector(server), "ports": [entry]},
    }
