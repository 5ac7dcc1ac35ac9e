"""Server-sent events from bytes, cut anywhere: the stream's JSON objects come out, whatever the chunks were.

Written here because httpx has no reader, and because bytes must be joined before they are decoded: half a character
at a chunk's end is the rule with Chinese text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

__all__ = ["EventTooLarge", "data_of_events"]

# A tool result of 5 MB is seen in practice; past this a server is broken or hostile.
MAX_EVENT_BYTES: Final = 64 * 1024 * 1024


class EventTooLarge(Exception):
    """One event is larger than any honest one."""


async def data_of_events(chunks: AsyncIterator[bytes], *, limit: int = MAX_EVENT_BYTES) -> AsyncGenerator[str]:
    """Yield the data of each event (HTML standard 9.2.6: lines end in CR, LF or CRLF; comments and ids are skipped).

    An event that the stream's end cut off is not yielded. Bytes that are no UTF-8 become replacement characters.
    """
    buffer = bytearray()
    data: list[bytes] = []
    size = searched = 0
    async for chunk in chunks:
        buffer += chunk
        start = 0
        while (end := _line_end(buffer, max(start, searched))) >= 0:
            line = bytes(buffer[start:end])
            start = searched = end + (2 if buffer.startswith(b"\r\n", end) else 1)
            if line.startswith(b"data:"):
                value = line[5:].removeprefix(b" ")
                size += len(value)
                data.append(value)
            elif not line and data:
                yield b"\n".join(data).decode("utf-8", "replace")
                data, size = [], 0
        del buffer[:start]
        # A CR at the very end may be half of a CRLF: look at it again with what follows.
        searched = max(0, len(buffer) - 1)
        if size + len(buffer) > limit:
            raise EventTooLarge(f"an event of more than {limit} bytes")


def _line_end(buffer: bytearray, start: int) -> int:
    feed = buffer.find(b"\n", start)
    ret = buffer.find(b"\r", start, feed if feed >= 0 else len(buffer))
    if ret < 0:
        return feed
    return ret if ret + 1 < len(buffer) else -1
