"""Marks, jumping, which-key, rebinding, favourites and refused verbs, as a person meets them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from textual.pilot import Pilot

from kagent_api.kube import KubeconfigError
from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened, Options
from kagent_tui.config import Config
from kagent_tui.screens.logs import LogScreen

if TYPE_CHECKING:
    from ..conftest import MemoryKube, Samples

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
TextOf = Callable[[KagentApp], str]


def cursor(app: KagentApp) -> str:
    ref = app._browse.table.cursor  # pyright: ignore[reportPrivateUsage] - what a person sees as a colour
    return ref.name if ref is not None else ""


async def test_a_jump_goes_to_the_letter_and_which_key_runs_what_is_pressed(
    app: KagentApp, until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "✖2" in text_of(app))
        await pilot.press("f", "d")
        await until(pilot, lambda: cursor(app) == "lost")
        await pilot.press("K")
        await until(pilot, lambda: "keys here and now" in text_of(app))
        await pilot.press("X")
        await until(pilot, lambda: "What it needs" in text_of(app))


async def test_marked_rows_are_copied_together_and_esc_unmarks(app: KagentApp, until: Until, text_of: TextOf) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "✖2" in text_of(app))
        await pilot.press("space", "space")
        await until(pilot, lambda: "2 marked" in text_of(app))
        await pilot.press("Y")
        await until(pilot, lambda: app.clipboard == "coordinator\nk8s-agent")
        await pilot.press("asterisk")
        await until(pilot, lambda: "5 marked" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: "marked" not in text_of(app))


async def test_a_refused_verb_is_in_brackets_and_says_which_permission_is_missing(
    app: KagentApp, kube: MemoryKube, until: Until, text_of: TextOf
) -> None:
    kube.forbidden = {("update", "agents"), ("delete", "agents")}
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "e (edit)" in text_of(app))
        await pilot.press("e")
        await until(pilot, lambda: "you may not update agents.kagent.dev in namespace kagent" in text_of(app))
        await pilot.press("right")
        await until(pilot, lambda: "▐Models" in text_of(app) and "e edit" in text_of(app))


async def test_a_key_map_moves_a_key_and_the_help_tells_the_new_one(
    kube: MemoryKube, samples: type[Samples], until: Until, text_of: TextOf
) -> None:
    config = Config(keys="vim", keymap={"browse.logs": ("T",), "browse.yaml": ("none",)}, favourites=("one", "two"))
    seen: list[tuple[str, ...]] = []

    def opener(options: Options) -> Opened:
        seen.append(options.namespaces)
        return Opened(kube, ())

    app = KagentApp(opener=opener, config=config, clock=lambda: samples.NOW)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: "T logs" in text_of(app))
        assert "yaml" not in text_of(app).splitlines()[-1]
        await pilot.press("y")
        await pilot.press("l")
        await until(pilot, lambda: "▐Models" in text_of(app))
        await pilot.press("h", "T")
        await until(pilot, lambda: isinstance(app.screen, LogScreen))
        await pilot.press("q", "2")
        await until(pilot, lambda: seen[-1] == ("two",))
        await pilot.press("question_mark")
        await until(pilot, lambda: "T  " in text_of(app))


async def test_a_text_too_long_for_the_clipboard_is_not_sent(
    kube: MemoryKube, samples: type[Samples], until: Until, text_of: TextOf
) -> None:
    app = KagentApp(
        opener=lambda options: Opened(kube, ()), config=Config(clipboard_limit=4), clock=lambda: samples.NOW
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "✖2" in text_of(app))
        await pilot.press("Y")
        await until(pilot, lambda: "not sent: 11 bytes" in text_of(app))
        assert app.clipboard == ""


async def test_ascii_draws_nothing_else(kube: MemoryKube, samples: type[Samples], until: Until) -> None:
    app = KagentApp(
        opener=lambda options: Opened(kube, ()), config=Config(ascii="on", theme="contrast"), clock=lambda: samples.NOW
    )
    kube.drop("Agent", "kagent", "客服助手")
    async with app.run_test(size=(120, 40)) as pilot:

        def drawn() -> str:
            lines = [app._browse.table.render_lines(app._browse.table.region.reset_offset)]  # pyright: ignore[reportPrivateUsage]
            return "".join(segment.text for strips in lines for strip in strips for segment in strip)

        await until(pilot, lambda: "coordinator" in drawn())
        assert drawn().isascii()
        assert "x 0/" in drawn()


async def test_several_contexts_are_watched_at_once_and_one_that_fails_says_why(
    samples: type[Samples], until: Until, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters = {
        "dev": samples.kube(samples.agent("good"), samples.model(), context="dev"),
        "prod-eu": samples.kube(samples.agent("lost", modelConfig="nowhere"), context="prod-eu"),
    }

    def opener(options: Options) -> Opened:
        found = clusters.get(options.context or "dev")
        if found is None:
            raise KubeconfigError("the plugin is missing", field="users", remedy="install it")
        return Opened(found, ())

    app = KagentApp(opener=opener, clock=lambda: samples.NOW)
    monkeypatch.setattr(app.workspace, "context_names", lambda: ["dev", "prod-eu", "old"])
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "good" in text_of(app))
        await pilot.press("colon", *"fleet", "enter")
        await until(pilot, lambda: "Agent kagent/lost  ✖ nowhere missing" in text_of(app))
        await until(pilot, lambda: "the plugin is missing" in text_of(app))
        assert text_of(app).count("● live") >= 2
        clusters["dev"].put(samples.agent("bad", modelConfig="gone"))
        await until(pilot, lambda: "Agent kagent/bad  ✖ gone missing" in text_of(app))
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: "prod-eu" in text_of(app).splitlines()[0] and "▐Agents 1▌" in text_of(app))
