"""What every cluster of ours gets: CRDs, the namespace and the operator, from the manifests that any cluster gets.

``kagent-operator`` is run as a process for its manifests, so that the house's arrow holds: the TUI never imports it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import yaml

from kagent_api.crds import crds
from kagent_api.errors import KagentError
from kagent_api.kube import KubeClient, Resource
from kagent_api.kube import resources as kinds
from kagent_api.names import CONTROLLER_NAME
from kagent_tui.local.process import LocalClusterError

__all__ = ["apply_all", "install", "operator_manifests", "wait_available", "wait_for"]

FIELD_MANAGER: Final = "kagent-tui"
_READY_SECONDS: Final = 60.0

Manifest = dict[str, Any]


async def operator_manifests(namespace: str, *, state_dir: Path) -> list[Manifest]:
    """Return what ``kagent-operator manifests`` prints, its state kept in a directory of the data directory."""
    program = Path(sys.executable).parent / "kagent-operator"
    process = await asyncio.create_subprocess_exec(
        *(str(program), "manifests", "-n", namespace, "--state", f"hostPath:{state_dir}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        raise LocalClusterError(f"kagent-operator manifests failed: {err.decode('utf-8', 'replace').strip()}")
    return read_manifests(out.decode("utf-8"))


def read_manifests(text: str) -> list[Manifest]:
    """Return the objects of a YAML stream."""
    return [cast("Manifest", document) for document in yaml.safe_load_all(text) if document]


async def install(
    client: KubeClient, namespace: str, operator: Awaitable[Sequence[Manifest]], *, step: Callable[[str], None]
) -> None:
    """Apply CRDs, namespace and operator; return when the API serves the kinds (the operator may still be starting)."""
    step("custom resource definitions")
    await apply_all(client, crds())
    await asyncio.gather(
        *(wait_for(client, kinds.CRDS, str(crd["metadata"]["name"]), None, _established) for crd in crds())
    )
    step("namespace and operator")
    await apply_all(client, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
    await apply_all(client, await operator, namespace)


async def apply_all(client: KubeClient, manifests: Iterable[Manifest], namespace: str = "") -> None:
    """Apply objects in order by server-side apply; objects without a namespace get ``namespace``."""
    for manifest in manifests:
        resource = _resource_of(manifest)
        if resource.namespaced and namespace:
            manifest["metadata"].setdefault("namespace", namespace)
        await client.apply(resource, manifest, field_manager=FIELD_MANAGER, force=True)


async def wait_available(client: KubeClient, namespace: str, name: str = CONTROLLER_NAME) -> None:
    """Return when a Deployment is available in its newest generation.

    Raises:
        LocalClusterError: it is not within a minute; the message says what its status says.
    """
    await wait_for(client, kinds.DEPLOYMENTS, name, namespace, _available)


async def wait_for(
    client: KubeClient, resource: Resource, name: str, namespace: str | None, done: Callable[[Manifest], str]
) -> None:
    """Watch one object until ``done`` returns "" for it; the text it returned last goes into the error."""
    reason = "it does not exist"
    selector = f"metadata.name={name}"
    try:
        async with asyncio.timeout(_READY_SECONDS):
            while True:
                listed = await client.list(resource, namespace, field_selector=selector)
                for item in listed.items:
                    reason = done(item)
                    if not reason:
                        return
                async for event in client.watch(
                    resource, namespace, resource_version=listed.resource_version, field_selector=selector
                ):
                    if event.type in ("ADDED", "MODIFIED"):
                        reason = done(event.object)
                        if not reason:
                            return
    except TimeoutError:
        where = f"{namespace}/{name}" if namespace else name
        raise LocalClusterError(
            f"{resource.kind} {where} is not ready after {_READY_SECONDS:.0f} s: {reason}"
        ) from None


def _established(crd: Manifest) -> str:
    for condition in crd.get("status", {}).get("conditions", []):
        if condition.get("type") == "Established" and condition.get("status") == "True":
            return ""
    return "not established"


def _available(deployment: Manifest) -> str:
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return "not seen yet"
    wanted = deployment.get("spec", {}).get("replicas", 1)
    ready = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    return "" if ready >= wanted else f"{ready} of {wanted} Pods are available"


def _resource_of(manifest: Manifest) -> Resource:
    for value in vars(kinds).values():
        if isinstance(value, Resource):
            wanted = (manifest.get("apiVersion"), manifest.get("kind"))
            if (value.api_version, value.kind) == wanted:
                return value
    raise KagentError(f"{manifest.get('apiVersion')} {manifest.get('kind')} is not a kind the local cluster installs")
