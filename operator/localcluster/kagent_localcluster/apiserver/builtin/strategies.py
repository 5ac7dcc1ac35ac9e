"""What built-in kinds do on create and update beyond schema and defaults, and what makes them invalid.

A strategy sees the object after defaulting. It changes it in place and yields the faults that Kubernetes' own
validation would, as far as they can meet people here: required lists, immutable fields, references that must match.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from kagent_localcluster.apiserver.builtin.faults import (
    duplicate,
    forbidden,
    invalid,
    label_fault,
    one_of,
    port_name_problem,
    port_number,
    required,
)
from kagent_localcluster.apiserver.builtin.podrules import check_pod_spec
from kagent_localcluster.apiserver.builtin.rbacrules import check_binding, check_role
from kagent_localcluster.apiserver.builtin.workloadrules import check_deployment, check_job, check_replica_set
from kagent_localcluster.apiserver.jsonvalue import dig, object_at, objects_at
from kagent_localcluster.apiserver.meta import label_problems, now
from kagent_localcluster.apiserver.schema.crd import check_definition, default_definition, mark_accepted
from kagent_localcluster.errors import Cause
from kagent_localcluster.seams import JsonObject

__all__ = ["prepare", "validate_builtin"]

_SECRET_LIMIT = 1 << 20  # Kubernetes' MaxSecretSize


def prepare(storage_key: str, new: JsonObject, old: JsonObject | None) -> None:
    """Set what the server decides about the object; ``old`` is None on create."""
    match storage_key:
        case "/namespaces":
            labels = new["metadata"].setdefault("labels", {})
            labels["kubernetes.io/metadata.name"] = new["metadata"]["name"]
            spec = new.setdefault("spec", {})
            if old is None:
                spec["finalizers"] = ["kubernetes"]
                new["status"] = {"phase": "Active"}
        case "/serviceaccounts":
            if secrets := objects_at(new, "secrets"):
                new["secrets"] = [{"name": secret["name"]} if secret.get("name") else {} for secret in secrets]
        case "/services":
            _prepare_service(new, old)
        case "/pods":
            _prepare_pod(new, old)
        case "batch/jobs":
            _prepare_job(new, old)
        case "apiextensions.k8s.io/customresourcedefinitions":
            default_definition(new)
        case _:
            pass


def _prepare_service(new: JsonObject, old: JsonObject | None) -> None:
    """Give a Service an address as clients expect one; here names, not addresses, lead to Services."""
    spec = new.setdefault("spec", {})
    if old is not None and "clusterIP" not in spec and spec.get("type") != "ExternalName":
        spec["clusterIP"] = dig(old, "spec", "clusterIP")
    if spec.get("type") != "ExternalName" and not spec.get("clusterIP"):
        spec["clusterIP"] = _cluster_address(new["metadata"]["uid"])
    if spec.get("clusterIP"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    if spec.get("type") != "ExternalName":
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    if old is None:
        new["status"] = {"loadBalancer": {}}


def _cluster_address(uid: str) -> str:
    """Return an address of 10.96.0.0/12 as a real cluster shows; nothing listens there."""
    number = int(uid.replace("-", ""), 16) % ((1 << 20) - 512) + 256
    return f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def _prepare_pod(new: JsonObject, old: JsonObject | None) -> None:
    spec = new.setdefault("spec", {})
    if old is not None:
        # What admission decided at creation stays where an update leaves it out.
        former = object_at(old, "spec")
        for field in ("serviceAccountName", "serviceAccount", "preemptionPolicy", "priority", "nodeName"):
            if field in former:
                spec.setdefault(field, former[field])
        _tolerate_failing_nodes(spec)
    if old is not None and (quality := dig(old, "status", "qosClass")):
        new.setdefault("status", {}).setdefault("qosClass", quality)
    if old is None:
        new["status"] = {"phase": "Pending", "qosClass": _quality(spec)}
        # The ServiceAccount admission plug-in; the token volume itself is the runner's.
        spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = spec["serviceAccountName"]
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        spec.setdefault("priority", 0)
        _tolerate_failing_nodes(spec)


def _tolerate_failing_nodes(spec: JsonObject) -> None:
    """Let a Pod stay for a while on a node that fails, as the DefaultTolerationSeconds admission plug-in does."""
    present = objects_at(spec, "tolerations")
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(
            item.get("key") in (key, None, "") and item.get("effect") in ("NoExecute", None) for item in present
        ):
            toleration = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            spec["tolerations"] = [*(spec.get("tolerations") or ()), toleration]


def _quality(spec: JsonObject) -> str:
    containers = [*objects_at(spec, "containers"), *objects_at(spec, "initContainers")]
    amounts = [
        {name: object_at(container, "resources", part).get(name) for name in ("cpu", "memory")}
        for container in containers
        for part in ("limits", "requests")
    ]
    if not any(value for amount in amounts for value in amount.values()):
        return "BestEffort"
    pairs = zip(amounts[::2], amounts[1::2], strict=True)
    guaranteed = all(limits == requests and all(limits.values()) for limits, requests in pairs)
    return "Guaranteed" if guaranteed else "Burstable"


def _prepare_job(new: JsonObject, old: JsonObject | None) -> None:
    spec = new.setdefault("spec", {})
    if old is None and not spec.get("manualSelector"):
        _select_own_pods(new, spec)
    labels = object_at(spec, "template", "metadata", "labels")
    if labels and not new["metadata"].get("labels"):
        new["metadata"]["labels"] = dict(labels)


def _select_own_pods(new: JsonObject, spec: JsonObject) -> None:
    uid, name = new["metadata"]["uid"], new["metadata"]["name"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    template["labels"] = {**object_at(template, "labels"), **labels}
    if not spec.get("selector"):
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def accept_definition(crd: JsonObject) -> None:
    """Mark a CRD served."""
    mark_accepted(crd, now())


def validate_builtin(storage_key: str, new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    """Yield the faults of a built-in object; ``old`` is None on create."""
    if check := _CHECKS.get(storage_key):
        yield from check(new, old)


def _immutable(new: JsonObject, old: JsonObject | None, *path: str) -> Iterator[Cause]:
    if old is not None and dig(new, *path) != dig(old, *path):
        shown = orjson.dumps(dig(new, *path)).decode()
        yield Cause(".".join(path), f"Invalid value: {shown}: field is immutable")


def _check_pod(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    yield from check_pod_spec(object_at(new, "spec"), "spec")
    if old is None:
        return
    for group in ("containers", "initContainers"):
        if len(objects_at(new, "spec", group)) != len(objects_at(old, "spec", group)):
            yield forbidden(f"spec.{group}", "pod updates may not add or remove containers")
            return
    gates = [gate.get("name") for gate in objects_at(old, "spec", "schedulingGates")]
    for gate in objects_at(new, "spec", "schedulingGates"):
        if gate.get("name") not in gates:
            text = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            yield forbidden("spec.schedulingGates", text)
    before, after = _fixed_pod_spec(old), _fixed_pod_spec(new)
    if before != after:
        yield Cause(
            "spec",
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`, "
            "`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` and "
            "`spec.terminationGracePeriodSeconds`",
            "FieldValueForbidden",
        )


def _fixed_pod_spec(pod: JsonObject) -> JsonObject:
    spec: JsonObject = dict(object_at(pod, "spec"))
    # The node is set once, by whoever binds the Pod; scheduling gates are judged by themselves.
    free = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName", "schedulingGates")
    for key in free:
        spec.pop(key, None)
    for group in ("containers", "initContainers"):
        spec[group] = [{**container, "image": ""} for container in spec.get(group) or ()]
    return spec


def _check_service(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    spec: JsonObject = new["spec"]
    kind = spec.get("type")
    ports: list[JsonObject] = spec.get("ports") or []
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        yield from _check_service_port(port, where, names, several=len(ports) > 1)
        if (place := (port.get("protocol"), port.get("port"))) in seen:
            yield duplicate(where, port)
        seen.add(place)
        if port.get("nodePort") and kind == "ClusterIP":
            yield forbidden(f"{where}.nodePort", "may not be used when `type` is 'ClusterIP'")
    yield from label_problems(object_at(spec, "selector"), "spec.selector")
    yield from one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    yield from one_of("spec.type", kind, ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))
    if kind == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName")
    address = spec.get("clusterIP")
    if address and address != "None" and not _is_address(address):
        yield invalid("spec.clusterIPs[0]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
    if kind != "LoadBalancer":
        if spec.get("loadBalancerClass") is not None:
            yield forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'")
        if spec.get("healthCheckNodePort"):
            text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            yield invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], text)
    if (chosen := spec.get("trafficDistribution")) is not None:
        ways = ("PreferClose", "PreferSameZone", "PreferSameNode")
        yield from one_of("spec.trafficDistribution", chosen, ways)
    if spec.get("externalTrafficPolicy") and kind not in ("NodePort", "LoadBalancer"):
        text = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], text)
    before = dig(old, "spec", "clusterIP") if kind == dig(old, "spec", "type") else None
    if before and address != before:
        yield invalid("spec.clusterIPs[0]", [address], "may not change once set")


def _check_service_port(port: JsonObject, where: str, names: set[str], *, several: bool) -> Iterator[Cause]:
    if name := port.get("name"):
        yield from label_fault(f"{where}.name", name)
        if name in names:
            yield duplicate(f"{where}.name", name)
        names.add(name)
    elif several:
        yield required(f"{where}.name")
    yield from port_number(f"{where}.port", port.get("port"))
    yield from one_of(f"{where}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
    target = port.get("targetPort")
    if isinstance(target, str):
        if problem := port_name_problem(target):
            yield invalid(f"{where}.targetPort", target, problem)
    else:
        yield from port_number(f"{where}.targetPort", target)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_data(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    size = 0
    for field in ("data", "binaryData"):
        values: dict[str, Any] = new.get(field) or {}
        for key, value in values.items():
            if not key or not all(letter.isalnum() or letter in "-_." for letter in key) or key in (".", ".."):
                yield Cause(
                    f"{field}[{key}]",
                    f"Invalid value: \"{key}\": a valid config key must consist of alphanumeric characters, '-', '_' "
                    "or '.'",
                )
            size += len(value)
            if (field == "binaryData" or new["kind"] == "Secret") and _not_base64(value):
                yield Cause(f"{field}[{key}]", "Invalid value: not base64")
    if size > _SECRET_LIMIT:
        yield Cause("data", f"Too long: may not be more than {_SECRET_LIMIT} bytes", "FieldValueTooLong")
    if old is not None and old.get("immutable"):
        if not new.get("immutable"):
            yield Cause("immutable", "Forbidden: field is immutable when `immutable` is set", "FieldValueForbidden")
        for field in ("data", "binaryData"):
            if new.get(field) != old.get(field):
                yield Cause(field, "Forbidden: field is immutable when `immutable` is set", "FieldValueForbidden")
    if new["kind"] == "Secret":
        yield from _immutable(new, old, "type")


def _not_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return True
    return False


def _check_definition(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    yield from check_definition(new, old)
    yield from _immutable(new, old, "spec", "scope")


_CHECKS: dict[str, Callable[[JsonObject, JsonObject | None], Iterator[Cause]]] = {
    "/pods": _check_pod,
    "/services": _check_service,
    "/secrets": _check_data,
    "/configmaps": _check_data,
    "apps/deployments": check_deployment,
    "apps/replicasets": check_replica_set,
    "batch/jobs": check_job,
    "rbac.authorization.k8s.io/roles": check_role,
    "rbac.authorization.k8s.io/clusterroles": check_role,
    "rbac.authorization.k8s.io/rolebindings": check_binding,
    "rbac.authorization.k8s.io/clusterrolebindings": check_binding,
    "apiextensions.k8s.io/customresourcedefinitions": _check_definition,
}
