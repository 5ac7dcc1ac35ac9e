"""The environment of a container's process: declared variables, and the little of this machine that it needs.

Nothing of the person's shell passes except what is listed here: an API key that stands there must not reach an agent.
Absent Secrets, ConfigMaps and keys are told by name, never by value.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.fields import at, items, mapping, name_of, text, uid_of
from kagent_localcluster.runner.quantities import container_resource
from kagent_localcluster.runner.resources import CONFIGMAPS, SECRETS
from kagent_localcluster.runner.service_links import service_variables
from kagent_localcluster.runner.translate import expand
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["ConfigProblem", "Variables", "declared_variables", "field_value", "machine_variables", "payload_of"]

# What a program needs to start, to print and to reach the network behind a company's certificates.
ALLOWED = {
    "CURL_CA_BUNDLE", "HOME", "LANG", "LANGUAGE", "LOGNAME", "NODE_EXTRA_CA_CERTS", "PATH", "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "TZ", "USER", "XDG_CACHE_HOME",
}  # fmt: skip
ALLOWED_PREFIXES = ("LC_", "UV_", "PIP_", "npm_config_")
NEVER = ("UV_PUBLISH_",)  # upload credentials
ESCAPES = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", '"': r"\"", "\\": r"\\",
}  # fmt: skip


class ConfigProblem(Exception):
    """A container cannot be configured as written; retried, since the missing object may still come."""


class Variables(NamedTuple):
    """Declared variables; those in ``private`` come from Secrets or name Services and are passed on untouched."""

    values: dict[str, str]
    private: frozenset[str]


def machine_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the allow-listed part of this machine's environment."""
    return {
        name: value
        for name, value in environment.items()
        if (name in ALLOWED or name.startswith(ALLOWED_PREFIXES)) and not name.startswith(NEVER)
    }


def declared_variables(objects: Objects, pod: JsonObject, container: JsonObject) -> Variables:
    """Resolve ``envFrom`` and ``env``, over the variables that name the Services beside the Pod.

    Raises:
        ConfigProblem: a Secret, ConfigMap, key or field that is not optional does not exist.
    """
    namespace = text(pod, "metadata", "namespace")
    values = service_variables(objects, pod)
    private = set(values)  # addresses of others: nothing of this Pod to translate
    for source in items(container, "envFrom"):
        for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            reference = mapping(source, field)
            if not reference:
                continue
            payload = payload_of(
                objects, kind, namespace, text(reference, "name"), optional=bool(reference.get("optional"))
            )
            for key, data in payload.items():
                name = text(source, "prefix") + key
                values[name] = _printable(data, kind, text(reference, "name"), key)
                (private.add if kind == "Secret" else private.discard)(name)
    for variable in items(container, "env"):
        name = text(variable, "name")
        resolved = _one(objects, pod, container, variable, values)
        if resolved is None:
            continue
        values[name] = resolved
        (private.add if at(variable, "valueFrom", "secretKeyRef") else private.discard)(name)
    return Variables(values, frozenset(private))


def payload_of(objects: Objects, kind: str, namespace: str, name: str, *, optional: bool = False) -> dict[str, bytes]:
    """Return what a Secret or ConfigMap holds.

    Raises:
        ConfigProblem: it does not exist and is not optional.
    """
    try:
        obj = objects.get(SECRETS if kind == "Secret" else CONFIGMAPS, namespace, name)
    except NotFound:
        if optional:
            return {}
        raise ConfigProblem(f"{kind} '{name}' not found in namespace '{namespace}'; create it") from None
    payload: dict[str, bytes] = {}
    for key, value in mapping(obj, "data").items():
        payload[key] = _decoded(str(value), kind, name, key) if kind == "Secret" else str(value).encode()
    for key, value in mapping(obj, "binaryData").items():
        payload[key] = _decoded(str(value), kind, name, key)
    return payload


def field_value(pod: JsonObject, path: str, node: str) -> str:
    """Return what the downward API gives for a field path.

    Raises:
        ConfigProblem: the downward API has no such field.
    """
    simple = {
        "metadata.name": name_of(pod),
        "metadata.namespace": text(pod, "metadata", "namespace"),
        "metadata.uid": uid_of(pod),
        "spec.nodeName": text(pod, "spec", "nodeName") or node,
        "spec.serviceAccountName": text(pod, "spec", "serviceAccountName", default="default"),
        "status.hostIP": "127.0.0.1",
        "status.hostIPs": "127.0.0.1",
        "status.podIP": "127.0.0.1",
        "status.podIPs": "127.0.0.1",
    }
    if path in simple:
        return simple[path]
    for kind in ("labels", "annotations"):
        entries = mapping(pod, "metadata", kind)
        if path == f"metadata.{kind}":
            return "\n".join(f"{name}={_quoted(str(value))}" for name, value in sorted(entries.items()))
        if path.startswith(f"metadata.{kind}['") and path.endswith("']"):
            return str(entries.get(path[len(f"metadata.{kind}['") : -2], ""))
    raise ConfigProblem(f"fieldRef '{path}' is no field of the downward API")


def _one(
    objects: Objects, pod: JsonObject, container: JsonObject, variable: JsonObject, earlier: Mapping[str, str]
) -> str | None:
    source = mapping(variable, "valueFrom")
    if not source:
        return expand(text(variable, "value"), earlier)
    if field := mapping(source, "fieldRef"):
        return field_value(pod, text(field, "fieldPath"), "")
    if resource := mapping(source, "resourceFieldRef"):
        return container_resource(pod, container, resource)
    for kind, name in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
        if reference := mapping(source, name):
            return _keyed(objects, pod, kind, reference)
    raise ConfigProblem(f"env '{text(variable, 'name')}': unknown valueFrom ({', '.join(sorted(source))})")


def _keyed(objects: Objects, pod: JsonObject, kind: str, reference: JsonObject) -> str | None:
    name, key, optional = text(reference, "name"), text(reference, "key"), bool(reference.get("optional"))
    payload = payload_of(objects, kind, text(pod, "metadata", "namespace"), name, optional=optional)
    if key in payload:
        return _printable(payload[key], kind, name, key)
    if optional:
        return None
    present = ", ".join(f"'{other}'" for other in sorted(payload)) or "no keys"
    raise ConfigProblem(f"{kind} '{name}' has no key '{key}' (it has: {present})")


def _decoded(value: str, kind: str, name: str, key: str) -> bytes:
    try:
        return base64.b64decode(value)
    except binascii.Error:
        raise ConfigProblem(f"{kind} '{name}': the value of key '{key}' is no base64") from None


def _printable(data: bytes, kind: str, name: str, key: str) -> str:
    if b"\0" in data:
        raise ConfigProblem(f"{kind} '{name}': the value of key '{key}' holds a zero byte and cannot be a variable")
    return data.decode(errors="surrogateescape")


def _quoted(value: str) -> str:
    """Quote a value as Go's ``%q`` does, by which a kubelet writes labels and annotations into one text."""
    return '"' + "".join(ESCAPES.get(letter) or _shown(letter) for letter in value) + '"'


def _shown(letter: str) -> str:
    code = ord(letter)
    if letter.isprintable():
        return letter
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
