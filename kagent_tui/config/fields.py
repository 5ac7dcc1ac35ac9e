"""Every field of the configuration file: name, shape, default, meaning. Schema, validation and docs read this list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

__all__ = ["ASCII", "CONTEXT_FIELDS", "FIELDS", "THEMES", "Config", "ContextConfig", "Field"]

# Our names; every theme of Textual is accepted by its own name as well.
THEMES: Final = ("dark", "light", "terminal", "terminal-light", "contrast")
ASCII: Final = ("auto", "on", "off")
COLOURS: Final = ("red", "yellow", "green", "blue", "purple", "cyan", "grey")


class Field(NamedTuple):
    """One field. ``shape`` is a JSON schema without title and description."""

    name: str
    shape: Mapping[str, Any]
    default: object
    help: str


_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
_SWITCH: Final = {"type": "boolean"}

CONTEXT_FIELDS: Final = (
    Field("colour", {"type": "string", "enum": list(COLOURS)}, "", "the colour of the context's name in the header"),
    Field("readonly", _SWITCH, None, "open it read-only or not, whatever `production` says"),
    Field("namespaces", _TEXTS, [], "the namespaces it opens with; [] keeps the kubeconfig's"),
    Field("favourites", _TEXTS, [], "namespaces on the keys 1 to 9 in this context"),
)

FIELDS: Final = (
    Field("theme", {"type": "string"}, "dark",
          "dark, light, terminal (the terminal's own 16 colours, on a dark ground), terminal-light, contrast, or the "
          "name of a theme of Textual"),
    Field("keys", {"type": "string", "enum": ["default", "k9s", "vim"]}, "default", "the preset that `keymap` changes"),
    Field("keymap", {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, _TEXTS]}}, {},
          "keys by command id, \"browse.logs\" = \"L\"; a list for several, \"none\" for no key"),
    Field("aliases", {"type": "object", "additionalProperties": {"type": "string"}}, {},
          "own words for the command line: failing = \"agents /✖\""),
    Field("ascii", {"type": "string", "enum": list(ASCII)}, "auto",
          "draw with ASCII signs only; auto does where the terminal is not in UTF-8"),
    Field("mouse", _SWITCH, False, "let the dashboard take the mouse (the terminal's own selection then needs Shift)"),
    Field("readonly", _SWITCH, False, "start without any action that writes"),
    Field("production", {"type": "string"}, "prod(uction)?",
          "a regular expression for the names of contexts that open read-only and in red; it must match a whole word"),
    Field("clipboard_limit", {"type": "integer", "minimum": 0}, 100_000,
          "how many bytes are sent to the terminal's clipboard at once (OSC 52); terminals drop longer ones silently"),
    Field("snapshots", _SWITCH, True, "keep the last state of each cluster on disk, so that the next start shows it"),
    Field("favourites", _TEXTS, [], "namespaces on the keys 1 to 9; 0 is all of them"),
    Field("contexts",
          {"type": "object", "additionalProperties": {
              "type": "object", "additionalProperties": False,
              "properties": {each.name: {**each.shape, "description": each.help} for each in CONTEXT_FIELDS}}},
          {}, "settings of single contexts, by name"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContextConfig:
    """The settings of one context."""

    colour: str = ""
    readonly: bool | None = None
    namespaces: tuple[str, ...] = ()
    favourites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file with its defaults filled in. ``keymap`` holds the person's own keys by command id."""

    theme: str = "dark"
    keys: str = "default"
    keymap: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    ascii: str = "auto"
    mouse: bool = False
    readonly: bool = False
    production: str = "prod(uction)?"
    clipboard_limit: int = 100_000
    snapshots: bool = True
    favourites: tuple[str, ...] = ()
    contexts: Mapping[str, ContextConfig] = field(default_factory=dict[str, ContextConfig])

    def context(self, name: str) -> ContextConfig:
        """Return the settings of a context, the defaults where there are none."""
        return self.contexts.get(name, ContextConfig())
