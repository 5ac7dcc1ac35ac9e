"""From the command registry to Textual's bindings: no widget or screen declares a key of its own."""

from __future__ import annotations

from typing import cast

from textual.binding import Binding, BindingType
from textual.keys import key_to_character

from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.commands.registry import Command, Scope

__all__ = ["UNBOUND", "bindings", "shown_key"]

# Textual takes an empty key list of a key map for none given; no keyboard has this key.
UNBOUND = "unbound"

_SHOWN = {
    "escape": "esc", "enter": "⏎", "question_mark": "?", "colon": ":", "slash": "/", "left": "←", "right": "→",
    "pagedown": "pgdn", "pageup": "pgup", "space": "space", "tab": "tab", "full_stop": ".", "plus": "+",
    "ctrl+@": "^space",
}  # fmt: skip
# In an Input or TextArea these must still reach the command.
_PRIORITY: frozenset[Scope] = frozenset({"edit", "chat", "compose", "words"})


def bindings(*scopes: Scope, without: str = "") -> list[BindingType]:
    """Return the bindings of all commands of some scopes; ids are the commands', so that a key map can move them.

    ``without`` is a key that means something else here.
    """
    found: list[BindingType] = []
    for command in COMMANDS.of(*scopes):
        keys = tuple(key for key in command.default_keys if key != without)
        if keys:
            found.append(cast("BindingType", _binding(command, keys)))
    return found


def shown_key(key: str) -> str:
    """Write a key the way footers do: ``^s``, ``esc``, ``?``."""
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _SHOWN.get(key) or key_to_character(key) or key


def _binding(command: Command, keys: tuple[str, ...]) -> Binding:
    return Binding(
        ",".join(keys), command.action, command.title, show=command.footer > 0, id=command.id,
        tooltip=command.help, priority=command.scope in _PRIORITY,
    )  # fmt: skip
