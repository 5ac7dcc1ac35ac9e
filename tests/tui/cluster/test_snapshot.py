"""The last state on disk: shown at once, confirmed or dropped, and never holding a secret."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened
from kagent_tui.cluster.memory import ViewMemory
from kagent_tui.cluster.snapshot import SnapshotStore

if TYPE_CHECKING:
    from ..conftest import Samples
from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from kagent_api.kube import Unreachable

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
TextOf = Callable[[KagentApp], str]


def test_values_that_may_be_secret_are_not_written(tmp_path: Path, samples: type[Samples]) -> None:
    agent = samples.agent("a", deployment={"env": [{"name": "TOKEN", "value": "HUSH"}, {"name": "B", "valueFrom": {}}]})
    agent["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "HUSH", "kept": "yes"}
    model = samples.model()
    model["spec"]["defaultHeaders"] = {"Authorization": "HUSH"}
    server = samples.remote("r")
    server["spec"]["headersFrom"] = [{"name": "X", "value": "HUSH"}]
    stdio = samples.stdio("s")
    stdio["spec"]["deployment"]["env"] = {"KEY": "HUSH"}
    secret = {"kind": "Secret", "metadata": {"name": "x"}, "data": {"k": "HUSH"}}
    store = SnapshotStore(tmp_path / "s")
    store.write("me", [("Agent", agent), ("ModelConfig", model), ("R", server), ("M", stdio), ("Secret", secret)])
    file = next((tmp_path / "s").iterdir())
    assert "HUSH" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    read = store.read("me")
    assert read is not None
    assert read.objects[0][1]["metadata"]["annotations"] == {"kept": "yes"}
    assert read.objects[0][1]["spec"]["declarative"]["deployment"]["env"][0] == {"name": "TOKEN"}
    assert store.read("you") is None


def test_a_broken_file_is_none(tmp_path: Path, samples: type[Samples]) -> None:
    store = SnapshotStore(tmp_path)
    for content in ("", "{", '{"format": 1, "identity": "me", "saved": 1}\n[]\n', "[1]\n", '{"format": 1}\n'):
        store.write("me", [])
        next(tmp_path.iterdir()).write_text(content)
        assert store.read("me") is None


async def test_a_large_snapshot_shows_its_first_page_and_then_the_rest(
    tmp_path: Path, samples: type[Samples], until: Until, text_of: TextOf
) -> None:
    store = SnapshotStore(tmp_path)
    names = [f"a{number:04}" for number in range(1200)]
    store.write("test https://memory.invalid ", [("Agent", samples.agent(name)) for name in reversed(names)])
    read = store.read("test https://memory.invalid ")
    assert read is not None
    assert [obj["metadata"]["name"] for _, obj in read.objects] == names[: len(read.objects)]
    assert [obj["metadata"]["name"] for _, obj in read.rest] == names[len(read.objects) :]
    kube = samples.kube()
    kube.lose(Unreachable("no route"))
    app = KagentApp(opener=lambda options: Opened(kube, ()), snapshots=store)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Agents 1200" in text_of(app))
        assert "a0000" in text_of(app)
        kube.recover()
        await until(pilot, lambda: "There are no agents" in text_of(app))


async def test_the_last_state_is_shown_as_cached_and_then_confirmed(
    tmp_path: Path, samples: type[Samples], until: Until, text_of: TextOf
) -> None:
    def app(kube: object) -> KagentApp:
        return KagentApp(
            opener=lambda options: Opened(kube, ()),  # pyright: ignore[reportArgumentType] - the tests' own client
            snapshots=SnapshotStore(tmp_path / "s"), memory=ViewMemory(tmp_path / "views.json"),
        )  # fmt: skip

    kube = samples.kube(samples.agent("stays"), samples.agent("goes"), samples.model())
    first = app(kube)
    async with first.run_test() as pilot:
        await until(pilot, lambda: "stays" in text_of(first) and "● live" in text_of(first))
        await pilot.press("colon", *"sort age", "enter")
        await pilot.press("slash", *"o", "enter")
        await pilot.press("q")
    kube.drop("Agent", "kagent", "goes")
    kube.lose(Unreachable("no route"))
    second = app(kube)
    async with second.run_test() as pilot:
        await until(pilot, lambda: "no connection" in text_of(second))
        assert "goes" in text_of(second)
        assert "○ cached" in text_of(second)
        assert "/o  1 of 2" in text_of(second)
        assert "AGE▲" in text_of(second)
        kube.recover()
        await until(pilot, lambda: "● live" in text_of(second))
        await until(pilot, lambda: "goes" not in text_of(second))
        assert "cached" not in text_of(second)
