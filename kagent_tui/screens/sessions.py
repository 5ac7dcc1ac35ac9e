"""The sessions of all agents, or of one: resume, rename, delete, save. Absent with a word where no gateway answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import work

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.chat.events import ChatEvent
from kagent_tui.chat.export import session_json, session_markdown
from kagent_tui.chat.gateway import Gateway, SessionInfo
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.state import state_home
from kagent_tui.render.talks import SESSION_COLUMNS, session_row
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, span
from kagent_tui.screens.ask import Answer, AskScreen
from kagent_tui.screens.entry import EntryScreen
from kagent_tui.screens.rows import RowsScreen
from kagent_tui.widgets.bindings import bindings

__all__ = ["SessionsScreen"]

_USED = 3


class SessionsScreen(RowsScreen):
    """One row a session; ``only`` keeps those of one agent."""

    BINDINGS = bindings("sessions")
    NEEDS_ROW: ClassVar[frozenset[str]] = frozenset({"open", "rename", "delete", "export", "export_json"})

    def __init__(
        self, workspace: Workspace, find_gateway: Callable[[], Awaitable[Gateway]],
        agent_of: Callable[[str], ObjectRef | None], waits: Callable[[str], bool],
        resume: Callable[[ObjectRef, str], None], read: Callable[[ObjectRef, str], Awaitable[Sequence[ChatEvent]]], *,
        only: ObjectRef | None = None, filter_text: str = "",
    ) -> None:  # fmt: skip
        trail = f"{only.name} › sessions" if only is not None else "sessions"
        super().__init__(workspace, trail=trail, columns=SESSION_COLUMNS, sort=_USED, filter_text=filter_text)
        self._find_gateway = find_gateway
        self._agent_of = agent_of
        self._waits = waits
        self._resume = resume
        self._read = read
        self._only = only
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
        ]
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
            await self._change(lambda gateway: gateway.delete(info.id), "deleted")

    async def _change(self, do: Callable[[Gateway], Awaitable[None]], done: str) -> None:
        try:
            await do(await self._find_gateway())
        except KagentError as error:
            self.say(f"not {done}: {error}", Tone.BAD)
            return
        self.say(done, Tone.OK)
        self.action_reload()

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
