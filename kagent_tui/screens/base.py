"""What every full screen has: the header, a line for what just happened, the prompt, and the footer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar, runtime_checkable

from textual import events, getters
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from kagent_tui.cluster.workspace import Workspace
from kagent_tui.commands.arguments import completers
from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.render.headline import Headline
from kagent_tui.render.text import Tone
from kagent_tui.safety import clean, shorten
from kagent_tui.widgets.compositor import NarrowCompositor
from kagent_tui.widgets.key_bar import KeyBar
from kagent_tui.widgets.keyboard import Keyboard
from kagent_tui.widgets.notice import Notice
from kagent_tui.widgets.prompt import Prompt
from kagent_tui.widgets.status_bar import StatusBar

__all__ = ["BaseScreen", "Host", "Unsaved", "headline"]

Result = TypeVar("Result")


class Host(App[int]):
    """The application as screens know it: it ends with an exit code, and delivers keys in the order they were typed."""

    def __init__(self) -> None:
        super().__init__()
        self.keyboard = Keyboard(self, super().on_event)
        # Bytes; what is longer many terminals drop without a word.
        self.clipboard_limit = 100_000

    def put_on_clipboard(self, text: str, what: str = "") -> tuple[str, Tone]:
        """Send text to the terminal's clipboard (OSC 52); return what to say: whether it arrived nobody can know."""
        # What JSON may carry and UTF-8 cannot (half a surrogate pair) becomes "?".
        encoded = text.encode("utf-8", "replace")
        text, size = encoded.decode(), len(encoded)
        if size > self.clipboard_limit:
            told = f"not sent: {size:,} bytes, and terminals drop more than {self.clipboard_limit:,} (clipboard_limit)"
            return told, Tone.WARN
        super().copy_to_clipboard(text)
        what = shorten(clean(what, newlines=False), 40)
        return f"sent {what or f'{len(text):,} characters'} to the terminal's clipboard", Tone.OK

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self.keyboard.take(event)
        else:
            await super().on_event(event)


@runtime_checkable
class Unsaved(Protocol):
    """A screen that may hold work; ``keep`` writes it down before the program ends."""

    def keep(self) -> None: ...


class BaseScreen(Screen[Result], Generic[Result]):
    """A screen of the dashboard; ``trail`` says where we are (raw text)."""

    app = getters.app(Host)

    def __init__(self, workspace: Workspace, *, trail: str) -> None:
        super().__init__()
        self._compositor = NarrowCompositor()
        self.workspace = workspace
        self._trail = trail
        self._unsubscribe = workspace.subscribe(self._workspace_changed)

    def compose(self) -> ComposeResult:
        yield StatusBar()
        yield from self.body()
        yield Prompt(self.complete)
        yield Notice()
        yield KeyBar(clean(self._trail, newlines=False))

    @property
    def trail(self) -> str:
        """Where we are; raw text."""
        return self._trail

    @property
    def prompt(self) -> Prompt:
        return self.query_one(Prompt)

    def complete(self, line: str) -> list[str]:
        """Return whole command lines that a typed one may become."""
        return COMMANDS.complete(line, completers(self.workspace))

    def body(self) -> Iterable[Widget]:
        """Yield what stands between header and footer."""
        return ()

    def on_mount(self) -> None:
        self.refresh_header()

    def on_unmount(self) -> None:
        self._unsubscribe()

    def set_trail(self, trail: str) -> None:
        """Change what the footer says about where we are; raw text."""
        self._trail = trail
        if self.is_running:
            self.query_one(KeyBar).set_trail(clean(trail, newlines=False))

    def say(self, text: str, tone: Tone = Tone.PLAIN, *, stay: bool = False) -> None:
        """Show what just happened above the footer; raw text."""
        if self.is_running:
            self.query_one(Notice).say(text, tone, stay=stay)

    def tell(self, text: str, tone: Tone, stay: bool) -> None:
        """``say`` for those who know no keywords of ours."""
        self.say(text, tone, stay=stay)

    def refresh_header(self) -> None:
        """Show the workspace as it is now."""
        if self.is_running:
            bar = self.query_one(StatusBar)
            bar.headline = headline(self.workspace)
            bar.link = self.workspace.link

    def _workspace_changed(self) -> None:
        self.refresh_header()
        if self.is_running:
            # Keys that read-only removes go or come. Not with every event: looking at all keys costs more than a row.
            self.refresh_bindings()


def headline(workspace: Workspace) -> Headline:
    """Say where we are and how much there is."""
    tally = workspace.tally()
    return Headline(
        workspace.context, workspace.colour, workspace.production, workspace.namespaces, workspace.readonly,
        workspace.banner, tally.trouble, workspace.waiting or 0,
    )  # fmt: skip
