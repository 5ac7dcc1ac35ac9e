"""Every main screen as text, at the smallest size and at an ordinary one.

Text instead of pictures: a reviewer sees in a diff what changed for a user. UPDATE_GOLDEN=1 writes the files anew; look
at them before committing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from textual.pilot import Pilot

from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened, Options

if TYPE_CHECKING:
    from ..conftest import MemoryKube, Samples

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
TextOf = Callable[[KagentApp], str]

GOLDEN = Path(__file__).parent / "golden"
SIZES = [(80, 24), (140, 40)]

# Name of the screen, the keys that lead there, and a word that shows that it is complete.
ROADS = {
    "agents": ("", "客服助手"),
    "models": ("right", "dashscope"),
    "mcp": ("right right", "broken"),
    "detail": ("enter", "x3 Agent"),
    "yaml": ("y", "apiVersion"),
    "filter": ("slash k 8", "/k8"),
    "help": ("question_mark", "On an object in a table"),
    "why": ("x", "What it needs"),
    "xray": ("X", "What uses"),
    "used-by": ("right u", "coordinator"),
    "pods": ("p", "Deployment"),
    "pulse": ("P", "DeploymentNotReady"),
    "which-key": ("K", "keys here and now"),
    "jump": ("f", "acoordinator"),
    "delete": ("j j j D", "would break"),
    "editor": ("e", "cannot be changed later"),
    "namespaces": ("n", "all namespaces"),
    "sort": ("s", "again turns round"),
    "new": ("N", "mcp-stdio"),
}


def filled(shown: str) -> bool:
    """Tell whether the table has its rows and the header its counts; either may come first."""
    return "✖2" in shown and "客服助手" in shown


def compare(name: str, shown: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", list(ROADS))
async def test_a_screen_looks_like_this(
    app: KagentApp, until: Until, text_of: TextOf, name: str, size: tuple[int, int]
) -> None:
    keys, word = ROADS[name]
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: filled(text_of(app)))
        if size[0] >= 100:
            await until(pilot, lambda: "Events" in text_of(app) and "loading" not in text_of(app))
        await pilot.press(*keys.split())
        await until(pilot, lambda: word in text_of(app))
        before = ""
        async with asyncio.timeout(30):
            while before != text_of(app) or "ctx test" not in before or "loading" in before:
                before = text_of(app)
                await pilot.pause(0.3)
        compare(f"{name}-{size[0]}x{size[1]}", text_of(app))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_an_empty_namespace_says_what_to_do(
    app: KagentApp, until: Until, text_of: TextOf, size: tuple[int, int]
) -> None:
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: filled(text_of(app)))
        await pilot.press("colon", *"ns empty", "enter")
        await until(pilot, lambda: "There are no agents in empty" in text_of(app))
        compare(f"empty-{size[0]}x{size[1]}", text_of(app))


async def test_a_banner_and_read_only_stand_in_the_header(
    kube: MemoryKube, samples: type[Samples], until: Until, text_of: TextOf
) -> None:
    def opener(options: Options) -> Opened:
        return Opened(kube, ())

    app = KagentApp(opener=opener, readonly=True, banner="demo · scripted offline model", clock=lambda: samples.NOW)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: filled(text_of(app)))
        first = text_of(app).splitlines()[0]
        assert first.startswith(" ctx test  ns all  RO  demo · scripted offline model")
