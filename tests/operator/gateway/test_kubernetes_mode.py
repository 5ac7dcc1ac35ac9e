"""Mode kubernetes against the real local API server: its tokens, its Roles, over TLS."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from kagent_api.crds import crds
from kagent_api.kube import Access, KubeClient
from kagent_api.kube.access import Tls
from kagent_api.kube.credentials import StaticAuthorization
from kagent_api.kube.resources import AGENTS, CRDS, NAMESPACES, PODS, ROLEBINDINGS, ROLES, SERVICEACCOUNTS
from kagent_localcluster.apiserver import ApiServer
from kagent_operator.gateway import GatewaySettings, KubeWriter, create_app, open_cluster_auth
from kagent_operator.store import Store

Json = dict[str, Any]
SETTINGS = GatewaySettings(auth_mode="kubernetes", agent_address="http://agents.invalid")


class World:
    """An API server with people (ServiceAccounts) and agents, and the gateway before it."""

    def __init__(self, api: KubeClient, gateway: httpx.AsyncClient, heard: list[httpx.Request]) -> None:
        self.api = api
        self.gateway = gateway
        self.heard = heard

    async def token(self, account: str, audience: str = "", pod: str = "") -> str:
        spec: Json = {"audiences": [audience]} if audience else {}
        spec |= {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod}} if pod else {}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = SERVICEACCOUNTS.path("kagent", account, "token")
        reply = await self.api.http().post(self.api.access.server + path, json=body)
        return reply.json()["status"]["token"]

    async def person(self, name: str, *rules: Json) -> dict[str, str]:
        """Make somebody with rights in namespace kagent; return the headers that they send."""
        await self.api.create(SERVICEACCOUNTS, _named(name))
        if rules:
            await self.api.create(ROLES, _named(name) | {"rules": [*rules]})
            subject = {"kind": "ServiceAccount", "name": name, "namespace": "kagent"}
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
            await self.api.create(ROLEBINDINGS, _named(name) | {"roleRef": role, "subjects": [subject]})
        return {"X-Kagent-Token": await self.token(name)}


def _named(name: str, **labels: str) -> Json:
    return {"metadata": {"name": name, "namespace": "kagent", "labels": labels}}


def rule(*verbs: str, on: str = "agents", only: str = "") -> Json:
    names = {"resourceNames": [only]} if only else {}
    return {"apiGroups": ["kagent.dev"], "resources": [on], "verbs": [*verbs], **names}


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[Access]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        server = ApiServer(folder, server_url=url)
        server.start()
        made = server.material
        web = uvicorn.Server(
            uvicorn.Config(
                server,
                ws="none",
                lifespan="off",
                log_level="error",
                timeout_graceful_shutdown=1,
                ssl_certfile=made.certificate_path,
                ssl_keyfile=made.key_path,
            )
        )
        task = asyncio.create_task(web.serve([listener]))
        try:
            authority = await asyncio.to_thread(Path(made.ca_path).read_bytes)
            yield Access(url, credentials=StaticAuthorization(f"Bearer {made.admin_token}"), tls=Tls(authority))
        finally:
            server.begin_shutdown()
            web.should_exit = True
            await task
            server.close()


@pytest.fixture
async def world(tmp_path: Path, cluster: Any, store: Store, direct: None) -> AsyncGenerator[World]:
    del direct
    async with serving(tmp_path / "data") as access, KubeClient(access) as api:
        await api.create(NAMESPACES, {"metadata": {"name": "kagent"}})
        for crd in crds():
            if crd["spec"]["names"]["kind"] == "Agent":
                await api.create(CRDS, crd)
        for name in ("clock", "boss"):
            cluster.add_agent(name)
            await api.create(SERVICEACCOUNTS, _named(name))
            pod = _named(f"{name}-1", app="kagent", kagent=name)
            cluster.others.setdefault("Pod", []).append(pod)
            containers = [{"name": "c", "image": "i"}]
            await api.create(PODS, pod | {"spec": {"serviceAccountName": name, "containers": containers}})
        await api.create(SERVICEACCOUNTS, _named("kagent-controller"))
        heard: list[httpx.Request] = []

        async def agent(request: httpx.Request) -> httpx.Response:
            heard.append(request)
            return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": {"kind": "message"}})

        world = World(api, httpx.AsyncClient(), heard)
        # As in a cluster: the operator has a token of its own and no right that anybody gave it.
        own = replace(access, credentials=StaticAuthorization(f"Bearer {await world.token('kagent-controller')}"))
        async with KubeClient(own) as client, open_cluster_auth(client, cluster) as auth:
            app = create_app(
                agents=cluster, store=store, settings=SETTINGS, writer=KubeWriter(client), reviews=auth.reviews,
                agent_tokens=auth.agent_tokens, http=httpx.AsyncClient(transport=httpx.MockTransport(agent)),
            )  # fmt: skip
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as world.gateway:
                yield world


def say(text: str = "hi") -> Json:
    message = {"messageId": "m", "role": "user", "parts": [{"kind": "text", "text": text}]}
    return {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}}


async def test_roles_say_who_sees_and_who_chats_with_which_agent(world: World) -> None:
    viewer = await world.person("viewer", rule("get", "list"))
    talker = await world.person("talker", rule("get", only="clock"), rule("create", on="agents/chat", only="clock"))
    nobody = await world.person("nobody")
    get = world.gateway.get

    async def listed(headers: Json) -> list[str]:
        return [
            each["agent"]["metadata"]["name"] for each in (await get("/api/agents", headers=headers)).json()["data"]
        ]

    assert await listed(viewer) == ["boss", "clock"]
    assert await listed(talker) == ["clock"]
    assert await listed(nobody) == []
    card = "/api/a2a/kagent/{}/.well-known/agent-card.json"
    assert (await get(card.format("clock"), headers=talker)).status_code == 200
    for path in ("/api/agents/kagent/boss", card.format("boss"), "/api/agents/kagent/no-such"):
        refused = await get(path, headers=talker)
        assert refused.status_code == 403, "that an agent exists is not told either"
        assert "system:serviceaccount:kagent:talker may not get agents.kagent.dev" in refused.json()["error"]

    async def chats(headers: Json, agent: str) -> int:
        reply = await world.gateway.post(f"/api/a2a/kagent/{agent}/", json=say(), headers=headers)
        made = await world.gateway.post("/api/sessions", json={"agent_ref": f"kagent/{agent}"}, headers=headers)
        assert (reply.status_code == 200) == (made.status_code == 201), (reply.text, made.text)
        return reply.status_code

    assert await chats(talker, "clock") == 200
    assert [await chats(talker, "boss"), await chats(viewer, "clock"), await chats(nobody, "clock")] == [403] * 3
    (request,) = world.heard
    assert request.headers["x-user-id"] == "system:serviceaccount:kagent:talker"
    for name, value in request.headers.items():
        assert talker["X-Kagent-Token"] not in value, f"{name} shows an agent the caller's key to the cluster"


async def test_who_it_is_says_the_api_server_alone(world: World) -> None:
    ada = await world.person("ada")
    get = world.gateway.get
    me = await get("/api/me?user_id=eve", headers=ada | {"X-User-Id": "eve"})
    assert me.json()["sub"] == "system:serviceaccount:kagent:ada"
    bearer = {"Authorization": f"Bearer {ada['X-Kagent-Token']}"}
    assert (await get("/api/me", headers=bearer)).json() == me.json()
    agents_own = await world.token("ada", "kagent")
    broken = ada["X-Kagent-Token"][:-4] + "AAAA"
    for headers in ({}, {"Authorization": "Bearer x"}, {"X-Kagent-Token": broken}, {"X-Kagent-Token": agents_own}):
        reply = await get("/api/sessions", headers=headers)
        assert (reply.status_code, reply.text) == (401, "Unauthorized")
        assert reply.headers["www-authenticate"].startswith("Bearer ")
    for path in ("/health", "/version"):
        assert (await get(path)).status_code == 200


async def test_changes_are_made_with_the_callers_own_rights(world: World) -> None:
    agent = {
        "kind": "Agent", **_named("new"), "spec": {"type": "Declarative", "declarative": {"systemMessage": "Help."}},
    }  # fmt: skip
    viewer = await world.person("viewer", rule("get", "list"))
    editor = await world.person("editor", rule("create", "delete"))
    refused = await world.gateway.post("/api/agents", json=agent, headers=viewer)
    assert refused.status_code == 403, refused.text
    made = await world.gateway.post("/api/agents", json=agent, headers=editor)
    assert made.status_code == 201, made.text
    assert (await world.api.get(AGENTS, "new", "kagent"))["spec"]["type"] == "Declarative"
    assert (await world.gateway.delete("/api/agents/kagent/new", headers=viewer)).status_code == 403
    assert (await world.gateway.delete("/api/agents/kagent/new", headers=editor)).status_code == 200


async def test_an_agent_is_known_by_its_pods_token_and_reaches_its_own_sessions_only(world: World) -> None:
    clock = {
        "Authorization": f"Bearer {await world.token('clock', 'kagent', 'clock-1')}",
        "X-Agent-Name": "kagent__NS__clock", "X-User-Id": "ada",
    }  # fmt: skip
    boss = {
        "Authorization": f"Bearer {await world.token('boss', 'kagent', 'boss-1')}",
        "X-Agent-Name": "kagent__NS__boss", "X-User-Id": "ada",
    }  # fmt: skip
    post, get = world.gateway.post, world.gateway.get
    made = await post("/api/sessions", json={"agent_ref": "kagent/clock", "id": "s"}, headers=clock)
    assert made.status_code == 201, made.text
    event = {"id": "e", "data": json.dumps({"author": "user"})}
    assert (await post("/api/sessions/s/events", json=event, headers=clock)).status_code == 201
    task = {"id": "t", "contextId": "s", "status": {"state": "working"}}
    assert (await post("/api/tasks", json=task, headers=clock)).status_code == 201
    memory = {"agent_name": "kagent__NS__clock", "content": "c", "vector": [1.0]}
    assert (await post("/api/memories/sessions", json=memory, headers=clock)).status_code == 201

    for path in ("/api/sessions/s", "/api/sessions/s/tasks", "/api/sessions/s/shares", "/api/tasks/t",
                 "/api/memories?agent_name=kagent/clock", "/api/feedback", "/api/agents"):  # fmt: skip
        assert (await get(path, headers=boss)).status_code == 403, path
    assert (await get("/api/sessions", headers=boss)).json()["data"] == []
    assert (await post("/api/sessions", json={"agent_ref": "kagent/clock"}, headers=boss)).status_code == 403
    assert (await post("/api/memories/sessions", json=memory, headers=boss)).status_code == 403
    taken = await post("/api/sessions", json={"agent_ref": "kagent/boss", "id": "s"}, headers=boss)
    assert taken.status_code == 403, "creating a session again hands it to nobody else"
    await post("/api/sessions", json={"agent_ref": "kagent/boss", "id": "own"}, headers=boss)
    assert (await post("/api/tasks", json=task | {"contextId": "own"}, headers=boss)).status_code == 409
    assert (await get("/api/tasks/t", headers=clock)).json()["data"]["contextId"] == "s"
    assert (await post("/api/a2a/kagent/clock/", json=say(), headers=boss)).status_code == 403

    # A name alone, somebody else's token, or one for another audience, is not that agent.
    for token in (await world.token("boss", "kagent", "boss-1"), await world.token("clock"), "a.b.c"):
        headers = clock | {"Authorization": f"Bearer {token}"}
        assert (await get("/api/sessions", headers=headers)).status_code == 401
    ada = await world.person("ada")
    assert (await get("/api/sessions", headers=ada | {"X-User-Id": "ada"})).json()["data"] == []


async def test_answers_are_kept_for_half_a_minute_and_no_longer() -> None:
    from kagent_operator.gateway.errors import Unauthorized
    from kagent_operator.gateway.principal import Principal
    from kagent_operator.gateway.reviews import Reviews
    from kagent_operator.gateway.rights import chat_with

    moments, allowed = [0.0], [True]
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        if request.headers["authorization"] == "Bearer gone":
            return httpx.Response(401)
        return httpx.Response(201, json={"status": {"userInfo": {"username": "ada"}, "allowed": allowed[0]}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        reviews = Reviews(http, "https://api/", clock=lambda: moments[0])
        ada = Principal("ada", True, token="t", proven=True)
        assert (await reviews.who("t"))["username"] == "ada"
        assert await reviews.allow(ada, chat_with("kagent", "clock"))
        allowed[0] = False
        moments[0] = 29.0
        assert await reviews.allow(ada, chat_with("kagent", "clock"))
        assert not await reviews.allow(ada, chat_with("kagent", "boss")), "one answer is for one agent"
        moments[0] = 31.0
        assert not await reviews.allow(ada, chat_with("kagent", "clock"))
        assert not await reviews.allow(Principal("x", True, "a", proven=True), chat_with("kagent", "clock"))
        for _ in range(3):
            with pytest.raises(Unauthorized):
                await reviews.who("gone")
    assert asked.count("selfsubjectreviews") == 2, "a refused token is asked about once as well"
