"""The grpc probe's call, against a server that speaks HTTP/2 frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from kagent_localcluster.runner.grpc_health import Health, check_health
from kagent_localcluster.runner.probes import Outcome, attempt

SETTINGS = bytes.fromhex("000000040000000000")
PING = bytes.fromhex("000008060000000000") + b"12345678"
ANSWER_HEADERS = bytes.fromhex("000001010400000001") + b"\x88"
TRAILERS = bytes.fromhex("000001010500000001") + b"\x88"
RESET = bytes.fromhex("000004030000000001") + bytes(4)


def data(payload: bytes, *, padding: int = -1) -> bytes:
    if padding >= 0:
        payload = bytes([padding]) + payload + bytes(padding)
    flags = 8 if padding >= 0 else 0
    return len(payload).to_bytes(3, "big") + bytes([0, flags]) + (1).to_bytes(4, "big") + payload


def message(status: bytes) -> bytes:
    return b"\0" + len(status).to_bytes(4, "big") + status


@asynccontextmanager
async def server(answer: bytes, seen: list[bytes]) -> AsyncGenerator[int]:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            seen.append(await reader.readuntil(b"trailers"))
            writer.write(answer)
            while more := await reader.read(1_000):
                seen.append(more)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        served.set()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
        async with asyncio.timeout(20):
            await served.wait()


async def test_a_serving_server_is_healthy_whatever_else_it_sends_in_between() -> None:
    seen: list[bytes] = []
    answer = SETTINGS + PING + ANSWER_HEADERS + data(message(b"\x08\x01"), padding=3) + TRAILERS
    async with server(answer, seen) as port:
        assert await check_health("127.0.0.1", port, "my.Service") == Health.SERVING
    sent = b"".join(seen)
    assert sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert b"/grpc.health.v1.Health/Check" in sent
    assert b"\x0a\x0amy.Service" in sent


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (SETTINGS + ANSWER_HEADERS + data(message(b"\x08\x02")) + TRAILERS, 'responded with "NOT_SERVING"'),
        (SETTINGS + ANSWER_HEADERS + data(message(b"")) + TRAILERS, 'responded with "UNKNOWN"'),
        (SETTINGS + TRAILERS, "does not implement the grpc health protocol"),
        (SETTINGS + RESET, "the server ended the call"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no HTTP/2"),
        (ANSWER_HEADERS + data(message(b"\x12\x01")) + TRAILERS, "no HealthCheckResponse"),
    ],
)
async def test_anything_else_is_not_and_is_told(answer: bytes, said: str) -> None:
    async with server(answer, []) as port:
        outcome = await attempt({"grpc": {"port": port}}, _Target())
    assert not outcome.ok
    assert said in outcome.message


class _Target:
    def port(self, declared: object) -> int:
        assert isinstance(declared, int)
        return declared

    async def run(self, command: list[str], timeout: float) -> Outcome:
        raise AssertionError(f"no command is to be run: {command} {timeout}")
