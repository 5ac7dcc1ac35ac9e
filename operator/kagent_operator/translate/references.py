"""Who may use what across namespaces (upstream's rules).

Apart from translation: ``translate`` shows what would be written, the reconciler also asks whether it may be.
"""

from __future__ import annotations

from collections.abc import Collection

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_operator.translate.fields import (
    JsonObject,
    name_of,
    namespace_of,
    rows,
    section,
    string_map,
    strings,
    text,
)
from kagent_operator.translate.tools import tool_servers
from kagent_operator.translate.world import World

__all__ = ["check_cross_namespace", "selector_matches"]


def check_cross_namespace(agent: JsonObject, world: World, watched: Collection[str]) -> None:
    """Refuse references into other namespaces that these do not allow.

    ``watched`` empty means every namespace. Raises InvalidSpec.
    """
    ref = ObjectRef("Agent", namespace_of(agent), name_of(agent))
    for kind, namespace, name, _ in tool_servers(agent):
        if namespace == ref.namespace:
            continue
        target_ref = f"{kind} {namespace}/{name}"
        if kind in {"MCPServer", "Service"}:
            raise InvalidSpec(f"{kind} tools do not support cross-namespace references: {target_ref}", ref=ref)
        if watched and namespace not in watched:
            raise InvalidSpec(
                f"namespace '{namespace}' of {target_ref} is not watched by the controller",
                ref=ref,
                remedy="add it to --watch-namespaces",
            )
        target = world.get(kind, namespace, name)
        if target is not None and not _admits(target, ref.namespace, world):
            raise InvalidSpec(
                f"cross-namespace reference to {target_ref} is not allowed from namespace {ref.namespace}",
                ref=ref,
                remedy="set spec.allowedNamespaces there",
            )


def _admits(target: JsonObject, namespace: str, world: World) -> bool:
    allowed = section(target, "spec", "allowedNamespaces")
    source = text(allowed, "from") or "Same"
    if source == "All":
        return True
    if source != "Selector":
        return False
    labels = world.namespace_labels(namespace)
    if labels is None:
        raise InvalidSpec(
            f"the labels of namespace '{namespace}' cannot be read, so its selector cannot be checked",
            ref=ObjectRef(text(target, "kind"), namespace_of(target), name_of(target)),
            field="spec.allowedNamespaces.selector",
            remedy="let the operator get namespaces, or list the namespace with from: All",
        )
    return selector_matches(section(allowed, "selector") or {}, labels)


def selector_matches(selector: JsonObject, labels: dict[str, str]) -> bool:
    """Tell whether a meta/v1 LabelSelector matches; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in string_map(selector, "matchLabels").items()):
        return False
    for rule in rows(selector, "matchExpressions"):
        key, values = text(rule, "key"), strings(rule, "values")
        match text(rule, "operator"):
            case "In":
                good = labels.get(key) in values
            case "NotIn":
                good = labels.get(key) not in values
            case "Exists":
                good = key in labels
            case "DoesNotExist":
                good = key not in labels
            case _:
                good = False
        if not good:
            return False
    return True
