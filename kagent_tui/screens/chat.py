"""Chats side by side: one to four panes, each its own agent and session; one at a time where the terminal is narrow.

The screen arranges panes and shows what they say; it holds no conversation itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

from textual import events, on, work
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kagent_api.errors import ObjectRef
from kagent_tui.chat.attachments import split_attached
from kagent_tui.chat.blocks import arguments_text, result_text
from kagent_tui.chat.cache import OpenPane
from kagent_tui.chat.desk import Desk
from kagent_tui.chat.forking import earlier
from kagent_tui.chat.prompt_history import PromptHistory
from kagent_tui.chat.transcript import UserEntry
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.comparison import Compared, comparison_lines
from kagent_tui.render.text import Line, Tone, head, line
from kagent_tui.render.yaml import yaml_lines
from kagent_tui.safety import clean
from kagent_tui.screens.base import BaseScreen
from kagent_tui.screens.chat_picks import ChatPicks
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.screens.reader import ReaderScreen
from kagent_tui.widgets.chat_pane import ChatPane, Describe, OpenConversation
from kagent_tui.widgets.prompt import Prompt

__all__ = ["ChatScreen"]

MOST_PANES = 4
# A pane narrower than this shows half sentences; then one is shown at a time.
_LEAST_WIDTH = 50
# What is lost of an unsent text when the machine goes down.
_KEEP_SECONDS = 3.0


class ChatScreen(BaseScreen[None]):
    """Keeps its panes while it is installed: leaving it does not end a chat."""

    CSS_PATH = ["chat.tcss", "../widgets/transcript.tcss", "../widgets/chat_pane.tcss"]  # noqa: RUF012 - Textual's own
    AUTO_FOCUS = "ChatInput"

    def __init__(
        self,
        workspace: Workspace,
        open_conversation: OpenConversation,
        describe: Describe,
        *,
        agents: Callable[[], Sequence[ObjectRef]] = tuple,
        refs: Sequence[ObjectRef] = (),
        desk: Desk | None = None,
    ) -> None:
        """``agents`` lists whom one could talk to; ``refs`` are the first panes; ``desk`` is what chats need around
        them."""
        super().__init__(workspace, trail="chat")
        self._open_conversation = open_conversation
        self._describe = describe
        self._agents = agents
        self.desk = desk or Desk()
        self.history = PromptHistory(self._remember)
        self._picks = ChatPicks(self)
        self._first = [self._make(ref) for ref in refs]
        self._near: ChatPane | None = None
        self._zoomed = False
        self._everyone = False
        self._kept: list[OpenPane] = []

    def body(self) -> Iterable[Widget]:
        yield Static(Content(""), id="tabs")
        yield Horizontal(*self._first, id="chats")

    @property
    def panes(self) -> list[ChatPane]:
        """The panes from left to right."""
        return list(self.query(ChatPane))

    @property
    def near(self) -> ChatPane | None:
        """The pane that has the keys, or had them last."""
        panes = self.panes
        return self._near if self._near in panes else (panes[0] if panes else None)

    def on_mount(self) -> None:
        self._arrange()
        if self.desk.cache is not None:
            self._load_history()
            self.set_interval(_KEEP_SECONDS, self.keep_panes)

    def keep(self) -> None:
        """The program ends: what is written but not sent is kept."""
        self.keep_panes()

    @work(group="history")
    async def _load_history(self) -> None:
        assert self.desk.cache is not None
        self.history.load(await self.desk.cache.prompts())

    def _remember(self, text: str) -> None:
        if self.desk.cache is not None:
            self.run_worker(self.desk.cache.add_prompt(text), group="remember")

    def keep_panes(self) -> None:
        """Remember the panes and what is written in them, if they are not as they were."""
        cache = self.desk.cache
        panes = [pane.memo for pane in self.panes]
        if cache is not None and panes and panes != self._kept:
            self._kept = panes
            # In a thread of its own: the program may be about to end, and what was typed must not be lost.
            cache.keep_panes_now(self.desk.context, panes)

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()

    def on_screen_resume(self) -> None:
        self.refresh_panes()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        found = next((each for each in event.widget.ancestors_with_self if isinstance(each, ChatPane)), None)
        if found is not None and found is not self._near:
            self._near = found
            self._arrange()

    async def talk_to(self, ref: ObjectRef, *, beside: bool = False, session_id: str = "", draft: str = "") -> None:
        """Go to the pane of an agent, or open one: instead of an unused one, beside the others, or as the only one."""
        same = next((pane for pane in self.panes if pane.ref == ref and session_id in ("", pane.session_id)), None)
        if same is not None and not beside:
            same.focus_prompt()
            return
        if len(self.panes) >= MOST_PANES:
            self.say(f"{MOST_PANES} chats at once; close one first (^x)", Tone.WARN)
            return
        pane = self._make(ref, session_id, draft)
        await self.query_one("#chats", Horizontal).mount(pane)
        self._near = pane
        self._arrange()
        pane.focus_prompt()

    def refresh_panes(self) -> None:
        """Show the agents as they are now."""
        for pane in self.panes:
            pane.refresh_subject()

    @on(ChatPane.Say)
    def _said(self, event: ChatPane.Say) -> None:
        event.stop()
        self.say(event.text, event.tone)

    @on(ChatPane.Read)
    def _read(self, event: ChatPane.Read) -> None:
        event.stop()
        entry = event.entry
        lines: list[Line] = [head("arguments"), *yaml_lines(clean(arguments_text(entry.arguments)))]
        if entry.result is not None:
            lines += [line(), head("result"), *yaml_lines(clean(result_text(entry.result)))]
        self.app.push_screen(ReaderScreen(self.workspace, trail=f"chat › {entry.name}", lines=lines))

    @on(ChatPane.Asked)
    async def _asked(self, event: ChatPane.Asked) -> None:
        event.stop()
        match event.what:
            case "split":
                self._split(event.pane)
            case "next_pane":
                panes = self.panes
                after = panes[(panes.index(event.pane) + 1) % len(panes)]
                self._near = after
                self._arrange()
                after.focus_prompt()
            case "close_pane":
                await self._close(event.pane)
            case "copy":
                self.copy(event.pane.transcript.last_answer)
            case "bell":
                self.app.bell()
            case "leave":
                self.keep_panes()
                self.dismiss(None)
            case "zoom":
                self._zoomed = not self._zoomed and len(self.panes) > 1
                self._arrange()
            case "everyone":
                self._everyone = not self._everyone and len(self.panes) > 1
                self._arrange()
                what = (
                    f"what you send goes to all {len(self.panes)} panes" if self._everyone else "each pane for itself"
                )
                self.say(what if len(self.panes) > 1 else "there is only one pane (^t opens another beside it)")
            case "broadcast":
                for pane in self.panes:
                    if pane.decision.is_open:
                        self.say(f"{pane.subject.title} waits for a decision: not sent to it", Tone.WARN)
                    else:
                        pane.send(event.text)
            case "narrower" | "wider":
                self._resize_pane(event.pane, -2 if event.what == "narrower" else 2)
            case "compare":
                self._compare()
            case "fork" | "edit_again":
                await self._fork(event.pane, event.index, again=event.what == "edit_again")
            case what:
                self._picks.open(event.pane, what, event.index)

    def copy(self, text: str) -> None:
        """Send a text to the terminal's clipboard and say so."""
        self.say(*self.app.put_on_clipboard(text))

    def _resize_pane(self, pane: ChatPane, step: int) -> None:
        pane.weight = max(4, min(30, pane.weight + step))
        self._arrange()

    def _compare(self) -> None:
        compared = [
            Compared(
                pane.subject.title,
                pane.subject.model,
                pane.last_prompt,
                pane.transcript.last_answer,
                str(pane.activity),
                pane.figures,
            )
            for pane in self.panes
        ]
        lines = comparison_lines(compared)
        self.app.push_screen(ReaderScreen(self.workspace, trail="chat › comparison", lines=lines))

    async def _fork(self, pane: ChatPane, index: int, *, again: bool) -> None:
        """Open a session that goes on from a turn, in a pane beside; with ``again`` that turn is written anew."""
        entries = pane.transcript.entries
        entry = entries[index] if 0 <= index < len(entries) else None
        if not isinstance(entry, UserEntry):
            return
        turns = [place for place, each in enumerate(entries) if isinstance(each, UserEntry) and not each.decision]
        after = next((place for place in turns if place > index), len(entries))
        kept = copy.deepcopy(entries[: index if again else after])
        text = split_attached(entry.text).text if again else ""
        if len(self.panes) < MOST_PANES:
            fresh = self._make(pane.ref)
            await self.query_one("#chats", Horizontal).mount(fresh, after=pane)
        elif pane.busy:
            self.say(f"{MOST_PANES} chats at once, and this one is at work; close one first (^x)", Tone.WARN)
            return
        else:
            fresh = pane
        fresh.adopt(kept, earlier(kept), text)
        self._near = fresh
        self._arrange()
        fresh.focus_prompt()

    @on(Prompt.Cancelled)
    def _prompt_cancelled(self) -> None:
        if self.near is not None:
            self.near.focus_prompt()

    def _split(self, pane: ChatPane) -> None:
        refs = list(dict.fromkeys([pane.ref, *self._agents()]))

        def chosen(ids: tuple[str, ...] | None) -> None:
            if ids:
                self.run_worker(self.talk_to(refs[int(ids[0])], beside=True), group="split")

        items = [Item(str(index), self._describe(ref).title, ref.kind) for index, ref in enumerate(refs)]
        self.app.push_screen(PickScreen("another chat with", items), chosen)

    async def _close(self, pane: ChatPane) -> None:
        if len(self.panes) == 1:
            self.dismiss(None)
            return
        await pane.remove()
        self._zoomed = self._zoomed and len(self.panes) > 1
        self._everyone = self._everyone and len(self.panes) > 1
        self._arrange()
        if self.near is not None:
            self.near.focus_prompt()

    def _make(self, ref: ObjectRef, session_id: str = "", draft: str = "") -> ChatPane:
        return ChatPane(
            ref, self._open_conversation, self._describe, history=self.history, session_id=session_id, desk=self.desk,
            draft=draft,
        )  # fmt: skip

    def _arrange(self) -> None:
        """Show all panes side by side, or only the near one with the others as tabs."""
        if not self.is_attached:
            return
        panes, near = self.panes, self.near
        narrow = len(panes) > 1 and (self._zoomed or self.size.width < _LEAST_WIDTH * len(panes))
        for pane in panes:
            pane.styles.width = f"{pane.weight}fr"
            pane.broadcast = self._everyone
            pane.refresh_subject()
            pane.display = not narrow or pane is near
            pane.set_near(pane is near)
            pane.set_class(not narrow and pane is not panes[0], "-beside")
        tabs = self.query_one("#tabs", Static)
        tabs.display = narrow
        parts: list[tuple[str, str]] = []
        for number, pane in enumerate(panes, 1):
            title = clean(self._describe(pane.ref).title, newlines=False)
            parts.append((f" {number} {title} ", "reverse" if pane is near else "$text-muted"))
        tabs.update(Content.assemble(*parts))
        titles = [self._describe(near.ref).title] if near is not None else []
        self.set_trail(" › ".join(["chat", *titles, *(["zoom"] if self._zoomed else [])]))
