"""What built-in kinds do on create and update beyond schema and defaults, and what makes them invalid.

A strategy sees the object after defaulting. It changes it in place and yields the faults that Kubernetes' own
validation would, as far as they can meet people here: required lists, immutable fields, references that must match.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from kagent_localcluster.apiserver.jsonvalue import dig, is_object, object_at, objects_at
from kagent_localcluster.apiserver.meta import now
from kagent_localcluster.apiserver.schema.crd import check_definition, default_definition, mark_accepted
from kagent_localcluster.apiserver.selectors import selector_matches
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
        case "/secrets":
            if texts := new.pop("stringData", None):
                data = new.setdefault("data", {})
                data.update({key: base64.b64encode(text.encode()).decode() for key, text in texts.items()})
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
    if old is None:
        new["status"] = {"loadBalancer": {}}


def _cluster_address(uid: str) -> str:
    """Return an address of 10.96.0.0/12 as a real cluster shows; nothing listens there."""
    number = int(uid.replace("-", ""), 16) % ((1 << 20) - 512) + 256
    return f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def _prepare_pod(new: JsonObject, old: JsonObject | None) -> None:
    spec = new.setdefault("spec", {})
    if old is None:
        new["status"] = {"phase": "Pending", "qosClass": _quality(spec)}
        # The ServiceAccount admission plug-in; the token volume itself is the runner's.
        spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = spec["serviceAccountName"]
        spec.setdefault("enableServiceLinks", True)
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        spec.setdefault("priority", 0)


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
    if old is not None or spec.get("manualSelector"):
        return
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
    if is_object(template := dig(new, "spec", "template", "spec")):
        yield from _check_pod_spec(template, "spec.template.spec")


def _immutable(new: JsonObject, old: JsonObject | None, *path: str) -> Iterator[Cause]:
    if old is not None and dig(new, *path) != dig(old, *path):
        shown = orjson.dumps(dig(new, *path)).decode()
        yield Cause(".".join(path), f"Invalid value: {shown}: field is immutable")


def _check_workload(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    selector: JsonObject = object_at(new, "spec", "selector")
    labels: dict[str, str] = object_at(new, "spec", "template", "metadata", "labels")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield Cause("spec.selector", "Invalid value: {}: empty selector is invalid for deployment")
    elif not selector_matches(selector, labels):
        shown = orjson.dumps(labels).decode()
        yield Cause(
            "spec.template.metadata.labels", f"Invalid value: {shown}: `selector` does not match template `labels`"
        )
    yield from _immutable(new, old, "spec", "selector")
    if (dig(new, "spec", "replicas") or 0) < 0:
        yield Cause(
            "spec.replicas", f"Invalid value: {dig(new, 'spec', 'replicas')}: must be greater than or equal to 0"
        )
    policy = dig(new, "spec", "template", "spec", "restartPolicy")
    if policy not in (None, "Always"):
        yield Cause(
            "spec.template.spec.restartPolicy", f'Unsupported value: "{policy}": supported values: "Always"',
            "FieldValueNotSupported",
        )  # fmt: skip


def _check_job(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    policy = dig(new, "spec", "template", "spec", "restartPolicy")
    if policy not in ("OnFailure", "Never"):
        yield Cause(
            "spec.template.spec.restartPolicy",
            f'Required value: valid values: "OnFailure", "Never", not "{policy}"',
            "FieldValueRequired",
        )
    yield from _immutable(new, old, "spec", "selector")
    yield from _immutable(new, old, "spec", "completions")
    yield from _immutable(new, old, "spec", "template")


def _check_pod(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    if old is None:
        yield from _check_pod_spec(object_at(new, "spec"), "spec")
        return
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
    # The node is set once, by whoever binds the Pod.
    for key in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"):
        spec.pop(key, None)
    for group in ("containers", "initContainers"):
        spec[group] = [{**container, "image": ""} for container in spec.get(group) or ()]
    return spec


def _check_pod_spec(spec: JsonObject, path: str) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield Cause(f"{path}.containers", "Required value", "FieldValueRequired")
    volumes = {volume.get("name") for volume in objects_at(spec, "volumes")}
    for group in ("initContainers", "containers"):
        seen: set[Any] = set()
        for index, container in enumerate(spec.get(group) or ()):
            where = f"{path}.{group}[{index}]"
            name = container.get("name")
            if not name:
                yield Cause(f"{where}.name", "Required value", "FieldValueRequired")
            elif name in seen:
                yield Cause(f"{where}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
            seen.add(name)
            if not container.get("image"):
                yield Cause(f"{where}.image", "Required value", "FieldValueRequired")
            yield from _check_ports(container, where)
            for number, mount in enumerate(objects_at(container, "volumeMounts")):
                if mount.get("name") not in volumes:
                    yield Cause(
                        f"{where}.volumeMounts[{number}].name",
                        f'Not found: "{mount.get("name")}"',
                        "FieldValueNotFound",
                    )


def _check_ports(container: JsonObject, where: str) -> Iterator[Cause]:
    for index, port in enumerate(objects_at(container, "ports")):
        number = port.get("containerPort") or 0
        if not 0 < number < 65_536:
            yield Cause(
                f"{where}.ports[{index}].containerPort",
                f"Invalid value: {number}: must be between 1 and 65535, inclusive",
            )


def _check_service(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    spec: JsonObject = new["spec"]
    kind = spec.get("type")
    if kind not in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"):
        yield Cause(
            "spec.type",
            f'Unsupported value: "{kind}": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
            "FieldValueNotSupported",
        )
    ports: list[JsonObject] = spec.get("ports") or []
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield Cause("spec.ports", "Required value", "FieldValueRequired")
    if kind == "ExternalName" and not spec.get("externalName"):
        yield Cause("spec.externalName", "Required value", "FieldValueRequired")
    for index, port in enumerate(ports):
        number = port.get("port") or 0
        if not 0 < number < 65_536:
            yield Cause(f"spec.ports[{index}].port", f"Invalid value: {number}: must be between 1 and 65535, inclusive")
        if len(ports) > 1 and not port.get("name"):
            yield Cause(f"spec.ports[{index}].name", "Required value", "FieldValueRequired")
    if old is not None and dig(old, "spec", "clusterIP") and kind == dig(old, "spec", "type"):
        before = dig(old, "spec", "clusterIP")
        if spec.get("clusterIP") != before:
            shown = orjson.dumps([spec.get("clusterIP")]).decode()
            yield Cause("spec.clusterIPs[0]", f"Invalid value: {shown}: may not change once set")


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


def _check_binding(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    if old is not None and new.get("roleRef") != old.get("roleRef"):
        shown = orjson.dumps(new.get("roleRef")).decode()
        yield Cause("roleRef", f"Invalid value: {shown}: cannot change roleRef")
    kind = dig(new, "roleRef", "kind")
    if kind not in ("Role", "ClusterRole") or (kind == "Role" and new["kind"] == "ClusterRoleBinding"):
        yield Cause(
            "roleRef.kind", f'Unsupported value: "{kind}": supported values: "ClusterRole"', "FieldValueNotSupported"
        )
    for index, subject in enumerate(objects_at(new, "subjects")):
        if subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            yield Cause(f"subjects[{index}].namespace", "Required value", "FieldValueRequired")


def _check_definition(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    yield from check_definition(new)
    yield from _immutable(new, old, "spec", "scope")


_CHECKS: dict[str, Callable[[JsonObject, JsonObject | None], Iterator[Cause]]] = {
    "/pods": _check_pod,
    "/services": _check_service,
    "/secrets": _check_data,
    "/configmaps": _check_data,
    "apps/deployments": _check_workload,
    "apps/replicasets": _check_workload,
    "batch/jobs": _check_job,
    "rbac.authorization.k8s.io/rolebindings": _check_binding,
    "rbac.authorization.k8s.io/clusterrolebindings": _check_binding,
    "apiextensions.k8s.io/customresourcedefinitions": _check_definition,
}
