"""The footer: keys that do something here and now, from the command registry; those refused here are not there."""

from __future__ import annotations

from typing import ClassVar, Protocol, cast, runtime_checkable

from textual.signal import Signal
from textual.strip import Strip
from textual.widget import Widget

from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.render.text import Span, Tone
from kagent_tui.safety import cell_width, shorten
from kagent_tui.widgets.bindings import UNBOUND, shown_key
from kagent_tui.widgets.painting import PAINT_CLASSES, Painter

__all__ = ["KeyBar"]


@runtime_checkable
class Refusing(Protocol):
    """A screen that knows what RBAC refuses."""

    def refused(self, action: str) -> str:
        """Say which permission an action lacks here; "" for none."""
        ...


class KeyBar(Widget):
    """One line at the bottom: where we are at the right, what one can do at the left."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {*PAINT_CLASSES}

    def __init__(self, trail: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._painter = Painter(self)
        self._trail = trail
        self._shown: list[tuple[str, str]] = []

    def on_mount(self) -> None:
        # Screens are generic in their result, which no widget can know.
        signal = cast("Signal[object]", self.screen.bindings_updated_signal)  # pyright: ignore[reportUnknownMemberType]
        signal.subscribe(self, self._changed)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.reset()

    def set_trail(self, trail: str) -> None:
        """Set where we are: clean text."""
        if trail != self._trail:
            self._trail = trail
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        trail = f"{shorten(self._trail, width // 3)} " if self._trail else ""
        room = width - cell_width(trail) - 1
        spans = [Span(" ")]
        used = 1
        self._shown = self._keys()
        for key, title in _fitting(self._shown, room):
            size = cell_width(key) + cell_width(title) + 3
            spans += (Span(key, Tone.DIM if title.startswith("(") else Tone.HEAD), Span(f" {title}  ", Tone.DIM))
            used += size
        gap = max(0, width - used - cell_width(trail))
        return self._painter.strip([*spans, Span(" " * gap), Span(trail, Tone.DIM)], width)

    def _changed(self, screen: object) -> None:
        # Bindings are looked at after every change of the cluster; the same keys need no paint.
        if self._keys() != self._shown:
            self.refresh()

    def _keys(self) -> list[tuple[str, str]]:
        """Return keys and titles, in the order of their importance here."""
        found: dict[str, tuple[int, str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and binding.id and active.enabled and binding.key != UNBOUND:
                # By title: what two keys of two scopes do alike is said once.
                key, known = shown_key(binding.key), found.get(binding.description)
                if known is None or len(key) < len(known[1]):
                    title = binding.description
                    if isinstance(self.screen, Refusing) and self.screen.refused(binding.action):
                        # In brackets as well as greyed: what is told by colour alone is lost on some.
                        title = f"({title})"
                    found[binding.description] = (COMMANDS[binding.id].footer, key, title)
        return [(key, title) for _, key, title in sorted(found.values())]


def _fitting(keys: list[tuple[str, str]], room: int) -> list[tuple[str, str]]:
    """Return the keys there is room for; the way to the help goes last, since it leads to all others."""
    kept = list(keys)
    while len(kept) > 1 and sum(cell_width(key) + cell_width(title) + 3 for key, title in kept) > room:
        kept.remove(next(one for one in reversed(kept) if one[1] != COMMANDS["app.help"].title))
    return kept
