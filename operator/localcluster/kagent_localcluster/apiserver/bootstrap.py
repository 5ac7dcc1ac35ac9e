"""What every cluster has from the first moment: namespaces, their ServiceAccounts and CA, the default roles.

Missing things are made, present ones are left as they are, at every start and whenever a namespace comes.
"""

from __future__ import annotations

from kagent_localcluster.apiserver.builtin import load_data
from kagent_localcluster.apiserver.kinds import Kind, Registry
from kagent_localcluster.apiserver.storage import Storage, StoredChange
from kagent_localcluster.apiserver.writing import WriteOptions, Writer
from kagent_localcluster.errors import AlreadyExists, Forbidden, NotFound
from kagent_localcluster.seams import JsonObject

__all__ = ["Bootstrap"]

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_OPTIONS = WriteOptions("kube-apiserver")


class Bootstrap:
    """Makes the built-in objects."""

    def __init__(self, storage: Storage, registry: Registry, writer: Writer, ca_pem: str) -> None:
        self._storage = storage
        self._registry = registry
        self._writer = writer
        self._ca_pem = ca_pem
        storage.listeners.append(self._on_change)

    def run(self) -> None:
        """Make what is missing."""
        for name in _NAMESPACES:
            self._ensure("/namespaces", "", {"metadata": {"name": name}})
        for record in self._storage.list("/namespaces"):
            self._fill_namespace(record.name)
        self._ensure(
            "/services",
            "default",
            {
                "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
                "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
            },
        )
        if self._storage.get("rbac.authorization.k8s.io/clusterroles", "", "cluster-admin") is None:
            for role in load_data("roles"):
                plural = "clusterroles" if role["kind"] == "ClusterRole" else "clusterrolebindings"
                self._ensure(f"rbac.authorization.k8s.io/{plural}", "", role)

    def _on_change(self, change: StoredChange) -> None:
        if change.key == "/namespaces" and change.type == "ADDED":
            self._fill_namespace(change.new.name)
        elif change.type == "DELETED" and (
            (change.key == "/serviceaccounts" and change.new.name == "default")
            or (change.key == "/configmaps" and change.new.name == "kube-root-ca.crt")
        ):
            self._fill_namespace(change.new.namespace)

    def _fill_namespace(self, namespace: str) -> None:
        try:
            self._ensure("/serviceaccounts", namespace, {"metadata": {"name": "default"}})
            self._ensure(
                "/configmaps",
                namespace,
                {
                    "metadata": {
                        "name": "kube-root-ca.crt",
                        "annotations": {
                            "kubernetes.io/description": "Contains a CA bundle that can be used to verify the local "
                            "cluster's API server."
                        },
                    },
                    "data": {"ca.crt": self._ca_pem},
                },
            )
        except (NotFound, Forbidden):
            return  # the namespace is ending

    def _ensure(self, key: str, namespace: str, body: JsonObject) -> None:
        if self._storage.get(key, namespace, body["metadata"]["name"]) is None:
            try:
                self._writer.create(self._kind(key), namespace, body, _OPTIONS)
            except AlreadyExists:
                return

    def _kind(self, key: str) -> Kind:
        group, _, plural = key.partition("/")
        found = self._registry.find(group, "v1", plural)
        if found is None:
            raise LookupError(f"no built-in kind is stored as {key}")
        return found
