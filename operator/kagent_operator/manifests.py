"""What installs the operator in one namespace: as any cluster gets it, the local one included.

One Role with exactly the rights that the code uses, each rule saying for what; no wildcard, nothing about CRDs, and a
ClusterRole (which also reads Namespaces) only where the whole cluster is asked for. The chart under ``operator/chart``
renders the same; a test holds the two together. The CRDs are apart (``kagent-operator crds``), since installing them
needs other rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kagent_api.errors import InvalidSpec
from kagent_api.names import CONTROLLER_NAME, CONTROLLER_PORT, HEALTH_PORT, OPERATOR_IMAGE

__all__ = ["Installation", "manifests", "role_rules"]

_LABELS: Final = {
    "app.kubernetes.io/name": "kagent",
    "app.kubernetes.io/component": "controller",
    "app.kubernetes.io/managed-by": "kagent-operator",
}
_SELECTOR: Final = {"app.kubernetes.io/name": "kagent", "app.kubernetes.io/component": "controller"}
_CHANGED: Final = ["agents", "modelconfigs", "remotemcpservers", "mcpservers"]
_WATCHED: Final = ["modelproviderconfigs", "sandboxagents"]
# Everything is read by watching it: no single object is ever asked for.
_READ: Final = ["list", "watch"]
_WRITE: Final = ["create", "update", "delete"]
_STATE: Final = "/var/lib/kagent"
_GROUP: Final = "rbac.authorization.k8s.io"
ALL_NAMESPACES: Final = "*"
# The user of our image; the group makes a claim's files writable to it.
_GROUP_OF_FILES: Final = 65532


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What the manifests are made of. ``watch_namespaces`` empty means its own namespace only, ``*`` every one."""

    namespace: str = "kagent"
    image: str = OPERATOR_IMAGE
    watch_namespaces: Sequence[str] = ()
    arguments: Sequence[str] = ()
    env: Sequence[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    state: str = "emptyDir"
    replicas: int = 1
    database_secret: str = ""  # NAME or NAME:KEY, of a PostgreSQL URL


def _rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _lease_rule() -> dict[str, Any]:
    # One of several replicas leads.
    return _rule("coordination.k8s.io", ["leases"], ["get", "create", "update"])


def role_rules() -> list[dict[str, Any]]:
    """Return the operator's rights in a namespace that it looks after."""
    return [
        _rule("kagent.dev", [*_CHANGED, *_WATCHED], _READ),
        # The HTTP API makes, changes and deletes them for its callers.
        _rule("kagent.dev", _CHANGED, ["create", "patch", "delete"]),
        # Conditions, discovered tools, secret hashes.
        _rule("kagent.dev", [f"{kind}/status" for kind in (*_CHANGED, *_WATCHED)], ["patch"]),
        # Owner references with blockOwnerDeletion, where the API server asks for this right (OpenShift does).
        _rule("kagent.dev", ["agents/finalizers"], ["update"]),
        # Agents and MCP servers run as Deployments.
        _rule("apps", ["deployments"], [*_READ, *_WRITE]),
        # The applied generations of an Agent.
        _rule("apps", ["controllerrevisions"], ["list", "create", "delete"]),
        # Configuration, addresses and identities of agents; keys and headers that resources refer to.
        _rule("", ["services", "secrets", "configmaps", "serviceaccounts"], [*_READ, *_WRITE]),
        # Prompt libraries, and keys given with a model, which the HTTP API changes for its callers.
        _rule("", ["secrets", "configmaps"], ["patch"]),
        # Why a Pod does not run.
        _rule("", ["pods"], _READ),
        _rule("", ["events"], ["create", "patch"]),
        _lease_rule(),
    ]


def manifests(installation: Installation) -> list[dict[str, Any]]:
    """Return ServiceAccount, Roles, RoleBindings, Deployment and Service, in the order to apply them.

    Raises InvalidSpec for a ``state`` that is no place, and for several replicas without a database.
    """
    if installation.replicas > 1 and not installation.database_secret:
        raise InvalidSpec(
            "more than one replica needs PostgreSQL (SQLite has one writer)", remedy="name the Secret with its URL"
        )
    objects: list[dict[str, Any]] = [_object("v1", "ServiceAccount", installation.namespace)]
    if ALL_NAMESPACES in installation.watch_namespaces:
        objects += _cluster_rights(installation.namespace)
    else:
        watched = list(dict.fromkeys(installation.watch_namespaces)) or [installation.namespace]
        for namespace in watched:
            objects += _rights(namespace, installation.namespace, role_rules())
        if installation.namespace not in watched:
            objects += _rights(installation.namespace, installation.namespace, [_lease_rule()])
    objects.append(_deployment(installation))
    ports = [{"name": "http", "port": CONTROLLER_PORT, "targetPort": "http"}]
    objects.append(
        _object(
            "v1", "Service", installation.namespace, spec={"type": "ClusterIP", "selector": _SELECTOR, "ports": ports}
        )
    )
    return objects


def _rights(namespace: str, account_namespace: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    binding = _binding("Role", CONTROLLER_NAME, account_namespace)
    return [
        _object(f"{_GROUP}/v1", "Role", namespace, rules=rules),
        _object(f"{_GROUP}/v1", "RoleBinding", namespace, **binding),
    ]


def _cluster_rights(namespace: str) -> list[dict[str, Any]]:
    """Return rights everywhere: the same rules, and Namespaces for allowedNamespaces with a selector."""
    name = f"{CONTROLLER_NAME}-{namespace}"
    metadata = {"name": name, "labels": dict(_LABELS)}
    rules = [*role_rules(), _rule("", ["namespaces"], _READ)]
    return [
        {"apiVersion": f"{_GROUP}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            **_binding("ClusterRole", name, namespace),
        },
    ]


def _binding(kind: str, name: str, namespace: str) -> dict[str, Any]:
    return {
        "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": CONTROLLER_NAME, "namespace": namespace}],
    }


def _object(api_version: str, kind: str, namespace: str, **content: Any) -> dict[str, Any]:
    metadata = {"name": CONTROLLER_NAME, "namespace": namespace, "labels": dict(_LABELS)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _state_volume(state: str) -> dict[str, Any]:
    """Return the volume of the store: ``emptyDir`` loses sessions with the Pod, the other two keep them."""
    kind, _, place = state.partition(":")
    if kind == "emptyDir" and not place:
        return {"name": "state", "emptyDir": {}}
    if kind == "claim" and place:
        return {"name": "state", "persistentVolumeClaim": {"claimName": place}}
    if kind == "hostPath" and place.startswith("/"):
        return {"name": "state", "hostPath": {"path": place, "type": "DirectoryOrCreate"}}
    raise InvalidSpec(f"{state!r} is no place for sessions", remedy="use emptyDir, claim:NAME or hostPath:/PATH")


def _database_env(secret: str) -> list[dict[str, Any]]:
    if not secret:
        return []
    name, _, key = secret.partition(":")
    source = {"secretKeyRef": {"name": name, "key": key or "url"}}
    return [{"name": "DATABASE_URL", "valueFrom": source}]


def _deployment(installation: Installation) -> dict[str, Any]:
    # Spelled out although they are the defaults: the local cluster gives each Pod ports of its own by rewriting these.
    arguments = ["run", f"--http-address=0.0.0.0:{CONTROLLER_PORT}", f"--health-address=0.0.0.0:{HEALTH_PORT}"]
    if installation.replicas > 1:
        arguments.append("--leader-elect")
    arguments += installation.arguments
    if installation.watch_namespaces:
        arguments.append(f"--watch-namespaces={','.join(installation.watch_namespaces)}")
    container: dict[str, Any] = {
        "name": "controller",
        "image": installation.image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments,
        "env": [
            {"name": "KAGENT_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "KAGENT_TUI_STATE", "value": _STATE},
            *_database_env(installation.database_secret),
            *installation.env,
        ],
        "ports": [
            {"name": "http", "containerPort": CONTROLLER_PORT},
            {"name": "health", "containerPort": HEALTH_PORT},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "health"},
            "initialDelaySeconds": 1,
            "timeoutSeconds": 5,
            "periodSeconds": 2,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "health"},
            "initialDelaySeconds": 10,
            "timeoutSeconds": 5,
            "periodSeconds": 10,
            "failureThreshold": 3,
        },
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "384Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "state", "mountPath": _STATE}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - in the container
    }
    pod: dict[str, Any] = {
        "serviceAccountName": CONTROLLER_NAME,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": _GROUP_OF_FILES,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 20,
        "containers": [container],
        "volumes": [_state_volume(installation.state), {"name": "tmp", "emptyDir": {}}],
    }
    return _object(
        "apps/v1",
        "Deployment",
        installation.namespace,
        spec={
            "replicas": installation.replicas,
            "selector": {"matchLabels": dict(_SELECTOR)},
            # SQLite has one writer: the old replica goes before the new one comes.
            "strategy": {"type": "RollingUpdate" if installation.database_secret else "Recreate"},
            "template": {"metadata": {"labels": dict(_LABELS)}, "spec": pod},
        },
    )
