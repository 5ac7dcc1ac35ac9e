"""Which groups, versions and resources there are: the plain documents and the aggregated one.

Made from the registry when asked for; the registry's generation tells when a kept one is stale.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from kagent_localcluster.apiserver.kinds import Kind, Registry
from kagent_localcluster.errors import NoSuchPath, NotFound
from kagent_localcluster.seams import JsonObject

__all__ = ["AGGREGATED", "Discovery"]

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

# In the order in which a real server lists them.
_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")

# Verbs of what follows a resource's name; status and scale take no create.
_SUBRESOURCE_VERBS: dict[str, tuple[str, ...]] = {
    "status": ("get", "patch", "update"),
    "scale": ("get", "patch", "update"),
    "finalize": ("update",),
    "log": ("get",),
    "token": ("create",),
    "proxy": ("create", "delete", "get", "patch", "update"),
    "portforward": ("create", "get"),
}
_SUBRESOURCE_KINDS: dict[str, tuple[str, str, str]] = {
    "scale": ("autoscaling", "v1", "Scale"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
}
_OPTION_KINDS = {
    "services/proxy": "ServiceProxyOptions",
    "pods/proxy": "PodProxyOptions",
    "pods/portforward": "PodPortForwardOptions",
}


class Discovery:
    """Answers discovery requests."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def versions(self) -> JsonObject:
        """Return what stands at /api."""
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}

    def groups(self) -> JsonObject:
        """Return what stands at /apis."""
        names = dict.fromkeys(group for group, _ in self._registry.group_versions() if group)
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self._group(name) for name in names]}

    def group(self, name: str) -> JsonObject:
        """Return what stands at /apis/GROUP.

        Raises:
            NoSuchPath: no such group.
        """
        return {"kind": "APIGroup", "apiVersion": "v1", **self._group(name)}

    def _group(self, name: str) -> JsonObject:
        versions = [
            {"groupVersion": f"{name}/{version}", "version": version}
            for group, version in self._registry.group_versions()
            if group == name
        ]
        if not versions or not name:
            raise NoSuchPath("the server could not find the requested resource")
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def resources(self, group: str, version: str) -> JsonObject:
        """Return what stands at /apis/GROUP/VERSION.

        Raises:
            NotFound: no such version of the group.
            NoSuchPath: no such group.
        """
        resources: list[JsonObject] = []
        for kind in self._kinds(group, version):
            resource: JsonObject = {
                "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
                "verbs": list(_CUSTOM_VERBS if kind.crd else kind.verbs),
            }  # fmt: skip
            if kind.short_names:
                resource["shortNames"] = list(kind.short_names)
            if kind.categories:
                resource["categories"] = list(kind.categories)
            if kind.stored:
                resource["storageVersionHash"] = _storage_hash(kind)
            resources.append(resource)
            for name in sorted(kind.subresources, reverse=bool(kind.crd)):
                of_group, of_version, of_kind = _subresource_kind(kind, name)
                resources.append({
                    "name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced, "kind": of_kind,
                    **({"group": of_group, "version": of_version} if name in _SUBRESOURCE_KINDS else {}),
                    "verbs": list(_SUBRESOURCE_VERBS[name]),
                })  # fmt: skip
        if not resources:
            text = "the server could not find the requested resource"
            raise NotFound(text) if self._registry.serves(group) else NoSuchPath(text)
        group_version = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}

    def aggregated(self, *, core: bool) -> JsonObject:
        """Return the APIGroupDiscoveryList of /api (``core``) or /apis."""
        names = [""] if core else list(dict.fromkeys(group for group, _ in self._registry.group_versions() if group))
        items: list[JsonObject] = []
        for name in names:
            versions = [version for group, version in self._registry.group_versions() if group == name]
            items.append({
                "metadata": {"name": name},
                "versions": [
                    {
                        "version": version,
                        "resources": [_aggregated_resource(kind) for kind in self._kinds(name, version)],
                        "freshness": "Current",
                    }
                    for version in versions
                ],
            })  # fmt: skip
        return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}

    def _kinds(self, group: str, version: str) -> Iterable[Kind]:
        found = (kind for kind in self._registry if (kind.group, kind.version) == (group, version))
        return sorted(found, key=lambda kind: kind.plural)


def _subresource_kind(kind: Kind, name: str) -> tuple[str, str, str]:
    option = _OPTION_KINDS.get(f"{kind.plural}/{name}")
    return _SUBRESOURCE_KINDS.get(name, (kind.group, kind.version, option or kind.kind))


def _aggregated_resource(kind: Kind) -> JsonObject:
    resource: JsonObject = {
        "resource": kind.plural,
        "responseKind": kind.gvk,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if kind.subresources:
        subresources: list[JsonObject] = []
        for name in sorted(kind.subresources):
            group, version, of_kind = _subresource_kind(kind, name)
            subresources.append(
                {
                    "subresource": name,
                    "responseKind": {"group": group, "version": version, "kind": of_kind},
                    "verbs": list(_SUBRESOURCE_VERBS[name]),
                }
            )
        resource["subresources"] = subresources
    return resource


def _storage_hash(kind: Kind) -> str:
    digest = hashlib.sha256(f"{kind.group}/{kind.storage_version or kind.version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()
