"""ObjectMeta: times, names, generated names, and what makes metadata invalid."""

from __future__ import annotations

import datetime
import re
import secrets
import uuid
from collections.abc import Iterator
from typing import Any

from kagent_localcluster.errors import Cause
from kagent_localcluster.seams import JsonObject

__all__ = [
    "check_finalizers",
    "check_metadata",
    "generate_name",
    "label_problems",
    "label_value_problem",
    "name_problem",
    "new_uid",
    "now",
    "now_micro",
    "parse_time",
]

# Without vowels and look-alikes, so that no words appear; five of them, as in Kubernetes.
_NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_DNS_LABEL = re.compile(_LABEL)
_SERVICE_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SERVICE_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def now() -> str:
    """Return the present time as metav1.Time."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_micro() -> str:
    """Return the present time as metav1.MicroTime."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime.datetime | None:
    """Return an aware time, None when the text is none."""
    try:
        parsed = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)


def new_uid() -> str:
    return str(uuid.uuid4())


def generate_name(prefix: str) -> str:
    """Return a fresh name for a generateName prefix, cut as Kubernetes cuts it."""
    return prefix[:58] + "".join(secrets.choice(_NAME_ALPHABET) for _ in range(5))


def name_problem(group: str, plural: str, name: str) -> str:
    """Return why a name is not allowed for the resource, "" when it is."""
    if group == "rbac.authorization.k8s.io":
        return "may not be '.' or '..' or contain '/' or '%'" if name in (".", "..") or re.search(r"[/%]", name) else ""
    if plural == "services" and not group:
        ok, text, limit = _SERVICE_LABEL.fullmatch(name), _SERVICE_TEXT, 63
    elif plural == "namespaces" and not group:
        ok, text, limit = _DNS_LABEL.fullmatch(name), _LABEL_TEXT, 63
    else:
        ok, text, limit = _SUBDOMAIN.fullmatch(name), _SUBDOMAIN_TEXT, 253
    if len(name) > limit:
        return f"must be no more than {limit} characters"
    return "" if ok else text


def check_metadata(group: str, plural: str, metadata: JsonObject, *, with_prefix: bool = True) -> Iterator[Cause]:
    """Yield the faults of generateName (``with_prefix``), labels, annotations, finalizers and owner references."""
    if with_prefix and (prefix := metadata.get("generateName")):
        # A dash at the end is fine where more follows.
        shown = f"{prefix[:-1]}a" if prefix.endswith("-") else prefix
        if problem := name_problem(group, plural, shown):
            yield Cause("metadata.generateName", f'Invalid value: "{prefix}": {problem}')
    yield from label_problems(metadata.get("labels") or {}, "metadata.labels")
    annotations: dict[str, Any] = metadata.get("annotations") or {}
    for key in annotations:
        if text := _qualified_problem(key.lower()):
            yield Cause("metadata.annotations", f'Invalid value: "{key}": {text}')
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > 262_144:
        yield Cause("metadata.annotations", "Too long: may not be more than 262144 bytes", "FieldValueTooLong")
    for name in metadata.get("finalizers") or ():
        if text := _qualified_problem(name):
            yield Cause("metadata.finalizers", f'Invalid value: "{name}": {text}')
    yield from _check_owners(metadata.get("ownerReferences") or [])


def label_problems(labels: dict[str, Any], field: str) -> Iterator[Cause]:
    """Yield the faults of labels, or of anything that must be like them."""
    for key, value in labels.items():
        if text := _qualified_problem(key):
            yield Cause(field, f'Invalid value: "{key}": {text}')
        if text := label_value_problem(value):
            yield Cause(field, f'Invalid value: "{value}": {text}')


def label_value_problem(value: str) -> str:
    """Return why a text is no label's value, "" when it is."""
    if len(value) > 63:
        return "must be no more than 63 bytes"
    return _LABEL_VALUE_TEXT if value and not _QUALIFIED.fullmatch(value) else ""


def check_finalizers(metadata: JsonObject) -> Iterator[Cause]:
    """Yield the finalizers that a built-in kind may not be created with."""
    for index, name in enumerate(metadata.get("finalizers") or ()):
        if "/" not in name and name not in ("orphan", "foregroundDeletion", "kubernetes"):
            text = "name is neither a standard finalizer name nor is it fully qualified"
            yield Cause(f"metadata.finalizers[{index}]", f'Invalid value: "{name}": {text}')


def _check_owners(owners: list[JsonObject]) -> Iterator[Cause]:
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield Cause(f"metadata.ownerReferences.{field}", 'Invalid value: "": must not be empty')
    controllers = [owner for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        yield Cause(
            "metadata.ownerReferences",
            'Invalid value: Only one reference can have Controller set to true. Found "true" in references for '
            + " and ".join(f"{owner.get('kind')}/{owner.get('name')}" for owner in controllers[:2]),
        )


def _qualified_problem(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if slash and (not prefix or not _SUBDOMAIN.fullmatch(prefix)):
        return f"prefix part {_SUBDOMAIN_TEXT}" if prefix else "prefix part must be non-empty"
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return "name part must be no more than 63 bytes"
    return "" if _QUALIFIED.fullmatch(name) else _QUALIFIED_TEXT
