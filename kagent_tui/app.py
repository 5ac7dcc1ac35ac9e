"""The dashboard: which screen is shown, on which cluster. It connects after the first paint and knows no kind by name.

Whatever a person does is a command of the registry; screens ask by message, the application opens screens and
connections.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on, work
from textual.app import SystemCommand
from textual.screen import Screen

from kagent_api.errors import InvalidSpec, KagentError
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.contexts import Opened, Options, contexts, is_production, open_client
from kagent_tui.cluster.kinds import JsonObject, view_of
from kagent_tui.cluster.memory import ViewMemory
from kagent_tui.cluster.snapshot import SnapshotStore
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.commands.arguments import known_namespaces
from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.commands.registry import Command, Scope
from kagent_tui.config import Config, Problem, load
from kagent_tui.config.fields import THEMES
from kagent_tui.config.keymap import resolve
from kagent_tui.editing.drafts import DraftStore
from kagent_tui.editing.state import log_file, state_home, write_log_to_file
from kagent_tui.render.fleet import CONTEXT
from kagent_tui.render.text import Tone
from kagent_tui.screens.base import BaseScreen, Host, Unsaved
from kagent_tui.screens.browse import BrowseScreen
from kagent_tui.screens.edits import EditActions
from kagent_tui.screens.help import HelpScreen
from kagent_tui.screens.jump import Jumpable, JumpScreen
from kagent_tui.screens.objects import ObjectActions
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.screens.pulse import PulseScreen
from kagent_tui.screens.reader import ReaderScreen
from kagent_tui.screens.which_key import WhichKeyScreen
from kagent_tui.terminal import standard_error_on_the_terminal
from kagent_tui.widgets.bindings import UNBOUND, bindings, shown_key
from kagent_tui.widgets.prompt import Prompt
from kagent_tui.widgets.themes import CONTRAST, NAMES, AsciiFilter

if TYPE_CHECKING:
    from kagent_tui.screens.chats import Chats

if TYPE_CHECKING:
    # Importing it for real would import every widget that Textual has.
    from textual.types import CSSPathType

__all__ = ["KagentApp", "run_dashboard"]

_log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
INBOX_DELAY_SECONDS = 1.0
# The end of the program keeps one as well; these are for programs that are killed.
SNAPSHOT_FIRST_SECONDS = 20.0
SNAPSHOT_SECONDS = 600.0
MOST_PANES = 4
_WIDGETS = ("tones", "table", "text_pane", "status_bar", "key_bar", "notice", "prompt", "view_tabs")


class KagentApp(Host):
    """The whole terminal program."""

    TITLE = "kagent-tui"
    CSS_PATH: ClassVar[CSSPathType | None] = [
        *(_HERE / "widgets" / f"{name}.tcss" for name in _WIDGETS),
        # Textual does not load the styles of a default screen by itself.
        _HERE / "screens" / "browse.tcss",
    ]
    BINDINGS = bindings("app")
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self, *, kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None,
        all_namespaces: bool = False, readonly: bool = False, banner: str = "",
        opener: Callable[[Options], Opened] = open_client, drafts: DraftStore | None = None,
        clock: Callable[[], float] = time.time, config: Config | None = None, problems: Sequence[Problem] = (),
        snapshots: SnapshotStore | None = None, memory: ViewMemory | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = config or Config()
        self.clipboard_limit = self.config.clipboard_limit
        self._problems = problems
        self._settle_in()
        namespaces = tuple(one.strip() for one in (namespace or "").split(",") if one.strip())
        options = Options(kubeconfig, context, namespaces, all_namespaces, readonly)
        self.workspace = Workspace(options, banner=banner, clock=clock)
        self.workspace.colours = lambda name: self.config.context(name).colour
        self.workspace.guards = lambda name: is_production(name, self.config.production)
        self._opener = opener
        self._fallback: tuple[str, ...] = ()
        # Production contexts in which the person has switched writing on.
        self._unlocked: set[str] = set()
        self._snapshots = snapshots
        self._browse = BrowseScreen(self.workspace, memory)
        self._chats: Chats | None = None
        self._objects = ObjectActions(self, self.workspace, self._browse.tell)
        self._edits = EditActions(self, self.workspace, drafts or DraftStore(), self._browse.tell)

    def _settle_in(self) -> None:
        """Take keys, words, colours and signs from the configuration."""
        keys = resolve(self.config.keys, self.config.keymap)
        COMMANDS.rebind(keys)
        COMMANDS.alias(self.config.aliases)
        self.set_keymap({command_id: ",".join(each) or UNBOUND for command_id, each in keys.items()})
        self.register_theme(CONTRAST)
        theme = NAMES.get(self.config.theme, self.config.theme)
        if theme in self.available_themes:
            self.theme = theme
        else:
            problem = Problem("theme", f"there is no theme {theme!r}", f"there are: {', '.join(THEMES)}")
            self._problems = [*self._problems, problem]
        utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
        if self.config.ascii == "on" or (self.config.ascii == "auto" and not utf8):
            self._filters.append(AsciiFilter(strict=not utf8))

    def copy_to_clipboard(self, text: str) -> None:
        """Send text to the terminal's clipboard (OSC 52) unless it is longer than terminals take; that is told."""
        told, tone = self.put_on_clipboard(text)
        if tone is not Tone.OK:
            self._say(told, tone)

    def get_default_screen(self) -> Screen[Any]:
        return self._browse

    def on_mount(self) -> None:
        # Only after the first paint: reading a kubeconfig and importing the client takes longer than painting.
        self.call_after_refresh(self.connect)
        if self._problems:
            rest = f" and {len(self._problems) - 1} more" if len(self._problems) > 1 else ""
            told = f"configuration: {self._problems[0]}{rest}; kagent-tui config validate"
            self.call_after_refresh(self._say, told, Tone.WARN)
        self._restore_terminal_on_signals()

    def _restore_terminal_on_signals(self) -> None:
        """Leave through the front door on SIGTERM and SIGHUP, or the terminal stays in full-screen mode."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            try:
                loop.add_signal_handler(number, self.exit, 128 + number)
            except (NotImplementedError, RuntimeError, ValueError):
                # Not the main thread (textual-serve, tests), or a platform without signals.
                return

    @work(exclusive=True, group="cluster")
    async def connect(self) -> None:
        """Open the cluster that the options name, and show it until another one is opened."""
        options = self.workspace.options
        self.workspace.failure = None
        self.workspace.changed()
        try:
            opened = await asyncio.to_thread(self._opener, options)
        except KagentError as error:
            self.workspace.failure = error
            self.workspace.changed()
            return
        self._fallback = opened.fallback
        context = opened.client.access.context
        readonly = options.readonly or (self.guarded(context) and context not in self._unlocked)
        namespaces = opened.namespaces
        if not options.namespaces and not options.all_namespaces:
            namespaces = self.config.context(context).namespaces or namespaces
        cluster = Cluster(opened.client, namespaces=namespaces, readonly=readonly, on_link=self._link_changed)
        if self._snapshots is not None:
            snapshot = await asyncio.to_thread(self._snapshots.read, cluster.scope)
            if snapshot is not None:
                cluster.preload(snapshot)
        async with cluster.running():
            self.workspace.cluster = cluster
            self._browse.attach(cluster)
            self.workspace.changed()
            self._edits.tell_drafts(cluster)
            inbox = asyncio.create_task(self._watch_inbox(cluster))
            try:
                await self._keep_snapshots(cluster)
            finally:
                inbox.cancel()
                self._write_snapshot(cluster.scope, cluster.snapshot)
                self.workspace.waiting = None
                self.workspace.cluster = None
                self._browse.detach()

    async def _keep_snapshots(self, cluster: Cluster) -> None:
        """Keep what is seen for the next start, now and then, until cancelled."""
        await asyncio.sleep(SNAPSHOT_FIRST_SECONDS)
        while True:
            await asyncio.to_thread(self._write_snapshot, cluster.scope, cluster.snapshot)
            await asyncio.sleep(SNAPSHOT_SECONDS)

    def _write_snapshot(self, scope: str, objects: list[tuple[str, JsonObject]] | None) -> None:
        if self._snapshots is not None and objects is not None:
            try:
                self._snapshots.write(scope, objects)
            except OSError as error:
                # The next start is slower, that is all.
                _log.warning("no snapshot kept: %s", error)

    def guarded(self, context: str) -> bool:
        """Tell whether a context opens read-only: as configured for it, else where its name says production."""
        own = self.config.context(context).readonly
        return own if own is not None else is_production(context, self.config.production)

    async def _watch_inbox(self, cluster: Cluster) -> None:
        # The first screen comes first.
        await asyncio.sleep(INBOX_DELAY_SECONDS)
        await self._talks().watch(cluster)

    def _talks(self) -> Chats:
        # Imported when it is needed: the first frame does not pay for it.
        from kagent_tui.screens.chats import Chats

        if self._chats is None:
            self._chats = Chats(self, self.workspace, self._say)
        return self._chats

    def _link_changed(self) -> None:
        self.workspace.changed()
        link = self.workspace.link
        if self._fallback and link.status == "refused" and _forbidden(link.error):
            names, self._fallback = self._fallback, ()
            self._browse.say(f"you may not list all namespaces; showing {', '.join(names)} (:ns NAME)", Tone.WARN)
            self.open(self.workspace.options.with_namespaces(names))

    def open(self, options: Options) -> None:
        """Show another context or other namespaces; screens about the old ones are closed."""
        self.workspace.options = options
        self._close_screens()
        self.connect()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (action == "command" and not isinstance(self.screen, BaseScreen))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Fill the palette from the registry: what applies on this screen, then what applies everywhere."""
        scopes = {binding.id.split(".")[0] for _, binding, _, _ in screen.active_bindings.values() if binding.id}
        for command in COMMANDS:
            if command.scope in scopes | {"app"} and command.scope != "move" and command.help:
                keys = " ".join(command.keys)
                title = f"{command.title}: {command.help}"
                yield SystemCommand(title, keys or command.usage, partial(self._run, command, ""))

    @on(Prompt.Submitted)
    async def _line_entered(self, event: Prompt.Submitted) -> None:
        if event.mode == "command":
            await self.run_line(event.value)

    async def run_line(self, text: str) -> None:
        """Run what was typed after ``:``."""
        try:
            parsed = COMMANDS.parse(text)
        except InvalidSpec as error:
            self._say(str(error), Tone.WARN)
            return
        if parsed is not None:
            await self._run(parsed.command, parsed.argument)

    async def _run(self, command: Command, argument: str) -> None:
        if command.needs_write and self.workspace.readonly:
            self._say(f"{command.title}: writing is switched off here (F2 switches it on)", Tone.WARN)
            return
        parameters = (argument,) if argument and command.argument else ()
        namespace = self.screen if command.scope != "app" else self
        if command.scope == "browse":
            self._close_screens()
            namespace = self._browse
        if not await self.run_action(("", command.action, parameters), namespace):
            self._say(f"{command.title} does nothing here: {command.help}", Tone.WARN)

    def _keep_unsaved(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, Unsaved):
                screen.keep()

    def _close_screens(self) -> None:
        self._keep_unsaved()
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def _say(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        screen = self.screen
        (screen if isinstance(screen, BaseScreen) else self._browse).say(text, tone)

    def action_command(self) -> None:
        screen = self.screen
        if isinstance(screen, BaseScreen):
            screen.prompt.open("command")

    def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            screen = self.screen
            found = [binding.id.split(".")[0] for _, binding, _, _ in screen.active_bindings.values() if binding.id]
            scopes: list[Scope] = [cast("Scope", scope) for scope in dict.fromkeys(found)]
            scopes.sort(key=lambda scope: scope == "move")
            place = screen.trail if isinstance(screen, BaseScreen) else ""
            self.push_screen(HelpScreen(self.workspace, here=tuple(scopes), place=place))

    def action_agents(self, filter_text: str | None = None) -> None:
        self._show("agents", filter_text)

    def action_models(self, filter_text: str | None = None) -> None:
        self._show("models", filter_text)

    def action_mcp(self, filter_text: str | None = None) -> None:
        self._show("mcp", filter_text)

    def action_providers(self, filter_text: str | None = None) -> None:
        self._show("providers", filter_text)

    def action_prompts(self, filter_text: str | None = None) -> None:
        self._show("prompts", filter_text)

    def action_sessions(self, filter_text: str = "") -> None:
        if self.workspace.cluster is None:
            self._say("there is no cluster whose sessions could be listed", Tone.WARN)
            return
        self._walk(self._talks().sessions(self.workspace.cluster, filter_text=filter_text.removeprefix("/")))

    def action_approvals(self) -> None:
        if self.workspace.cluster is None:
            self._say("there is no cluster where something could wait", Tone.WARN)
            return
        self._walk(self._talks().approvals(self.workspace.cluster))

    def action_chats(self) -> None:
        if self.workspace.cluster is None:
            self._say("there is no cluster to chat on", Tone.WARN)
            return
        self._walk(self._talks().reopen(self.workspace.cluster))

    def action_user(self, name: str = "") -> None:
        if not name:
            self._say(f"you are {self._talks().user}; :user NAME changes it")
            return
        self._walk(self._talks().set_user(self.workspace.cluster, name))

    def action_audit(self) -> None:
        from kagent_tui.screens.audit import audit_screen

        self.push_screen(audit_screen(self.workspace))

    def _show(self, view: str, filter_text: str | None) -> None:
        self._close_screens()
        self._browse.show_view(view, filter_text.removeprefix("/") if filter_text else filter_text)

    def action_ns(self, names: str = "") -> None:
        if names:
            chosen = () if names == "all" else tuple(one for one in names.replace(",", " ").split() if one)
            self.open(self.workspace.options.with_namespaces(chosen))
        else:
            self.keyboard.hold()
            self._pick_namespaces()

    @work(exclusive=True, group="pick")
    async def _pick_namespaces(self) -> None:
        names = known_namespaces(self.workspace)
        items = [Item("all", "all namespaces"), *(Item(name, name) for name in names)]
        marked = self.workspace.namespaces
        screen = PickScreen(
            "Namespaces", items, several=True, marked=marked, current=next(iter(marked), "all"), free=True
        )
        chosen = await self.push_screen_wait(screen)
        if chosen:
            self.action_ns("all" if "all" in chosen else ",".join(chosen))

    def action_ctx(self, name: str = "") -> None:
        if not name:
            self.keyboard.hold()
            self._pick_context()
        elif name in self.workspace.context_names():
            self.open(self.workspace.options.with_context(name))
        else:
            known = ", ".join(self.workspace.context_names()) or "none"
            self._say(f"no context {name!r}; there are: {known}", Tone.WARN)

    @work(exclusive=True, group="pick")
    async def _pick_context(self) -> None:
        try:
            found = await asyncio.to_thread(contexts, self.workspace.options)
        except KagentError as error:
            self._say(str(error), Tone.BAD)
            self.keyboard.go_on()
            return
        items = [Item(one.name, one.name, f"{one.cluster} as {one.user}, {one.namespace}") for one in found]
        chosen = await self.push_screen_wait(PickScreen("Contexts", items, current=self.workspace.context))
        if chosen:
            self.open(self.workspace.options.with_context(chosen[0]))

    def action_fleet(self, names: str = "") -> None:
        known = self.workspace.context_names()
        wanted = [one for one in names.replace(",", " ").split() if one] or known
        unknown = [one for one in wanted if one not in known]
        if unknown:
            self._say(f"no context {unknown[0]!r}; there are: {', '.join(known) or 'none'}", Tone.WARN)
            return
        from kagent_tui.screens.fleet import FleetScreen

        self._close_screens()
        self.push_screen(FleetScreen(self.workspace, wanted, self._opener))

    def action_readonly(self, wanted: str = "") -> None:
        on = {"on": True, "off": False}.get(wanted, not self.workspace.readonly)
        self.workspace.options = replace(self.workspace.options, readonly=on)
        if self.workspace.cluster is not None:
            self.workspace.cluster.readonly = on
            (self._unlocked.discard if on else self._unlocked.add)(self.workspace.context)
        self.workspace.changed()
        self._say("read-only: nothing can be changed" if on else "writing is possible again")

    def action_resync(self) -> None:
        self._say("reading everything again", Tone.DIM)
        self.connect()

    def action_theme(self, name: str = "") -> None:
        name = NAMES.get(name, name)
        if not name:
            self.search_themes()
        elif name in self.available_themes:
            self.theme = name
        else:
            self._say(f"no theme {name!r}; there are: {', '.join(sorted(self.available_themes))}", Tone.WARN)

    def action_dump(self, file: str = "") -> None:
        target = Path(file).expanduser() if file else state_home() / "screens" / f"{int(time.time())}.svg"
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_text(self.export_screenshot(), encoding="utf-8")
        except OSError as error:
            self._say(f"{target}: {error.strerror or error}", Tone.BAD)
        else:
            self._say(f"saved as {target}", Tone.OK)

    def action_which_key(self) -> None:
        keys: dict[str, tuple[tuple[bool, int], str, str]] = {}
        for key, (_, binding, enabled, _) in self.screen.active_bindings.items():
            if (
                enabled
                and binding.id
                and binding.id in COMMANDS
                and binding.id != "app.which-key"
                and COMMANDS[binding.id].help
            ):
                command = COMMANDS[binding.id]
                order = (command.scope == "app", command.footer or 99)
                before = keys.get(binding.id)
                shown = f"{before[1]} {shown_key(key)}" if before else shown_key(key)
                keys[binding.id] = (order, shown, command.title)

        def pressed(key: str | None) -> None:
            if key:
                self.simulate_key(key)

        self.push_screen(WhichKeyScreen([(key, title) for _, key, title in sorted(keys.values())]), pressed)

    def action_jump(self) -> None:
        target = self.screen.focused
        if isinstance(target, Jumpable):
            self.push_screen(JumpScreen(target))

    def action_pulse(self) -> None:
        if self.workspace.cluster is None:
            self._say("there is no cluster whose pulse could be felt", Tone.WARN)
            return
        self._close_screens()
        self.push_screen(PulseScreen(self.workspace, self.workspace.cluster, self._browse.board))

    def action_favourite(self, number: int) -> None:
        own = self.config.context(self.workspace.context).favourites or self.config.favourites
        names = list(own) or known_namespaces(self.workspace)
        if number == 0:
            self.action_ns("all")
        elif number <= len(names):
            self.action_ns(names[number - 1])
        else:
            told = ", ".join(f"{place} {name}" for place, name in enumerate(names[:9], 1))
            self._say(f"no favourite {number}; there are: {told or 'none'} (favourites in the configuration)")

    def action_interrupt(self) -> None:
        self._say("q leaves kagent-tui (^q from everywhere)")

    def action_leave(self) -> None:
        self._keep_unsaved()
        self._browse.remember()
        self.exit(0)

    @on(BrowseScreen.Requested)
    def _requested(self, event: BrowseScreen.Requested) -> None:
        cluster = self.workspace.cluster
        if cluster is None:
            return
        actions, edits = self._objects, self._edits
        match event.action:
            case "edit":
                road = edits.edit(cluster, event.ref)
            case "editor":
                road = edits.edit(cluster, event.ref, external=True)
            case "clone":
                road = edits.clone(cluster, event.ref)
            case "revisions":
                road = edits.revisions(cluster, event.ref)
            case "undo":
                road = edits.undo(cluster)
            case "drafts":
                road = edits.drafts(cluster)
            case "secrets":
                road = edits.secrets(cluster, event.ref.name)
            case "wizard":
                road = edits.wizard(cluster)
            case "yaml":
                road = actions.yaml(cluster, event.ref)
            case "delete":
                road = in_turn(edits.delete(cluster, ref) for ref in self._browse.marked or [event.ref])
            case "copy":
                road = actions.copy(cluster, self._browse.marked or [event.ref])
            case "why":
                road = actions.why(cluster, event.ref)
            case "xray":
                road = actions.xray(cluster, event.ref)
            case "used_by":
                road = actions.xray(cluster, event.ref, users_only=True)
            case "pods":
                road = actions.pods(cluster, event.ref)
            case "logs":
                road = actions.logs(cluster, event.ref)
            case "new":
                road = edits.new(cluster, event.ref.name)
            case "chat" if len(self._browse.marked) > 1:
                refs = self._browse.marked[:MOST_PANES]
                road = in_turn(self._talks().talk(cluster, ref, beside=bool(n)) for n, ref in enumerate(refs))
            case "chat":
                road = self._talks().talk(cluster, event.ref)
            case "chat_beside":
                road = self._talks().talk(cluster, event.ref, beside=True)
            case "sessions":
                road = self._talks().sessions(cluster, only=event.ref)
            case _:
                road = actions.open(cluster, event.ref)
        self._walk(road)

    def _walk(self, road: Coroutine[Any, Any, None]) -> None:
        self.keyboard.hold()
        self.run_worker(self._guard(road), group="object", exclusive=True)

    async def _guard(self, road: Coroutine[Any, Any, None]) -> None:
        """The outer edge of what a key sets off: a fault is told and written down, and the dashboard goes on."""
        try:
            await road
        except KagentError as error:
            self._say(str(error), Tone.BAD)
        except Exception as error:
            _log.exception("an action failed")
            self._say(f"this failed inside kagent-tui: {error}; details are in {log_file()}", Tone.BAD)
        finally:
            # In turn behind the focus that the last step asked for.
            self.call_later(self.keyboard.go_on)

    @on(ReaderScreen.Followed)
    def _followed(self, event: ReaderScreen.Followed) -> None:
        cluster = self.workspace.cluster
        if event.ref.kind == CONTEXT:
            self.open(self.workspace.options.with_context(event.ref.name))
        elif cluster is not None:
            shows = self._objects.open if view_of(event.ref.kind) is not None else self._objects.yaml
            self._walk(shows(cluster, event.ref))


async def in_turn(roads: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Go one road after the other."""
    for road in roads:
        await road


def _forbidden(error: KagentError | None) -> bool:
    from kagent_api.kube import Forbidden

    return isinstance(error, Forbidden)


def run_dashboard(
    *, kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None,
    all_namespaces: bool = False, readonly: bool = False, banner: str = "", mouse: bool = False,
) -> int:  # fmt: skip
    """Run the dashboard until it is left; return the exit code. Mouse reporting stays off unless asked for."""
    config, problems = load()
    app = KagentApp(
        kubeconfig=kubeconfig, context=context, namespace=namespace, all_namespaces=all_namespaces,
        readonly=readonly or config.readonly, banner=banner, config=config, problems=problems,
        snapshots=SnapshotStore(state_home() / "snapshots") if config.snapshots else None,
        memory=ViewMemory(state_home() / "views.json"),
    )  # fmt: skip
    write_log_to_file()
    with standard_error_on_the_terminal():
        result = app.run(mouse=mouse or config.mouse)
    return result if result is not None else app.return_code or 0
