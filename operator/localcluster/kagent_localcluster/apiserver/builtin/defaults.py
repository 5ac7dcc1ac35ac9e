"""Defaults of built-in kinds, as Kubernetes' SetDefaults functions give them.

The values are those that clients compare against when they read back what they wrote; the sources are
``pkg/apis/*/v1/defaults.go`` of Kubernetes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from kagent_localcluster.apiserver.jsonvalue import dig, is_object, objects_at
from kagent_localcluster.seams import JsonObject

__all__ = ["set_builtin_defaults"]


def set_builtin_defaults(storage_key: str, obj: JsonObject) -> None:
    """Set the defaults of a built-in object in place."""
    if default := _BY_KEY.get(storage_key):
        spec = obj.get("spec")
        default(obj, spec if is_object(spec) else {})


_IMAGE = re.compile(r"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w.-]+)?")


def _pod(obj: JsonObject, spec: JsonObject) -> None:
    if "spec" in obj:
        pod_spec(spec)
        spec.setdefault("enableServiceLinks", True)
    # Only a Pod's requests follow its limits; a template stays as it was written.
    for container in (*objects_at(spec, "containers"), *objects_at(spec, "initContainers")):
        resources = container["resources"]
        if is_object(resources) and is_object(limits := resources.get("limits")):
            resources["requests"] = {**limits, **(resources.get("requests") or {})}


def pod_spec(spec: JsonObject) -> None:
    """Set the defaults of a Pod's spec in place."""
    if not spec:
        return
    for key, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
    ):
        spec.setdefault(key, value)
    spec.setdefault("securityContext", {})
    # The older name of the field mirrors the newer one.
    if account := spec.get("serviceAccountName"):
        spec["serviceAccount"] = account
    elif account := spec.get("serviceAccount"):
        spec["serviceAccountName"] = account
    for group in ("containers", "initContainers"):
        for container in spec.get(group) or ():
            _container(container)
    for volume in objects_at(spec, "volumes"):
        _volume(volume)


def _container(container: JsonObject) -> None:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    # A name that does not parse has no tag, not the tag latest.
    latest = "@" not in image and tag in ("", "latest") and _IMAGE.fullmatch(image) is not None
    container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    for port in objects_at(container, "ports"):
        port.setdefault("protocol", "TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if is_object(probe := container.get(name)):
            _probe(probe)
    for variable in objects_at(container, "env"):
        if is_object(field := dig(variable, "valueFrom", "fieldRef")):
            field.setdefault("apiVersion", "v1")


def _probe(probe: JsonObject) -> None:
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        # Zero means unset in the Go types.
        probe[key] = probe.get(key) or value
    if is_object(http := probe.get("httpGet")):
        http.setdefault("path", "/")
        http.setdefault("scheme", "HTTP")
    if is_object(grpc := probe.get("grpc")):
        grpc.setdefault("service", "")


def _volume(volume: JsonObject) -> None:
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        if is_object(source := volume.get(name)):
            source.setdefault("defaultMode", 0o644)
    for source in objects_at(volume, "projected", "sources"):
        if is_object(token := source.get("serviceAccountToken")):
            token.setdefault("expirationSeconds", 3600)
    if is_object(path := volume.get("hostPath")):
        path.setdefault("type", "")
    if not any(key != "name" for key in volume):
        volume["emptyDir"] = {}


def _template(spec: JsonObject) -> None:
    if is_object(template := spec.get("template")):
        template.setdefault("metadata", {})
        if is_object(inner := template.get("spec")):
            pod_spec(inner)


def _deployment(_obj: JsonObject, spec: JsonObject) -> None:
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    _template(spec)


def _replica_set(obj: JsonObject, spec: JsonObject) -> None:
    spec.setdefault("replicas", 1)
    labels = dig(spec, "template", "metadata", "labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    _template(spec)


def _job(_obj: JsonObject, spec: JsonObject) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    for key, value in (
        ("parallelism", 1),
        ("backoffLimit", 6),
        ("completionMode", "NonIndexed"),
        ("suspend", False),
        ("manualSelector", False),
        ("podReplacementPolicy", "TerminatingOrFailed"),
    ):
        spec.setdefault(key, value)
    _template(spec)


def _cron_job(_obj: JsonObject, spec: JsonObject) -> None:
    for key, value in (
        ("concurrencyPolicy", "Allow"),
        ("suspend", False),
        ("successfulJobsHistoryLimit", 3),
        ("failedJobsHistoryLimit", 1),
    ):
        spec.setdefault(key, value)
    if is_object(job := dig(spec, "jobTemplate", "spec")):
        _template(job)


def _service(_obj: JsonObject, spec: JsonObject) -> None:
    kind = spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10_800}})
    elif spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    for port in objects_at(spec, "ports"):
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")


def _secret(obj: JsonObject, _spec: JsonObject) -> None:
    if texts := obj.pop("stringData", None):
        data: dict[str, str] = obj.get("data") or {}
        obj["data"] = {**data, **{key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}}
    obj["type"] = obj.get("type") or "Opaque"


def _claim(_obj: JsonObject, spec: JsonObject) -> None:
    spec.setdefault("volumeMode", "Filesystem")


def _volume_object(_obj: JsonObject, spec: JsonObject) -> None:
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")


def _binding(obj: JsonObject, _spec: JsonObject) -> None:
    group = "rbac.authorization.k8s.io"
    for subject in objects_at(obj, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = subject.get("apiGroup") or group
    if is_object(role := obj.get("roleRef")):
        role["apiGroup"] = role.get("apiGroup") or group


def _autoscaler(_obj: JsonObject, spec: JsonObject) -> None:
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target: dict[str, Any] = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _network_policy(_obj: JsonObject, spec: JsonObject) -> None:
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _ingress(_obj: JsonObject, spec: JsonObject) -> None:
    for rule in objects_at(spec, "rules"):
        for path in objects_at(rule, "http", "paths"):
            path.setdefault("pathType", "ImplementationSpecific")


def _endpoint_slice(obj: JsonObject, _spec: JsonObject) -> None:
    for port in objects_at(obj, "ports"):
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


_BY_KEY: dict[str, Callable[[JsonObject, JsonObject], None]] = {
    "/pods": _pod,
    "/services": _service,
    "/secrets": _secret,
    "/persistentvolumeclaims": _claim,
    "/persistentvolumes": _volume_object,
    "apps/deployments": _deployment,
    "apps/replicasets": _replica_set,
    "batch/jobs": _job,
    "batch/cronjobs": _cron_job,
    "rbac.authorization.k8s.io/rolebindings": _binding,
    "rbac.authorization.k8s.io/clusterrolebindings": _binding,
    "autoscaling/horizontalpodautoscalers": _autoscaler,
    "networking.k8s.io/networkpolicies": _network_policy,
    "networking.k8s.io/ingresses": _ingress,
    "discovery.k8s.io/endpointslices": _endpoint_slice,
}
