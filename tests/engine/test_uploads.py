"""Files of a message reach the session's folder under harmless names, and the model is told where they are."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from kagent_engine.agent import Agent, TurnRequest
from kagent_engine.events import Warned
from kagent_engine.models.base import FilePart, TextPart, UserMessage
from kagent_engine.skills import Uploads
from kagent_engine.skills.uploads import file_name
from kagent_engine.skills.workspace import Workspace
from kagent_engine.store_sqlite import SqliteStore
from kagent_engine.tools.base import CallContext

CONTEXT = CallContext("ada", "s")


@pytest.fixture
def skills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    folder = tmp_path / "skills"
    folder.mkdir()
    return folder


def uploads_of(skills: Path) -> Path:
    return Workspace.of("s", "ada", skills).root / "uploads"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report 1.pdf", "report 1.pdf"),
        ("报告.pdf", "报告.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        (".bashrc", "bashrc"),
        ("a\x1b[2J\u202e;rm -rf $HOME`x`.txt", "a__2J__rm -rf _HOME_x_.txt"),
        ("-rf", "rf"),
        ("..", "file.txt"),
        ("\0", "file.txt"),
        ("", "file.txt"),
        ("x" * 300 + ".txt", "x" * 96 + ".txt"),
    ],
)
def test_no_name_leads_elsewhere_or_says_more_than_a_name(given: str, kept: str) -> None:
    assert file_name(FilePart("text/plain", data=b"x", name=given)) == kept


async def test_namesakes_are_kept_apart_and_the_same_file_once(skills: Path) -> None:
    files = [FilePart("text/plain", data=data, name="a.txt") for data in (b"one", b"two", b"one")]
    told = await Uploads(skills).keep(files, CONTEXT)
    folder = uploads_of(skills)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.txt": b"one", "a-2.txt": b"two"}
    assert told.text == (
        "[Files of this message: uploads/a.txt (text/plain, 3 bytes), uploads/a-2.txt (text/plain, 3 bytes), "
        "uploads/a.txt (text/plain, 3 bytes)]"
    )


async def test_a_link_that_a_command_left_is_not_followed(skills: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (uploads_of(skills) / "a.txt").symlink_to(outside)
    await Uploads(skills).keep([FilePart("text/plain", data=b"x", name="a.txt")], CONTEXT)
    assert not outside.exists()
    assert (uploads_of(skills) / "a-2.txt").read_bytes() == b"x"


async def test_the_model_hears_where_a_file_is_and_still_gets_it(skills: Path, model: Any, tmp_path: Path) -> None:
    heard: list[Any] = []

    async def emit(event: Any) -> None:
        heard.append(event)

    store = SqliteStore(tmp_path / "s.db")
    agent = Agent(name="a", instruction="", model=model.says("hi"), store=store, uploads=Uploads(skills))
    file = FilePart("application/pdf", data=b"%PDF", name="a.pdf")
    away = FilePart("text/plain", uri="http://127.0.0.1:9/x", name="b.txt")
    await agent.run(TurnRequest(CONTEXT, (TextPart("Read it."), file, away)), emit)

    message = model.requests[0].messages[-1]
    assert isinstance(message, UserMessage)
    told = TextPart("[Files of this message: uploads/a.pdf (application/pdf, 4 bytes)]")
    assert message.parts == (TextPart("Read it."), file, away, told)

    await store.aclose()
    assert not [event for event in heard if isinstance(event, Warned)]


class FullDisk:
    async def keep(self, files: Any, context: CallContext) -> TextPart:
        raise OSError(28, "No space left on device")


async def test_a_full_disk_is_a_warning_and_no_lost_turn(model: Any, tmp_path: Path) -> None:
    heard: list[Any] = []

    async def emit(event: Any) -> None:
        heard.append(event)

    store = SqliteStore(tmp_path / "s.db")
    agent = Agent(name="a", instruction="", model=model.says("hi"), store=store, uploads=FullDisk())
    await agent.run(TurnRequest(CONTEXT, (TextPart("Read it."), FilePart("text/plain", data=b"x"))), emit)
    assert [event.code for event in heard if isinstance(event, Warned)] == ["upload_not_kept"]
    await store.aclose()
