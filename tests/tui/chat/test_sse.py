"""Events out of bytes, however they are cut."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagent_tui.chat.sse import EventTooLarge, data_of_events


async def chunked(raw: bytes, sizes: list[int]) -> AsyncGenerator[bytes]:
    start = 0
    for size in sizes:
        yield raw[start : start + size]
        start += size
    yield raw[start:]


async def read(raw: bytes, sizes: list[int]) -> list[str]:
    return [data async for data in data_of_events(chunked(raw, sizes))]


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=12), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 5), max_size=80),
)
async def test_any_cut_of_any_line_ending_gives_the_same_events(texts: list[str], end: str, sizes: list[int]) -> None:
    raw = "".join(f": ping{end}id: 7{end}data: {text}{end}{end}" for text in texts).encode() + b"\n"
    assert await read(raw, sizes) == texts


async def test_several_data_lines_are_one_event_and_an_unfinished_event_is_dropped() -> None:
    assert await read(b"data: a\ndata:b\n\nevent: x\n\ndata: cut off", []) == ["a\nb"]


async def test_bytes_that_are_no_text_are_replaced() -> None:
    assert await read(b"data: \xff\xe6\x97\n\n", []) == ["\ufffd\ufffd"]


async def test_an_endless_event_is_refused() -> None:
    with pytest.raises(EventTooLarge):
        [data async for data in data_of_events(chunked(b"data: " + b"x" * 500, [10] * 40), limit=100)]
