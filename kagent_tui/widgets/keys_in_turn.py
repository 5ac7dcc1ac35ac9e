"""Keys take effect in the order they were typed."""

from __future__ import annotations

from typing import cast

from textual import events
from textual.widget import Widget

__all__ = ["KeysInTurn"]


class KeysInTurn:
    """Mixed into an entry behind its base: the entry's own bindings run as their key arrives.

    Textual inserts letters at once but runs bindings only after the event has bubbled up, so of keys that arrive
    together (a slow line) letters would overtake the arrows and deletions typed before them.
    """

    async def _on_key(self, event: events.Key) -> None:
        widget = cast("Widget", self)
        own = widget._bindings.key_to_bindings  # pyright: ignore[reportPrivateUsage]  # there is no public way to one's own
        for binding in own.get(event.key, ()):
            event.stop()
            event.prevent_default()
            await widget.run_action(binding.action)
