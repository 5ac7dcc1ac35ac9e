"""A container's log: lines with their times, rotation, tails, and followers that miss nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from kagent_localcluster.runner.logs import LogWriter, last_lines, read_log
from kagent_localcluster.seams import LogOptions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "0.log"


class OpenLog(Protocol):
    """Opens a log that is closed when the test ends."""

    def __call__(self, **settings: int) -> LogWriter: ...


@pytest.fixture
def open_log(path: Path) -> Iterator[OpenLog]:
    opened: list[LogWriter] = []

    def start(**settings: int) -> LogWriter:
        opened.append(LogWriter(path, **settings))
        return opened[-1]

    yield start
    for writer in opened:
        writer.close()


async def text(path: Path, writer: LogWriter | None = None, **options: Any) -> str:
    return b"".join([piece async for piece in read_log(path, LogOptions(**options), writer)]).decode()


async def test_lines_come_back_as_they_were_written(path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    for piece in (b"one\ntw", b"o\n\nwith \r return\n", "grüß 你好\n".encode(), b"no end"):
        writer.write(piece)
    writer.close()
    assert await text(path) == "one\ntwo\n\nwith \r return\ngrüß 你好\nno end\n"


async def test_an_unfinished_line_waits_for_its_end(path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    writer.write(b"question? ")
    assert await text(path) == ""
    writer.write(b"answer\n")
    assert await text(path) == "question? answer\n"


async def test_a_very_long_line_is_stored_in_parts_and_read_as_one(path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    writer.write(b"x" * 50_000)
    writer.write(b"y\nnext\n")
    assert await text(path) == "x" * 50_000 + "y\nnext\n"


async def test_times_are_shown_when_asked_for(path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    writer.write(b"hello\n")
    shown = await text(path, timestamps=True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z hello\n", shown)


async def test_lines_before_the_asked_time_are_left_out(path: Path, open_log: OpenLog) -> None:
    open_log().close()
    add(path, "2001-01-01T00:00:00.000000000Z stdout F old\n")
    writer = open_log()
    writer.write(b"new\n")
    assert await text(path, since_seconds=60) == "new\n"


@pytest.mark.parametrize(("lines", "expected"), [(0, ""), (1, "c\n"), (2, "b\nc\n"), (9, "a\nb\nc\n")])
async def test_the_tail_has_as_many_lines_as_asked(path: Path, open_log: OpenLog, lines: int, expected: str) -> None:
    writer = open_log()
    writer.write(b"a\nb\nc\n")
    assert await text(path, tail_lines=lines) == expected


async def test_the_tail_of_a_large_log_is_found(path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    writer.write(b"".join(b"line %d\n" % number for number in range(40_000)))
    assert await text(path, tail_lines=2) == "line 39998\nline 39999\n"


async def test_logs_rotate_and_are_read_across_files(path: Path, open_log: OpenLog) -> None:
    writer = open_log(rotate_bytes=400, kept_files=3)
    for number in range(50):
        writer.write(b"line %02d\n" % number)
    files = sorted(entry.name for entry in path.parent.iterdir())
    assert files == ["0.log", "0.log.1", "0.log.2"]
    lines = (await text(path)).split()[1::2]
    assert lines == [f"{number:02d}" for number in range(50 - len(lines), 50)]
    assert await text(path, tail_lines=12) == "".join(f"line {number}\n" for number in range(38, 50))


async def test_a_follower_gets_what_comes_and_ends_with_the_container(path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    writer.write(b"first\n")
    pieces = read_log(path, LogOptions(follow=True), writer)
    assert await next_text(pieces) == "first\n"
    waiting = asyncio.create_task(next_text(pieces))
    await asyncio.sleep(0)
    writer.write(b"second\n")
    async with asyncio.timeout(5):
        assert await waiting == "second\n"
    writer.write(b"last")
    writer.close()
    async with asyncio.timeout(5):
        assert [piece async for piece in pieces if piece] == [b"last\n"]


async def test_a_follower_survives_rotation(path: Path, open_log: OpenLog) -> None:
    writer = open_log(rotate_bytes=300)
    got: list[bytes] = []

    async def follow() -> None:
        async for piece in read_log(path, LogOptions(follow=True), writer):
            got.append(piece)

    following = asyncio.create_task(follow())
    for number in range(100):
        writer.write(b"%d\n" % number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    writer.close()
    async with asyncio.timeout(5):
        await following
    assert b"".join(got).split() == [b"%d" % number for number in range(100)]


async def test_the_last_lines_are_cut_to_the_limit(path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    writer.write(b"a\nb\n" + b"c" * 100 + b"\n")
    assert last_lines(path, 2, 1_000) == "b\n" + "c" * 100 + "\n"
    assert len(last_lines(path, 80, 50)) == 50
    assert last_lines(path.with_name("none"), 80, 50) == ""


async def next_text(pieces: AsyncIterator[bytes]) -> str:
    async for piece in pieces:
        if piece:
            return piece.decode()
    return ""


def add(path: Path, record: str) -> None:
    path.write_text(record)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
async def test_a_full_disk_costs_output_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    writer = LogWriter(Path("/dev/full"))
    for _ in range(3):
        writer.write(b"lost\n")
    writer.close()
    assert [record.message for record in caplog.records] == [
        "/dev/full: No space left on device; output is lost until there is room"
    ]
