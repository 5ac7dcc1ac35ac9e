"""A provider of which the test writes every byte, over a real socket."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Seen:
    """A request as it came; ``body`` is empty where ``text`` is no JSON."""

    target: str
    headers: dict[str, str]
    body: dict[str, Any]
    text: bytes = b""
    method: str = "POST"


@dataclass
class Wire:
    """Answers each request with the next scripted bytes; ``size`` cuts them into pieces of their own packets.

    What is asked of a path in ``beside``, for a token for instance, is answered from there every time.
    """

    seen: list[Seen] = field(default_factory=list[Seen])
    answers: list[tuple[bytes, int]] = field(default_factory=list[tuple[bytes, int]])
    beside: dict[str, bytes] = field(default_factory=dict[str, bytes])
    asked_beside: list[Seen] = field(default_factory=list[Seen])
    port: int = 0
    connections: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def stream(self, *events: object, done: bool = True, size: int = 0, kind: str = "text/event-stream") -> None:
        """Answer with server-sent events (or lines of JSON); a text is sent as it is."""
        lines = kind == "application/x-ndjson"
        parts = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events]
        body = "".join(f"{part}\n" if lines else f"data: {part}\n\n" for part in parts)
        self.raw(200, body + ("data: [DONE]\n\n" if done and not lines else ""), kind, size=size)

    def reply(self, body: object, status: int = 200) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.raw(status, text, "text/html" if text.startswith("<") else "application/json")

    def raw(
        self, status: int, body: str | bytes, kind: str, *, size: int = 0, length: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.answers.append((response(status, body, kind, length=length, headers=headers), size))

    def token(self, path: str, body: object) -> None:
        """Answer everything that is asked of ``path`` with this object."""
        self.beside[path] = response(200, json.dumps(body), "application/json")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *rest = head.split("\r\n")
                named = [line.partition(":") for line in rest if line]
                headers = {name.lower(): value.strip() for name, _, value in named}
                assert len(headers) == len(named), "a header stands there twice"
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = first.split(" ")
                seen = Seen(target, headers, read_json(body), body, method)
                if target in self.beside:
                    self.asked_beside.append(seen)
                    writer.write(self.beside[target])
                    continue
                self.seen.append(seen)
                if not self.answers:
                    return
                answer, size = self.answers.pop(0)
                for at in range(0, len(answer), size or len(answer)):
                    writer.write(answer[at : at + (size or len(answer))])
                    await writer.drain()
                    await asyncio.sleep(0)
                if b"Content-Length: 999999" in answer[:400]:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def read_json(body: bytes) -> dict[str, Any]:
    try:
        return json.loads(body)
    except ValueError:
        return {}


def response(
    status: int, body: str | bytes, kind: str, *, length: int | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{more}"
        f"Content-Length: {len(content) if length is None else length}\r\n\r\n"
    )
    return head.encode() + content


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Wire]:
    answers = Wire(scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await answers.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    answers.port = server.sockets[0].getsockname()[1]
    yield answers
    server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    async with serving() as answers:
        yield answers


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that signed itself, its key beside it in key.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "ca.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
async def secure_wire(authority: Path) -> AsyncGenerator[Wire]:
    """A provider behind TLS with the certificate of ``authority``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, authority.parent / "key.pem")
    async with serving(context) as answers:
        yield answers
