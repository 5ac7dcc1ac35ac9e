"""The forward proxy, between a plain client and servers that behave well or badly."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.identity import Identities, PodIdentity
from kagent_localcluster.runner.proxy.outside import Outside
from kagent_localcluster.runner.proxy.pool import Pool
from kagent_localcluster.runner.proxy.routing import Router
from kagent_localcluster.runner.proxy.server import ForwardProxy
from kagent_localcluster.runner.services import ClusterName
from kagent_localcluster.seams import Address

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CALLER = PodIdentity("home", "caller", "uid-1")
DIRECT = Outside(http=None, https=None, https_url="", no_proxy="")


class Names:
    """A cluster with the Services it is told of, all in namespace ``home``."""

    def __init__(self) -> None:
        self.services: dict[str, list[Address]] = {}

    def resolve_host(self, host: str, own_namespace: str) -> ClusterName:
        name, _, namespace = host.partition(".")
        if host.startswith("127."):
            return ClusterName("elsewhere")
        known = name in self.services or namespace == "home"
        return ClusterName("service" if name in self.services else "unknown" if known else "elsewhere", "home", name)

    def addresses(self, namespace: str, service: str, port: str) -> list[Address]:
        if port != "80":
            raise NotFound(f'service "{service}" has no port "{port}"')
        return self.services[service]


class House:
    """A proxy, the servers behind it, and clients of it."""

    def __init__(self, stack: AsyncExitStack, outside: Outside) -> None:
        self._stack = stack
        self.names = Names()
        self.identities = Identities()
        self.pool = Pool()
        self.proxy = ForwardProxy(Router(self.names, outside), self.identities, self.pool)

    async def listen(self, handler: Handler) -> Address:
        serving: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handler(reader, writer)
            finally:
                writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.add(asyncio.create_task(handle(reader, writer)))

        async def end() -> None:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
            await asyncio.sleep(0)  # the transports close on the loop's next turn

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._stack.push_async_callback(end)
        self._stack.callback(server.close)
        return Address("127.0.0.1", server.sockets[0].getsockname()[1])

    async def serve(self, name: str, *handlers: Handler) -> None:
        self.names.services[name] = [await self.listen(handler) for handler in handlers]

    @property
    def url(self) -> str:
        return self.identities.proxy_url(CALLER, self.proxy.port)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(proxy=self.url, timeout=10)

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        self._stack.callback(writer.close)
        return reader, writer

    @property
    def authorization(self) -> bytes:
        pair = f"x:{self.identities.issue(CALLER)}"
        return b"Proxy-Authorization: Basic " + base64.b64encode(pair.encode()) + b"\r\n"


@asynccontextmanager
async def opened(outside: Outside = DIRECT) -> AsyncGenerator[House]:
    async with AsyncExitStack() as stack:
        house = House(stack, outside)
        await house.proxy.start()
        stack.push_async_callback(house.proxy.stop)
        async with asyncio.timeout(20):
            yield house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened() as house:
        yield house


async def read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Read one request with a length or chunks; raises IncompleteReadError at the end of the connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return first, headers, body
    return first, headers, await reader.readexactly(int(headers.get("content-length", "0")))


def echo(counter: list[int] | None = None, *, name: str = "") -> Handler:
    """Return a well-behaved server that keeps connections; ``counter`` gets one entry per connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if counter is not None:
            counter.append(1)
        try:
            while True:
                first, headers, body = await read_request(reader)
                shown = f"{name}|{first}|{headers.get('host')}|{headers.get('x-forwarded-host')}|".encode() + body
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(shown), shown))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return handle


async def test_a_cluster_name_leads_to_the_pod_and_the_name_travels_beside_the_host(house: House) -> None:
    await house.serve("time", echo())
    port = house.names.services["time"][0].port
    async with house.client() as client:
        answer = await client.post("http://time.home/mcp?x=1", content=b"hello")
    assert answer.text == f"|POST /mcp?x=1 HTTP/1.1|localhost:{port}|time.home|hello"


async def test_connections_are_kept_on_both_sides(house: House) -> None:
    connections: list[int] = []
    await house.serve("time", echo(connections))
    async with house.client() as client:
        for _ in range(20):
            assert (await client.get("http://time.home/")).status_code == 200
    assert len(connections) == 1


async def test_requests_go_round_the_ready_pods(house: House) -> None:
    await house.serve("web", echo(name="a"), echo(name="b"))
    async with house.client() as client:
        answers = [(await client.get("http://web.home/")).text[0] for _ in range(6)]
    assert sorted(answers) == ["a", "a", "a", "b", "b", "b"]


async def test_a_server_that_closes_without_saying_so_loses_no_request(house: House) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    await house.serve("rude", rude)
    async with house.client() as client:
        answers = [await client.post("http://rude.home/", content=b"x" * 100) for _ in range(200)]
    assert {answer.text for answer in answers} == {"ok"}


async def test_a_body_streams_through_piece_by_piece(house: House) -> None:
    go_on = asyncio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for word in (b"one", b"two"):
            writer.write(b"3\r\n%s\r\n" % word)
            await writer.drain()
            await go_on.wait()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    await house.serve("agent", stream)
    async with house.client() as client, client.stream("GET", "http://agent.home/") as answer:
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"one"
        go_on.set()
        assert b"".join([piece async for piece in pieces]) == b"two"


async def test_a_client_that_leaves_ends_the_servers_stream(house: House) -> None:
    left = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await writer.drain()
        assert await reader.read() == b""
        left.set()
        writer.close()

    await house.serve("agent", endless)
    async with house.client() as client, client.stream("GET", "http://agent.home/") as answer:
        await anext(answer.aiter_raw())
    await left.wait()


async def test_an_answer_that_ends_with_its_connection_reaches_the_client_whole(house: House) -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000)
        await writer.drain()
        writer.close()

    await house.serve("old", old)
    async with house.client() as client:
        for _ in range(3):
            assert len((await client.get("http://old.home/")).content) == 100_000


async def test_an_answer_that_is_cut_is_not_passed_off_as_whole(house: House) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this")
        await writer.drain()
        writer.close()

    await house.serve("cut", cut)
    async with house.client() as client:
        with pytest.raises(httpx.TransportError):
            await client.get("http://cut.home/")


async def test_chunked_uploads_and_large_ones_arrive(house: House) -> None:
    await house.serve("sink", echo())

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"y" * 10_000

    async with house.client() as client:
        answer = await client.post("http://sink.home/", content=pieces())
    assert len(answer.content.rpartition(b"|")[2]) == 1_000_000


async def test_an_unknown_name_and_a_service_without_ready_pods_are_named(house: House) -> None:
    house.names.services["idle"] = []
    async with house.client() as client:
        missing = await client.get("http://nobody.home:8080/x")
        idle = await client.get("http://idle.home/")
        port = await client.get("http://idle.home:99/")
    assert (missing.status_code, "no Service 'nobody' in namespace 'home'" in missing.text) == (502, True)
    assert (idle.status_code, "'home/idle' has no ready Pod" in idle.text) == (503, True)
    assert (port.status_code, 'no port "99"' in port.text) == (502, True)


async def test_nobody_without_a_pods_identity_is_served(house: House) -> None:
    await house.serve("time", echo())
    async with httpx.AsyncClient(proxy=f"http://x:wrong@127.0.0.1:{house.proxy.port}") as client:
        answer = await client.get("http://time.home/")
    assert answer.status_code == 407
    house.identities.revoke(CALLER.uid)
    reader, writer = await house.raw()
    writer.write(b"GET http://time.home/ HTTP/1.1\r\nhost: time.home\r\n\r\n")
    assert b"407" in await reader.readline()


async def test_the_identity_is_not_passed_on(house: House) -> None:
    seen: dict[str, str] = {}

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, headers, _ = await read_request(reader)
        seen.update(headers)
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    await house.serve("time", note)
    async with house.client() as client:
        await client.get("http://time.home/", headers={"authorization": "Bearer mine"})
    assert seen["authorization"] == "Bearer mine"
    assert not {"proxy-authorization", "proxy-connection"} & seen.keys()


async def test_connect_tunnels_to_a_cluster_name(house: House) -> None:
    await house.serve("time", echo())
    reader, writer = await house.raw()
    writer.write(b"CONNECT time.home:80 HTTP/1.1\r\n" + house.authorization + b"\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.write(b"GET /inside HTTP/1.1\r\nhost: me\r\n\r\n")
    assert b"200" in await reader.readline()
    assert b"GET /inside" in await reader.readuntil(b"|me|")


@pytest.mark.parametrize("scheme", [b"http", b"ws"])
async def test_a_web_socket_upgrade_becomes_a_tunnel(house: House, scheme: bytes) -> None:
    async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, headers, _ = await read_request(reader)
        assert headers["upgrade"] == "websocket"
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        writer.write(await reader.readexactly(4))
        await writer.drain()
        writer.close()

    await house.serve("ws", switch)
    reader, writer = await house.raw()
    head = b"GET %s://ws.home/ HTTP/1.1\r\nhost: ws.home\r\nconnection: Upgrade\r\nupgrade: websocket\r\n" % scheme
    writer.write(head + house.authorization + b"\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(b"ping")
    assert await reader.readexactly(4) == b"ping"


async def test_a_pod_that_does_not_listen_yet_is_waited_for(house: House, unused_tcp_port: int) -> None:
    house.names.services["late"] = [Address("127.0.0.1", unused_tcp_port)]
    async with house.client() as client:
        asking = asyncio.create_task(client.get("http://late.home/"))
        await asyncio.sleep(0)
        server = await asyncio.start_server(echo(), "127.0.0.1", unused_tcp_port)
        async with server:
            assert (await asking).status_code == 200


async def test_what_is_on_its_way_is_waited_for_before_a_pod_ends(house: House) -> None:
    finish = asyncio.Event()
    begun = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        begun.set()
        await finish.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    await house.serve("slow", slow)
    port = house.names.services["slow"][0].port
    async with house.client() as client:
        asking = asyncio.create_task(client.get("http://slow.home/"))
        await begun.wait()
        draining = asyncio.create_task(house.pool.drained([port], 10))
        await asyncio.sleep(0)
        assert not draining.done()
        finish.set()
        assert (await asking).status_code == 200
        await draining


async def test_plain_http_to_other_hosts_goes_by_the_persons_own_proxy() -> None:
    asked: list[str] = []

    async def theirs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, headers, _ = await read_request(reader)
        asked.extend((first, headers.get("proxy-authorization", ""), headers["host"]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfar!")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(theirs, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outside = Outside.from_settings({"http": f"http://me:pw@127.0.0.1:{port}"})
        async with opened(outside) as house, house.client() as client:
            assert (await client.get("http://example.org:81/a?b")).text == "far!"
    assert asked == ["GET http://example.org:81/a?b HTTP/1.1", "Basic bWU6cHc=", "example.org:81"]


async def test_requests_that_are_no_proxy_requests_are_told_so(house: House) -> None:
    reader, writer = await house.raw()
    writer.write(b"GET /x HTTP/1.1\r\nhost: time.home\r\n" + house.authorization + b"\r\n")
    assert b"400" in await reader.readline()


async def test_garbage_ends_the_connection_and_nothing_else(house: House) -> None:
    await house.serve("time", echo())
    reader, writer = await house.raw()
    writer.write(b"\x16\x03\x01 what\r\n\r\n")
    assert await reader.read() == b""
    async with house.client() as client:
        assert (await client.get("http://time.home/")).status_code == 200
