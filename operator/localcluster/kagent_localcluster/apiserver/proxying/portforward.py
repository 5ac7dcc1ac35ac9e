"""Port-forward over WebSocket, in the two forms clients speak.

Python clients use ``v4.channel.k8s.io``: every message is one channel's bytes. kubectl wraps its older SPDY/3.1 stream
in binary messages under the name ``SPDY/3.1+portforward.k8s.io``, which uvicorn passes with ``ws="wsproto"`` only.
A raw SPDY upgrade without WebSocket cannot be expressed in ASGI and is refused.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kagent_localcluster.apiserver.jsonvalue import dig
from kagent_localcluster.apiserver.proxying.spdy import SpdyTunnel
from kagent_localcluster.apiserver.web.messages import Request
from kagent_localcluster.errors import ApiError, BadRequest
from kagent_localcluster.seams import JsonObject, PodBackend

__all__ = ["Dial", "serve_portforward"]

_SPDY = "SPDY/3.1+portforward.k8s.io"
_CHANNELS = "v4.channel.k8s.io"
_READ_BYTES = 32_768

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def serve_portforward(request: Request, backend: PodBackend, pod: JsonObject) -> None:
    """Forward ports of a Pod until the client leaves.

    Raises:
        BadRequest: no WebSocket, no known subprotocol, or a Pod that is not running.
    """
    if request.scope["type"] != "websocket":
        raise BadRequest(
            "port-forward is served over WebSocket only: use kubectl 1.31 or newer without "
            "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"
        )
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    if dig(pod, "status", "phase") != "Running":
        raise BadRequest(
            f"unable to forward port because pod is not running. Current status={dig(pod, 'status', 'phase')}"
        )

    async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = backend.pod_address(namespace, name, str(port))
        return await asyncio.open_connection(address.host, address.port)

    offered: list[str] = request.scope.get("subprotocols", [])
    chosen = next((item for item in (_SPDY, _CHANNELS) if item in offered), None)
    if chosen is None:
        raise BadRequest(f"no subprotocol offered ({', '.join(offered)}) is known: {_SPDY}, {_CHANNELS}")
    await request.receive()
    await request.send({"type": "websocket.accept", "subprotocol": chosen})
    if chosen == _SPDY:
        await SpdyTunnel(request.receive, request.send, dial, name).run()
    else:
        await _serve_channels(request, dial, name)


@dataclass
class _Port:
    """One forwarded port of the channel protocol: channel 2i carries data, 2i+1 errors."""

    number: int
    index: int
    writer: asyncio.StreamWriter | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])


async def _serve_channels(request: Request, dial: Dial, pod: str) -> None:
    ports = [
        _Port(int(text), index)
        for index, text in enumerate(part for value in request.query.all("ports") for part in value.split(","))
    ]

    async def send(channel: int, data: bytes) -> None:
        await request.send({"type": "websocket.send", "bytes": bytes([channel]) + data})

    async def download(port: _Port, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_READ_BYTES):
            await send(2 * port.index, data)
        await request.send({"type": "websocket.close", "code": 1000})

    try:
        for port in ports:
            for channel in (2 * port.index, 2 * port.index + 1):
                await send(channel, struct.pack("<H", port.number))
            try:
                reader, port.writer = await dial(port.number)
            except (OSError, ApiError) as error:
                text = f"error forwarding port {port.number} to pod {pod}: {error}"
                await send(2 * port.index + 1, text.encode())
                continue
            port.tasks.append(asyncio.create_task(download(port, reader)))
        while (message := await request.receive())["type"] != "websocket.disconnect":
            data: bytes = message.get("bytes") or b""
            if len(data) < 2 or data[0] % 2 or data[0] // 2 >= len(ports):
                continue
            if writer := ports[data[0] // 2].writer:
                writer.write(data[1:])
                await writer.drain()
    except ConnectionError:
        return
    finally:
        for port in ports:
            for task in port.tasks:
                task.cancel()
            await asyncio.gather(*port.tasks, return_exceptions=True)
            if port.writer is not None:
                port.writer.close()
