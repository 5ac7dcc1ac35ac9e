"""What was decided is written down once, for the owner's eyes, and can be listed and exported."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from kagent_api.errors import ObjectRef
from kagent_tui.chat.auditing import records_of
from kagent_tui.chat.decisions import Answer, Decision, Pause
from kagent_tui.chat.events import ApprovalRequest, PendingCall
from kagent_tui.cli import approvals
from kagent_tui.safety.audit import AuditRecord, AuditTrail, cut_arguments

AGENT = ObjectRef("Agent", "kagent", "careful")


def pause() -> Pause:
    calls = (
        PendingCall(call_id="c1", request_id="r1", name="delete_pod", arguments={"name": "\x1b]52;c;x"}),
        PendingCall(call_id="c2", request_id="r2", name="get_pod", arguments={}),
    )
    return Pause((ApprovalRequest(calls=calls),))


def records(when: str = "2026-01-02T03:04:05Z") -> list[AuditRecord]:
    answer = Answer({"c1": Decision(False, "not today"), "c2": Decision(True)})
    return records_of(
        pause(), answer, context="prod", user="me", agent=AGENT, session="s1", via="inbox", now=lambda: when
    )


def test_every_call_of_a_pause_has_its_record(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "state" / "audit.jsonl")
    trail.append(records())
    trail.append(records("2026-02-01T00:00:00Z"))
    assert [(one.tool, one.decision, one.reason) for one in trail.read()] == [
        ("delete_pod", "rejected", "not today"),
        ("get_pod", "approved", ""),
    ] * 2
    assert trail.file.stat().st_mode & 0o777 == 0o600
    assert "\x1b" not in trail.file.read_text()


def test_a_broken_line_hides_no_other(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "audit.jsonl")
    trail.append(records())
    with trail.file.open("a") as file:
        file.write("{half\n[]\n")
    trail.append(records())
    assert len(trail.read()) == 4


def test_long_arguments_are_cut_and_say_so() -> None:
    assert cut_arguments("x" * 20_010).endswith("… (10 more characters)")


def ask(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    approvals.add_arguments(parser)
    return approvals.run(parser.parse_args(["audit", *arguments]))


def test_the_command_lists_cleanly_and_exports_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert ask() == 0
    assert "no decisions yet" in capsys.readouterr().err
    AuditTrail().append([*records(), *records("2026-02-01T00:00:00Z")])
    assert ask("--agent", "careful", "--since", "2026-02") == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in listed[1:]] == [
        ["2026-02-01T00:00:00Z", "rejected", "kagent/careful", "delete_pod"],
        ["2026-02-01T00:00:00Z", "approved", "kagent/careful", "get_pod"],
    ]
    assert "\x1b" not in "".join(listed)
    assert ask("--export", str(tmp_path / "out.jsonl")) == 0
    exported = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [one["call"] for one in exported] == ["c1", "c2", "c1", "c2"]
    assert ask("--export", str(tmp_path / "no" / "out.jsonl")) == 1
