"""JSON in and out of the API server; orjson where it is installed (the operator and the engine bring it), else json."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

try:
    import orjson
except ImportError:
    orjson = None

__all__ = ["decode", "encode", "lines"]


def decode(data: bytes | str) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is none.
    """
    return json.loads(data) if orjson is None else orjson.loads(data)


def encode(value: object) -> bytes:
    """Return ``value`` as JSON bytes; only str, int, float, bool, None, dict and list are meant to reach this."""
    if orjson is None:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return orjson.dumps(value)


async def lines(chunks: AsyncIterable[bytes], *, keep_empty: bool = False) -> AsyncIterator[bytes]:
    """Yield the lines of a byte stream without their newline; an unfinished one at the end comes last.

    Each byte is searched once, so an object of megabytes that arrives in small pieces costs no more than its size.
    """
    pending: list[bytes] = []
    async for chunk in chunks:
        *complete, tail = chunk.split(b"\n")
        for part in complete:
            line = b"".join((*pending, part)) if pending else part
            pending.clear()
            if line or keep_empty:
                yield line
        if tail:
            pending.append(tail)
    if pending:
        yield b"".join(pending)
