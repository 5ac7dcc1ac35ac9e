"""The Deployment, Service, ServiceAccount and Secret of an agent.

One set of builders for both engine profiles; what differs is in this module's small functions, each saying why.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Final

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_api.names import AGENT_PORT, CONFIG_HASH_ANNOTATION, TOKEN_AUDIENCE
from kagent_operator.translate.fields import (
    JsonObject,
    flag,
    integer,
    mapping,
    name_of,
    namespace_of,
    rows,
    section,
    string_map,
    text,
)
from kagent_operator.translate.goform import canonical_pod
from kagent_operator.translate.headers import HEADER_KEY_PREFIX
from kagent_operator.translate.metadata import agent_labels, agent_selector, inherited_annotations, object_meta
from kagent_operator.translate.model import PodPart
from kagent_operator.translate.settings import HEADERS_DIRECTORY, Profile, Settings
from kagent_operator.translate.skills import CONFIG_MAP_SUFFIX, SKILLS_FOLDER, SkillPart

__all__ = ["Workload", "build_objects", "deployment_block", "extra_containers", "last_words"]

CONTAINER: Final = "kagent"
_CARD_PATH: Final = "/.well-known/agent-card.json"
_UPSTREAM_RESOURCES: Final[JsonObject] = {
    "requests": {"cpu": "100m", "memory": "384Mi"},
    "limits": {"cpu": "2", "memory": "1Gi"},
}
# Our engine: under 90 MB without tools, under 110 MB with an MCP session; twice that leaves room for long histories.
_OWN_RESOURCES: Final[JsonObject] = {
    "requests": {"cpu": "50m", "memory": "96Mi"},
    "limits": {"cpu": "1", "memory": "256Mi"},
}
_UPSTREAM_PROBE: Final = {"python": (15, 15, 15), "go": (1, 5, 1)}  # initial delay, timeout, period in seconds


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Everything the objects of one agent are made of."""

    agent: JsonObject
    profile: Profile
    config: str
    card: str
    srt_settings: str
    config_hash: str
    pod: PodPart = field(default_factory=PodPart)
    skills: SkillPart | None = None
    header_files: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def byo(self) -> bool:
        return text(self.agent, "spec", "type") == "BYO"

    @property
    def runtime(self) -> str:
        """The engine of a declarative agent; unset means python (the CRD's default, go, is set by the server)."""
        return text(self.agent, "spec", "declarative", "runtime") or "python"

    @property
    def executes_code(self) -> bool:
        """Whether the agent runs code of its own: code blocks or skills."""
        return self.skills is not None or (
            not self.byo and flag(self.agent, "spec", "declarative", "executeCodeBlocks")
        )


def deployment_block(agent: JsonObject) -> JsonObject:
    """Return the deployment block of either type of agent."""
    kind = "byo" if text(agent, "spec", "type") == "BYO" else "declarative"
    return mapping(agent, "spec", kind, "deployment")


def build_objects(work: Workload, settings: Settings) -> list[JsonObject]:
    """Return Secret, ServiceAccount, ConfigMap, Deployment and Service, in the order in which they are written.

    Raises InvalidSpec for a BYO agent without image and for container names that are taken.
    """
    block = deployment_block(work.agent)
    labels = agent_labels(work.agent, settings, block)
    annotations = inherited_annotations(work.agent, work.profile)
    account = _service_account_name(work.agent, block, settings)
    objects = [_secret(work, labels, annotations)]
    if account == name_of(work.agent):
        objects.append(_service_account(work.agent, block, labels, annotations))
    if work.skills is not None:
        objects.append(_skills_config_map(work.agent, work.skills))
    objects.append(_deployment(work, settings, block, labels, annotations, account))
    objects.append(_service(work, labels, annotations))
    return objects


def _secret(work: Workload, labels: dict[str, str], annotations: dict[str, str]) -> JsonObject:
    data = {"config.json": work.config, "agent-card.json": work.card}
    if work.srt_settings:
        data["srt-settings.json"] = work.srt_settings
    data.update({HEADER_KEY_PREFIX + name: value for name, value in work.header_files.items()})
    meta = object_meta(work.agent, labels=labels, annotations=annotations)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}


def _service_account_name(agent: JsonObject, block: JsonObject, settings: Settings) -> str:
    return text(block, "serviceAccountName") or settings.default_service_account or name_of(agent)


def _service_account(
    agent: JsonObject, block: JsonObject, labels: dict[str, str], annotations: dict[str, str]
) -> JsonObject:
    extra = mapping(block, "serviceAccountConfig")
    meta = object_meta(
        agent,
        labels={**labels, **string_map(extra, "labels")},
        annotations={**annotations, **string_map(extra, "annotations")},
    )
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}


def _skills_config_map(agent: JsonObject, skills: SkillPart) -> JsonObject:
    meta = object_meta(agent, name=name_of(agent) + CONFIG_MAP_SUFFIX)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config.json": skills.config}}


def _service(work: Workload, labels: dict[str, str], annotations: dict[str, str]) -> JsonObject:
    port: JsonObject = {"name": "http", "port": AGENT_PORT, "targetPort": AGENT_PORT}
    if work.byo or section(work.agent, "spec", "declarative", "a2aConfig") is not None:
        port["appProtocol"] = "kgateway.dev/a2a"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": object_meta(work.agent, labels=labels, annotations=annotations),
        "spec": {"type": "ClusterIP", "selector": agent_selector(work.agent), "ports": [port]},
    }


def _deployment(
    work: Workload,
    settings: Settings,
    block: JsonObject,
    labels: dict[str, str],
    annotations: dict[str, str],
    account: str,
) -> JsonObject:
    pod = _pod(work, settings, block, account)
    canonical_pod(pod)
    spec: JsonObject = {}
    replicas = integer(block, "replicas")
    if replicas is not None:
        spec["replicas"] = replicas
    spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    spec["selector"] = {"matchLabels": agent_selector(work.agent)}
    spec["template"] = {
        "metadata": {
            "labels": dict(labels),
            "annotations": {**string_map(block, "annotations"), CONFIG_HASH_ANNOTATION: work.config_hash},
        },
        "spec": pod,
    }
    meta = object_meta(
        work.agent, labels=labels, annotations={**annotations, **string_map(block, "deploymentAnnotations")}
    )
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def _pod(work: Workload, settings: Settings, block: JsonObject, account: str) -> JsonObject:
    ours = work.profile == "kagent-tui" and not work.byo
    pod: JsonObject = {"serviceAccountName": account}
    if ours:
        # The engine never calls the Kubernetes API; its own kagent-audience token is mounted below.
        pod["automountServiceAccountToken"] = False
    if secrets := _pull_secrets(work, settings, block):
        pod["imagePullSecrets"] = secrets
    security = section(block, "podSecurityContext")
    if ours:
        security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **(security or {})}
    if security is not None:
        pod["securityContext"] = security
    if work.skills is not None:
        pod["initContainers"] = [_skills_container(work, settings, block)]
    extra = extra_containers(work.agent, block)
    pod["containers"] = [_container(work, settings, block), *extra]
    pod["volumes"] = _volumes(work, block)
    for key in ("tolerations", "affinity"):
        if block.get(key):
            pod[key] = copy.deepcopy(block[key])
    if selector := {**settings.default_node_selector, **string_map(block, "nodeSelector")}:
        pod["nodeSelector"] = selector
    return pod


def _pull_secrets(work: Workload, settings: Settings, block: JsonObject) -> list[JsonObject]:
    secrets = copy.deepcopy(rows(block, "imagePullSecrets"))
    default = settings.image_pull_secret
    if default and not work.byo and all(text(entry, "name") != default for entry in secrets):
        secrets.append({"name": default})
    return secrets


def extra_containers(agent: JsonObject, block: JsonObject) -> list[JsonObject]:
    """Return the author's own containers. Raises InvalidSpec for a name that is taken."""
    containers = copy.deepcopy(rows(block, "extraContainers"))
    ref = ObjectRef("Agent", namespace_of(agent), name_of(agent))
    seen: set[str] = set()
    for index, container in enumerate(containers):
        name = text(container, "name")
        place = f"deployment.extraContainers[{index}].name"
        if name == CONTAINER:
            raise InvalidSpec(
                f"reserved container name '{CONTAINER}'", ref=ref, field=place, remedy="choose another name"
            )
        if name in seen:
            raise InvalidSpec(f"duplicate container name '{name}'", ref=ref, field=place)
        seen.add(name)
    return containers


def _container(work: Workload, settings: Settings, block: JsonObject) -> JsonObject:
    container: JsonObject = {"name": CONTAINER, "image": _image(work, settings, block)}
    container["imagePullPolicy"] = text(block, "imagePullPolicy") or (
        "IfNotPresent" if work.byo else settings.image_pull_policy or "IfNotPresent"
    )
    if work.byo:
        if command := text(block, "cmd"):
            container["command"] = [command]
        if block.get("args"):
            container["args"] = copy.deepcopy(block["args"])
        if directory := text(block, "workingDir"):
            container["workingDir"] = directory
    else:
        container["args"] = ["--host", settings.bind_host, "--port", str(AGENT_PORT), "--filepath", "/config"]
    container["ports"] = [{"name": "http", "containerPort": AGENT_PORT}]
    env = _env(work, settings, block)
    container["env"] = _last_wins(env) if work.profile == "kagent-tui" else env
    if block.get("envFrom"):
        container["envFrom"] = copy.deepcopy(block["envFrom"])
    container["resources"] = _resources(work.profile, section(block, "resources"))
    container.update(_probes(work))
    container.update(last_words(work.profile))
    security = _security(work, section(block, "securityContext"))
    if security is not None:
        container["securityContext"] = security
    container["volumeMounts"] = _mounts(work, block)
    return container


def _image(work: Workload, settings: Settings, block: JsonObject) -> str:
    if work.byo:
        image = text(block, "image")
        if not image:
            ref = ObjectRef("Agent", namespace_of(work.agent), name_of(work.agent))
            raise InvalidSpec("a BYO agent needs an image", ref=ref, field="spec.byo.deployment.image")
        return image
    registry = text(block, "imageRegistry")
    if work.profile == "kagent-tui":
        if not registry:
            return settings.engine_image
        return f"{registry}/{settings.engine_image.split('/', 1)[-1]}"
    repository = settings.go_repository if work.runtime == "go" else settings.python_repository
    full = "-full" if work.srt_settings else ""
    return f"{registry or settings.image_registry}/{repository}:{settings.image_tag}{full}"


def _resources(profile: Profile, given: JsonObject | None) -> JsonObject:
    if given is not None:
        return copy.deepcopy(given)
    return copy.deepcopy(_UPSTREAM_RESOURCES if profile == "upstream" else _OWN_RESOURCES)


def last_words(profile: Profile) -> JsonObject:
    """Have the kubelet keep the last lines of a container that failed, which the status then tells."""
    return {"terminationMessagePolicy": "FallbackToLogsOnError"} if profile == "kagent-tui" else {}


def _probes(work: Workload) -> JsonObject:
    if work.byo or work.profile == "upstream":
        # A BYO image is asked for what every A2A server has; only our profile asks it without upstream's long delays.
        timing = "python" if work.byo else work.runtime
        delay, timeout, period = (
            (1, 5, 1) if work.profile == "kagent-tui" else _UPSTREAM_PROBE.get(timing, (15, 15, 15))
        )
        return {"readinessProbe": _probe(_CARD_PATH, delay, timeout, period)}
    # Three misses of ten seconds: an engine in the middle of a long answer still has an event loop that replies.
    liveness = {**_probe("/health", 10, 5, 10), "failureThreshold": 3}
    return {"readinessProbe": _probe("/health", 1, 5, 1), "livenessProbe": liveness}


def _probe(path: str, delay: int, timeout: int, period: int) -> JsonObject:
    return {
        "httpGet": {"path": path, "port": "http"},
        "initialDelaySeconds": delay,
        "timeoutSeconds": timeout,
        "periodSeconds": period,
    }


def _security(work: Workload, given: JsonObject | None) -> JsonObject | None:
    if work.profile == "kagent-tui":
        # A BYO image is somebody else's; it may need to write or to run as root, so only its own context counts.
        if work.byo:
            return copy.deepcopy(given)
        return {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            **copy.deepcopy(given or {}),
        }
    if not work.executes_code:
        return copy.deepcopy(given)
    context: dict[str, Any] = copy.deepcopy(given or {})
    if context.get("allowPrivilegeEscalation") is not False:
        context["privileged"] = True
    return context


def _env(work: Workload, settings: Settings, block: JsonObject) -> list[JsonObject]:
    env = [*copy.deepcopy(rows(block, "env")), *work.pod.env]
    env += [{"name": name, "value": value} for name, value in sorted(settings.otel_env)]
    env.append({"name": "KAGENT_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}})
    env.append({"name": "KAGENT_NAME", "value": name_of(work.agent)})
    env.append({"name": "KAGENT_URL", "value": settings.controller_url})
    if settings.ui_url:
        env.append({"name": "KAGENT_UI_URL", "value": settings.ui_url})
    if work.skills is not None:
        env.append({"name": "KAGENT_SKILLS_FOLDER", "value": SKILLS_FOLDER})
    if work.srt_settings:
        env.append({"name": "KAGENT_SRT_SETTINGS_PATH", "value": "/config/srt-settings.json"})
    return env


def _last_wins(env: list[JsonObject]) -> list[JsonObject]:
    """Drop earlier entries of a name, as the kubelet would: server-side apply refuses doubled names."""
    last = {text(entry, "name"): index for index, entry in enumerate(env)}
    return [entry for index, entry in enumerate(env) if last[text(entry, "name")] == index]


def _volumes(work: Workload, block: JsonObject) -> list[JsonObject]:
    secret = name_of(work.agent)
    config: JsonObject = {"secretName": secret}
    headers: list[JsonObject] = []
    if work.header_files:
        # Header values must not lie beside config.json, where a skill may look.
        names = ["config.json", "agent-card.json", *(["srt-settings.json"] if work.srt_settings else [])]
        config["items"] = [{"key": name, "path": name} for name in names]
        items = [{"key": HEADER_KEY_PREFIX + name, "path": name} for name in sorted(work.header_files)]
        headers = [{"name": "headers", "secret": {"secretName": secret, "items": items}}]
    volumes = [
        {"name": "config", "secret": config},
        *headers,
        *copy.deepcopy(rows(block, "volumes")),
        *work.pod.volumes,
    ]
    if work.skills is not None:
        volumes += copy.deepcopy(work.skills.volumes)
    token: JsonObject = {"audience": TOKEN_AUDIENCE, "expirationSeconds": 3600, "path": "kagent-token"}
    volumes.append({"name": "kagent-token", "projected": {"sources": [{"serviceAccountToken": token}]}})
    if _needs_scratch(work, block):
        volumes.append({"name": "tmp", "emptyDir": {}})
    return volumes


def _mounts(work: Workload, block: JsonObject) -> list[JsonObject]:
    mounts: list[JsonObject] = [{"name": "config", "mountPath": "/config"}]
    if work.header_files:
        mounts.append({"name": "headers", "mountPath": HEADERS_DIRECTORY, "readOnly": True})
    mounts += [*copy.deepcopy(rows(block, "volumeMounts")), *work.pod.mounts]
    if work.skills is not None:
        mounts += copy.deepcopy(work.skills.main_mounts)
    mounts.append({"name": "kagent-token", "mountPath": "/var/run/secrets/tokens"})
    if _needs_scratch(work, block):
        mounts.append({"name": "tmp", "mountPath": "/tmp"})  # noqa: S108 - a path in the container
    return mounts


def _needs_scratch(work: Workload, block: JsonObject) -> bool:
    """Our engine's root is read-only; /tmp is writable unless the author mounts something there."""
    if work.profile != "kagent-tui" or work.byo:
        return False
    taken = any(text(mount, "mountPath").rstrip("/") == "/tmp" for mount in rows(block, "volumeMounts"))  # noqa: S108
    return not taken and all(text(volume, "name") != "tmp" for volume in rows(block, "volumes"))


def _skills_container(work: Workload, settings: Settings, block: JsonObject) -> JsonObject:
    options = mapping(work.agent, "spec", "skills", "initContainer")
    skills = work.skills
    assert skills is not None
    container: JsonObject = {"name": "skills-init"}
    security = copy.deepcopy(section(block, "securityContext"))
    if work.profile == "upstream":
        container["image"] = f"{settings.image_registry}/{settings.skills_repository}:{settings.image_tag}"
    else:
        container["image"] = settings.engine_image
        container["args"] = ["skills-init"]
        if not work.byo:
            security = _security(work, security)
    if options.get("env"):
        container["env"] = copy.deepcopy(options["env"])
    container["resources"] = _resources(work.profile, section(options, "resources"))
    container.update(last_words(work.profile))
    if security is not None:
        container["securityContext"] = security
    container["volumeMounts"] = copy.deepcopy(skills.init_mounts)
    if _needs_scratch(work, block):
        container["volumeMounts"].append({"name": "tmp", "mountPath": "/tmp"})  # noqa: S108 - a path in the container
    return container
