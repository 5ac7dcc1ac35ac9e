"""What keeps the server small: libraries needed once stay out of it, and freed memory goes back to the system."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import threading
import time
from pathlib import Path

from kagent_localcluster.apiserver.auth.pki import Material, prepare_material, prepared_material

__all__ = ["prepare_in_child", "return_large_blocks", "trim_when_used"]

# Giving back takes a few milliseconds: rare enough not to be noticed, often enough that a burst is soon forgotten.
_TRIM_SECONDS = 5.0
# <malloc.h>
_M_MMAP_THRESHOLD = -3
_LARGE = 128 << 10
# An idle server uses less than this in that time, and need not wake a laptop's memory.
_WORK_SECONDS = 0.1


def prepare_in_child(data_dir: Path) -> Material:
    """Make or check keys and certificates in a forked child, so that ``cryptography`` (12 MB) stays out of the server.

    The server does it itself where that fails, where there is no safe fork (macOS) and where threads run already.
    """
    directory = data_dir / "pki"
    if sys.platform != "linux" or threading.active_count() > 1:
        return prepare_material(directory)
    child = os.fork()
    if child == 0:
        try:
            prepare_material(directory)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return prepared_material(directory) if status == 0 else prepare_material(directory)


def return_large_blocks() -> None:
    """Have every large block, such as a list's body, go back to the system as soon as it is freed.

    glibc raises the size from which it does that with every large block freed, which leaves the holes of lists behind.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


async def trim_when_used() -> None:
    """Give freed memory back to the system after work: glibc keeps what lies between blocks in use."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return  # not glibc: macOS and musl give back by themselves
    used = 0.0
    while True:
        await asyncio.sleep(_TRIM_SECONDS)
        if (present := time.process_time()) - used > _WORK_SECONDS:
            trim(0)
            used = time.process_time()
        else:
            used = present
