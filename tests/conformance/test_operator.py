"""The operator on a real API server, under its own ServiceAccount and Role: nothing is faked but the absent kubelet."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kagent_api.crds import crds
from kagent_api.kube import Access, AlreadyExists, Forbidden, KubeClient, NotFound, Resource, load_access
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
    NAMESPACES,
    REMOTEMCPSERVERS,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
)
from kagent_operator.manifests import Installation, manifests
from kagent_operator.reconcile import Operator
from kagent_operator.reconcile.discovery import Target, Tool
from kagent_operator.translate import Settings

JsonObject = dict[str, Any]
_PATIENCE = 60.0
_FIXTURES = Path(__file__).parents[2].parent / "shared" / "fixtures"
_KINDS = {
    resource.kind: resource
    for resource in (
        *(AGENTS, MODELCONFIGS, REMOTEMCPSERVERS, MCPSERVERS, SECRETS, SERVICEACCOUNTS, ROLES, ROLEBINDINGS),
        *(CONFIGMAPS, SERVICES, DEPLOYMENTS),
    )
}
_WRITTEN = (AGENTS, MODELCONFIGS, REMOTEMCPSERVERS, MCPSERVERS, DEPLOYMENTS, SERVICES, SECRETS, CONFIGMAPS)
_SEEN = (*_WRITTEN, SERVICEACCOUNTS)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; the API server is another process, so there is no event to wait for."""
    async with asyncio.timeout(_PATIENCE):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class CountingClient(KubeClient):
    """The operator's client, with a list of what it wrote."""

    def __init__(self, access: Access) -> None:
        super().__init__(access, user_agent="kagent-operator")
        self.writes: list[str] = []

    async def create(self, resource: Resource, obj: JsonObject, **more: Any) -> JsonObject:
        if resource is not EVENTS:
            self.writes.append(f"create {resource.kind} {obj['metadata']['name']}")
        return await super().create(resource, obj, **more)

    async def update(self, resource: Resource, obj: JsonObject, **more: Any) -> JsonObject:
        self.writes.append(f"update {resource.kind} {obj['metadata']['name']}")
        return await super().update(resource, obj, **more)

    async def patch(
        self, resource: Resource, name: str, body: Any, namespace: str | None = None, **more: Any
    ) -> JsonObject:
        if resource is not EVENTS:
            self.writes.append(f"patch {resource.kind} {name}")
        return await super().patch(resource, name, body, namespace, **more)

    async def delete(self, resource: Resource, name: str, namespace: str | None = None, **more: Any) -> JsonObject:
        self.writes.append(f"delete {resource.kind} {name}")
        return await super().delete(resource, name, namespace, **more)


class Place:
    """One namespace of the real server, with the operator's rights installed in it."""

    def __init__(self, access: Access, client: KubeClient, namespace: str) -> None:
        self.access = access
        self.client = client
        self.namespace = namespace

    async def install(self) -> None:
        """Create the namespace and everything that ``kagent-operator manifests`` prints."""
        await self.client.create(NAMESPACES, {"metadata": {"name": self.namespace}})
        for obj in manifests(Installation(namespace=self.namespace)):
            await self.client.apply(_KINDS[obj["kind"]], obj, field_manager="test")

    async def install_again(self) -> None:
        """Install in a namespace that an earlier case has used, with nothing of it left."""
        try:
            await self.install()
        except AlreadyExists:
            for resource in (*_WRITTEN, SERVICEACCOUNTS):
                for obj in (await self.client.list(resource, self.namespace)).items:
                    if obj["metadata"]["name"] != "kagent-controller":
                        await self.client.delete(resource, obj["metadata"]["name"], self.namespace)

    async def put(self, *objects: JsonObject) -> None:
        """Apply objects as a person would, in any order."""
        for given in objects:
            obj = json.loads(json.dumps(given))
            obj["metadata"]["namespace"] = self.namespace
            obj.pop("status", None)
            resource = _KINDS[obj["kind"]]
            await self.client.apply(resource, obj, field_manager="test", force=True, field_validation="Ignore")

    async def get(self, resource: Resource, name: str) -> JsonObject:
        return await self.client.get(resource, name, self.namespace)

    async def condition(self, resource: Resource, name: str, kind: str) -> JsonObject:
        try:
            found = await self.get(resource, name)
        except NotFound:
            return {"status": ""}
        for condition in found.get("status", {}).get("conditions", []):
            if condition["type"] == kind:
                return condition
        return {"status": ""}

    async def until(self, resource: Resource, name: str, kind: str, status: str) -> JsonObject:
        async def holds() -> bool:
            return (await self.condition(resource, name, kind))["status"] == status

        try:
            await eventually(holds)
        except TimeoutError:
            raise AssertionError(await self.condition(resource, name, kind)) from None
        return await self.condition(resource, name, kind)

    async def roll_out(self, operator: Operator, *names: str) -> None:
        """Be the Deployment controller, which is not part of an API server, for what the operator wants in the end.

        An operator that has not seen everything yet may still change a template, and what was rolled out before that
        would be of an older generation for ever.
        """
        await self.settle(operator)
        for name in names:
            generation = (await self.get(DEPLOYMENTS, name))["metadata"]["generation"]
            counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), 1)
            status = {"status": {"observedGeneration": generation, **counts}}
            await self.client.patch(DEPLOYMENTS, name, status, self.namespace, subresource="status")

    async def operator_access(self) -> Access:
        """Return access as the operator's ServiceAccount, by a token as its Pod would get."""
        path = SERVICEACCOUNTS.path(self.namespace, "kagent-controller", "token")
        body: JsonObject = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = await self.client.http().post(self.access.server + path, json=body)
        token = answer.json()["status"]["token"]
        return replace(self.access, credentials=StaticAuthorization(f"Bearer {token}"))

    async def caught_up(self, operator: Operator) -> bool:
        """Whether the operator has seen everything there is and has nothing to do.

        The kinds are listed one after the other: that nothing was reconciled in between makes them one moment.
        """
        if not _at_rest(operator):
            return False
        before = operator.controller.reconciles.total()
        for resource in _SEEN:
            listed = (await self.client.list(resource, self.namespace)).items
            known = {
                obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"]
                for obj in operator.cache.list(resource.kind, self.namespace)
            }
            if known != {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in listed}:
                return False
        return _at_rest(operator) and operator.controller.reconciles.total() == before

    @asynccontextmanager
    async def operator(self, settings: Settings | None = None) -> AsyncGenerator[tuple[Operator, CountingClient]]:
        async with CountingClient(await self.operator_access()) as client:
            chosen = settings or Settings(controller_namespace=self.namespace)
            operator = Operator(client, chosen, [self.namespace], ask=_time_tools)
            tasks = [asyncio.create_task(operator.watch()), asyncio.create_task(operator.reconcile())]
            try:
                async with asyncio.timeout(_PATIENCE):
                    await operator.started.wait()
                yield operator, client
            finally:
                for task in tasks:
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [each for each in outcomes if not isinstance(each, asyncio.CancelledError)] == []

    async def settle(self, operator: Operator) -> None:
        async def settled() -> bool:
            return await self.caught_up(operator)

        await eventually(settled)

    async def reconcile_all(self, operator: Operator) -> None:
        """Reconcile everything once more, whether or not anything changed."""
        await self.settle(operator)
        for resource in (AGENTS, MODELCONFIGS, REMOTEMCPSERVERS, MCPSERVERS):
            for obj in operator.cache.list(resource.kind, self.namespace):
                operator.controller.queue.add(_key(resource.kind, obj))
        await self.settle(operator)


def _at_rest(operator: Operator) -> bool:
    """Whether nothing waits: no watch to come back, no key, no retry of a failed one, no answer of a tool server.

    A server that has just taken in CRDs ends their watches once or twice.
    """
    quiet = operator.controller.queue.settled and operator.discoveries.answered
    return quiet and operator.cache.problems() == []


def _key(kind: str, obj: JsonObject) -> Any:
    from kagent_operator.reconcile.keys import Key

    return Key(kind, obj["metadata"]["namespace"], obj["metadata"]["name"])


async def _time_tools(_: Target) -> list[Tool]:
    return [Tool("now", "Tells the time", {"inputSchema": {"type": "object"}})]


async def _install_crds(access: Access, wanted: Sequence[JsonObject]) -> None:
    async with KubeClient(access) as client:
        for crd in wanted:
            await client.apply(CRDS, crd, field_manager="test", force=True)
        kinds = [crd["spec"]["names"]["plural"] for crd in wanted]

        async def served() -> bool:
            v2, v1 = await client.resources("kagent.dev/v1alpha2"), await client.resources("kagent.dev/v1alpha1")
            return set(kinds) <= v1 | v2

        await eventually(served)


@pytest.fixture
async def place(real_kubeconfig: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Place]:
    access = load_access(str(real_kubeconfig))
    await _install_crds(access, crds())
    async with KubeClient(access) as client:
        found = Place(access, client, f"operator-{abs(hash(request.node.name)) % 10**8}")
        await found.install()
        yield found


_SECRET: JsonObject = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"k": "v"}}
_MODEL: JsonObject = {
    "apiVersion": "kagent.dev/v1alpha2",
    "kind": "ModelConfig",
    "metadata": {"name": "default-model-config"},
    "spec": {"provider": "OpenAI", "model": "m", "apiKeySecret": "key", "apiKeySecretKey": "k", "openAI": {}},
}
_TIME: JsonObject = {
    "apiVersion": "kagent.dev/v1alpha1",
    "kind": "MCPServer",
    "metadata": {"name": "time"},
    "spec": {
        "transportType": "stdio",
        "stdioTransport": {},
        "deployment": {"cmd": "uvx", "args": ["mcp-server-time"], "env": {"TZ": "UTC"}},
    },
}
_REMOTE: JsonObject = {
    "apiVersion": "kagent.dev/v1alpha2",
    "kind": "RemoteMCPServer",
    "metadata": {"name": "far"},
    "spec": {"description": "far away", "url": "http://far.example/mcp"},
}


def _agent(name: str = "clock", **declarative: Any) -> JsonObject:
    tools = [
        {"type": "McpServer", "mcpServer": {"kind": "MCPServer", "apiGroup": "kagent.dev", "name": "time"}},
        {"type": "McpServer", "mcpServer": {"kind": "RemoteMCPServer", "apiGroup": "kagent.dev", "name": "far"}},
    ]
    block = {"systemMessage": "Help.", "tools": tools, **declarative}
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": {"name": name},
        "spec": {"type": "Declarative", "declarative": block},
    }


async def test_an_agent_made_before_what_it_needs_becomes_ready_and_is_then_left_alone(place: Place) -> None:
    async with place.operator() as (operator, client):
        await place.put(_agent())
        missing = await place.until(AGENTS, "clock", "Accepted", "False")
        assert "'default-model-config'" in missing["message"]
        await place.put(_TIME, _REMOTE, _MODEL, _SECRET)
        await place.until(AGENTS, "clock", "Accepted", "True")
        await place.roll_out(operator, "clock", "time")
        for condition in ("Ready", "ToolsReady", "ResolvedRefs"):
            await place.until(AGENTS, "clock", condition, "True")
        await place.until(MODELCONFIGS, "default-model-config", "Accepted", "True")
        await place.until(REMOTEMCPSERVERS, "far", "Accepted", "True")
        await place.until(MCPSERVERS, "time", "ToolsDiscovered", "True")
        await place.settle(operator)
        client.writes.clear()
        await place.reconcile_all(operator)
        assert client.writes == []
        status = (await place.get(AGENTS, "clock"))["status"]
        assert status["observedGeneration"] == 1

        async def told() -> bool:
            events = (await place.client.list(EVENTS, place.namespace)).items
            return any(event["message"] == "Accepted: Agent configuration accepted" for event in events)

        await eventually(told)  # Events are written beside the reconcilers


async def test_a_restarted_operator_writes_nothing(place: Place) -> None:
    await place.put(_SECRET, _MODEL, _REMOTE, _TIME, _agent(), _agent("second", deployment={"replicas": 2}))
    async with place.operator() as (operator, _):
        await place.until(AGENTS, "second", "Accepted", "True")
        await place.until(AGENTS, "clock", "Accepted", "True")
        await place.roll_out(operator, "time")
        await place.until(AGENTS, "clock", "ToolsReady", "True")
        await place.settle(operator)
    async with place.operator() as (operator, client):
        await place.reconcile_all(operator)
        assert client.writes == []


async def test_an_edit_a_rotated_key_and_a_removed_field_reach_the_pods(place: Place) -> None:
    await place.put(_SECRET, _MODEL, _agent(tools=[], deployment={"nodeSelector": {"disk": "ssd"}}))
    async with place.operator() as (operator, _):
        await place.until(AGENTS, "clock", "Accepted", "True")
        await place.roll_out(operator, "clock")
        await place.until(AGENTS, "clock", "Ready", "True")
        first = await place.get(DEPLOYMENTS, "clock")
        await place.put({**_SECRET, "stringData": {"k": "rotated"}})

        async def rolled() -> bool:
            return (await place.get(DEPLOYMENTS, "clock"))["metadata"]["generation"] > first["metadata"]["generation"]

        await eventually(rolled)
        await place.until(AGENTS, "clock", "Ready", "False")
        await place.put(_agent(tools=[], systemMessage="Help more."))

        async def unpinned() -> bool:
            return "nodeSelector" not in (await place.get(DEPLOYMENTS, "clock"))["spec"]["template"]["spec"]

        await eventually(unpinned)
        await place.settle(operator)
        config = base64.b64decode((await place.get(SECRETS, "clock"))["data"]["config.json"])
        assert json.loads(config)["instruction"] == "Help more."
        assert len((await place.client.list(CONTROLLERREVISIONS, place.namespace)).items) == 2


async def test_a_change_by_somebody_else_is_undone_and_their_additions_stay(place: Place) -> None:
    await place.put(_SECRET, _MODEL, _agent(tools=[]))
    async with place.operator() as (operator, client):
        await place.until(AGENTS, "clock", "Accepted", "True")
        await place.settle(operator)
        restart = {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}
        theirs = {"metadata": {"labels": {"team": "a"}}, "spec": {"replicas": 3, **restart}}
        await place.client.patch(DEPLOYMENTS, "clock", theirs, place.namespace)
        await place.client.patch(SERVICES, "clock", {"spec": {"selector": {"kagent": "other"}}}, place.namespace)

        async def mended() -> bool:
            return (await place.get(SERVICES, "clock"))["spec"]["selector"]["kagent"] == "clock"

        await eventually(mended)
        await place.settle(operator)
        live = await place.get(DEPLOYMENTS, "clock")
        assert live["metadata"]["labels"]["team"] == "a"
        assert live["spec"]["replicas"] == 3
        assert live["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] == "now"
        client.writes.clear()
        await place.reconcile_all(operator)
        assert client.writes == []


async def test_a_deleted_object_comes_back_and_a_foreign_one_stays(place: Place) -> None:
    await place.put(_SECRET, _MODEL, {**_SECRET, "metadata": {"name": "taken"}})
    async with place.operator():
        await place.put(_agent(tools=[]), _agent("taken", tools=[]))
        await place.until(AGENTS, "clock", "Accepted", "True")
        gone = await place.get(SECRETS, "clock")
        await place.client.delete(SECRETS, "clock", place.namespace)

        async def back() -> bool:
            try:
                return (await place.get(SECRETS, "clock"))["metadata"]["uid"] != gone["metadata"]["uid"]
            except NotFound:
                return False

        await eventually(back)
        refused = await place.until(AGENTS, "taken", "Accepted", "False")
        assert "Secret" in refused["message"]
        assert "does not belong to this Agent" in refused["message"]
        assert base64.b64decode((await place.get(SECRETS, "taken"))["data"]["k"]) == b"v"
        # The collector that removes what an agent owned is no part of an API server; the references it needs are there.
        await place.client.delete(AGENTS, "clock", place.namespace)
        for resource in (SECRETS, DEPLOYMENTS, SERVICES):
            references = (await place.get(resource, "clock"))["metadata"]["ownerReferences"]
            assert [(each["kind"], each["controller"]) for each in references] == [("Agent", True)]


async def test_a_lost_race_is_a_conflict_that_ends_well(place: Place) -> None:
    await place.put(_SECRET, _MODEL, _agent(tools=[]))
    async with place.operator() as (operator, _):
        await place.until(AGENTS, "clock", "Accepted", "True")
        for number in range(20):
            note = {"metadata": {"annotations": {"note": str(number)}}}
            await place.client.patch(DEPLOYMENTS, "clock", note, place.namespace)
            await place.put(_agent(tools=[], systemMessage=f"Help {number}."))
        await place.settle(operator)
        config = base64.b64decode((await place.get(SECRETS, "clock"))["data"]["config.json"])
        assert json.loads(config)["instruction"] == "Help 19."
        live = await place.get(DEPLOYMENTS, "clock")
        assert live["metadata"]["annotations"]["note"] == "19"
        assert (await place.get(AGENTS, "clock"))["status"]["observedGeneration"] == 21


async def test_the_role_gives_nothing_outside_its_namespace(place: Place) -> None:
    async with KubeClient(await place.operator_access()) as client:
        for resource, namespace in ((SECRETS, "default"), (NAMESPACES, ""), (CRDS, ""), (AGENTS, "default")):
            with pytest.raises(Forbidden):
                await client.list(resource, namespace)


def _goldens() -> list[str]:
    return sorted(path.stem for path in (_FIXTURES / "translator" / "inputs").glob("*.yaml"))


def _without_schemas() -> list[JsonObject]:
    """CRDs that take anything and default nothing: upstream's golden writer saw resources as they stand in files."""
    loose: list[JsonObject] = []
    for crd in crds():
        for version in crd["spec"]["versions"]:
            version["schema"] = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
            version.pop("additionalPrinterColumns", None)
        loose.append(crd)
    return loose


def _hash(*parts: bytes) -> str:
    """Return kagent.dev/config-hash as upstream computes it."""
    return str(int.from_bytes(hashlib.sha256(b"".join(parts)).digest()[:8], "big"))


def _model_hash(case: JsonObject) -> bytes:
    """Return the secretHash of a case's only ModelConfig, which upstream's files have not and its controller writes."""
    found = [obj for obj in case["objects"] if obj["kind"] == "ModelConfig"]
    secrets = {obj["metadata"]["name"]: obj for obj in case["objects"] if obj["kind"] == "Secret"}
    digests: list[bytes] = []
    for model in found:
        digest = hashlib.sha256()
        names = {model["spec"].get("apiKeySecret"), model["spec"].get("tls", {}).get("caCertSecretRef")} - {None}
        for name in sorted(names):
            digest.update(f"test/{name}".encode())
            for key, value in sorted(secrets[name].get("data", {}).items()):
                digest.update(key.encode() + base64.b64decode(value))
            for key, value in sorted(secrets[name].get("stringData", {}).items()):
                digest.update(key.encode() + value.encode())
        digests.append(digest.digest())
    return b"".join(digests)


@pytest.mark.parametrize("name", _goldens())
async def test_upstreams_own_objects_are_taken_over_without_a_rollout(other_kubeconfig: Path, name: str) -> None:
    case = yaml.safe_load((_FIXTURES / "translator" / "inputs" / f"{name}.yaml").read_text(encoding="utf-8"))
    golden = json.loads((_FIXTURES / "translator" / "outputs" / f"{name}.json").read_text(encoding="utf-8"))
    access = load_access(str(other_kubeconfig))
    await _install_crds(access, _without_schemas())
    async with KubeClient(access) as client:
        place = Place(access, client, case["namespace"])
        await place.install_again()
        await place.put(*case["objects"])
        agent = await place.get(AGENTS, case["targetObject"])
        made = golden["manifest"]
        template = made[-2]["spec"]["template"]["metadata"]
        files = [made[0]["stringData"][file].encode() for file in ("config.json", "agent-card.json")]
        assert template["annotations"]["kagent.dev/config-hash"] == _hash(*files)
        template["annotations"]["kagent.dev/config-hash"] = _hash(*files, _model_hash(case))
        for obj in made:
            obj["metadata"]["ownerReferences"][0]["uid"] = agent["metadata"]["uid"]
            await client.create(_KINDS[obj["kind"]], obj, field_validation="Ignore")
        before = await place.get(DEPLOYMENTS, case["targetObject"])
        # Profile kagent-tui: what upstream made keeps its engine all the same.
        settings = Settings(proxy_url=case.get("proxyURL", ""))
        for writes_expected in (True, False):
            async with place.operator(settings) as (operator, writer):
                await place.until(AGENTS, case["targetObject"], "Accepted", "True")
                await place.reconcile_all(operator)
                after = await place.get(DEPLOYMENTS, case["targetObject"])
                assert after["spec"]["template"] == before["spec"]["template"]
                assert after["spec"] == before["spec"]
            assert bool(writer.writes) is writes_expected, writer.writes


def _kmcp_goldens() -> list[JsonObject]:
    path = Path(__file__).parents[1] / "operator" / "translate" / "kmcp_goldens.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("golden", _kmcp_goldens(), ids=itertools.count())
async def test_kmcps_own_objects_are_taken_over_without_a_rollout(place: Place, golden: JsonObject) -> None:
    name = golden["server"]["metadata"]["name"]
    del golden["server"]["metadata"]["uid"]
    await place.put(golden["server"])
    server = await place.get(MCPSERVERS, name)
    for obj in golden["objects"]:
        obj["metadata"]["namespace"] = place.namespace
        obj["metadata"]["ownerReferences"][0]["uid"] = server["metadata"]["uid"]
        await place.client.create(_KINDS[obj["kind"]], obj)
    before = await place.get(DEPLOYMENTS, name)
    for writes_expected in (True, False):
        async with place.operator() as (operator, writer):
            await place.until(MCPSERVERS, name, "Programmed", "True")
            await place.reconcile_all(operator)
            assert (await place.get(DEPLOYMENTS, name))["spec"] == before["spec"]
        assert bool(writer.writes) is writes_expected, writer.writes


def _controller_faults() -> list[tuple[str, str]]:
    table = _FIXTURES / "manifests" / "invalid" / "EXPECTED.tsv"
    if not table.is_file():
        return []
    lines = (line.split("\t") for line in table.read_text(encoding="utf-8").splitlines())
    return [(line[0], line[2]) for line in lines if line[1] == "controller"]


@pytest.mark.parametrize(("file", "fragment"), _controller_faults())
async def test_a_manifest_only_the_operator_can_judge_ends_in_its_condition(
    place: Place, file: str, fragment: str
) -> None:
    text = (_FIXTURES / "manifests" / "invalid" / file).read_text(encoding="utf-8")
    objects = [cast(JsonObject, obj) for obj in yaml.safe_load_all(text) if obj]
    async with place.operator() as (operator, client):
        await place.put(*objects)
        judged = objects[-1]
        told = await place.until(_KINDS[judged["kind"]], judged["metadata"]["name"], "Accepted", "False")
        assert fragment in told["message"]
        wanted = "ReconcileFailed" if judged["kind"] == "Agent" else "ModelConfigReconcileFailed"
        assert told["reason"] == wanted
        await place.settle(operator)
        client.writes.clear()
        await place.reconcile_all(operator)
        assert client.writes == []
