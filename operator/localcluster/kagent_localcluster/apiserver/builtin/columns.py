"""The columns ``kubectl get`` shows for built-in kinds; the last ones are for ``-o wide``.

Names, order and texts are those of Kubernetes' printers, since scripts cut them by position.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kagent_localcluster.apiserver.builtin.durations import age, short_duration
from kagent_localcluster.apiserver.builtin.podstatus import pod_summary
from kagent_localcluster.apiserver.jsonvalue import dig, list_at, object_at, objects_at
from kagent_localcluster.apiserver.meta import parse_time
from kagent_localcluster.apiserver.scaling import selector_text
from kagent_localcluster.seams import JsonObject

__all__ = ["BuiltinColumn", "builtin_columns"]

Cell = Callable[[JsonObject], Any]


class BuiltinColumn(NamedTuple):
    """A column and what stands in it."""

    name: str
    cell: Cell
    type: str = "string"
    priority: int = 0


def _name(obj: JsonObject) -> str:
    return obj["metadata"]["name"]


def _age(obj: JsonObject) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


def _path(*keys: str, default: Any = "<none>") -> Cell:
    def read(obj: JsonObject) -> Any:
        value = dig(obj, *keys)
        return default if value is None or value == "" else value

    return read


def _count(*keys: str) -> Cell:
    return lambda obj: len(objects_at(obj, *keys))


def _data(obj: JsonObject) -> int:
    return len(object_at(obj, "data")) + len(object_at(obj, "binaryData"))


def _selector(obj: JsonObject) -> str:
    return selector_text(object_at(obj, "spec", "selector")) or "<none>"


def _containers(field: str) -> Cell:
    def read(obj: JsonObject) -> str:
        containers = objects_at(obj, "spec", "template", "spec", "containers")
        return ",".join(str(container.get(field, "")) for container in containers) or "<none>"

    return read


def _ready(obj: JsonObject) -> str:
    wanted = dig(obj, "spec", "replicas")
    return f"{dig(obj, 'status', 'readyReplicas') or 0}/{wanted if wanted is not None else 1}"


def _ports(obj: JsonObject) -> str:
    parts: list[str] = []
    for port in objects_at(obj, "spec", "ports"):
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        parts.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(parts) or "<none>"


def _external(obj: JsonObject) -> str:
    if dig(obj, "spec", "type") == "ExternalName":
        return dig(obj, "spec", "externalName") or "<none>"
    given = list_at(obj, "spec", "externalIPs")
    return ",".join(given) or ("<pending>" if dig(obj, "spec", "type") == "LoadBalancer" else "<none>")


def _service_selector(obj: JsonObject) -> str:
    selector: dict[str, str] = object_at(obj, "spec", "selector")
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items())) or "<none>"


def _job_status(obj: JsonObject) -> str:
    held = {item["type"] for item in objects_at(obj, "status", "conditions") if item.get("status") == "True"}
    for condition, word in (
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):
        if condition in held:
            return word
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else "Running"


def _completions(obj: JsonObject) -> str:
    done = dig(obj, "status", "succeeded") or 0
    wanted = dig(obj, "spec", "completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = dig(obj, "spec", "parallelism") or 0
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _job_duration(obj: JsonObject) -> str:
    start, end = (parse_time(dig(obj, "status", field) or "") for field in ("startTime", "completionTime"))
    if start is None:
        return ""
    return age(dig(obj, "status", "startTime")) if end is None else short_duration(int((end - start).total_seconds()))


def _node_status(obj: JsonObject) -> str:
    ready = next((item for item in objects_at(obj, "status", "conditions") if item.get("type") == "Ready"), None)
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if dig(obj, "spec", "unschedulable") else word


def _node_roles(obj: JsonObject) -> str:
    prefix = "node-role.kubernetes.io/"
    labels: dict[str, str] = object_at(obj["metadata"], "labels")
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def _node_address(kind: str) -> Cell:
    def read(obj: JsonObject) -> str:
        addresses = objects_at(obj, "status", "addresses")
        return next((item["address"] for item in addresses if item.get("type") == kind), "<none>")

    return read


def _event_seen(obj: JsonObject) -> str:
    last = dig(obj, "series", "lastObservedTime") or obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    return age(last or obj.get("eventTime"))


def _event_object(obj: JsonObject) -> str:
    target = obj.get("involvedObject") or object_at(obj, "regarding")
    return f"{str(target.get('kind', '')).lower()}/{target.get('name', '')}"


def _event_text(obj: JsonObject) -> str:
    return str(obj.get("message") or obj.get("note") or "").strip()


def _role(obj: JsonObject) -> str:
    return f"{dig(obj, 'roleRef', 'kind')}/{dig(obj, 'roleRef', 'name')}"


def _subjects(kind: str) -> Cell:
    def read(obj: JsonObject) -> str:
        found = [item for item in objects_at(obj, "subjects") if item.get("kind") == kind]
        names = [f"{item['namespace']}/{item['name']}" if item.get("namespace") else item["name"] for item in found]
        return ", ".join(names)

    return read


def _endpoints(obj: JsonObject) -> str:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in objects_at(obj, "subsets")
        for address in objects_at(subset, "addresses")
        for port in (objects_at(subset, "ports") or [{}])
    ]
    shown = ",".join(found[:3])
    return f"{shown} + {len(found) - 3} more..." if len(found) > 3 else shown or "<none>"


def _event_first(obj: JsonObject) -> str:
    return age(obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime"))


def _event_count(obj: JsonObject) -> str:
    return str(dig(obj, "series", "count") or obj.get("count") or obj.get("deprecatedCount") or 1)


def _created_at(obj: JsonObject) -> Any:
    return obj["metadata"].get("creationTimestamp")


def _access_modes(obj: JsonObject) -> str:
    return ",".join(list_at(obj, "spec", "accessModes"))


def _suspended(obj: JsonObject) -> str:
    return str(bool(dig(obj, "spec", "suspend")))


def _last_schedule(obj: JsonObject) -> str:
    last = dig(obj, "status", "lastScheduleTime")
    return age(last) if last else "<none>"


def _controller(obj: JsonObject) -> str:
    for owner in objects_at(obj, "metadata", "ownerReferences"):
        if owner.get("controller"):
            group = str(owner.get("apiVersion", "")).rpartition("/")[0]
            kind = str(owner.get("kind", "")).lower()
            return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"
    return "<none>"


def _pod(field: str) -> Cell:
    return lambda obj: getattr(pod_summary(obj), field)


def _nominated(_obj: JsonObject) -> str:
    return "<none>"


_NAME = BuiltinColumn("Name", _name)
_AGE = BuiltinColumn("Age", _age)
_WIDE_TEMPLATE = (
    BuiltinColumn("Containers", _containers("name"), priority=1),
    BuiltinColumn("Images", _containers("image"), priority=1),
    BuiltinColumn("Selector", _selector, priority=1),
)
_BINDING = (
    _NAME,
    BuiltinColumn("Role", _role),
    _AGE,
    BuiltinColumn("Users", _subjects("User"), priority=1),
    BuiltinColumn("Groups", _subjects("Group"), priority=1),
    BuiltinColumn("ServiceAccounts", _subjects("ServiceAccount"), priority=1),
)
_EVENT = (
    BuiltinColumn("Last Seen", _event_seen),
    BuiltinColumn("Type", _path("type", default="")),
    BuiltinColumn("Reason", _path("reason", default="")),
    BuiltinColumn("Object", _event_object),
    BuiltinColumn("Subobject", _path("involvedObject", "fieldPath", default=""), priority=1),
    BuiltinColumn("Source", _path("source", "component", default=""), priority=1),
    BuiltinColumn("Message", _event_text),
    BuiltinColumn("First Seen", _event_first, priority=1),
    BuiltinColumn("Count", _event_count, priority=1),
    BuiltinColumn("Name", _name, priority=1),
)
_CREATED_AT = (_NAME, BuiltinColumn("Created At", _created_at))

_COLUMNS: dict[str, tuple[BuiltinColumn, ...]] = {
    "/pods": (
        _NAME,
        BuiltinColumn("Ready", _pod("ready")),
        BuiltinColumn("Status", _pod("status")),
        BuiltinColumn("Restarts", _pod("restarts")),
        _AGE,
        BuiltinColumn("IP", _path("status", "podIP"), priority=1),
        BuiltinColumn("Node", _path("spec", "nodeName"), priority=1),
        BuiltinColumn("Nominated Node", _nominated, priority=1),
        BuiltinColumn("Readiness Gates", _nominated, priority=1),
    ),
    "/services": (
        _NAME,
        BuiltinColumn("Type", _path("spec", "type")),
        BuiltinColumn("Cluster-IP", _path("spec", "clusterIP")),
        BuiltinColumn("External-IP", _external),
        BuiltinColumn("Port(s)", _ports),
        _AGE,
        BuiltinColumn("Selector", _service_selector, priority=1),
    ),
    "/configmaps": (_NAME, BuiltinColumn("Data", _data), _AGE),
    "/secrets": (_NAME, BuiltinColumn("Type", _path("type")), BuiltinColumn("Data", _data, "integer"), _AGE),
    "/serviceaccounts": (_NAME, BuiltinColumn("Secrets", _count("secrets"), "integer"), _AGE),
    "/namespaces": (_NAME, BuiltinColumn("Status", _path("status", "phase")), _AGE),
    "/events": _EVENT,
    "/endpoints": (_NAME, BuiltinColumn("Endpoints", _endpoints), _AGE),
    "/nodes": (
        _NAME,
        BuiltinColumn("Status", _node_status),
        BuiltinColumn("Roles", _node_roles),
        _AGE,
        BuiltinColumn("Version", _path("status", "nodeInfo", "kubeletVersion", default="")),
        BuiltinColumn("Internal-IP", _node_address("InternalIP"), priority=1),
        BuiltinColumn("External-IP", _node_address("ExternalIP"), priority=1),
        BuiltinColumn("OS-Image", _path("status", "nodeInfo", "osImage", default="<unknown>"), priority=1),
        BuiltinColumn("Kernel-Version", _path("status", "nodeInfo", "kernelVersion", default="<unknown>"), priority=1),
        BuiltinColumn(
            "Container-Runtime", _path("status", "nodeInfo", "containerRuntimeVersion", default="<unknown>"), priority=1
        ),
    ),
    "/persistentvolumeclaims": (
        _NAME,
        BuiltinColumn("Status", _path("status", "phase", default="Pending")),
        BuiltinColumn("Volume", _path("spec", "volumeName", default="")),
        BuiltinColumn("Capacity", _path("status", "capacity", "storage", default="")),
        BuiltinColumn("Access Modes", _access_modes),
        BuiltinColumn("StorageClass", _path("spec", "storageClassName", default="")),
        _AGE,
    ),
    "apps/deployments": (
        _NAME,
        BuiltinColumn("Ready", _ready),
        BuiltinColumn("Up-to-date", _path("status", "updatedReplicas", default=0), "integer"),
        BuiltinColumn("Available", _path("status", "availableReplicas", default=0), "integer"),
        _AGE,
        *_WIDE_TEMPLATE,
    ),
    "apps/replicasets": (
        _NAME,
        BuiltinColumn("Desired", _path("spec", "replicas", default=0), "integer"),
        BuiltinColumn("Current", _path("status", "replicas", default=0), "integer"),
        BuiltinColumn("Ready", _path("status", "readyReplicas", default=0), "integer"),
        _AGE,
        *_WIDE_TEMPLATE,
    ),
    "apps/controllerrevisions": (
        _NAME,
        BuiltinColumn("Controller", _controller),
        BuiltinColumn("Revision", _path("revision", default=0), "integer"),
        _AGE,
    ),
    "batch/jobs": (
        _NAME,
        BuiltinColumn("Status", _job_status),
        BuiltinColumn("Completions", _completions),
        BuiltinColumn("Duration", _job_duration),
        _AGE,
        *_WIDE_TEMPLATE,
    ),
    "batch/cronjobs": (
        _NAME,
        BuiltinColumn("Schedule", _path("spec", "schedule")),
        BuiltinColumn("Timezone", _path("spec", "timeZone")),
        BuiltinColumn("Suspend", _suspended),
        BuiltinColumn("Active", _count("status", "active"), "integer"),
        BuiltinColumn("Last Schedule", _last_schedule),
        _AGE,
    ),
    "coordination.k8s.io/leases": (_NAME, BuiltinColumn("Holder", _path("spec", "holderIdentity", default="")), _AGE),
    "rbac.authorization.k8s.io/roles": _CREATED_AT,
    "rbac.authorization.k8s.io/clusterroles": _CREATED_AT,
    "rbac.authorization.k8s.io/rolebindings": _BINDING,
    "rbac.authorization.k8s.io/clusterrolebindings": _BINDING,
    "apiextensions.k8s.io/customresourcedefinitions": _CREATED_AT,
}
_DEFAULT = (_NAME, _AGE)


def builtin_columns(storage_key: str) -> tuple[BuiltinColumn, ...]:
    """Return the columns of a built-in kind; name and age for those without a printer of their own."""
    return _COLUMNS.get(storage_key, _DEFAULT)
