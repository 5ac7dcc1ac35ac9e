"""What makes a Pod's spec invalid, as far as it can meet people here; fields outside it are only typed.

The rules are those of ``pkg/apis/core/validation`` of Kubernetes; ``missing_fields`` has told required names already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kagent_localcluster.apiserver.builtin.faults import (
    duplicate,
    forbidden,
    invalid,
    label_fault,
    non_negative,
    not_found,
    one_of,
    port_name_problem,
    port_number,
    required,
    unsupported,
)
from kagent_localcluster.apiserver.jsonvalue import is_object, object_at, objects_at
from kagent_localcluster.apiserver.meta import label_problems, name_problem
from kagent_localcluster.apiserver.schema.formats import quantity_value
from kagent_localcluster.errors import Cause
from kagent_localcluster.seams import JsonObject

__all__ = ["check_pod_spec"]

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Always", "IfNotPresent", "Never")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_FIELD_PATHS = frozenset({
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
})  # fmt: skip
_ENV_NAME = re.compile(r"[\x20-\x3c\x3e-\x7e]+")


def check_pod_spec(spec: JsonObject, path: str) -> Iterator[Cause]:
    """Yield the faults of a Pod's spec."""
    volumes: set[str] = set()
    yield from _volumes(spec, f"{path}.volumes", volumes)
    containers = objects_at(spec, "containers")
    if not containers:
        yield required(f"{path}.containers")
    yield from _containers(containers, f"{path}.containers", volumes, set(), initial=False)
    names = {str(container.get("name")) for container in containers}
    yield from _containers(objects_at(spec, "initContainers"), f"{path}.initContainers", volumes, names, initial=True)
    yield from one_of(f"{path}.restartPolicy", spec.get("restartPolicy"), ("Always", "OnFailure", "Never"))
    yield from one_of(
        f"{path}.dnsPolicy", spec.get("dnsPolicy"), ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
    )
    yield from label_problems(object_at(spec, "nodeSelector"), f"{path}.nodeSelector")
    for field in ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"):
        if (name := spec.get(field)) and (problem := name_problem("", "", name)):
            yield invalid(f"{path}.{field}", name, problem)
    for field in ("hostname", "subdomain"):
        if name := spec.get(field):
            yield from label_fault(f"{path}.{field}", name)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 0 < deadline < 1 << 31:
        yield invalid(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    for index, toleration in enumerate(objects_at(spec, "tolerations")):
        yield from _toleration(toleration, f"{path}.tolerations[{index}]")
    for index, secret in enumerate(objects_at(spec, "imagePullSecrets")):
        if not secret.get("name"):
            yield required(f"{path}.imagePullSecrets[{index}].name")


def _volumes(spec: JsonObject, path: str, volumes: set[str]) -> Iterator[Cause]:
    for index, volume in enumerate(objects_at(spec, "volumes")):
        where = f"{path}[{index}]"
        name = volume.get("name") or ""
        faults = list(_volume_source(volume, where))
        faults += label_fault(f"{where}.name", name) if name else [required(f"{where}.name")]
        if name in volumes:
            faults.append(duplicate(f"{where}.name", name))
        if not faults:
            volumes.add(name)
        yield from faults


def _volume_source(volume: JsonObject, where: str) -> Iterator[Cause]:
    sources = [key for key, value in volume.items() if key != "name" and value is not None]
    for extra in sources[1:]:
        yield forbidden(f"{where}.{extra}", "may not specify more than 1 volume type")
    for kind, field in (("secret", "secretName"), ("configMap", "name"), ("persistentVolumeClaim", "claimName")):
        if kind in sources[:1] and not volume[kind].get(field):
            yield required(f"{where}.{kind}.{field}")
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        source = object_at(volume, kind)
        mode = source.get("defaultMode")
        if mode is not None and not 0 <= mode <= 0o777:
            yield invalid(f"{where}.{kind}.defaultMode", mode, "must be a number between 0 and 0777 (octal)")
        for index, item in enumerate(objects_at(source, "items") if kind in ("secret", "configMap") else ()):
            for field in ("key", "path"):
                if not item.get(field):
                    yield required(f"{where}.{kind}.items[{index}].{field}")


def _containers(
    containers: list[JsonObject], path: str, volumes: set[str], names: set[str], *, initial: bool
) -> Iterator[Cause]:
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        name = container.get("name") or ""
        if name:
            yield from label_fault(f"{where}.name", name)
        else:
            yield required(f"{where}.name")
        if name in names:
            yield duplicate(f"{where}.name", name)
        elif name or not initial:
            names.add(name)
        if not container.get("image"):
            yield required(f"{where}.image")
        policy = container.get("terminationMessagePolicy")
        yield from one_of(f"{where}.terminationMessagePolicy", policy, ("FallbackToLogsOnError", "File"))
        yield from one_of(f"{where}.imagePullPolicy", container.get("imagePullPolicy"), _POLICIES)
        yield from _ports(container, where)
        yield from _environment(container, where)
        yield from _mounts(container, where, volumes)
        yield from _resources(object_at(container, "resources"), f"{where}.resources")
        yield from _probes(container, where, allowed=not initial or container.get("restartPolicy") == "Always")


def _ports(container: JsonObject, where: str) -> Iterator[Cause]:
    names: set[str] = set()
    for index, port in enumerate(objects_at(container, "ports")):
        place = f"{where}.ports[{index}]"
        if name := port.get("name"):
            if problem := port_name_problem(name):
                yield invalid(f"{place}.name", name, problem)
            elif name in names:
                yield duplicate(f"{place}.name", name)
            names.add(name)
        if not port.get("containerPort"):
            yield required(f"{place}.containerPort")
        else:
            yield from port_number(f"{place}.containerPort", port["containerPort"])
        if port.get("hostPort"):
            yield from port_number(f"{place}.hostPort", port["hostPort"])
        yield from one_of(f"{place}.protocol", port.get("protocol"), _PROTOCOLS)


def _environment(container: JsonObject, where: str) -> Iterator[Cause]:
    for index, variable in enumerate(objects_at(container, "env")):
        place = f"{where}.env[{index}]"
        name = variable.get("name")
        if not name:
            yield required(f"{place}.name")
        elif not _ENV_NAME.fullmatch(name):
            yield invalid(f"{place}.name", name, "a valid environment variable name has printable characters without =")
        source = variable.get("valueFrom")
        if is_object(source):
            yield from _value_from(source, bool(variable.get("value")), f"{place}.valueFrom")
    for index, source in enumerate(objects_at(container, "envFrom")):
        place = f"{where}.envFrom[{index}]"
        kinds = [kind for kind in ("configMapRef", "secretRef") if is_object(source.get(kind))]
        for kind in kinds:
            if not source[kind].get("name"):
                yield required(f"{place}.{kind}.name")
        if not kinds:
            yield invalid(place, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(kinds) > 1:
            yield invalid(place, "", "may not have more than one field specified at a time")


def _value_from(source: JsonObject, has_value: bool, place: str) -> Iterator[Cause]:
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if is_object(reference := source.get(kind)):
            for field in ("name", "key"):
                if not reference.get(field):
                    yield required(f"{place}.{kind}.{field}")
    if is_object(reference := source.get("fieldRef")):
        chosen = str(reference.get("fieldPath") or "")
        if not chosen:
            yield required(f"{place}.fieldRef.fieldPath")
        elif chosen not in _FIELD_PATHS and not re.fullmatch(r"metadata\.(labels|annotations)\['[^']+'\]", chosen):
            if re.fullmatch(r"(metadata|spec|status)\.\w+", chosen):
                yield unsupported(f"{place}.fieldRef.fieldPath", chosen, tuple(sorted(_FIELD_PATHS)))
            else:
                yield invalid(f"{place}.fieldRef.fieldPath", chosen, "error converting fieldPath")
    if not source:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield invalid(place, "", text)
    elif has_value:
        yield invalid(place, "", "may not be specified when `value` is not empty")
    elif len(source) > 1:
        yield invalid(place, "", "may not have more than one field specified at a time")


def _mounts(container: JsonObject, where: str, volumes: set[str]) -> Iterator[Cause]:
    paths: set[Any] = set()
    for index, mount in enumerate(objects_at(container, "volumeMounts")):
        place = f"{where}.volumeMounts[{index}]"
        name, path = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield required(f"{place}.name")
        if name not in volumes:
            yield not_found(f"{place}.name", name)
        if not path:
            yield required(f"{place}.mountPath")
        if path in paths:
            yield invalid(f"{place}.mountPath", path, "must be unique")
        paths.add(path)


def _resources(resources: JsonObject, where: str) -> Iterator[Cause]:
    limits = object_at(resources, "limits")
    for part in ("limits", "requests"):
        for name, amount in object_at(resources, part).items():
            place = f"{where}.{part}[{name}]"
            if (
                name not in ("cpu", "memory", "ephemeral-storage")
                and "/" not in name
                and not name.startswith("hugepages-")
            ):
                yield invalid(place, name, "must be a standard resource for containers")
            if quantity_value(amount) < 0:
                yield invalid(place, amount, "must be greater than or equal to 0")
            if part == "requests" and name in limits and quantity_value(amount) > quantity_value(limits[name]):
                yield invalid(
                    f"{where}.requests", amount, f"must be less than or equal to {name} limit of {limits[name]}"
                )


def _probes(container: JsonObject, where: str, *, allowed: bool) -> Iterator[Cause]:
    if not allowed:
        for field in ("lifecycle", *_PROBES):
            if container.get(field) is not None:
                text = "may not be set for init containers without restartPolicy=Always"
                yield forbidden(f"{where}.{field}", text)
        return
    for field in _PROBES:
        if not is_object(probe := container.get(field)):
            continue
        place = f"{where}.{field}"
        yield from _handler(probe, place)
        for number in (
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ):
            yield from non_negative(f"{place}.{number}", probe.get(number))
        grace = probe.get("terminationGracePeriodSeconds")
        if grace is not None and grace <= 0:
            yield invalid(f"{place}.terminationGracePeriodSeconds", grace, "must be greater than 0")
        if field == "readinessProbe" and grace is not None:
            text = "must not be set for readinessProbes"
            yield invalid(f"{place}.terminationGracePeriodSeconds", grace, text)
        if field != "readinessProbe" and probe.get("successThreshold") != 1:
            yield invalid(f"{place}.successThreshold", probe.get("successThreshold"), "must be 1")
    lifecycle = object_at(container, "lifecycle")
    for hook in ("postStart", "preStop"):
        if is_object(handler := lifecycle.get(hook)):
            yield from _handler(handler, f"{where}.lifecycle.{hook}")


def _handler(holder: JsonObject, place: str) -> Iterator[Cause]:
    found = [name for name in _HANDLERS if is_object(holder.get(name))]
    if not found:
        yield required(place, "must specify a handler type")
        return
    for extra in found[1:]:
        yield forbidden(f"{place}.{extra}", "may not specify more than 1 handler type")
    action = holder[found[0]]
    if found[0] == "exec" and not action.get("command"):
        yield required(f"{place}.exec.command")
    if found[0] == "httpGet":
        if not action.get("path"):
            yield required(f"{place}.httpGet.path")
        yield from one_of(f"{place}.httpGet.scheme", action.get("scheme"), ("HTTP", "HTTPS"))
    if found[0] in ("httpGet", "tcpSocket"):
        port = action.get("port")
        if isinstance(port, str):
            if problem := port_name_problem(port):
                yield invalid(f"{place}.{found[0]}.port", port, problem)
        else:
            yield from port_number(f"{place}.{found[0]}.port", port)
    if found[0] == "grpc":
        yield from port_number(f"{place}.grpc.port", action.get("port"))


def _toleration(toleration: JsonObject, where: str) -> Iterator[Cause]:
    operator, effect = toleration.get("operator") or "Equal", toleration.get("effect") or ""
    key, value = toleration.get("key") or "", toleration.get("value") or ""
    if key:
        yield from label_problems({key: ""}, f"{where}.key")
    elif operator != "Exists":
        yield invalid(
            f"{where}.operator", toleration.get("operator", ""), "operator must be Exists when `key` is empty"
        )
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield invalid(f"{where}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
    if operator == "Equal":
        yield from label_problems({"a": value}, f"{where}.operator")
    elif operator == "Exists":
        if value:
            yield invalid(f"{where}.operator", value, "value must be empty when `operator` is 'Exists'")
    else:
        yield unsupported(f"{where}.operator", operator, ("Equal", "Exists"))
    if effect and effect not in ("NoExecute", "NoSchedule", "PreferNoSchedule"):
        yield unsupported(f"{where}.effect", effect, ("NoSchedule", "PreferNoSchedule", "NoExecute"))
