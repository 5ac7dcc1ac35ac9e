from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kagent_api.kube import Access, KubeClient, KubeconfigError, Unauthorized
from kagent_api.kube.credentials import StaticAuthorization, TokenFile
from kagent_api.kube.plugins import ExecPlugin
from kagent_api.kube.resources import AGENTS
from kagent_api.kube.transport import environment_proxy

if TYPE_CHECKING:
    from .conftest import FakeApi

PROXY = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "10.0.0.0/8,.corp,exact.org,*.star.org,api.org:6443"}


@pytest.mark.parametrize(
    ("server", "proxied"),
    [
        ("https://api.example:6443", True), ("https://10.1.2.3:6443", False), ("https://11.1.2.3", True),
        ("https://k.corp", False), ("https://corp", True), ("https://exact.org", False), ("https://a.exact.org", False),
        ("https://x.star.org", False), ("https://star.org", True), ("https://api.org:6443", False),
        ("https://api.org:443", True), ("https://127.0.0.1:6443", False), ("https://localhost", False),
        ("https://[::1]:6443", False), ("http://api.example", False),
    ],
)  # fmt: skip
def test_the_environment_names_the_proxy_by_gos_rules(server: str, proxied: bool) -> None:
    assert environment_proxy(server, PROXY) == ("http://proxy:3128" if proxied else "")


async def test_a_credential_that_cannot_be_had_is_unauthorized_and_never_shown(api: FakeApi, tmp_path: Path) -> None:
    access = Access(server=api.url, credentials=TokenFile(tmp_path / "gone"), user="u", source="config")
    async with KubeClient(access, env={}) as client:
        with pytest.raises(Unauthorized, match="the token file cannot be read"):
            await client.get(AGENTS, "a")
    access = Access(server=api.url, credentials=StaticAuthorization("Bearer top\nsecret"), user="u", source="config")
    async with KubeClient(access, env={}) as client:
        with pytest.raises(Unauthorized, match="holds a control character") as caught:
            await client.get(AGENTS, "a")
    assert "secret" not in str(caught.value)
    assert api.requests == []


@pytest.mark.parametrize("way", ["kubeconfig", "environment"])
async def test_requests_go_through_the_proxy(api: FakeApi, way: str) -> None:
    named = way == "kubeconfig"
    access = Access(server="http://api.example:8001", proxy_url=api.url if named else "")
    async with KubeClient(access, env={} if named else {"http_proxy": api.url}) as client:
        api.reply({"kind": "Agent"})
        await client.get(AGENTS, "a")
    assert api.requests[0].headers["host"] == "api.example:8001"


def test_an_unusable_proxy_is_named() -> None:
    with pytest.raises(KubeconfigError, match="proxy-url"):
        KubeClient(Access(server="https://a", proxy_url="gopher://a", source="config", cluster="c"), env={})


async def test_a_refused_token_is_read_again_and_the_request_repeated_once(api: FakeApi, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    access = Access(server=api.url, credentials=TokenFile(token), context="c", user="u")
    async with KubeClient(access, env={}) as client:
        api.reply({"kind": "Agent"})
        await client.get(AGENTS, "a")
        token.write_text("new")
        api.refuse(401, "Unauthorized", "expired")
        api.reply({"kind": "Agent"})
        await client.get(AGENTS, "a")
        api.refuse(401, "Unauthorized", "expired")
        with pytest.raises(Unauthorized, match="user 'u' of context 'c' were refused; log in again") as caught:
            await client.get(AGENTS, "a")
    sent = [request.headers["authorization"] for request in api.requests]
    assert sent == ["Bearer old", "Bearer old", "Bearer new", "Bearer new"]
    assert "Bearer" not in str(caught.value)


async def test_a_gateway_that_asks_gets_the_token_in_a_header_of_its_own_and_no_other_service_does(
    api: FakeApi, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t")
    access = Access(server=api.url, credentials=TokenFile(tmp_path / "token"))
    challenge = 'Bearer realm="kagent", error_description="a token is needed"'
    async with KubeClient(access, env={}) as client:
        gateway = client.service_url("kagent", "kagent-controller", 8083, "/api/me")
        api.reply("Unauthorized", 401, www_authenticate=challenge)
        api.reply({})
        assert (await client.http().get(gateway)).is_success
        api.reply({})
        assert (await client.http().get(gateway)).is_success
        api.reply("Unauthorized", 401, www_authenticate=challenge)
        assert (await client.http().get(client.service_url("kagent", "other", 80))).status_code == 401
    assert [request.headers.get("x-kagent-token", "") for request in api.requests] == ["", "t", "t", ""]


async def test_the_token_goes_nowhere_but_to_the_api_server(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    access = Access(server="https://api.example", credentials=TokenFile(tmp_path / "token"))
    async with KubeClient(access, env={}) as client:
        api.reply({})
        await client.http().get(api.url + "/elsewhere")
    assert "authorization" not in api.requests[0].headers


def plugin(tmp_path: Path, code: str) -> ExecPlugin:
    script = tmp_path / "plugin.py"
    script.write_text(code)
    spec = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(script)],
        "env": [{"name": "PLUGIN_TOKEN", "value": "from-env"}], "provideClusterInfo": True,
    }  # fmt: skip
    return ExecPlugin(spec, where="config: users[u].exec", directory=tmp_path, cluster={"server": "https://a"})


async def test_a_plugin_gets_its_environment_and_cluster_and_is_asked_once_until_refused(tmp_path: Path) -> None:
    source = plugin(tmp_path, """
import json, os, pathlib
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert info["spec"] == {"interactive": False, "cluster": {"server": "https://a"}}
calls = pathlib.Path(__file__).with_name("calls")
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential",
    "status": {"token": os.environ["PLUGIN_TOKEN"] + calls.read_text()}}))
""")  # fmt: skip
    assert await source.authorization() == "Bearer from-envx"
    assert await source.authorization() == "Bearer from-envx"
    source.forget()
    assert await asyncio.gather(source.authorization(), source.authorization()) == ["Bearer from-envxx"] * 2


async def test_an_expired_credential_is_renewed(tmp_path: Path) -> None:
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "status": {"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"},
    }
    source = plugin(tmp_path, f"""
import pathlib
calls = pathlib.Path(__file__).with_name("calls")
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
print('''{json.dumps(answer)}''')
""")  # fmt: skip
    await source.authorization()
    await source.authorization()
    assert (tmp_path / "calls").read_text() == "xx"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; print('please log in', file=sys.stderr); sys.exit(3)", "ended with code 3: please log in"),
        ("print('hello')", "printed no JSON"),
        ("print('{}')", "answered in apiVersion None"),
        ('print(\'{"apiVersion": "client.authentication.k8s.io/v1", "status": {}}\')', "neither a token nor"),
    ],
)
async def test_a_plugin_that_fails_is_named_with_its_own_words(tmp_path: Path, code: str, says: str) -> None:
    with pytest.raises(KubeconfigError, match=says) as caught:
        await plugin(tmp_path, code).authorization()
    assert str(caught.value).startswith("config: users[u].exec: the credential plugin")


async def test_a_plugin_that_is_not_installed_gives_its_hint(tmp_path: Path) -> None:
    spec = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "installHint": "brew install it",
    }  # fmt: skip
    source = ExecPlugin(spec, where="w", directory=tmp_path)
    with pytest.raises(KubeconfigError, match=r"no-such-plugin cannot be started.*\(brew install it\)"):
        await source.authorization()
