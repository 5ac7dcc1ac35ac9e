"""The sessions of all agents, or of one: resume, rename, delete, save. Absent with a word where no gateway answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import work

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.chat.cache import SessionKey, TranscriptCache, timed_history
from kagent_tui.chat.events import ChatEvent
from kagent_tui.chat.export import session_json, session_markdown
from kagent_tui.chat.gateway import Gateway, SessionInfo
from kagent_tui.chat.searching import search
from kagent_tui.chat.storing import Timed
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.state import state_home
from kagent_tui.render.talks import SESSION_COLUMNS, session_row
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, span
from kagent_tui.screens.ask import Answer, AskScreen
from kagent_tui.screens.entry import EntryScreen
from kagent_tui.screens.replay import ReplayScreen
from kagent_tui.screens.rows import RowsScreen
from kagent_tui.widgets.bindings import bindings

__all__ = ["SessionsScreen"]

_USED = 3


class SessionsScreen(RowsScreen):
    """One row a session; ``only`` keeps those of one agent."""

    BINDINGS = bindings("sessions")
    NEEDS_ROW: ClassVar[frozenset[str]] = frozenset(
        {"open", "rename", "delete", "export", "export_json", "replay", "share"}
    )

    def __init__(
        self, workspace: Workspace, find_gateway: Callable[[], Awaitable[Gateway]],
        agent_of: Callable[[str], ObjectRef | None], waits: Callable[[str], bool],
        resume: Callable[[ObjectRef, str], None], read: Callable[[ObjectRef, str], Awaitable[Sequence[ChatEvent]]], *,
        only: ObjectRef | None = None, filter_text: str = "", cache: TranscriptCache | None = None, context: str = "",
    ) -> None:  # fmt: skip
        trail = f"{only.name} › sessions" if only is not None else "sessions"
        super().__init__(workspace, trail=trail, columns=SESSION_COLUMNS, sort=_USED, filter_text=filter_text)
        self._find_gateway = find_gateway
        self._agent_of = agent_of
        self._waits = waits
        self._resume = resume
        self._read = read
        self._only = only
        self._cache = cache
        self._where = context
        self._found: set[str] | None = None
        self._sessions: dict[str, SessionInfo] = {}

    def on_mount(self) -> None:
        self.show_rows([], [line(Span("asking the gateway", Tone.DIM))])
        self.action_reload()

    def on_screen_resume(self) -> None:
        if self._sessions:
            self.action_reload()

    @work(group="load", exclusive=True)
    async def action_reload(self) -> None:
        try:
            found = await (await self._find_gateway()).sessions()
        except KagentError as error:
            self._sessions = {}
            self.show_rows([], _refused(error))
            return
        self._sessions = {
            one.id: one for one in found if self._only is None or self._agent_of(one.agent_id) == self._only
        }
        self._show()

    def _show(self) -> None:
        now = self.workspace.clock()
        rows = [
            session_row(one, self._agent_of(one.agent_id), now, waits=self._waits(one.id))
            for one in self._sessions.values()
            if self._found is None or one.id in self._found
        ]
        if self._found is not None and not rows:
            self.show_rows(rows, [line(Span("These words were said in no session")), line(Span("esc: all", Tone.DIM))])
            return
        self.show_rows(rows, [line(Span("There are no sessions")), line(Span("c on an agent begins one", Tone.DIM))])

    @property
    def _selected(self) -> SessionInfo | None:
        ref = self.table.cursor
        return self._sessions.get(ref.name) if ref is not None else None

    def _agent(self, info: SessionInfo) -> ObjectRef | None:
        agent = self._agent_of(info.agent_id)
        if agent is None:
            self.say(
                f"its agent {info.agent_id} is not in this cluster (any more), or not in these namespaces", Tone.WARN
            )
        return agent

    def action_open(self) -> None:
        info = self._selected
        agent = self._agent(info) if info is not None else None
        if info is not None and agent is not None:
            self._resume(agent, info.id)

    def action_rename(self) -> None:
        if self._selected is not None:
            self.app.keyboard.hold()
            self._rename(self._selected)

    @work(group="change", exclusive=True)
    async def _rename(self, info: SessionInfo) -> None:
        title = await self.app.push_screen_wait(EntryScreen("Another title for this session", info.title))
        if title and title != info.title:
            await self._change(lambda gateway: gateway.rename(info.id, title), "renamed")

    def action_delete(self) -> None:
        if self._selected is not None:
            self.app.keyboard.hold()
            self._delete(self._selected)

    @work(group="change", exclusive=True)
    async def _delete(self, info: SessionInfo) -> None:
        lines = [
            head(f"Delete the session {info.title or info.id}"), BLANK,
            line(Span("All that was said in it is gone; a task that still runs in it is not stopped.")),
        ]  # fmt: skip
        answers = [Answer("n", "no, keep it"), Answer("y", "yes, delete it")]
        if await self.app.push_screen_wait(AskScreen(lines, answers)) == "y":
            await self._change(lambda gateway: self._forget(gateway, info.id), "deleted")

    async def _forget(self, gateway: Gateway, session_id: str) -> None:
        await gateway.delete(session_id)
        if self._cache is not None:
            await self._cache.forget(self._where, gateway.user, session_id)

    async def _change(self, do: Callable[[Gateway], Awaitable[None]], done: str) -> None:
        try:
            await do(await self._find_gateway())
        except KagentError as error:
            self.say(f"not {done}: {error}", Tone.BAD)
            return
        self.say(done, Tone.OK)
        self.action_reload()

    def action_back(self) -> None:
        if self._found is not None:
            self._found = None
            self._show()
            self.say("all sessions")
        else:
            super().action_back()

    def action_find(self) -> None:
        self.app.keyboard.hold()
        self._find()

    @work(group="find", exclusive=True)
    async def _find(self) -> None:
        """Keep the sessions in which some words were said, in titles and texts."""
        text = await self.app.push_screen_wait(EntryScreen("Words that were said, in any order"))
        if not text or self._cache is None:
            return
        sessions = list(self._sessions.values())
        try:
            user = (await self._find_gateway()).user
            self._found = await search(
                self._cache, sessions, text, context=self._where, user=user, agent_of=self._agent_of, read=self._read,
                progress=lambda done, total: self.say(f"reading sessions: {done} of {total}", Tone.DIM),
            )  # fmt: skip
        except KagentError as error:
            self.say(f"not searched: {error}", Tone.BAD)
            return
        self._show()
        count = len(self._found)
        self.say(f"{count} session{'' if count == 1 else 's'} with {text!r}; esc shows all again")

    def action_replay(self) -> None:
        if self._selected is not None:
            self.app.keyboard.hold()
            self._replay(self._selected)

    @work(group="replay", exclusive=True)
    async def _replay(self, info: SessionInfo) -> None:
        """Show a session again as it went: with its times where this machine was there."""
        agent = self._agent(info)
        if agent is None:
            self.app.keyboard.go_on()
            return
        events: Sequence[Timed] = ()
        try:
            if self._cache is not None:
                user = (await self._find_gateway()).user
                key = SessionKey(self._where, user, f"{agent.namespace}/{agent.name}", info.id)
                events = await self._cache.events(key)
            events = events or timed_history(await self._read(agent, info.id))
        except KagentError as error:
            self.app.keyboard.go_on()
            self.say(f"not replayed: {error}", Tone.BAD)
            return
        await self.app.push_screen(ReplayScreen(self.workspace, info.title or info.id, events))

    def action_share(self) -> None:
        if self._selected is not None:
            self.app.keyboard.hold()
            self._share(self._selected)

    @work(group="share", exclusive=True)
    async def _share(self, info: SessionInfo) -> None:
        """Make a share link, or take those there are back."""
        try:
            gateway = await self._find_gateway()
            shares = await gateway.shares(info.id)
            lines = [head(f"Share the session {info.title or info.id}"), BLANK]
            lines.append(line(Span("Whoever has the link reads all of it, and with a writable one goes on with it.")))
            for share in shares:
                lines.append(
                    line(span(f"  {share.token[:12]}… {'read' if share.read_only else 'write'} {share.created}"))
                )
            answers = [Answer("n", "leave it"), Answer("r", "link to read"), Answer("w", "link to write")]
            answers += [Answer("x", "take all links back")] if shares else []
            match await self.app.push_screen_wait(AskScreen(lines, answers)):
                case "r" | "w" as key:
                    made = await gateway.share(info.id, read_only=key == "r")
                    agent = self._agent_of(info.agent_id)
                    where = f"agents/{agent.namespace}/{agent.name}/chat/{info.id}?share=" if agent else ""
                    self.app.put_on_clipboard(f"{where}{made.token}")
                    self.say(
                        "sent to the clipboard: the link's path, for behind your kagent UI's address",
                        Tone.OK,
                        stay=True,
                    )
                case "x":
                    for share in shares:
                        await gateway.unshare(info.id, share.token)
                    self.say("all links of this session are taken back", Tone.OK)
                case _:
                    pass
        except KagentError as error:
            self.app.keyboard.go_on()
            self.say(f"not shared: {error}", Tone.BAD)

    def action_export(self) -> None:
        self._export(session_markdown, "md")

    def action_export_json(self) -> None:
        self._export(session_json, "json")

    @work(group="export", exclusive=True)
    async def _export(self, form: Callable[[SessionInfo, Sequence[ChatEvent]], str], ending: str) -> None:
        info = self._selected
        agent = self._agent(info) if info is not None else None
        if info is None or agent is None:
            return
        target = state_home() / "sessions" / f"{_file_name(info.id)}.{ending}"
        try:
            text = form(info, await self._read(agent, info.id))
            _write(target, text)
        except KagentError as error:
            self.say(f"not saved: {error}", Tone.BAD)
        except OSError as error:
            self.say(f"{target}: {error.strerror or error}", Tone.BAD)
        else:
            self.say(f"saved as {target}", Tone.OK)


def _file_name(session_id: str) -> str:
    """Return a name that no id can leave the directory with."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in session_id)[:80]


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(text, encoding="utf-8", errors="replace")


def _refused(error: KagentError) -> list[Line]:
    lines = [line(Span("No sessions: the gateway cannot be asked", Tone.BAD)), line(span(error.message))]
    return [*lines, BLANK, line(Span("→ ", Tone.HEAD), span(error.remedy))] if error.remedy else lines
