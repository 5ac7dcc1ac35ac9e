"""Amazon's ``application/vnd.amazon.eventstream``: binary frames, each with its lengths and two checksums.

A frame: total length, headers' length, checksum of both (4 bytes each, big-endian), headers, payload, checksum of all.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import NamedTuple

__all__ = ["Frame", "frames"]

_PRELUDE = 12
_TRAILER = 4
# Amazon's own limit is 24 MiB; a length beyond it is no length.
_LARGEST = 24 * 1024 * 1024
# Bytes of a header's value by its type; 6 and 7 name their length in two bytes.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _TEXT = 6, 7


class Frame(NamedTuple):
    """``headers`` holds those that are text, which is all that Bedrock sends."""

    headers: dict[str, str]
    payload: bytes


async def frames(chunks: AsyncIterable[bytes]) -> AsyncIterator[Frame]:
    """Yield the frames of a stream; pieces of a frame that never became whole are left out.

    Raises:
        ValueError: a checksum or a length is wrong.
    """
    pending = bytearray()
    async for chunk in chunks:
        pending += chunk
        while len(pending) >= _PRELUDE:
            total, head = int.from_bytes(pending[:4]), int.from_bytes(pending[4:8])
            if zlib.crc32(pending[:8]) != int.from_bytes(pending[8:12]):
                raise ValueError("the checksum of a frame's lengths is wrong")
            if not _PRELUDE + head + _TRAILER <= total <= _LARGEST:
                raise ValueError("the lengths of a frame cannot be")
            if len(pending) < total:
                break
            frame = bytes(pending[:total])
            del pending[:total]
            if zlib.crc32(frame[:-_TRAILER]) != int.from_bytes(frame[-_TRAILER:]):
                raise ValueError("the checksum of a frame is wrong")
            end = _PRELUDE + head
            yield Frame(_headers(frame[_PRELUDE:end]), frame[end:-_TRAILER])


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        kind, start = data[name_end], name_end + 1
        if kind in (_BYTES, _TEXT):
            size, start = int.from_bytes(data[start : start + 2]), start + 2
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError(f"a header of the unknown type {kind}")
        if kind == _TEXT:
            name = data[at + 1 : name_end].decode(errors="replace")
            found[name] = data[start : start + size].decode(errors="replace")
        at = start + size
    return found
