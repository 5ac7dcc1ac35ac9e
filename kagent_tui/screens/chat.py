"""Chats side by side: one to four panes, each its own agent and session; one at a time where the terminal is narrow.

The screen arranges panes and shows what they say; it holds no conversation itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from textual import events, on
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kagent_api.errors import ObjectRef
from kagent_tui.chat.blocks import arguments_text, result_text
from kagent_tui.chat.prompt_history import PromptHistory
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.text import Line, Tone, head, line
from kagent_tui.render.yaml import yaml_lines
from kagent_tui.safety import clean
from kagent_tui.screens.base import BaseScreen
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.screens.reader import ReaderScreen
from kagent_tui.widgets.chat_pane import ChatPane, Describe, OpenConversation
from kagent_tui.widgets.prompt import Prompt

__all__ = ["ChatScreen"]

MOST_PANES = 4
# A pane narrower than this shows half sentences; then one is shown at a time.
_LEAST_WIDTH = 50


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
    ) -> None:
        """``agents`` lists whom one could talk to; ``refs`` are the first panes."""
        super().__init__(workspace, trail="chat")
        self._open_conversation = open_conversation
        self._describe = describe
        self._agents = agents
        self._history = PromptHistory()
        self._first = [self._make(ref) for ref in refs]
        self._near: ChatPane | None = None

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

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()

    def on_screen_resume(self) -> None:
        self.refresh_panes()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        found = next((each for each in event.widget.ancestors_with_self if isinstance(each, ChatPane)), None)
        if found is not None and found is not self._near:
            self._near = found
            self._arrange()

    async def talk_to(self, ref: ObjectRef, *, beside: bool = False, session_id: str = "") -> None:
        """Go to the pane of an agent, or open one: instead of an unused one, beside the others, or as the only one."""
        same = next((pane for pane in self.panes if pane.ref == ref and session_id in ("", pane.session_id)), None)
        if same is not None and not beside:
            same.focus_prompt()
            return
        if len(self.panes) >= MOST_PANES:
            self.say(f"{MOST_PANES} chats at once; close one first (^x)", Tone.WARN)
            return
        pane = self._make(ref, session_id)
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
                text = event.pane.transcript.last_answer
                self.say(*self.app.put_on_clipboard(text))
            case "bell":
                self.app.bell()
            case _:
                self.dismiss(None)

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
        self._arrange()
        if self.near is not None:
            self.near.focus_prompt()

    def _make(self, ref: ObjectRef, session_id: str = "") -> ChatPane:
        return ChatPane(ref, self._open_conversation, self._describe, history=self._history, session_id=session_id)

    def _arrange(self) -> None:
        """Show all panes side by side, or only the near one with the others as tabs."""
        if not self.is_attached:
            return
        panes, near = self.panes, self.near
        narrow = len(panes) > 1 and self.size.width < _LEAST_WIDTH * len(panes)
        for pane in panes:
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
        self.set_trail(" › ".join(["chat", *titles]))
