"""The operator's rights on a real API server: each one is used, and nothing it does is refused.

Three installations: one namespace, several with a Role in each, the whole cluster. What is asked of the server is read
off the requests themselves, so a right too many and a right too few both show.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from kagent_api.crds import crds
from kagent_api.kube import Access, Forbidden, KubeClient, KubeError, NotFound, Resource, load_access
from kagent_api.kube.credentials import StaticAuthorization
from kagent_api.kube.resources import (
    AGENTS,
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    CRDS,
    DEPLOYMENTS,
    EVENTS,
    MCPSERVERS,
    MODELCONFIGS,
    MODELPROVIDERCONFIGS,
    NAMESPACES,
    REMOTEMCPSERVERS,
    ROLEBINDINGS,
    ROLES,
    SANDBOXAGENTS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
)
from kagent_operator.gateway.writer import KubeWriter
from kagent_operator.manifests import Installation, manifests, role_rules
from kagent_operator.reconcile import Operator
from kagent_operator.reconcile.discovery import Target, Tool
from kagent_operator.reconcile.leader import Leader
from kagent_operator.reconcile.modellists import Provider
from kagent_operator.translate import Settings

JsonObject = dict[str, Any]
_PATIENCE = 60.0
_CLUSTERROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
_CLUSTERROLEBINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
_KINDS = {
    resource.kind: resource
    for resource in (
        *(AGENTS, MODELCONFIGS, MODELPROVIDERCONFIGS, REMOTEMCPSERVERS, MCPSERVERS, SANDBOXAGENTS, SECRETS, CONFIGMAPS),
        *(SERVICES, DEPLOYMENTS, SERVICEACCOUNTS, ROLES, ROLEBINDINGS, _CLUSTERROLES, _CLUSTERROLEBINDINGS),
    )
}
# Asked for by admission (OwnerReferencesPermissionEnforcement), not by a request of its own; tested below.
_BY_ADMISSION = {("update", "kagent.dev", "agents/finalizers")}


class Asked(NamedTuple):
    """One kind of request."""

    verb: str
    group: str
    resource: str


class Witness:
    """What a client asks of the API server, and what it is refused."""

    def __init__(self, client: KubeClient) -> None:
        self.asked: set[Asked] = set()
        self.refused: list[str] = []
        client.http().event_hooks["response"].append(self._saw)

    async def _saw(self, response: httpx.Response) -> None:
        request = response.request
        parts = request.url.path.strip("/").split("/")
        if parts[0] not in {"api", "apis"}:
            return
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            rest = rest[2:]
        resource = "/".join([rest[0], *rest[2:]])
        named = len(rest) > 1
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(request.method, "")
        if not verb:
            verb = "get" if named else "watch" if "watch" in request.url.params else "list"
        self.asked.add(Asked(verb, group, resource))
        if response.status_code == 403:
            self.refused.append(f"{request.method} {request.url.path}")


def _granted(rules: list[JsonObject]) -> set[Asked]:
    return {
        Asked(verb, group, resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


async def _eventually(holds: Callable[[], Awaitable[object]]) -> None:
    """Wait until something holds; the API server is another process, so there is no event to wait for."""
    async with asyncio.timeout(_PATIENCE):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class Cluster:
    """A real API server as an administrator, who is every person in these tests."""

    def __init__(self, access: Access, client: KubeClient) -> None:
        self.access = access
        self.client = client

    async def namespace(self, name: str, **labels: str) -> None:
        await self.client.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})

    async def install(self, installation: Installation) -> None:
        for obj in manifests(installation):
            await self.client.apply(_KINDS[obj["kind"]], obj, field_manager="test", force=True)

    async def put(self, namespace: str, *objects: JsonObject) -> None:
        for obj in objects:
            obj["metadata"]["namespace"] = namespace
            await self.client.apply(_KINDS[obj["kind"]], obj, field_manager="test", force=True)

    async def until(self, kind: str, namespace: str, name: str, condition: str, status: str) -> str:
        """Wait for a condition and return its message."""
        found: JsonObject = {}

        async def holds() -> bool:
            try:
                obj = await self.client.get(_KINDS[kind], name, namespace)
            except NotFound:
                return False
            generation = obj["metadata"]["generation"]
            found.clear()
            for entry in obj.get("status", {}).get("conditions", []):
                if entry["type"] == condition and entry.get("observedGeneration") == generation:
                    found.update(entry)
            return found.get("status") == status

        try:
            await _eventually(holds)
        except TimeoutError:
            raise AssertionError((kind, namespace, name, condition, found)) from None
        return str(found["message"])

    async def gone(self, resource: Resource, namespace: str, name: str) -> None:
        async def absent() -> bool:
            try:
                await self.client.get(resource, name, namespace)
            except NotFound:
                return True
            return False

        await _eventually(absent)

    async def put_right(self, resource: Resource, namespace: str, name: str, change: JsonObject) -> None:
        """Spoil an object of the operator's and wait until it has written it again."""
        spoilt = await self.client.patch(resource, name, change, namespace)

        async def written() -> bool:
            live = await self.client.get(resource, name, namespace)
            return live["metadata"]["resourceVersion"] != spoilt["metadata"]["resourceVersion"]

        await _eventually(written)

    @asynccontextmanager
    async def as_operator(self, home: str) -> AsyncGenerator[tuple[KubeClient, Witness]]:
        """Give a client with the rights of the operator's ServiceAccount, as its Pod has them."""
        path = SERVICEACCOUNTS.path(home, "kagent-controller", "token")
        body: JsonObject = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = await self.client.http().post(self.access.server + path, json=body)
        token = answer.json()["status"]["token"]
        access = replace(self.access, credentials=StaticAuthorization(f"Bearer {token}"))
        async with KubeClient(access, user_agent="kagent-operator") as client:
            yield client, Witness(client)


@asynccontextmanager
async def _running(client: KubeClient, home: str, namespaces: list[str]) -> AsyncGenerator[Operator]:
    operator = Operator(
        client, Settings(controller_namespace=home), namespaces, ask=_tools, ask_models=_models, refresh_interval=0.2
    )
    tasks = [asyncio.create_task(operator.watch()), asyncio.create_task(operator.reconcile())]
    try:
        async with asyncio.timeout(_PATIENCE):
            await operator.started.wait()
        yield operator
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tools(_: Target) -> list[Tool]:
    return [Tool("now", "Tells the time", {"inputSchema": {"type": "object"}})]


async def _models(_: Provider) -> list[str]:
    return ["m"]


@pytest.fixture
async def cluster(real_kubeconfig: Path) -> AsyncGenerator[Cluster]:
    access = load_access(str(real_kubeconfig))
    async with KubeClient(access) as client:
        for crd in crds():
            await client.apply(CRDS, crd, field_manager="test", force=True)

        async def served() -> bool:
            there = await client.resources("kagent.dev/v1alpha2") | await client.resources("kagent.dev/v1alpha1")
            return {crd["spec"]["names"]["plural"] for crd in crds()} <= there

        await _eventually(served)
        yield Cluster(access, client)


def _kagent(kind: str, name: str, spec: JsonObject) -> JsonObject:
    resource = _KINDS[kind]
    return {"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _agent(name: str = "a", *tools: JsonObject, **spec: Any) -> JsonObject:
    block = {"systemMessage": "Help.", "tools": list(tools), **spec.pop("declarative", {})}
    return _kagent("Agent", name, {"type": "Declarative", "declarative": block, **spec})


def _remote_tool(name: str, namespace: str = "") -> JsonObject:
    server = {"kind": "RemoteMCPServer", "apiGroup": "kagent.dev", "name": name}
    return {"type": "McpServer", "mcpServer": {**server, **({"namespace": namespace} if namespace else {})}}


def _model() -> list[JsonObject]:
    spec = {"provider": "OpenAI", "model": "m", "apiKeySecret": "key", "apiKeySecretKey": "k"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"k": "v"}}
    return [secret, _kagent("ModelConfig", "default-model-config", spec)]


def _remote(name: str, allowed: JsonObject | None = None) -> JsonObject:
    spec: JsonObject = {"description": "far away", "url": "http://far.example/mcp"}
    return _kagent("RemoteMCPServer", name, {**spec, **({"allowedNamespaces": allowed} if allowed else {})})


def _everything() -> list[JsonObject]:
    """Return one resource of each kind that the operator looks after."""
    stdio: JsonObject = {"transportType": "stdio", "stdioTransport": {}, "deployment": {"cmd": "uvx", "args": ["t"]}}
    port = {"name": "mcp", "port": 80, "appProtocol": "mcp"}
    service: JsonObject = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "labelled", "labels": {"kagent.dev/mcp-service": "true"}},
        "spec": {"ports": [port]},
    }
    substrate: JsonObject = {"declarative": {"systemMessage": "x"}, "type": "Declarative"}
    return [
        *_model(),
        _remote("far"),
        _kagent("MCPServer", "time", stdio),
        service,
        _kagent("ModelProviderConfig", "models", {"type": "OpenAI", "secretRef": {"name": "key"}}),
        _kagent("SandboxAgent", "boxed", substrate),
    ]


async def test_every_right_of_the_role_is_used_and_nothing_is_refused(cluster: Cluster) -> None:
    home = "rights-one"
    await cluster.namespace(home)
    await cluster.install(Installation(namespace=home))
    async with cluster.as_operator(home) as (client, witness), _running(client, home, [home]):
        await _be_one_of_two_leaders(client, home)
        skills = {"refs": ["ghcr.io/o/skill:1"]}
        await cluster.put(home, *_everything(), _agent("a", _remote_tool("far"), skills=skills))
        await cluster.until("Agent", home, "a", "Accepted", "True")
        await cluster.until("ModelProviderConfig", home, "models", "Ready", "True")
        await cluster.until("SandboxAgent", home, "boxed", "Accepted", "False")
        await cluster.until("MCPServer", home, "time", "Accepted", "True")
        await _spoil_everything(cluster, home)
        await _leave_behind(cluster, home)
        await _edit_often(cluster, home)
        await _flap(cluster, home)
        await _change_for_callers(KubeWriter(client), home)
    granted = _granted(role_rules())
    assert witness.refused == []
    assert witness.asked - granted == set()
    assert granted - witness.asked == {Asked(*right) for right in _BY_ADMISSION}


async def _be_one_of_two_leaders(client: KubeClient, home: str) -> None:
    naps = 0

    async def sleep(_: float) -> None:
        nonlocal naps
        naps += 1
        if naps > 1:
            await asyncio.Event().wait()

    leader = Leader(client, home, "one", sleep=sleep)
    await leader.acquire()
    hold = asyncio.create_task(leader.hold())

    async def renewed() -> bool:
        return naps > 1

    await _eventually(renewed)
    hold.cancel()
    await asyncio.gather(hold, return_exceptions=True)
    await leader.release()


async def _spoil_everything(cluster: Cluster, home: str) -> None:
    """Change each kind of owned object by hand."""
    label = {"metadata": {"labels": {"app.kubernetes.io/part-of": "something-else"}}}
    for resource in (DEPLOYMENTS, SERVICES, SECRETS, SERVICEACCOUNTS):
        await cluster.put_right(resource, home, "a", label)
    await cluster.put_right(CONFIGMAPS, home, "a-skills-init", {"data": {"config.json": "{}"}})


async def _leave_behind(cluster: Cluster, home: str) -> None:
    """Leave objects that an earlier operator made for the agent, and have an account and a ConfigMap fall away."""
    agent = await cluster.client.get(AGENTS, "a", home)
    about = agent["metadata"]
    owner = {"apiVersion": AGENTS.api_version, "kind": "Agent", "name": "a", "uid": about["uid"], "controller": True}
    meta = {"name": "old", "labels": {"app.kubernetes.io/managed-by": "kagent"}, "ownerReferences": [owner]}
    live = await cluster.client.get(DEPLOYMENTS, "a", home)
    await cluster.put(home, {"apiVersion": "v1", "kind": "Secret", "metadata": dict(meta)})
    ports = {"ports": [{"port": 1}]}
    await cluster.put(home, {"apiVersion": "v1", "kind": "Service", "metadata": dict(meta), "spec": ports})
    spec = {"selector": live["spec"]["selector"], "template": live["spec"]["template"]}
    await cluster.put(home, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": dict(meta), "spec": spec})
    account = {"declarative": {"deployment": {"serviceAccountName": "default"}}}
    await cluster.put(home, _agent("a", _remote_tool("far"), **account))
    await cluster.client.patch(AGENTS, "a", {"spec": {"skills": None}}, home)
    for resource in (SECRETS, SERVICES, DEPLOYMENTS):
        await cluster.gone(resource, home, "old")
    await cluster.gone(SERVICEACCOUNTS, home, "a")
    await cluster.gone(CONFIGMAPS, home, "a-skills-init")


async def _edit_often(cluster: Cluster, home: str) -> None:
    """Apply more generations than are kept."""
    for number in range(22):
        await cluster.client.patch(AGENTS, "a", {"spec": {"description": f"edit {number}"}}, home)
        await cluster.until("Agent", home, "a", "Accepted", "True")
    revisions = (await cluster.client.list(CONTROLLERREVISIONS, home)).items
    assert len([each for each in revisions if each["metadata"]["labels"]["kagent-tui.dev/agent"] == "a"]) == 20


async def _flap(cluster: Cluster, home: str) -> None:
    """Have the same thing happen twice, which is one Event with a count."""
    for _ in range(2):
        await cluster.client.delete(MODELCONFIGS, "default-model-config", home)
        await cluster.until("Agent", home, "a", "Accepted", "False")
        await cluster.put(home, *_model())
        await cluster.until("Agent", home, "a", "Accepted", "True")

    async def counted() -> bool:
        return any(event.get("count", 0) > 1 for event in (await cluster.client.list(EVENTS, home)).items)

    await _eventually(counted)


async def _change_for_callers(writer: KubeWriter, home: str) -> None:
    """Do what the HTTP API does for callers in the modes in which it has no token of theirs."""
    for obj in (*_everything(), _agent("b")):
        kind, part = obj["kind"], "spec" if "spec" in obj else "data"
        if kind not in {"Agent", "ModelConfig", "RemoteMCPServer", "MCPServer", "Secret"}:
            continue
        meta = {"name": "for-a-caller", "namespace": home}
        made = await writer.create(kind, {**obj, "metadata": meta})
        await writer.replace(kind, home, "for-a-caller", part, made.get(part, {}))
        if kind != "Secret":
            await writer.delete(kind, home, "for-a-caller")
    await writer.create("ConfigMap", {"metadata": {"name": "prompts", "namespace": home}, "data": {"a": "b"}})
    await writer.replace("ConfigMap", home, "prompts", "data", {"a": "c"})


async def test_without_the_right_over_finalizers_a_server_that_asks_for_it_refuses_the_workload(
    cluster: Cluster,
) -> None:
    home = "rights-finalizers"
    await cluster.namespace(home)
    await cluster.install(Installation(namespace=home))
    rules = [rule for rule in role_rules() if "agents/finalizers" not in rule["resources"]]
    await cluster.client.patch(ROLES, "kagent-controller", {"rules": rules}, home)
    async with cluster.as_operator(home) as (client, _), _running(client, home, [home]):
        await cluster.put(home, *_model(), _agent())
        message = await cluster.until("Agent", home, "a", "Accepted", "False")
        assert "blockOwnerDeletion" in message
        await cluster.install(Installation(namespace=home))
        # Rights come back without an event; a retry finds them.
        await cluster.until("Agent", home, "a", "Accepted", "True")


async def test_several_namespaces_are_looked_after_with_a_role_in_each(cluster: Cluster) -> None:
    home, teams = "several-home", ["several-a", "several-b"]
    for namespace in (home, *teams, "several-other"):
        await cluster.namespace(namespace)
    await cluster.install(Installation(namespace=home, watch_namespaces=teams))
    async with cluster.as_operator(home) as (client, witness), _running(client, home, teams):
        await _be_one_of_two_leaders(client, home)
        await cluster.put("several-b", _remote("open", {"from": "All"}), _remote("closed"))
        for team in teams:
            await cluster.put(team, *_model())
        await cluster.put(
            "several-a",
            _agent("may", _remote_tool("open", "several-b")),
            _agent("may-not", _remote_tool("closed", "several-b")),
            _agent("too-far", _remote_tool("any", "several-other")),
        )
        await cluster.put("several-b", _agent("plain"))
        await cluster.put("several-other", *_model(), _agent("nobodys"))
        await cluster.until("Agent", "several-b", "plain", "Accepted", "True")
        await cluster.until("Agent", "several-a", "may", "Accepted", "True")
        refused = await cluster.until("Agent", "several-a", "may-not", "Accepted", "False")
        assert "not allowed from namespace several-a" in refused
        refused = await cluster.until("Agent", "several-a", "too-far", "Accepted", "False")
        assert "'several-other' of RemoteMCPServer several-other/any is not watched" in refused
        nobodys = await cluster.client.get(AGENTS, "nobodys", "several-other")
        assert "status" not in nobodys
        for resource, namespace in ((SECRETS, home), (AGENTS, "several-other"), (NAMESPACES, None)):
            with pytest.raises(Forbidden):
                await client.list(resource, namespace)
    refused_by_the_test = {f"GET {SECRETS.path(home)}", f"GET {AGENTS.path('several-other')}", "GET /api/v1/namespaces"}
    assert set(witness.refused) == refused_by_the_test


async def test_the_whole_cluster_is_looked_after_namespaces_that_come_later_too(cluster: Cluster) -> None:
    home = "everywhere-home"
    await cluster.namespace(home)
    await cluster.install(Installation(namespace=home, watch_namespaces=["*"]))
    try:
        async with cluster.as_operator(home) as (client, witness), _running(client, home, []):
            selector = {"from": "Selector", "selector": {"matchLabels": {"team": "blue"}}}
            await cluster.put(home, _remote("chosen", selector))
            for name, team in (("everywhere-blue", "blue"), ("everywhere-red", "red")):
                await cluster.namespace(name, team=team)
                await cluster.put(name, *_model(), _agent("a", _remote_tool("chosen", home)))
            await cluster.until("Agent", "everywhere-blue", "a", "Accepted", "True")
            refused = await cluster.until("Agent", "everywhere-red", "a", "Accepted", "False")
            assert "not allowed from namespace everywhere-red" in refused
            # A label given later is enough.
            await cluster.client.patch(NAMESPACES, "everywhere-red", {"metadata": {"labels": {"team": "blue"}}})
            await cluster.until("Agent", "everywhere-red", "a", "Accepted", "True")
        assert witness.refused == []
        assert {Asked("list", "", "namespaces"), Asked("watch", "", "namespaces")} <= witness.asked
    finally:
        for resource in (_CLUSTERROLEBINDINGS, _CLUSTERROLES):
            try:
                await cluster.client.delete(resource, f"kagent-controller-{home}")
            except KubeError:
                continue
