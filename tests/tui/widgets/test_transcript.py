"""The transcript widget: what it shows, what it keeps in sight, and how little it paints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.types import CSSPathType

from kagent_tui.app import KagentApp
from kagent_tui.chat.events import TextDelta, ToolCall, ToolResult
from kagent_tui.chat.transcript import Transcript
from kagent_tui.screens.base import Host
from kagent_tui.widgets.transcript import TranscriptView

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
TextOf = Callable[[App[int]], str]


class Page(Host):
    CSS_PATH: ClassVar[CSSPathType | None] = KagentApp.CSS_PATH
    CSS = "TranscriptView { height: 1fr; }"

    def __init__(self, transcript: Transcript) -> None:
        super().__init__()
        self.transcript = transcript
        self.view = TranscriptView(transcript)

    def compose(self) -> ComposeResult:
        yield self.view

    def tell(self, text: str, block: str = "b") -> None:
        self.view.changed(self.transcript.apply(TextDelta(block, text)))


def long_session(turns: int) -> Transcript:
    transcript = Transcript()
    for turn in range(turns):
        transcript.say(f"question {turn}")
        transcript.apply(TextDelta("b", f"answer {turn}\n\nwith **two** paragraphs"))
    return transcript


async def test_the_end_stays_in_sight_until_one_scrolls_away(until: Until, text_of: TextOf) -> None:
    page = Page(Transcript())
    async with page.run_test(size=(40, 10)) as pilot:
        for number in range(30):
            page.tell(f"line {number}\n\n")
        await until(pilot, lambda: "line 29" in text_of(page))
        page.view.focus()
        await pilot.press("g")
        await until(pilot, lambda: "line 0" in text_of(page))
        page.tell("news at the end\n\n")
        await until(pilot, lambda: page.view.hidden_lines > 0)
        assert "line 0" in text_of(page)
        assert not page.view.following
        await pilot.press("G")
        await until(pilot, lambda: "news at the end" in text_of(page))
        page.tell("more news")
        await until(pilot, lambda: "more news" in text_of(page))


async def test_a_change_inside_paints_only_its_lines(until: Until, text_of: TextOf) -> None:
    page = Page(Transcript())
    async with page.run_test(size=(60, 20)) as pilot:
        for number in range(3):
            page.view.changed(page.transcript.apply(ToolCall(f"c{number}", f"tool{number}"), 0.0))
        page.tell("the answer")
        await until(pilot, lambda: "the answer" in text_of(page))
        painted: list[int] = []
        render_line = page.view.render_line

        def counting(y: int) -> object:
            painted.append(y)
            return render_line(y)

        page.view.render_line = counting  # type: ignore[method-assign,assignment] - only to count
        page.view.changed(page.transcript.apply(ToolResult("c1", "tool1", {}), 1.0))
        await until(pilot, lambda: "done 1.0s" in text_of(page))
        # The one line when it changed; reading the screen for this test paints all of them again.
        assert painted[0] == 1
        assert 0 not in painted[: painted.index(1) + 1]


async def test_a_narrower_terminal_lays_everything_out_again(until: Until, text_of: TextOf) -> None:
    page = Page(Transcript())
    async with page.run_test(size=(80, 20)) as pilot:
        page.tell("word " * 12)
        await until(pilot, lambda: "word word" in text_of(page))
        await pilot.resize_terminal(30, 20)
        await until(
            pilot, lambda: max(map(len, text_of(page).splitlines())) <= 30 and text_of(page).count("word") == 12
        )


async def test_a_long_session_shows_its_end_first_and_its_beginning_soon(until: Until, text_of: TextOf) -> None:
    page = Page(long_session(400))
    async with page.run_test(size=(60, 20)) as pilot:
        await until(pilot, lambda: "answer 399" in text_of(page))
        page.view.focus()
        await pilot.press("pageup")
        await pilot.pause()
        seen = text_of(page)
        await until(pilot, lambda: page.view.virtual_size.height == 400 * 6)
        assert text_of(page) == seen
        await pilot.press("g")
        await until(pilot, lambda: "question 0" in text_of(page))


async def test_cards_are_chosen_and_unfolded_with_keys(until: Until, text_of: TextOf) -> None:
    page = Page(Transcript())
    async with page.run_test(size=(60, 20)) as pilot:
        for number in range(2):
            page.view.changed(page.transcript.apply(ToolCall(f"c{number}", f"tool{number}", {"key": "value"}), 0.0))
        page.view.focus()
        await until(pilot, lambda: "tool tool1" in text_of(page))
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: "▾ tool tool1" in text_of(page))
        assert "▸ tool tool0" in text_of(page)
        await pilot.press("enter")
        await until(pilot, lambda: "▸ tool tool1" in text_of(page))


async def test_another_transcript_starts_at_its_end(until: Until, text_of: TextOf) -> None:
    page = Page(long_session(3))
    async with page.run_test(size=(60, 8)) as pilot:
        await until(pilot, lambda: "answer 2" in text_of(page))
        page.view.show(Transcript())
        await until(pilot, lambda: text_of(page).strip() == "")
        page.view.show(long_session(9))
        await until(pilot, lambda: "answer 8" in text_of(page))
