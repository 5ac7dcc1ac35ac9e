"""Keeps packages out of this process that an SDK would load only because they happen to be installed.

SQLAlchemy, FastAPI, gRPC, cryptography and OpenTelemetry cost a2a-sdk 10-25 MiB and half a second; Rich and Pygments,
for the command line of httpx, a tenth more. The engine uses none of them through these SDKs. What is loaded already
stays usable, and later imports of our own work again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

__all__ = ["UNWANTED", "kept_out", "untrace_a2a"]

UNWANTED: Final = ("sqlalchemy", "fastapi", "grpc", "cryptography", "jwt", "opentelemetry", "rich", "pygments")


@contextmanager
def kept_out(names: tuple[str, ...] = UNWANTED) -> Generator[None]:
    """Let imports of these packages fail, for as long as this lasts, as if they were not installed."""
    absent = [name for name in names if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to make an import fail
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def untrace_a2a() -> None:
    """Take the OpenTelemetry wrappers off a2a-sdk; call before anything else of it is imported.

    OTEL_INSTRUMENTATION_A2A_SDK_ENABLED=false alone leaves every wrapper in place around a tracer that does nothing: a
    fifth to a half of the SDK's cost per event. The variable is set too, for what looks at it later.
    """
    os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")
    with kept_out():
        import a2a.utils.telemetry as telemetry

    def unchanged(target: object = None, **_: object) -> object:
        return target if target is not None else unchanged

    for name in ("trace_class", "trace_function"):
        setattr(telemetry, name, unchanged)
