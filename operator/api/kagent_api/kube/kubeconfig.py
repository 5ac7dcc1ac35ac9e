"""Reads kubeconfig files as kubectl does: a list of files merged, the first to name an entry wins.

Only plain YAML is understood here; what a user entry then means (tokens, plugins) is ``access``'s business. A broken
file gives one error naming the file, the entry and what to do. Nothing is ever written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from kagent_api.kube.errors import KubeconfigError, NoKubeconfig

__all__ = ["ContextInfo", "Entry", "Kubeconfig", "kubeconfig_files", "read_kubeconfig"]

_LOADER: type[yaml.SafeLoader] = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@dataclass(frozen=True, slots=True)
class ContextInfo:
    """One context, as a chooser shows it."""

    name: str
    cluster: str
    user: str
    namespace: str
    current: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One named entry of ``clusters``, ``users`` or ``contexts`` and the file it stands in."""

    section: str
    name: str
    data: Mapping[str, Any]
    file: Path

    def text(self, field: str) -> str:
        """Return a string field, "" when absent.

        Raises:
            KubeconfigError: the field is no string.
        """
        value = self.data.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.error(field, f"is {type(value).__name__}, not text", "put it in quotes")
        return value

    def path(self, field: str) -> Path | None:
        """Return a file named by a field; relative names count from the kubeconfig's own directory."""
        value = self.text(field)
        return self.file.parent / Path(value).expanduser() if value else None

    def error(self, field: str, message: str, remedy: str) -> KubeconfigError:
        where = f"{self.section}[{self.name}]" + (f".{field}" if field else "")
        return KubeconfigError(f"{self.file}: {where}: {message}", field=where, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """The merged files."""

    files: tuple[Path, ...]
    current_context: str
    clusters: Mapping[str, Entry]
    users: Mapping[str, Entry]
    contexts: Mapping[str, Entry]

    def names(self) -> str:
        return ", ".join(str(file) for file in self.files)

    def context(self, name: str | None = None) -> Entry:
        """Return a context, the current one by default.

        Raises:
            KubeconfigError: no such context, or none is current.
        """
        wanted = name or self.current_context
        known = ", ".join(sorted(self.contexts)) or "none"
        if not wanted:
            raise KubeconfigError(
                f"{self.names()}: no current context", field="current-context",
                remedy=f"name one with --context or `kubectl config use-context`; contexts there: {known}",
            )  # fmt: skip
        if wanted not in self.contexts:
            raise KubeconfigError(
                f"{self.names()}: no context named {wanted!r}", field="contexts", remedy=f"contexts there: {known}"
            )
        return self.contexts[wanted]

    def list_contexts(self) -> list[ContextInfo]:
        return [
            ContextInfo(
                name=entry.name, cluster=entry.text("cluster"), user=entry.text("user"),
                namespace=entry.text("namespace") or "default", current=entry.name == self.current_context,
            )
            for entry in self.contexts.values()
        ]  # fmt: skip


def kubeconfig_files(explicit: str | None, env: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files kubectl would read: the explicit one, else those of $KUBECONFIG, else ``~/.kube/config``.

    Files of $KUBECONFIG that do not exist are left out, as kubectl does; the result may be empty.

    Raises:
        NoKubeconfig: the explicit file, or every file of $KUBECONFIG, does not exist.
    """
    if explicit:
        file = Path(explicit).expanduser()
        if not file.exists():
            raise NoKubeconfig(f"{file}: no such kubeconfig", remedy="check the path given with --kubeconfig")
        return (file,)
    if listed := env.get("KUBECONFIG", ""):
        named = [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
        found = tuple(file for file in named if file.exists())
        if not found:
            names = ", ".join(str(file) for file in named)
            raise NoKubeconfig(f"$KUBECONFIG names no file that exists: {names}", remedy="correct or unset KUBECONFIG")
        return found
    home = env.get("HOME", "")
    default = (Path(home) if home else Path.home()) / ".kube" / "config"
    return (default,) if default.exists() else ()


def read_kubeconfig(files: tuple[Path, ...]) -> Kubeconfig:
    """Read and merge files.

    Raises:
        KubeconfigError: a file cannot be read, is no YAML, or an entry has the wrong shape.
    """
    documents = [(file, _load(file)) for file in files]
    merged: dict[str, dict[str, Entry]] = {"clusters": {}, "users": {}, "contexts": {}}
    for file, document in documents:
        for section, entries in merged.items():
            for name, data in _named(file, document, section):
                entries.setdefault(name, Entry(section, name, data, file))
    currents = (document.get("current-context") for _, document in documents)
    current = next((value for value in currents if isinstance(value, str) and value), "")
    return Kubeconfig(files, current, merged["clusters"], merged["users"], merged["contexts"])


def _load(file: Path) -> dict[str, Any]:
    try:
        loaded: object = yaml.load(file.read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe loader, C or Python
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise KubeconfigError(f"{file}: {where}no valid YAML: {error.problem}", remedy="correct the file") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{file}: no valid YAML: {error}", remedy="correct the file") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise KubeconfigError(f"{file}: cannot be read: {reason}", remedy="check its permissions") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise KubeconfigError(
            f"{file}: is no kubeconfig: the document is {type(loaded).__name__}, not a mapping",
            remedy="expected keys such as clusters, contexts, users",
        )
    return cast("dict[str, Any]", loaded)


def _named(file: Path, document: dict[str, Any], section: str) -> list[tuple[str, dict[str, Any]]]:
    raw: object = document.get(section)
    if raw is None:
        return []
    singular = section.removesuffix("s")
    remedy = f"expected a list of {{name, {singular}}}"
    if not isinstance(raw, list):
        raise KubeconfigError(f"{file}: {section}: is no list", field=section, remedy=remedy)
    named: list[tuple[str, dict[str, Any]]] = []
    for index, item in enumerate(cast("list[object]", raw)):
        entry: dict[str, Any] = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        name: object = entry.get("name")
        data: object = entry.get(singular)
        if not isinstance(name, str) or not name:
            raise KubeconfigError(f"{file}: {section}[{index}]: has no name", field=section, remedy=remedy)
        if data is None:
            data = {}
        if not isinstance(data, dict):
            where = f"{section}[{name}].{singular}"
            raise KubeconfigError(f"{file}: {where}: is no mapping", field=where, remedy=remedy)
        named.append((name, cast("dict[str, Any]", data)))
    return named
