"""The configuration file's JSON schema (draft 2020-12), for editors that complete and check TOML by one."""

from __future__ import annotations

from typing import Any

from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.config.fields import FIELDS

__all__ = ["schema"]


def schema() -> dict[str, Any]:
    """Return the schema; the key map lists every command with what it does."""
    properties: dict[str, Any] = {}
    for each in FIELDS:
        shape = dict(each.shape)
        if each.name == "keymap":
            keys = shape.pop("additionalProperties")
            shape |= {
                "additionalProperties": False,
                "properties": {command.id: {**keys, "description": command.help} for command in COMMANDS},
            }
        default = {"default": each.default} if each.default is not None else {}
        properties[each.name] = {**shape, "description": each.help, **default}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kagent-tui configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
