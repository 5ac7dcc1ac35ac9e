"""The key map: presets, and a person's own keys over them. Every command of the registry can have other keys or none.

Keys are Textual's names: a character, or enter, escape, tab, space, up, pagedown, f1, ctrl+s, shift+tab.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.commands.registry import Scope
from kagent_tui.config.problems import Problem

__all__ = ["NO_KEY", "PRESETS", "key_problems", "resolve"]

NO_KEY: Final = "none"

# In every preset: nothing that destroys lies on a control key (k9s #1121, #1391 are why).
PRESETS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "default": {},
    "k9s": {
        "app.leave": ("ctrl+c", "ctrl+q"),
        "app.interrupt": (),
        "app.dump": ("ctrl+s",),
        "browse.copy": ("c",),
        "browse.chat": ("s",),
        "browse.sort": ("S",),
        "browse.sessions": ("i",),
        "browse.leave": (),
        "move.page-down": ("ctrl+f", "pagedown"),
    },
    "vim": {
        "move.page-down": ("ctrl+f", "ctrl+d", "pagedown"),
        "move.page-up": ("ctrl+b", "ctrl+u", "pageup"),
        "browse.next-view": ("l", "right"),
        "browse.previous-view": ("h", "left"),
        "browse.logs": ("L",),
        "browse.edit": ("i", "e"),
        "browse.new": ("o", "N"),
        "browse.open": ("enter", "ctrl+]"),
        "browse.history-back": ("ctrl+o", "["),
        "browse.history-forward": ("]",),
        "browse.pane": ("tab", "ctrl+w"),
    },
}

_NAMED: Final = (
    "enter|escape|tab|space|up|down|left|right|home|end|pageup|pagedown|backspace|delete|insert|f[1-9]|f1[0-9]|f2[0-4]"
)
_KEY: Final = re.compile(rf"(?:(?:ctrl|shift|alt)\+)*(?:{_NAMED}|[a-z_]{{4,}}|\S)")

# Where keys of two scopes are heard at once, the inner one wins, which is how a person would want it; inside one
# scope a key can only mean one thing.
_TOGETHER: Final[tuple[frozenset[Scope], ...]] = (
    frozenset({"browse", "move"}), frozenset({"text", "move", "logs"}), frozenset({"rows", "move"}),
)  # fmt: skip


def resolve(preset: str, own: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the keys by command id that differ from the defaults; () is no key."""
    changed = {key: keys for key, keys in PRESETS[preset].items() if key in COMMANDS}
    for key, keys in own.items():
        if key in COMMANDS:
            changed[key] = tuple(each for each in keys if each != NO_KEY)
    return changed


def key_problems(preset: str, own: Mapping[str, tuple[str, ...]]) -> list[Problem]:
    """Tell about unknown commands and keys, and about keys that would mean two things in one place."""
    problems: list[Problem] = []
    for command_id, keys in own.items():
        if command_id not in COMMANDS:
            known = ", ".join(command.id for command in COMMANDS if command.id.startswith(command_id.split(".")[0]))
            problems.append(
                Problem(f"keymap.{command_id}", "there is no such command", f"? lists them: {known}" if known else
                        "? lists them")
            )  # fmt: skip
            continue
        problems += [
            Problem(f"keymap.{command_id}", f"{key!r} is not a key", "write L, ctrl+s, f5, pagedown, or none")
            for key in keys
            if key != NO_KEY and not _KEY.fullmatch(key)
        ]
    wrong = {problem.field.removeprefix("keymap.") for problem in problems}
    good = {command_id: keys for command_id, keys in own.items() if command_id not in wrong}
    return [*problems, *_clashes(preset if preset in PRESETS else "default", good)]


def _clashes(preset: str, own: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    changed = resolve(preset, own)
    for command_id in own:
        mine = COMMANDS[command_id]
        together = next((scopes for scopes in _TOGETHER if mine.scope in scopes), frozenset({mine.scope}))
        for other in COMMANDS:
            if other.id == command_id or other.scope not in together:
                continue
            shared = set(changed[command_id]) & set(changed.get(other.id, other.default_keys))
            if shared and (other.id not in own or other.id > command_id):
                yield Problem(
                    f"keymap.{command_id}",
                    f"{', '.join(sorted(shared))} is also the key of {other.id} ({other.title})",
                    f'give that one another: "{other.id}" = "none"',
                )
