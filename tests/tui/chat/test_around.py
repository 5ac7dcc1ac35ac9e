"""What stands around a conversation: rules, dry runs, attachments, figures, the cache, the tree of sub-agents."""

from __future__ import annotations

import base64
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kagent_api.errors import ObjectRef
from kagent_tui.chat import events as union
from kagent_tui.chat.attachments import Attachment, file_attachment, mentions_in, split_attached
from kagent_tui.chat.blocks import entry_lines
from kagent_tui.chat.cache import OpenPane, SessionKey, TranscriptCache
from kagent_tui.chat.decisions import Pause
from kagent_tui.chat.dialect_v1 import V1
from kagent_tui.chat.effects import Apply, Delete, Patch, effect_lines, planned
from kagent_tui.chat.events import ApprovalRequest, Done, PendingCall, TextDelta, ToolResult, TurnState, to_json
from kagent_tui.chat.gateway import agent_named
from kagent_tui.chat.lines import plain
from kagent_tui.chat.metrics import TurnClock, figures_text, turn_figures
from kagent_tui.chat.prices import Price, price_of
from kagent_tui.chat.rules import Rule, SessionRules
from kagent_tui.chat.safe_tools import verdicts_in
from kagent_tui.chat.storing import Recorder, Timed, from_json
from kagent_tui.chat.subagents import look_inside
from kagent_tui.chat.subject import subject_of
from kagent_tui.chat.targets_of_calls import target_of
from kagent_tui.chat.transcript import ToolEntry, ToolState
from kagent_tui.chat.wire import TaskSnapshot

if TYPE_CHECKING:
    from ..conftest import MemoryKube

KEY = SessionKey("ctx", "me", "kagent/time", "s1")


def call(tool: str, /, **arguments: Any) -> PendingCall:
    return PendingCall(f"adk-{tool}", tool, tool, arguments)


def test_a_rule_covers_its_call_and_no_other() -> None:
    rules = SessionRules()
    assert rules.add(Rule.exactly(call("scale", replicas=2, name="web")), {})
    again = Pause((ApprovalRequest((call("scale", name="web", replicas=2),)),))
    assert rules.answer(again, {}) is not None
    assert rules.answer(Pause((ApprovalRequest((call("scale", name="web", replicas=0),)),)), {}) is None
    mixed = Pause((ApprovalRequest((call("scale", name="web", replicas=2), call("delete"))),))
    assert rules.answer(mixed, {}) is None
    assert not rules.add(Rule.always(call("delete")), {"delete": "destructive"})
    assert rules.answer(again, {"scale": "destructive"}) is None


def test_of_two_servers_the_more_careful_word_counts() -> None:
    def inventory(name: str, **hints: bool) -> dict[str, Any]:
        return {"data": {"tools.json": json.dumps({"tools": [{"name": name, "annotations": hints}]})}}

    found = verdicts_in(
        [inventory("a", readOnlyHint=True), inventory("a", destructiveHint=True), inventory("b", readOnlyHint=True),
         inventory("b"), inventory("c", readOnlyHint=False), {"data": {"tools.json": "no json"}}]
    )  # fmt: skip
    assert found == {"a": "destructive", "b": "unknown", "c": "writes"}


def test_what_a_call_is_about_is_read_from_words_that_tools_share() -> None:
    pod = ObjectRef("Pod", "shop", "web-0")
    assert (
        target_of("k8s_get_resource", {"resource_type": "pods", "resource_name": "web-0", "namespace": "shop"}) == pod
    )
    assert target_of("delete_pod", {"name": "web-0", "namespace": "shop"}) == pod
    assert target_of("logs", {"pod_name": "web-0", "namespace": "shop"}) == pod
    assert target_of("kubectl_describe", {"name": "pod/web-0"}, namespace="shop") == pod
    assert target_of("search", {"query": "web-0"}) is None
    assert target_of("odd", {"name": 5, "kind": [], "namespace": None}) is None


MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n"


def test_writes_are_recognised_and_nothing_else_is() -> None:
    found = planned(call("k8s_apply_manifest", manifest=MANIFEST), namespace="shop")
    assert isinstance(found, Apply)
    assert found.objects[0]["metadata"] == {"namespace": "shop", "name": "settings"}
    scaled = planned(call("scale_deployment", name="web", replicas=3), namespace="shop")
    assert scaled == Patch(ObjectRef("Deployment", "shop", "web"), {"spec": {"replicas": 3}}, "merge")
    assert planned(call("delete_pod", name="web-0"), namespace="shop") == Delete(ObjectRef("Pod", "shop", "web-0"))
    assert planned(call("get_pod", name="web-0"), namespace="shop") is None
    assert planned(call("apply", manifest="apiVersion: [broken\nkind: x"), namespace="shop") is None


async def test_a_dry_run_shows_the_difference_and_hides_secrets(
    kube: MemoryKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def apply(resource: object, obj: dict[str, Any], *, dry_run: bool, **more: object) -> dict[str, Any]:
        assert dry_run
        return obj

    monkeypatch.setattr(kube, "apply", apply)
    old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"},
           "data": {"colour": "red"}}  # fmt: skip
    kube.put(old)
    lines = [each.plain for each in await effect_lines(kube, call("apply", manifest=MANIFEST), namespace="shop")]
    assert lines[0] == "a dry run with your rights says:"
    assert "changes ConfigMap shop/settings" in lines[1]
    assert any("colour: red" in line and "-" in line for line in lines)
    assert any("colour: blue" in line and "+" in line for line in lines)
    assert kube.peek("ConfigMap", "shop", "settings")["data"] == {"colour": "red"}
    gone = await effect_lines(kube, call("delete_pod", name="web-0"), namespace="shop")
    assert "nothing would be deleted" in gone[1].plain
    secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: key\nstringData:\n  apikey: hunter2\n"
    told = "\n".join(each.plain for each in await effect_lines(kube, call("apply", manifest=secret), namespace="shop"))
    assert "hunter2" not in told


def test_mentions_are_words_of_their_own() -> None:
    found = mentions_in(
        'look at @agent/kagent/time and @deploy/shop/web, not me@pod/a/b; @./a.txt @"/tmp/a b" @nope/x/y'
    )
    assert found.objects == (ObjectRef("Agent", "kagent", "time"), ObjectRef("Deployment", "shop", "web"))
    assert set(found.files) == {"/tmp/a b", "./a.txt"}


def test_what_goes_along_is_told_apart_from_what_was_written(tmp_path: Path) -> None:
    text = Attachment("notes", "with ``` inside", "md").part.text
    said = split_attached(f"my words\n{text}")
    assert said.text == "my words"
    assert said.attached == (("notes", 1),)
    picture = tmp_path / "x.png"
    picture.write_bytes(b"\x89PNG\x00\xff")
    part = file_attachment(str(picture)).part
    assert (part.kind, part.text, part.data) == ("file", "x.png", "image/png")
    assert base64.b64decode(part.raw) == b"\x89PNG\x00\xff"
    large = tmp_path / "large.txt"
    large.write_text("x" * 300_000)
    with pytest.raises(ValueError, match="262,144"):
        file_attachment(str(large))


def test_figures_of_a_turn() -> None:
    clock = TurnClock(started=10.0, first_text=10.5, last_text=12.5, ended=13.0, characters=400)
    told = turn_figures(clock, prompt=1000, completion=100, price=Price(1.0, 10.0))
    assert (told.first_token, told.total, told.rate, told.cost) == (0.5, 3.0, 50.0, 0.002)
    guessed = turn_figures(clock, prompt=0, completion=0, price=Price(1.0, 10.0))
    assert (guessed.completion, guessed.cost, guessed.guessed) == (100, None, True)
    assert figures_text(guessed) == "first 500ms  ≈50 tok/s  ≈100 out  3.0s"
    assert turn_figures(TurnClock(started=1.0), prompt=0, completion=0, price=None).rate is None


def test_the_longest_known_name_of_a_model_has_the_price() -> None:
    found = price_of("openai/gpt-5-mini-2025-08-07")
    assert found is not None
    assert found.completion == 2.0
    assert price_of("a-model-of-ones-own") is None


def test_every_event_survives_a_file() -> None:
    found = [
        union.TaskStarted("t", "s"), union.UserMessage("hi", "m", True), TextDelta("b", "x"),
        union.TextReplaced("b", "y"), union.Thought("b", "z", True), union.ToolCall("c", "n", {"a": [1]}, "s"),
        ToolResult("c", "n", {"content": []}, True, 1.5), union.ToolProgress("c", "n", 1.0, 2.0, "t"),
        ApprovalRequest((call("x", a=1),), "hint", "sub"),
        union.Question("r", "c", (union.QuestionItem("q", ("a", "b"), True),)), union.Usage("r", 1, 2, 3),
        union.SubAgentActivity("c", "a", "s", "t"), union.TurnWarning("w", "c"),
        union.StatusChanged(TurnState.WORKING, "t"), union.Failed("m", "c", "r"), Done(TurnState.COMPLETED),
    ]  # fmt: skip
    assert [from_json(json.loads(json.dumps(to_json(event)))) for event in found] == found
    assert from_json({"type": "done", "state": "odd"}) is None
    assert from_json({"type": "text_delta", "surprise": 1}) is None


def test_deltas_of_a_moment_are_one_and_nothing_is_lost() -> None:
    recorder = Recorder()
    for number in range(10):
        recorder.add(TextDelta("b", f"{number} "), number * 0.1)
    recorder.add(ToolResult("c", "n", {"content": [{"text": "x" * 900_000}]}), 2.0)
    found = recorder.take()
    assert "".join(each.event.text for each in found if isinstance(each.event, TextDelta)) == "0 1 2 3 4 5 6 7 8 9 "
    assert len(found) < 7
    assert len(str(found[-1].event)) < 250_000
    assert recorder.take() == []


async def test_the_cache_is_shared_private_and_survives_a_broken_file(tmp_path: Path) -> None:
    file = tmp_path / "state" / "chats.sqlite3"
    one, other = TranscriptCache(file), TranscriptCache(file)
    await one.append(
        KEY, [Timed(0.0, TextDelta("b", "100% of the Need")), Timed(0.4, TextDelta("b", "les_"))], title="t"
    )
    await other.append(KEY, [Timed(1.0, Done(TurnState.COMPLETED))])
    assert [each.event for each in await one.events(KEY)][-1] == Done(TurnState.COMPLETED)
    assert await other.find("ctx", "me", "NEEDLES_ 100%") == {"s1"}
    assert await other.find("ctx", "you", "needles") == set()
    assert await other.find("ctx", "me", "needlesx") == set()
    assert file.stat().st_mode & 0o077 == 0
    await one.forget("ctx", "me", "s1")
    assert await other.events(KEY) == []
    one.close()
    other.close()
    file.write_bytes(b"this is no database" * 100)
    broken = TranscriptCache(file)
    assert await broken.events(KEY) == []
    await broken.add_prompt("x")
    assert await broken.prompts() == []
    broken.close()


async def test_a_newer_programs_cache_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "chats.sqlite3"
    database = sqlite3.connect(file)
    database.execute("pragma user_version = 99")
    database.close()
    cache = TranscriptCache(file)
    assert await cache.panes("ctx") == list[OpenPane]()
    await cache.append(KEY, [Timed(0.0, TextDelta("b", "x"))])
    cache.close()
    with sqlite3.connect(file) as database:
        assert database.execute("select count(*) from sqlite_master").fetchone() == (0,)
    database.close()


def _task(*calls: tuple[str, str], said: str = "") -> TaskSnapshot:
    artifacts: list[dict[str, Any]] = []
    for name, session in calls:
        metadata = {"adk_type": "function_call", **({"adk_subagent_session_id": session} if session else {})}
        part: dict[str, Any] = {"data": {"id": f"call-{name}", "name": name, "args": {}}, "metadata": metadata}
        artifacts.append({"artifactId": name, "parts": [part]})
    if said:
        artifacts.append({"artifactId": "said", "parts": [{"text": said}]})
    found = V1.decode({"id": "t", "contextId": "s", "status": {"state": "TASK_STATE_WORKING"}, "artifacts": artifacts})
    assert isinstance(found, TaskSnapshot)
    return found


async def test_sub_agents_are_followed_to_any_depth_but_not_in_a_circle() -> None:
    sessions = {
        "one": [_task(("earlier", "")), _task(("ns__NS__b_agent", "two"), ("look", ""))],
        "two": [_task(("deep", "one"), said="found it")],
    }

    async def read(session_id: str) -> list[TaskSnapshot]:
        return sessions[session_id]

    entry = ToolEntry("c", "ns__NS__a_agent", {}, ToolState.RUNNING, subagent_session="one")
    assert await look_inside(entry, 1, read)
    assert [each.name for each in entry.inner] == ["ns__NS__b_agent", "look"]
    assert [each.name for each in entry.inner[0].inner] == ["deep"]
    lines = "\n".join(plain(each) for each in entry_lines(entry, 80, unfolded=True))
    assert "agent ns/a-agent" in lines
    assert "├─ ns/b-agent" in lines
    assert "« found it" in lines
    assert not await look_inside(ToolEntry("d", "x", {}, subagent_session="two"), 5, read)


def test_tools_that_are_configured_and_missing_are_named() -> None:
    ref = ObjectRef("Agent", "kagent", "ops")
    tools = [
        {"type": "McpServer", "mcpServer": {"kind": "RemoteMCPServer", "apiGroup": "kagent.dev", "name": name,
                                            "toolNames": ["get", "drop"]}}
        for name in ("there", "gone")
    ]  # fmt: skip
    agent = {"apiVersion": "kagent.dev/v1alpha2", "kind": "Agent", "metadata": {"name": "ops", "namespace": "kagent"},
             "spec": {"type": "Declarative", "declarative": {"tools": tools}}}  # fmt: skip
    server = {"kind": "RemoteMCPServer", "status": {"discoveredTools": [{"name": "get"}]}}
    objects = {ref: agent, ObjectRef("RemoteMCPServer", "kagent", "there"): server}
    found = subject_of(ref, objects.get)
    assert found.missing == ("drop of kagent/there", "everything of kagent/gone, which is not there")


def test_an_agents_id_names_it_again() -> None:
    assert agent_named("my_team__NS__k8s_agent") == ObjectRef("Agent", "my-team", "k8s-agent")
