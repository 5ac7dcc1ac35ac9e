"""Real ports for container ports, chosen below the range that the system hands out by itself.

A bitmap in the data directory remembers what was handed out, and the search goes round, so that a port that was just
freed is not given to another Pod while somebody still holds a connection to it. A new cluster begins anywhere in the
range: two clusters that start side by side would otherwise choose the same ports before their programs listen.
"""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

__all__ = ["NoFreePort", "Ports", "below_ephemeral", "bindable"]

FIRST, LAST = 20_000, 32_767
LEAST_SPAN = 1_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class NoFreePort(RuntimeError):
    """Every port of the range is taken."""


def below_ephemeral(source: Path = EPHEMERAL) -> range:
    """Return the ports to choose from: below the ephemeral range, or beside it where that begins very low."""
    try:
        low, high = (int(word) for word in source.read_text().split())
    except (OSError, ValueError):
        return range(FIRST, LAST + 1)  # macOS hands out 49152 and up
    if low - FIRST >= LEAST_SPAN:
        return range(FIRST, min(low, LAST + 1))
    if low - 10_000 >= LEAST_SPAN:
        return range(10_000, low)
    if 65_536 - (high + 1) >= LEAST_SPAN:
        return range(high + 1, 65_536)
    return range(FIRST, LAST + 1)


class Ports:
    """Hands out ports; the only writer of its file."""

    def __init__(self, path: Path, span: range | None = None) -> None:
        self._path = path
        self._span = span or below_ephemeral()
        self._taken = bytearray((len(self._span) + 7) // 8)
        self._next = random.randrange(len(self._span))  # noqa: S311 spreads clusters, protects nothing
        with contextlib.suppress(OSError):
            saved = path.read_bytes()
            if len(saved) == len(self._taken):
                self._taken = bytearray(saved)
        self._forget_free()

    def take(self) -> int:
        """Return a port that nobody listens on.

        Raises:
            NoFreePort: the whole range is taken.
        """
        for step in range(len(self._span)):
            index = (self._next + step) % len(self._span)
            if not self._bit(index) and bindable(self._span[index]):
                self._next = (index + 1) % len(self._span)
                self._set(index, True)
                self._save()
                return self._span[index]
        raise NoFreePort(
            f"no free port between {self._span.start} and {self._span.stop - 1}; stop something that listens"
        )

    def give_back(self, port: int) -> None:
        """Make a port available again; one that was never taken is ignored."""
        if port in self._span:
            self._set(port - self._span.start, False)
            self._save()

    def _forget_free(self) -> None:
        """Drop the marks of an earlier run whose programs have ended, and start behind the last of them."""
        marked = [index for index in range(len(self._span)) if self._bit(index)]
        for index in marked:
            self._next = (index + 1) % len(self._span)
            if bindable(self._span[index]):
                self._set(index, False)
        if marked:
            self._save()

    def _bit(self, index: int) -> bool:
        return bool(self._taken[index >> 3] & (1 << (index & 7)))

    def _set(self, index: int, taken: bool) -> None:
        if taken:
            self._taken[index >> 3] |= 1 << (index & 7)
        else:
            self._taken[index >> 3] &= ~(1 << (index & 7)) & 0xFF

    def _save(self) -> None:
        self._path.write_bytes(self._taken)


def bindable(port: int) -> bool:
    """Tell whether nobody listens on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
