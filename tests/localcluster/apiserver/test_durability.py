"""What survives: acknowledged writes a kill -9, and a data directory everything that should not touch it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.errors import CannotStore, DataDirectoryInUse, NewerDataDirectory
from kagent_localcluster.seams import Objects, Resource

CONFIGMAPS = Resource("", "v1", "configmaps")

# Acknowledges each write on standard output only after it returned, and never ends by itself.
WRITER = """
import asyncio, sys
from pathlib import Path
from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.seams import Resource

async def main():
    api = ApiServer(Path(sys.argv[1]))
    api.start()
    number = 0
    while True:
        name = f"{sys.argv[2]}-{number}"
        made = api.objects.create(Resource("", "v1", "configmaps"), "default", {"metadata": {"name": name}})
        sys.stdout.write(f"{name} {made['metadata']['resourceVersion']}\\n")
        sys.stdout.flush()
        number += 1

asyncio.run(main())
"""


async def _write_until_killed(directory: Path, prefix: str, wanted: int) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(directory), prefix, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines: list[bytes] = []
    async with asyncio.timeout(60):
        while len(lines) < wanted:
            lines.append(await process.stdout.readline())
        process.kill()
        rest = await process.stdout.read()
        await process.wait()
    # The last line may be cut in two by the kill.
    whole = b"".join(lines) + rest
    complete = whole.decode().split("\n")[:-1]
    return dict(line.split(" ") for line in complete)


async def test_ten_kills_lose_no_acknowledged_write(tmp_path: Path) -> None:
    acknowledged: dict[str, str] = {}
    for round_number in range(10):
        acknowledged |= await _write_until_killed(tmp_path, f"r{round_number}", 20 + round_number)
    api = ApiServer(tmp_path)
    stored = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in api.objects.list(CONFIGMAPS)}
    api.close()
    assert acknowledged.items() <= stored.items()
    assert len(set(acknowledged.values())) == len(acknowledged)


def _start(directory: Path) -> tuple[ApiServer, Objects]:
    api = ApiServer(directory)
    api.start()
    return api, api.objects


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    api, objects = _start(tmp_path)
    made = objects.create(CONFIGMAPS, "default", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    token = api.material.admin_token
    api.close()
    api, objects = _start(tmp_path)
    assert objects.get(CONFIGMAPS, "default", "a") == made
    assert api.material.admin_token == token
    newer = objects.create(CONFIGMAPS, "default", {"metadata": {"name": "b"}})
    assert int(newer["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    api.close()


async def test_a_cascade_that_a_crash_cut_short_is_finished_at_start(tmp_path: Path) -> None:
    api, objects = _start(tmp_path)
    owner = objects.create(CONFIGMAPS, "default", {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    objects.create(CONFIGMAPS, "default", {"metadata": {"name": "child", "ownerReferences": [reference]}})
    objects.delete(CONFIGMAPS, "default", "owner")
    # Closed before the next turn of the loop, in which the child would go.
    api.close()
    api, objects = _start(tmp_path)
    names = [item["metadata"]["name"] for item in objects.list(CONFIGMAPS, "default")]
    api.close()
    assert names == ["kube-root-ca.crt"]


async def test_a_newer_data_directory_is_refused_and_left_alone(tmp_path: Path) -> None:
    api, _ = _start(tmp_path)
    api.close()
    with sqlite3.connect(tmp_path / "cluster.db") as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    before = (tmp_path / "cluster.db").read_bytes()
    with pytest.raises(NewerDataDirectory, match="upgrade kagent-tui") as caught:
        ApiServer(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert (tmp_path / "cluster.db").read_bytes() == before


async def test_two_servers_never_share_a_directory(tmp_path: Path) -> None:
    api, _ = _start(tmp_path)
    with pytest.raises(DataDirectoryInUse, match="in use"):
        ApiServer(tmp_path)
    api.close()
    again, _ = _start(tmp_path)
    again.close()


def test_importing_the_server_brings_nothing_heavy() -> None:
    heavy = ("pydantic", "kubernetes", "yaml", "cel", "httpx")
    probe = f"import sys, kagent_localcluster.apiserver; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_a_directory_that_takes_no_write_changes_nothing_and_says_so(tmp_path: Path) -> None:
    api = ApiServer(tmp_path)
    api.start()
    try:
        api.objects.create(CONFIGMAPS, "default", {"metadata": {"name": "kept"}})
        other = sqlite3.connect(tmp_path / "cluster.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # what a full disk does too, as far as this process can tell
        with pytest.raises(CannotStore, match=r"cluster\.db cannot be written"):
            api.objects.create(CONFIGMAPS, "default", {"metadata": {"name": "refused"}})
        with pytest.raises(CannotStore):
            api.objects.delete(CONFIGMAPS, "default", "kept")
        other.execute("ROLLBACK")
        other.close()
        names = {one["metadata"]["name"] for one in api.objects.list(CONFIGMAPS, "default")}
        assert "kept" in names
        assert "refused" not in names
        api.objects.create(CONFIGMAPS, "default", {"metadata": {"name": "later"}})
        api.objects.delete(CONFIGMAPS, "default", "kept")
    finally:
        api.close()
