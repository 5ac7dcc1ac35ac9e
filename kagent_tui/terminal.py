"""The terminal that the dashboard draws on, whatever the shell did with standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["standard_error_on_the_terminal"]


@contextmanager
def standard_error_on_the_terminal() -> Generator[None]:
    """Let standard error be the terminal of standard output for a while, as Textual needs (``demo 2>log``)."""
    if os.isatty(2) or not os.isatty(1):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(1, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
