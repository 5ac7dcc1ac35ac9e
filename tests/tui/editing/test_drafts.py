"""Drafts on disk and Secrets out of them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_tui.editing.drafts import DraftStore
from kagent_tui.editing.masking import masked, unmasked

AGENT = ObjectRef("Agent", "kagent", "a")
SECRET = ObjectRef("Secret", "kagent", "key")


def test_a_draft_comes_back_after_a_crash(drafts: DraftStore, tmp_path: Path) -> None:
    assert drafts.save("prod", AGENT, "half typ", "base")
    found = DraftStore(tmp_path / "drafts").load("prod", AGENT)
    assert found is not None
    assert (found.text, found.base, found.ref) == ("half typ", "base", AGENT)
    assert drafts.load("other", AGENT) is None
    drafts.discard("prod", AGENT)
    assert drafts.load("prod", AGENT) is None


def test_only_the_owner_may_read_drafts(drafts: DraftStore, tmp_path: Path) -> None:
    drafts.save("prod", AGENT, "x", "")
    assert stat.S_IMODE((tmp_path / "drafts").stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "drafts").iterdir()] == [0o600]


def test_a_broken_draft_file_is_no_draft(drafts: DraftStore, tmp_path: Path) -> None:
    drafts.save("prod", AGENT, "x", "")
    for file in (tmp_path / "drafts").iterdir():
        file.write_text("{")
    assert drafts.load("prod", AGENT) is None


def test_a_secret_value_is_never_written(drafts: DraftStore, tmp_path: Path) -> None:
    text = "kind: Secret\nmetadata:\n  name: key\nstringData:\n  API_KEY: sk-very-secret\ndata:\n  OLD: c2VjcmV0\n"
    assert drafts.save("prod", SECRET, text, "")
    written = "".join(file.read_text() for file in (tmp_path / "drafts").iterdir())
    assert "sk-very-secret" not in written
    assert "c2VjcmV0" not in written
    assert "API_KEY" in written


def test_a_secret_whose_yaml_is_broken_is_not_kept(drafts: DraftStore, tmp_path: Path) -> None:
    assert not drafts.save("prod", SECRET, "stringData:\n  API_KEY: [sk-very-secret\n", "")
    assert not (tmp_path / "drafts").exists()


def test_placeholders_become_the_values_they_stand_for() -> None:
    live = {"kind": "Secret", "data": {"a": "QQ==", "b": "Qg=="}}
    shown = masked(live)
    assert "QQ==" not in str(shown)
    shown["stringData"] = {"c": "new"}
    assert unmasked(shown, live) == {"kind": "Secret", "data": live["data"], "stringData": {"c": "new"}}


def test_a_value_nobody_has_any_more_is_asked_again() -> None:
    shown = masked({"kind": "Secret", "data": {"a": "QQ=="}})
    with pytest.raises(InvalidSpec, match="type it again"):
        unmasked(shown, {"kind": "Secret", "data": {}})
