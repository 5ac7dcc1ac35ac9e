"""Ways through the API server to a Pod: HTTP in both directions, logs, and port-forward."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.seams import Address, JsonObject, LogOptions, Resource

PODS = Resource("", "v1", "pods")
SERVICES = Resource("", "v1", "services")
SERVICE = "/api/v1/namespaces/default/services/web:80/proxy"
POD = "/api/v1/namespaces/default/pods/web"

Served = tuple[ApiServer, httpx.AsyncClient]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Backend:
    """A runner with one Pod that listens here."""

    address: Address
    ready: bool = True
    log_options: list[LogOptions] = field(default_factory=list[LogOptions])
    log_closed: asyncio.Event = field(default_factory=asyncio.Event)

    def service_addresses(self, namespace: str, service: str, port: str) -> list[Address]:
        return [self.address] if self.ready else []

    def pod_address(self, namespace: str, pod: str, port: str) -> Address:
        return self.address

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        self.log_options.append(options)
        try:
            yield b"one\n"
            if options.follow:
                await asyncio.Event().wait()
        finally:
            self.log_closed.set()


@dataclass
class Upstream:
    """What the program behind the proxy saw."""

    heads: list[str] = field(default_factory=list[str])
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        path = head.split(" ")[1]
        if path.startswith("/sse"):
            await self._stream(reader, writer)
        elif path.startswith("/echo"):
            length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith("content-length:"))
            body = await reader.readexactly(length)
            writer.write(b"HTTP/1.1 201 Created\r\nX-Own: yes\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        elif path.startswith("/moved"):
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /new?x=1\r\nContent-Length: 0\r\n\r\n")
        elif path.startswith("/broken"):
            writer.write(b"not http at all\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await self.go_on.wait()
        writer.write(b"data: 2\n\n")
        await reader.read()
        self.gone.set()


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, Address]]:
    seen = Upstream()
    server = await asyncio.start_server(seen, "127.0.0.1", 0)
    async with server:
        yield seen, Address("127.0.0.1", server.sockets[0].getsockname()[1])


@pytest.fixture
def backend(served: Served, upstream: tuple[Upstream, Address]) -> Backend:
    api, _ = served
    pod = api.objects.create(
        PODS,
        "default",
        {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main", "image": "i:1"}]}},
    )
    pod["status"] = {"phase": "Running"}
    api.objects.update(PODS, "default", "web", pod, subresource="status")
    api.objects.create(SERVICES, "default", {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    runner = Backend(upstream[1])
    api.set_backend(runner)
    return runner


@pytest.mark.usefixtures("backend")
async def test_a_request_passes_with_its_body_and_without_its_token(
    served: Served, upstream: tuple[Upstream, Address]
) -> None:
    headers = {"X-Kagent-Token": "t", "Impersonate-User": "jane", "Impersonate-Group": "system:masters"}
    answer = await served[1].post(
        f"{SERVICE}/echo/a%2Fb?x=1",
        content=b"body",
        headers=headers,
    )
    assert (answer.status_code, answer.content, answer.headers["x-own"]) == (201, b"body", "yes")
    head = upstream[0].heads[0]
    assert head.startswith("POST /echo/a%2Fb?x=1 HTTP/1.1\r\n")
    assert "x-kagent-token: t" in head.lower()
    assert f"host: localhost:{upstream[1].port}" in head.lower()
    assert "authorization" not in head.lower()
    assert "impersonate" not in head.lower()


@pytest.mark.usefixtures("backend")
async def test_events_pass_as_they_come_and_a_client_that_leaves_is_noticed(
    served: Served, upstream: tuple[Upstream, Address]
) -> None:
    async with asyncio.timeout(10):
        async with served[1].stream("GET", f"{SERVICE}/sse") as answer:
            chunks = answer.aiter_raw()
            assert await anext(chunks) == b"data: 1\n\n"
            upstream[0].go_on.set()
            assert await anext(chunks) == b"data: 2\n\n"
        await upstream[0].gone.wait()


@pytest.mark.usefixtures("backend")
async def test_chunked_answers_redirects_and_pods(served: Served) -> None:
    assert (await served[1].get(f"{POD}:8080/proxy/")).text == "ok"
    assert (await served[1].get(SERVICE)).text == "ok"
    moved = await served[1].get(f"{SERVICE}/moved")
    assert moved.headers["location"] == f"{SERVICE}/new?x=1"


async def test_what_cannot_be_reached_says_so(served: Served, backend: Backend) -> None:
    broken = await served[1].get(f"{SERVICE}/broken")
    assert (broken.status_code, broken.json()["reason"]) == (503, "ServiceUnavailable")
    backend.ready = False
    unready = await served[1].get(SERVICE)
    assert unready.json()["message"] == 'no endpoints available for service "web"'
    missing = await served[1].get("/api/v1/namespaces/default/services/none:80/proxy/")
    assert missing.status_code == 404
    backend.ready, backend.address = True, Address("127.0.0.1", 1)
    assert "dial tcp 127.0.0.1:1" in (await served[1].get(SERVICE)).json()["message"]


async def test_logs_are_the_runners(served: Served, backend: Backend) -> None:
    answer = await served[1].get(f"{POD}/log", params={"tailLines": "3", "timestamps": "true", "limitBytes": "3"})
    assert (answer.text, answer.headers["content-type"]) == ("one", "text/plain")
    assert backend.log_options == [LogOptions(container="main", tail_lines=3, timestamps=True)]
    refused = await served[1].get(f"{POD}/log", params={"container": "other"})
    assert refused.json()["message"] == "container other is not valid for pod web"


async def test_followed_logs_end_when_the_client_leaves(served: Served, backend: Backend) -> None:
    async with asyncio.timeout(10):
        async with served[1].stream("GET", f"{POD}/log", params={"follow": "true"}) as answer:
            assert await anext(answer.aiter_raw()) == b"one\n"
        await backend.log_closed.wait()


async def test_streams_end_when_the_server_stops(
    served: Served, upstream: tuple[Upstream, Address], backend: Backend
) -> None:
    api, client = served
    async with asyncio.timeout(10):
        async with (
            client.stream("GET", f"{SERVICE}/sse") as events,
            client.stream("GET", f"{POD}/log", params={"follow": "true"}) as log,
        ):
            lines = log.aiter_raw()
            assert await anext(lines) == b"one\n"
            assert await anext(events.aiter_raw()) == b"data: 1\n\n"
            upstream[0].go_on.set()
            api.begin_shutdown()
            await upstream[0].gone.wait()
            await backend.log_closed.wait()


async def test_a_container_that_waits_has_no_log_yet(served: Served, backend: Backend) -> None:
    api, client = served
    pod = api.objects.get(PODS, "default", "web")
    waiting: JsonObject = {"waiting": {"reason": "ContainerCreating"}}
    pod["status"]["containerStatuses"] = [{"name": "main", "state": waiting}]
    api.objects.update(PODS, "default", "web", pod, subresource="status")
    answer = await client.get(f"{POD}/log")
    assert answer.status_code == 400
    assert 'container "main" in pod "web" is waiting to start: ContainerCreating' in answer.json()["message"]
    assert backend.log_options == []


async def test_without_a_runner_there_is_no_node(served: Served) -> None:
    api, client = served
    api.objects.create(
        PODS, "default", {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main", "image": "i:1"}]}}
    )
    answer = await client.get(f"{POD}/log")
    assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")


@pytest.mark.usefixtures("backend")
async def test_port_forward_over_channels(served: Served) -> None:
    import wsproto
    from wsproto.events import AcceptConnection, BytesMessage, CloseConnection
    from wsproto.events import Request as Upgrade

    api, client = served
    context = ssl.create_default_context(cafile=api.material.ca_path)
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port, ssl=context)
    ws = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    token = f"Bearer {api.material.admin_token}".encode()
    upgrade = Upgrade(
        host="localhost", target=f"{POD}/portforward?ports=8080", subprotocols=["v4.channel.k8s.io"],
        extra_headers=[(b"authorization", token)],
    )  # fmt: skip
    writer.write(ws.send(upgrade))
    received: dict[int, bytes] = {0: b"", 1: b""}
    closed = False
    async with asyncio.timeout(10):
        while not closed:
            ws.receive_data(await reader.read(65_536))
            for event in ws.events():
                if isinstance(event, AcceptConnection):
                    assert event.subprotocol == "v4.channel.k8s.io"
                    writer.write(ws.send(BytesMessage(data=b"\x00GET / HTTP/1.0\r\n\r\n")))
                elif isinstance(event, BytesMessage):
                    received[event.data[0]] += bytes(event.data[1:])
                elif isinstance(event, CloseConnection):
                    closed = True
    writer.close()
    assert received[1] == struct.pack("<H", 8080)
    assert received[0].startswith(struct.pack("<H", 8080) + b"HTTP/1.1 200 OK")


@pytest.mark.usefixtures("backend")
async def test_port_forward_without_websocket_says_what_helps(served: Served) -> None:
    answer = await served[1].post(f"{POD}/portforward")
    assert answer.status_code == 400
    assert "WebSocket" in answer.json()["message"]
