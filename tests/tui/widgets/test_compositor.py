"""What is written cell by cell makes the same screen as Textual's own whole frames, in fewer bytes."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from textual._compositor import CompositorUpdate
from textual.pilot import Pilot
from textual.screen import Screen

from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..conftest import Samples

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
TextOf = Callable[[KagentApp], str]
SIZE = (120, 30)


class Recorded(KagentApp):
    """Keeps what a terminal would have got."""

    written: str = ""

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, CompositorUpdate):
            self.written += renderable.render_segments(self.console)
        super()._display(screen, renderable)  # pyright: ignore[reportUnknownMemberType] - screens are generic


def drawn(*written: str) -> list[tuple[object, ...]]:
    """Draw on an emulated terminal and return its cells."""
    pyte = cast("Any", importlib.import_module("pyte"))
    screen = pyte.Screen(*SIZE)
    stream = pyte.Stream(screen)
    # Rows are separated as by a terminal in raw mode.
    stream.feed("".join(written).replace("\n", "\r\n"))
    cells = [screen.buffer[y][x] for y in range(SIZE[1]) for x in range(SIZE[0])]
    return [(cell.data, cell.fg, cell.bg, cell.bold, cell.reverse) for cell in cells]


def whole(app: KagentApp) -> str:
    compositor = app.screen._compositor  # pyright: ignore[reportPrivateUsage] - the frame to compare with
    return compositor.render_full_update().render_segments(app.console)


async def test_partial_frames_add_up_to_the_whole_frame(samples: type[Samples], until: Until, text_of: TextOf) -> None:
    kube = samples.kube(*samples.all())
    app = Recorded(opener=lambda options: Opened(kube, options.namespaces), clock=lambda: samples.NOW)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "✖2" in text_of(app))
        await pilot.press("j", "j", "space", "k")
        kube.put(samples.agent("客服助手", ready="False"))
        kube.put(samples.agent("lost", ready="False", modelConfig="nowhere"))
        await until(pilot, lambda: text_of(app).count("✖ 0/1") == 2 and "updating" in text_of(app))
        await pilot.press("s")
        await until(pilot, lambda: "turns round" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: "turns round" not in text_of(app))
        await pilot.press("slash", "a", "enter")
        await until(pilot, lambda: "/a " in text_of(app))
        assert drawn(app.written) == drawn(whole(app))


async def test_a_changed_cell_is_written_alone(samples: type[Samples], until: Until, text_of: TextOf) -> None:
    kube = samples.kube(*samples.all())
    app = Recorded(opener=lambda options: Opened(kube, options.namespaces), clock=lambda: samples.NOW)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "✖2" in text_of(app) and "5m DeploymentNotReady" in text_of(app))
        app.written = ""
        kube.put(samples.agent("lost", ready="False", modelConfig="nowhere"))
        await until(pilot, lambda: text_of(app).count("✖ 0/1") == 2)
        assert "✖ 0/1" in app.written
        assert "k8s-agent" not in app.written
        assert "Models" not in app.written
