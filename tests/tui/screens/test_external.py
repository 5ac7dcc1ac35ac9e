"""The person's own editor."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.app import App

from kagent_tui.screens.external import EditorFailed, edit_externally


class Host(App[None]):
    """Hands the terminal over without one."""

    suspended = 0

    @contextmanager
    def suspend(self) -> Generator[None]:
        self.suspended += 1
        yield
        self.suspended -= 1


def left_in(directory: Path) -> list[Path]:
    return [file for file in directory.rglob("*") if file.name.startswith("edit.yaml")]


def script(directory: Path, body: str) -> str:
    file = directory / "editor"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o700)
    return str(file)


async def test_what_the_editor_leaves_comes_back_and_the_file_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv(
        "EDITOR", script(tmp_path, f'stat -c "%a" "$2" > {seen}; echo "# $1" >> "$2"; cp "$2" "$2~"') + " -w"
    )
    app = Host()
    assert await edit_externally(app, "kind: Agent\n") == "kind: Agent\n# -w\n"
    assert seen.read_text() == "600\n"
    assert app.suspended == 0
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("editor", "words"),
    [("/nonexistent/editor", "cannot be started"), ("'unbalanced", "no command"), ("false", "status 1")],
)
async def test_an_editor_that_fails_is_told_and_the_screen_comes_back(
    monkeypatch: pytest.MonkeyPatch, editor: str, words: str
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    app = Host()
    with pytest.raises(EditorFailed, match=words):
        await edit_externally(app, "x")
    assert app.suspended == 0


def test_the_umask_does_not_matter(tmp_path: Path) -> None:
    from kagent_tui.screens import external

    before = os.umask(0)
    try:
        external._create(tmp_path / "f", "x")  # pyright: ignore[reportPrivateUsage] - the mode is what is tested
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600
