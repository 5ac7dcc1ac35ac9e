"""From a command's options to a client, a namespace and the kind a person means; shared by the commands for scripts."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from kagent_api.errors import InvalidSpec
from kagent_api.names import CONTROLLER_NAMESPACE

if TYPE_CHECKING:
    from kagent_api.kube import KubeClient, Resource

__all__ = ["WORDS", "Reach", "find_resource", "open_reach", "resource_for", "split_target"]

# Words people type, with kagent's own first; kubectl's short names where it has some.
WORDS: Final = {
    "AGENTS": ("agents", "agent", "ag"),
    "MODELCONFIGS": ("modelconfigs", "modelconfig", "models", "model", "mc"),
    "REMOTEMCPSERVERS": ("remotemcpservers", "remotemcpserver", "rmcps", "rmcp"),
    "MCPSERVERS": ("mcpservers", "mcpserver", "mcps"),
    "MODELPROVIDERCONFIGS": ("modelproviderconfigs", "modelproviderconfig", "mpc"),
    "PODS": ("pods", "pod", "po"),
    "DEPLOYMENTS": ("deployments", "deployment", "deploy"),
    "SERVICES": ("services", "service", "svc"),
    "SECRETS": ("secrets", "secret"),
    "CONFIGMAPS": ("configmaps", "configmap", "cm"),
    "SERVICEACCOUNTS": ("serviceaccounts", "serviceaccount", "sa"),
    "EVENTS": ("events", "event", "ev"),
    "NAMESPACES": ("namespaces", "namespace", "ns"),
    "CRDS": ("customresourcedefinitions", "crds", "crd"),
}


class Reach(NamedTuple):
    """A client and the namespace meant; ``everywhere`` when all of them are."""

    client: KubeClient
    namespace: str
    everywhere: bool

    @property
    def listed(self) -> str | None:
        """The namespace to list, None for all."""
        return None if self.everywhere else self.namespace


@asynccontextmanager
async def open_reach(args: argparse.Namespace) -> AsyncGenerator[Reach]:
    """Open the cluster that the options name. Without a namespace: the context's, else ``kagent``."""
    from kagent_api.kube import KubeClient, load_access

    access = load_access(args.kubeconfig, args.context)
    own = access.namespace if access.namespace != "default" else CONTROLLER_NAMESPACE
    async with KubeClient(access) as client:
        yield Reach(client, args.namespace or own, bool(args.all_namespaces))


def split_target(word: str, name: str | None) -> tuple[str, str]:
    """Return kind and name of ``KIND NAME`` or ``KIND/NAME``."""
    kind, slash, rest = word.partition("/")
    return (kind, rest) if slash else (kind, name or "")


def find_resource(word: str) -> Resource:
    """Return the kind a word means.

    Raises:
        InvalidSpec: with the words there are.
    """
    from kagent_api.kube import resources

    wanted = word.casefold().partition(".")[0]
    for constant, words in WORDS.items():
        if wanted in words:
            return cast("Resource", getattr(resources, constant))
    known = ", ".join(words[0] for words in WORDS.values())
    raise InvalidSpec(f"no kind {word!r}", remedy=f"there are: {known}")


async def resource_for(client: KubeClient, obj: dict[str, Any]) -> Resource:
    """Return where an object's kind is served, asking the server for kinds not known here.

    Raises:
        InvalidSpec: the server does not serve it.
    """
    from kagent_api.kube import Resource, resources

    api_version, kind = str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")
    if not api_version or not kind:
        raise InvalidSpec("apiVersion and kind are needed", remedy="they say what the object is")
    for constant in WORDS:
        known = cast("Resource", getattr(resources, constant))
        if known.kind == kind and known.api_version == api_version:
            return known
    group, _, version = api_version.rpartition("/")
    prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
    response = await client.http().get(client.access.server + prefix)
    entries = cast("list[dict[str, Any]]", response.json().get("resources") or []) if response.is_success else []
    for entry in entries:
        if entry.get("kind") == kind and "/" not in str(entry.get("name")):
            return Resource(group, version, str(entry["name"]), kind, bool(entry.get("namespaced")))
    raise InvalidSpec(f"this cluster does not serve {kind} of {api_version}", remedy="are its CRDs installed?")
