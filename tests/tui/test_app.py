"""The dashboard on a cluster in memory, driven by keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from kagent_api.kube import Forbidden, KubeconfigError, NotFound, Unauthorized, Unreachable
from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened, Options
from kagent_tui.editing.drafts import DraftStore
from kagent_tui.screens.ask import AskScreen, NameScreen
from kagent_tui.screens.browse import BrowseScreen
from kagent_tui.screens.detail import DetailScreen
from kagent_tui.screens.editor import EditorScreen
from kagent_tui.screens.help import HelpScreen
from kagent_tui.screens.pick import PickScreen
from kagent_tui.screens.reader import ReaderScreen
from kagent_tui.screens.review import ReviewScreen
from kagent_tui.widgets.form_pane import FormPane
from kagent_tui.widgets.notice import Notice
from kagent_tui.widgets.yaml_area import YamlArea

if TYPE_CHECKING:
    from .conftest import MemoryKube, Samples

Until = Callable[[Pilot[int], Callable[[], bool]], Awaitable[None]]
TextOf = Callable[[KagentApp], str]
SIZE = (140, 40)


def browse(app: KagentApp) -> BrowseScreen:
    screen = app.screen_stack[0]
    assert isinstance(screen, BrowseScreen)
    return screen


def names(app: KagentApp) -> list[str]:
    return [row.ref.name for row in browse(app).table.listing]


def to_the_end(app: KagentApp) -> None:
    assert isinstance(app.screen, EditorScreen)
    app.screen.area.move_cursor(app.screen.area.document.end)


def said(app: KagentApp) -> str:
    return str(app.screen.query_one(Notice).content)


async def test_it_opens_on_the_agents_with_the_focus_in_the_table(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        assert names(app) == ["coordinator", "k8s-agent", "lost", "time", "客服助手"]
        assert app.focused is browse(app).table
        assert browse(app).workspace.link.status == "live"


async def test_a_change_in_the_cluster_appears_without_a_key(
    app: KagentApp, kube: MemoryKube, samples: type[Samples], until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        kube.put({**kube.peek("Agent", "kagent", "time"), "status": samples.agent("time", ready="False")["status"]})
        kube.put(samples.agent("newcomer"))
        kube.drop("Agent", "kagent", "lost")
        await until(pilot, lambda: "newcomer" in names(app))
        assert "lost" not in names(app)
        await until(pilot, lambda: "time" in text_of(app))
        line = next(line for line in text_of(app).splitlines() if line.startswith(" time"))
        assert "✖ 0/1 not ready" in line


async def test_an_agent_follows_its_server_and_its_model(
    app: KagentApp, kube: MemoryKube, samples: type[Samples], until: Until
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)

        def tools() -> str:
            return next(row for row in browse(app).table.listing if row.ref.name == "k8s-agent").cells[3].text

        assert tools() == "2/2"
        kube.put(samples.remote("k8s", "get_pods"))
        await until(pilot, lambda: tools() == "1/2")


async def test_the_cursor_stays_on_its_object_while_rows_move(
    app: KagentApp, kube: MemoryKube, samples: type[Samples], until: Until
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("j", "j", "j")
        assert browse(app).selected == ("Agent", "kagent", "time")
        kube.put(samples.agent("aaa"))
        await until(pilot, lambda: "aaa" in names(app))
        assert browse(app).selected == ("Agent", "kagent", "time")
        kube.drop("Agent", "kagent", "time")
        await until(pilot, lambda: "time" not in names(app))
        assert browse(app).selected == ("Agent", "kagent", "客服助手")


async def test_filter_narrows_as_one_types_and_esc_clears_it(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("slash", *"k8s")
        await until(pilot, lambda: names(app) == ["k8s-agent"])
        await pilot.press("enter", "escape")
        await until(pilot, lambda: len(names(app)) == 5)


async def test_a_broken_filter_says_why_and_keeps_the_rows(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("slash", "(", "enter")
        await until(pilot, lambda: "regular expression" in said(app))
        assert len(names(app)) == 5


async def test_commands_go_to_views_and_complete(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("colon", *"mod", "tab")
        assert browse(app).prompt.query_one(Input).value == "models"
        await pilot.press("enter")
        await until(pilot, lambda: names(app) == ["default-model-config", "qwen"])
        await pilot.press("right")
        assert names(app) == ["broken", "clock", "k8s"]
        await pilot.press("colon", *"nonsense", "enter")
        await until(pilot, lambda: "no command" in said(app))


async def test_sorting_by_a_column_and_turning_round(app: KagentApp, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("s")
        assert isinstance(app.screen, PickScreen)
        await pilot.press(*"ready", "enter")
        await until(pilot, lambda: names(app)[0] == "coordinator")
        await pilot.press("colon", *"sort name", "enter")
        await pilot.press("colon", *"sort name", "enter")
        await until(pilot, lambda: names(app)[0] == "客服助手")


async def test_enter_opens_the_detail_and_a_reference_leads_on(app: KagentApp, until: Until, text_of: TextOf) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        await until(pilot, lambda: "DeploymentNotReady x3" in text_of(app))
        await pilot.press("j", "enter")
        await until(pilot, lambda: "ModelConfig kagent/default-model-config" in text_of(app))
        await pilot.press("escape", "escape")
        assert app.screen is browse(app)


async def test_yaml_and_help_and_the_palette_open_and_close(app: KagentApp, until: Until, text_of: TextOf) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, ReaderScreen))
        await until(pilot, lambda: "apiVersion: kagent.dev/v1alpha2" in text_of(app))
        await pilot.press("escape", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("q", "ctrl+p", *"models")
        await until(pilot, lambda: "the table of models" in text_of(app))
        await pilot.press("escape")


async def test_edit_review_apply_and_the_rollout_is_followed(
    app: KagentApp, kube: MemoryKube, samples: type[Samples], until: Until, text_of: TextOf, drafts: DraftStore
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("j", "j", "j", "e", "f3")
        await until(pilot, lambda: isinstance(app.focused, YamlArea))
        editor = app.screen
        assert isinstance(editor, EditorScreen)
        editor.area.load(editor.text.replace("You help.", "You tell the time."))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))
        assert ["+", "You", "tell", "the", "time."] in [line.split() for line in text_of(app).splitlines()]
        await pilot.press("a")
        await until(pilot, lambda: app.screen is browse(app))
        assert kube.peek("Agent", "kagent", "time")["spec"]["declarative"]["systemMessage"] == "You tell the time.\n"
        await until(pilot, lambda: "generation 2 written" in said(app))
        changed = kube.peek("Agent", "kagent", "time")
        done = [samples.condition(kind, "True", "Done", generation=2) for kind in ("Accepted", "Ready")]
        kube.put({**changed, "status": {"conditions": done}})
        await until(pilot, lambda: "Agent kagent/time: ready" in said(app))
        assert editor.ref is not None
        assert drafts.load("test", editor.ref) is None


async def test_a_parse_error_is_shown_at_its_line_and_nothing_is_lost(
    app: KagentApp, until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("e", "f3")
        await until(pilot, lambda: isinstance(app.focused, YamlArea))
        to_the_end(app)
        await pilot.press(*"x: [", "ctrl+s")
        await until(pilot, lambda: "✖ line" in text_of(app))
        assert isinstance(app.screen, EditorScreen)
        assert app.screen.text.endswith("x: [")


async def test_leaving_with_unsaved_work_asks_and_the_draft_is_offered_again(
    app: KagentApp, kube: MemoryKube, drafts: DraftStore, until: Until
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("e", "f3")
        await until(pilot, lambda: isinstance(app.focused, YamlArea))
        to_the_end(app)
        await pilot.press(*"# precious", "escape")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("k")
        await until(pilot, lambda: app.screen is browse(app))
    again = KagentApp(opener=lambda options: Opened(kube, ()), drafts=drafts)
    async with again.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(again)) == 5)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(again.screen, AskScreen))
        await pilot.press("u")
        await until(pilot, lambda: isinstance(again.screen, EditorScreen))
        assert isinstance(again.screen, EditorScreen)
        assert again.screen.text.endswith("# precious")


async def test_quitting_from_the_editor_keeps_what_was_typed(
    app: KagentApp, drafts: DraftStore, until: Until, tmp_path: Path
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("e", "f3")
        await until(pilot, lambda: isinstance(app.focused, YamlArea))
        to_the_end(app)
        await pilot.press(*"# kept", "ctrl+q")
    assert any("# kept" in file.read_text() for file in (tmp_path / "drafts").iterdir())


async def test_delete_needs_the_name_and_says_what_would_break(
    app: KagentApp, kube: MemoryKube, until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("j", "j", "j", "D")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        await until(pilot, lambda: "Agent kagent/coordinator" in text_of(app))
        await pilot.press(*"tim", "enter")
        await pilot.pause()
        assert isinstance(app.screen, NameScreen)
        assert not [call for call in kube.calls if call.startswith("delete")]
        await pilot.press("e", "enter")
        await until(pilot, lambda: "time" not in names(app))


async def test_read_only_takes_the_writing_keys_away(kube: MemoryKube, drafts: DraftStore, until: Until) -> None:
    app = KagentApp(readonly=True, opener=lambda options: Opened(kube, ()), drafts=drafts)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        shown = {active.binding.id for active in app.screen.active_bindings.values()}
        assert shown.isdisjoint({"browse.edit", "browse.editor", "browse.delete", "browse.new"})
        await pilot.press("e", "E", "D", "N")
        assert app.screen is browse(app)
        await pilot.press("colon", *"edit", "enter")
        await until(pilot, lambda: "writing is switched off" in said(app))
        await pilot.press("f2")
        assert "browse.edit" in {active.binding.id for active in app.screen.active_bindings.values()}


async def test_a_lost_connection_dims_the_table_and_keeps_its_rows(
    app: KagentApp, kube: MemoryKube, until: Until, text_of: TextOf
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        kube.lose(Unreachable("connection refused"))
        await until(pilot, lambda: "✖ lost" in text_of(app))
        assert browse(app).table.stale
        assert len(names(app)) == 5
        kube.recover()
        await until(pilot, lambda: "● live" in text_of(app))
        assert not browse(app).table.stale


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotFound("no such kind", status=404), ["no kagent CRDs", "kagent-operator crds"]),
        (Forbidden("User x cannot list", status=403), ["you may not list agents.kagent.dev", ":ns NAME"]),
        (Unauthorized("token expired", status=401), ["credentials", "log in"]),
        (
            Unreachable("connection refused"),
            ["no answer from the cluster at https://memory.invalid", "kagent-tui demo"],
        ),
    ],
)
async def test_a_cluster_that_cannot_be_read_is_explained(
    app: KagentApp, kube: MemoryKube, until: Until, text_of: TextOf, error: NotFound, words: list[str]
) -> None:
    kube.lose(error)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "→" in text_of(app))
        shown = " ".join(text_of(app).split())
        for word in words:
            assert word in shown


async def test_a_broken_kubeconfig_is_explained_with_its_file(
    drafts: DraftStore, until: Until, text_of: TextOf
) -> None:
    def broken(options: Options) -> Opened:
        raise KubeconfigError(
            "/tmp/config: clusters[x].server: '' is no http(s) address", remedy="expected https://HOST"
        )

    app = KagentApp(opener=broken, drafts=drafts)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "No cluster" in text_of(app))
        shown = " ".join(text_of(app).split())
        assert "/tmp/config: clusters[x].server" in shown
        assert "expected https://HOST" in shown
        assert "kagent-tui local up" in shown


async def test_all_namespaces_forbidden_falls_back_to_kagents_own(
    kube: MemoryKube, drafts: DraftStore, until: Until
) -> None:
    kube.fail["list agents"] = Forbidden("cannot list at the cluster scope", status=403)

    def opener(options: Options) -> Opened:
        if options.namespaces:
            kube.recover()
        return Opened(kube, options.namespaces, () if options.namespaces else ("kagent",))

    for plural in ("agents", "modelconfigs", "remotemcpservers", "mcpservers"):
        kube.fail[f"list {plural}"] = kube.fail["list agents"]
    app = KagentApp(opener=opener, drafts=drafts)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        assert app.workspace.namespaces == ("kagent",)


async def test_namespaces_can_be_chosen(app: KagentApp, kube: MemoryKube, samples: type[Samples], until: Until) -> None:
    kube.put(samples.agent("elsewhere", namespace="team-a"))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 6)
        await pilot.press("colon", *"ns team-a", "enter")
        await until(pilot, lambda: names(app) == ["elsewhere"])
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"all", "enter")
        await until(pilot, lambda: len(names(app)) == 6)


async def test_why_names_the_cause_at_the_end_of_the_chain(
    app: KagentApp, kube: MemoryKube, samples: type[Samples], until: Until, text_of: TextOf
) -> None:
    broken = samples.agent("boss", ready="False", tools=[samples.tool_of("broken", "RemoteMCPServer", "x")])
    kube.put(broken)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "boss" in names(app))
        await pilot.press("g", "x")
        await until(pilot, lambda: "What is wrong" in text_of(app))
        first = text_of(app).split("What it needs")[0]
        assert "✖ RemoteMCPServer kagent/broken  Accepted False: ReconcileFailed" in first
        assert "connection refused at http://broken.kagent:8000/mcp" in first


async def test_a_new_object_begins_with_a_template(app: KagentApp, kube: MemoryKube, until: Until) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(names(app)) == 5)
        await pilot.press("colon", *"new model", "enter")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        await until(pilot, lambda: isinstance(app.focused, FormPane))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))
        await pilot.press("a")
        await until(pilot, lambda: app.screen is browse(app))
        assert kube.peek("ModelConfig", "kagent", "my-model")["spec"]["provider"] == "OpenAI"
