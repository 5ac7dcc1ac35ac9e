"""Forms, pickers, conflicts, undo, revisions and Secrets on the dashboard, driven by keys."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from textual.pilot import Pilot

from kagent_api.errors import ObjectRef
from kagent_api.kube import Unreachable
from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened
from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.editing.drafts import DraftStore
from kagent_tui.screens.ask import AskScreen
from kagent_tui.screens.browse import BrowseScreen
from kagent_tui.screens.clashes import ClashesScreen
from kagent_tui.screens.editor import EditorScreen
from kagent_tui.screens.entry import EntryScreen
from kagent_tui.screens.pick import PickScreen
from kagent_tui.screens.review import ReviewScreen
from kagent_tui.screens.revisions import RevisionsScreen
from kagent_tui.screens.tools import ToolsScreen
from kagent_tui.screens.words import WordsScreen
from kagent_tui.widgets.form_pane import FormPane
from kagent_tui.widgets.notice import Notice

if TYPE_CHECKING:
    from ..conftest import MemoryKube

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
TextOf = Callable[[KagentApp], str]
SIZE = (140, 40)
SECRET_VALUE = "sk-very-secret"


def browse(app: KagentApp) -> BrowseScreen:
    screen = app.screen_stack[0]
    assert isinstance(screen, BrowseScreen)
    return screen


def said(app: KagentApp) -> str:
    return str(app.screen.query_one(Notice).content)


def editor(app: KagentApp) -> EditorScreen:
    assert isinstance(app.screen, EditorScreen)
    return app.screen


async def open_form(app: KagentApp, pilot: Pilot[int], until: Until, name: str) -> FormPane:
    await until(pilot, lambda: len(list(browse(app).table.listing)) >= 5)
    browse(app).go_to(ObjectRef("Agent", "kagent", name))
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.focused, FormPane))
    assert isinstance(app.focused, FormPane)
    return app.focused


async def go_to(pilot: Pilot[int], pane: FormPane, title: str) -> None:
    if title not in [row.title for row in pane.rows]:
        await pilot.press("full_stop")
        await pilot.pause()
    await pilot.press("g")
    for _ in pane.rows:
        if pane.row is not None and pane.row.title == title:
            return
        await pilot.press("j")
    raise AssertionError(f"no row {title}: {[row.title for row in pane.rows]}")


def spec(kube: MemoryKube, name: str) -> dict[str, Any]:
    return kube.peek("Agent", "kagent", name)["spec"]["declarative"]


async def apply(app: KagentApp, pilot: Pilot[int], until: Until) -> None:
    await pilot.press("ctrl+s")
    await until(pilot, lambda: isinstance(app.screen, ReviewScreen))
    await pilot.press("a")
    await until(pilot, lambda: app.screen is browse(app))


async def test_a_model_is_picked_in_the_form_and_the_yaml_is_the_same_draft(
    app: KagentApp, kube: MemoryKube, until: Until
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        pane = await open_form(app, pilot, until, "time")
        await go_to(pilot, pane, "modelConfig")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"qwen", "enter")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen) and "qwen" in editor(app).text)
        await go_to(pilot, pane, "stream")
        await pilot.press("space")
        await until(pilot, lambda: "stream: true" in editor(app).text)
        await pilot.press("f3")
        await until(pilot, lambda: app.focused is editor(app).area)
        editor(app).area.insert("# a remark\n", (0, 0))
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.focused, FormPane))
        await go_to(pilot, pane, "description")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, EntryScreen))
        await pilot.press(*" It is exact.", "enter")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen) and "exact" in editor(app).text)
        assert editor(app).text.startswith("# a remark\n")
        await apply(app, pilot, until)
        assert spec(kube, "time")["modelConfig"] == "qwen"
        assert spec(kube, "time")["stream"] is True


async def test_tools_are_chosen_with_their_descriptions_and_arguments(
    app: KagentApp, kube: MemoryKube, until: Until, text_of: TextOf
) -> None:
    kube.put(inventory("clock-mcpserver-tools"))
    async with app.run_test(size=SIZE) as pilot:
        pane = await open_form(app, pilot, until, "time")
        await go_to(pilot, pane, "tools")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ToolsScreen) and "convert_time" in text_of(app))
        await pilot.press("j", "j", "j")
        await until(pilot, lambda: "source_timezone* text" in " ".join(text_of(app).split()))
        await pilot.press("a")
        await until(pilot, lambda: "needed" in text_of(app))
        await pilot.press("k", "space", "enter")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        await apply(app, pilot, until)
        assert spec(kube, "time")["tools"] == [
            {
                "type": "McpServer",
                "mcpServer": {
                    "apiGroup": "kagent.dev",
                    "kind": "MCPServer",
                    "name": "clock",
                    "toolNames": ["convert_time"],
                    "requireApproval": ["convert_time"],
                },
            }
        ]


async def test_a_fault_stands_at_its_field_while_typing_and_the_server_has_the_last_word(
    app: KagentApp, kube: MemoryKube, until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await open_form(app, pilot, until, "time")
        await pilot.press("f3")
        await until(pilot, lambda: app.focused is editor(app).area)
        text = editor(app).text.replace("systemMessage:", "systemMesage:")
        editor(app).area.load(text)
        await until(pilot, lambda: "did you mean systemMessage?" in text_of(app))
        line = next(n for n, one in enumerate(text.splitlines(), 1) if "systemMesage" in one)
        assert f"line {line}:" in text_of(app)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.focused, FormPane))
        await pilot.press("f8")
        await until(pilot, lambda: "✖" in text_of(app))
        # A newer CRD may know the field: the server is asked all the same.
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))


async def test_a_conflict_is_shown_side_by_side_and_each_field_decided(
    app: KagentApp, kube: MemoryKube, until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        pane = await open_form(app, pilot, until, "time")
        await go_to(pilot, pane, "systemMessage")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, WordsScreen) and app.focused is not None)
        await pilot.press(*"MINE ", "ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen) and "MINE" in editor(app).text)
        theirs = kube.peek("Agent", "kagent", "time")
        declarative = {**theirs["spec"]["declarative"], "systemMessage": "THEIRS\n", "stream": True}
        kube.put({**theirs, "spec": {**theirs["spec"], "declarative": declarative}})
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ClashesScreen) and "THEIRS" in text_of(app))
        both = next(one for one in text_of(app).splitlines() if "MINE You help." in one)
        assert "│ THEIRS" in both
        await pilot.press("m", "enter")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))
        await pilot.press("a")
        await until(pilot, lambda: app.screen is browse(app))
        assert spec(kube, "time")["systemMessage"] == "MINE You help.\n"
        assert spec(kube, "time")["stream"] is True


async def test_a_draft_of_yesterday_does_not_undo_what_others_did_since(
    app: KagentApp, kube: MemoryKube, drafts: DraftStore, until: Until
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        pane = await open_form(app, pilot, until, "time")
        await go_to(pilot, pane, "stream")
        await pilot.press("space", "escape")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("k")
        await until(pilot, lambda: app.screen is browse(app))
    theirs = kube.peek("Agent", "kagent", "time")
    kube.put({**theirs, "spec": {**theirs["spec"], "description": "Theirs."}})
    again = KagentApp(opener=lambda options: Opened(kube, ()), drafts=drafts)
    async with again.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "unsaved work: Agent kagent/time" in said(again))
        await pilot.press("colon", *"drafts", "enter")
        await until(pilot, lambda: isinstance(again.screen, PickScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(again.focused, FormPane))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(again.screen, ClashesScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(again.screen, ReviewScreen))
        await pilot.press("a")
        await until(pilot, lambda: again.screen is browse(again))
    assert kube.peek("Agent", "kagent", "time")["spec"]["description"] == "Theirs."
    assert spec(kube, "time")["stream"] is True


async def test_undo_takes_the_last_change_back_and_keeps_those_of_others(
    app: KagentApp, kube: MemoryKube, until: Until
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        pane = await open_form(app, pilot, until, "time")
        await go_to(pilot, pane, "stream")
        await pilot.press("space")
        await apply(app, pilot, until)
        theirs = kube.peek("Agent", "kagent", "time")
        kube.put({**theirs, "spec": {**theirs["spec"], "description": "Theirs."}})
        await pilot.press("U")
        await until(pilot, lambda: isinstance(app.screen, ClashesScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))
        await pilot.press("a")
        await until(pilot, lambda: app.screen is browse(app))
        assert "stream" not in spec(kube, "time")
        assert kube.peek("Agent", "kagent", "time")["spec"]["description"] == "Theirs."
        await pilot.press("U")
        await until(pilot, lambda: "nothing was applied from here yet" in said(app))


async def test_delete_without_dependents_takes_one_key_and_can_be_undone(
    app: KagentApp, kube: MemoryKube, until: Until
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(list(browse(app).table.listing)) == 5)
        await pilot.press("g", "D")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("y")
        await until(pilot, lambda: len(list(browse(app).table.listing)) == 4)
        await pilot.press("U")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))
        await pilot.press("a")
        await until(pilot, lambda: len(list(browse(app).table.listing)) == 5)


async def test_a_clone_is_a_new_object_of_another_name(app: KagentApp, kube: MemoryKube, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(list(browse(app).table.listing)) == 5)
        await pilot.press("g", "plus")
        await until(pilot, lambda: isinstance(app.screen, EntryScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.focused, FormPane))
        await apply(app, pilot, until)
        assert (
            kube.peek("Agent", "kagent", "coordinator-copy")["spec"]
            == kube.peek("Agent", "kagent", "coordinator")["spec"]
        )


async def test_revisions_are_listed_compared_and_rolled_back_to(
    app: KagentApp, kube: MemoryKube, until: Until, text_of: TextOf
) -> None:
    now = kube.peek("Agent", "kagent", "time")
    kube.put(revision(now, 1, {**now["spec"], "description": "As it was."}))
    kube.put(revision(now, 2, now["spec"]))
    kube.put({**revision(now, 9, now["spec"]), "metadata": {**revision(now, 9, {})["metadata"], "ownerReferences": []}})
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(list(browse(app).table.listing)) == 5)
        await pilot.press("j", "j", "j", "v")
        await until(pilot, lambda: isinstance(app.screen, RevisionsScreen) and "spec.description" not in said(app))
        await until(pilot, lambda: "description" in text_of(app) and "as now" in text_of(app))
        assert isinstance(app.screen, RevisionsScreen)
        assert len(list(app.screen.table.listing)) == 2
        await pilot.press("j", "r")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))
        await until(pilot, lambda: "As it was." in text_of(app))
        await pilot.press("a")
        await until(pilot, lambda: app.screen is browse(app))
        assert kube.peek("Agent", "kagent", "time")["spec"]["description"] == "As it was."


async def test_values_of_secrets_stay_out_of_sight_and_off_the_disk(
    app: KagentApp, kube: MemoryKube, drafts: DraftStore, until: Until, text_of: TextOf, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(list(browse(app).table.listing)) == 5)
        await pilot.press("colon", *"new secret", "enter")
        await until(pilot, lambda: isinstance(app.focused, FormPane))
        pane = app.focused
        assert isinstance(pane, FormPane)
        await go_to(pilot, pane, "stringData")
        await pilot.press("l", "j", "enter")
        await until(pilot, lambda: isinstance(app.screen, EntryScreen))
        await pilot.press(*SECRET_VALUE)
        assert SECRET_VALUE not in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen) and "••••" in text_of(app))
        assert SECRET_VALUE not in editor(app).text
        seen: list[str] = []

        async def edited(app: object, text: str) -> str:
            seen.append(text)
            return text

        monkeypatch.setattr("kagent_tui.screens.editor.edit_externally", edited)
        await pilot.press("ctrl+e")
        await until(pilot, lambda: bool(seen))
        assert SECRET_VALUE not in seen[0]
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, AskScreen) and SECRET_VALUE in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen) and SECRET_VALUE not in text_of(app))
        editor(app).keep()
        assert all(SECRET_VALUE not in file.read_text() for file in (tmp_path / "drafts").iterdir())
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))
        assert SECRET_VALUE not in text_of(app)
        await pilot.press("a")
        await until(pilot, lambda: app.screen is browse(app))
    assert kube.peek("Secret", "kagent", "my-model-key")["stringData"] == {"API_KEY": SECRET_VALUE}


async def test_a_key_of_a_secret_is_picked_by_name(app: KagentApp, kube: MemoryKube, until: Until) -> None:
    value = base64.b64encode(SECRET_VALUE.encode()).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "kagent"}}
    kube.put({**secret, "data": {"OTHER": value}})
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(list(browse(app).table.listing)) == 5)
        await pilot.press("colon", *"new model", "enter")
        await until(pilot, lambda: isinstance(app.focused, FormPane))
        pane = app.focused
        assert isinstance(pane, FormPane)
        for field, word in (("apiKeySecret", "keys"), ("apiKeySecretKey", "OTHER")):
            await go_to(pilot, pane, field)
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, PickScreen))
            await pilot.press(*word, "enter")
            await until(pilot, lambda word=word: isinstance(app.screen, EditorScreen) and word in editor(app).text)
        await apply(app, pilot, until)
        assert kube.peek("ModelConfig", "kagent", "my-model")["spec"]["apiKeySecretKey"] == "OTHER"


async def test_the_wizard_makes_a_key_a_model_and_an_agent(
    app: KagentApp, kube: MemoryKube, until: Until, text_of: TextOf, tmp_path: Path
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(list(browse(app).table.listing)) == 5)
        await pilot.press("W")
        for words, keys in (
            ("1/10", [*"compatible", "enter"]),
            ("2/10", ["ctrl+u", *"https://dashscope.aliyuncs.com/v1", "enter"]),
            ("compatible-mode/v1", ["ctrl+u", *"https://dashscope.aliyuncs.com/compatible-mode/v1", "enter"]),
            ("3/10", [*"qwen-plus", "enter"]),
            ("4/10", ["enter"]),
            ("5/10", [*SECRET_VALUE, "enter"]),
            ("6/10", ["ctrl+u", *"mine", "enter"]),
            ("7/10", ["ctrl+u", *"first", "enter"]),
            ("8/10", ["enter"]),
            ("9/10", ["enter"]),
        ):
            await until(pilot, lambda words=words: words in text_of(app) and app.focused is not None)
            await pilot.press(*keys)
        await until(pilot, lambda: isinstance(app.screen, ToolsScreen))
        await pilot.press("j", "space", "enter")
        await until(pilot, lambda: isinstance(app.screen, AskScreen) and "Make 3 objects" in text_of(app))
        assert SECRET_VALUE not in text_of(app)
        assert all(SECRET_VALUE not in file.read_text() for file in (tmp_path / "drafts").iterdir())
        await pilot.press("a")
        await until(pilot, lambda: app.screen is browse(app))
    assert kube.peek("Secret", "kagent", "compatible-key")["stringData"] == {"API_KEY": SECRET_VALUE}
    made = kube.peek("ModelConfig", "kagent", "mine")["spec"]
    assert made["openAI"] == {"baseUrl": "https://dashscope.aliyuncs.com/compatible-mode/v1"}
    assert spec(kube, "first")["modelConfig"] == "mine"
    assert [one["mcpServer"]["name"] for one in spec(kube, "first")["tools"]] == ["clock"]
    assert not list((tmp_path / "drafts").iterdir())


async def test_a_lost_cluster_and_a_new_connection_keep_the_open_draft(
    app: KagentApp, kube: MemoryKube, until: Until
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        pane = await open_form(app, pilot, until, "time")
        await go_to(pilot, pane, "stream")
        await pilot.press("space")
        kube.lose(Unreachable("connection refused"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "what you typed is kept" in said(app))
        kube.recover()
        await pilot.press("ctrl+r")
        await until(pilot, lambda: browse(app).workspace.link.status == "live")
        await apply(app, pilot, until)
        assert spec(kube, "time")["stream"] is True


def inventory(name: str) -> JsonObject:
    tools = (
        '{"tools":[{"name":"now","description":"The time."},{"name":"convert_time","description":"Converts.",'
        '"inputSchema":{"type":"object","required":["source_timezone"],"properties":'
        '{"source_timezone":{"type":"string","description":"IANA name"}}}}]}'
    )
    meta = {"name": name, "namespace": "kagent", "labels": {"kagent-tui.dev/tools": "true"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"tools.json": tools}}


def revision(agent: JsonObject, number: int, spec: JsonObject) -> JsonObject:
    meta = agent["metadata"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{meta['name']}-{number}",
            "namespace": meta["namespace"],
            "labels": {"kagent-tui.dev/agent": meta["name"]},
            "ownerReferences": [{"kind": "Agent", "name": meta["name"], "uid": meta["uid"]}],
        },
        "revision": number,
        "data": {"spec": spec},
    }
