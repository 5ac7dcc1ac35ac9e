"""Reads and judges the configuration file. A broken file never keeps the dashboard from opening: what is wrong is told,
the rest counts."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from kagent_tui.config.fields import CONTEXT_FIELDS, FIELDS, Config, ContextConfig, Field
from kagent_tui.config.keymap import key_problems
from kagent_tui.config.problems import Problem

__all__ = ["config_file", "load", "parse"]


def config_file() -> Path:
    """Return where the file is: $KAGENT_TUI_CONFIG, else XDG_CONFIG_HOME/kagent-tui/config.toml."""
    if named := os.environ.get("KAGENT_TUI_CONFIG"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "kagent-tui" / "config.toml"


def load(file: Path | None = None) -> tuple[Config, list[Problem]]:
    """Read the file; without one the defaults hold."""
    target = file or config_file()
    try:
        content = target.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config(), []
    except (OSError, UnicodeDecodeError) as error:
        return Config(), [Problem("", f"cannot be read: {error}")]
    return parse(content)


def parse(content: str) -> tuple[Config, list[Problem]]:
    """Understand the file's text; fields in trouble keep their defaults."""
    try:
        values = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        return Config(), [Problem("", f"not TOML: {error}", "nothing of the file counts until that is put right")]
    problems: list[Problem] = []
    if isinstance(values.get("keymap"), dict):
        # Without quotes TOML reads browse.logs as a table in a table; what is meant is plain.
        values["keymap"] = dict(_flat(values["keymap"], ""))
    kept = _kept(values, FIELDS, "", problems)
    problems += _deep_problems(kept)
    contexts: dict[str, ContextConfig] = {}
    for name, entry in kept.pop("contexts", {}).items():
        contexts[name] = ContextConfig(**_frozen(_kept(entry, CONTEXT_FIELDS, f"contexts.{name}.", problems)))
    keymap = {
        key: tuple(cast("list[str]", keys)) if isinstance(keys, list) else (str(keys),)
        for key, keys in cast("dict[str, object]", kept.pop("keymap", {})).items()
    }
    found = key_problems(str(kept.get("keys", "default")), keymap)
    problems += found
    wrong = {problem.field.removeprefix("keymap.") for problem in found}
    good = {key: keys for key, keys in keymap.items() if key not in wrong}
    return Config(**_frozen(kept), keymap=good, contexts=contexts), problems


def _flat(table: Mapping[str, Any], lead: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[str, Any]", value), f"{lead}{key}.")
        else:
            yield f"{lead}{key}", value


def _frozen(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(cast("list[str]", value)) if isinstance(value, list) else value for key, value in values.items()}


def _kept(values: object, fields: tuple[Field, ...], where: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the values that fit their field's shape; tell about the others."""
    kept: dict[str, Any] = {}
    if not isinstance(values, dict):
        problems.append(Problem(where.rstrip("."), "must be a table"))
        return kept
    known = {each.name: each for each in fields}
    for name, value in cast("dict[str, object]", values).items():
        if name not in known:
            problems.append(Problem(f"{where}{name}", "there is no such field", _near(name, list(known))))
        elif wrong := _misfit(value, known[name].shape):
            problems.append(Problem(f"{where}{name}", wrong))
        else:
            kept[name] = value
    return kept


def _misfit(value: object, shape: Mapping[str, Any]) -> str:
    """Return why a value does not fit a schema of the few shapes that FIELDS uses, or ""."""
    if "anyOf" in shape:
        return "" if any(not _misfit(value, each) for each in shape["anyOf"]) else "must be a key or a list of keys"
    match shape["type"]:
        case "string" if not isinstance(value, str):
            return "must be a text in quotes"
        case "string" if "enum" in shape and value not in shape["enum"]:
            return f"{value!r} is not one of {', '.join(shape['enum'])}"
        case "boolean" if not isinstance(value, bool):
            return "must be true or false"
        case "integer" if isinstance(value, bool) or not isinstance(value, int) or value < shape.get("minimum", value):
            return "must be a whole number, 0 or more"
        case "array":
            entries = cast("list[object]", value) if isinstance(value, list) else [None]
            return "" if all(isinstance(each, str) for each in entries) else "must be a list of texts"
        case "object":
            if not isinstance(value, dict):
                return "must be a table"
            inner = shape["additionalProperties"]
            entries_by_key = cast("dict[str, object]", value)
            if inner.get("properties") is not None:
                return ""
            return next((f"{key}: {why}" for key, each in entries_by_key.items() if (why := _misfit(each, inner))), "")
        case _:
            return ""


def _deep_problems(kept: dict[str, Any]) -> list[Problem]:
    """Check what a schema cannot say, and drop what fails."""
    problems: list[Problem] = []
    if "production" in kept:
        try:
            re.compile(kept["production"])
        except re.error as error:
            problems.append(Problem("production", f"not a regular expression: {error}"))
            del kept["production"]
    return problems


def _near(name: str, known: list[str]) -> str:
    import difflib

    found = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {found[0]}?" if found else f"there are: {', '.join(known)}"
