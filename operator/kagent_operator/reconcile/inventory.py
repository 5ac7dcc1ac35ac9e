"""What the CRDs cannot hold about tools: schemas, annotations, hashes, in a ConfigMap beside the server.

``<server>-<kind in lower case>-tools``, key ``tools.json``, label ``kagent-tui.dev/tools``. Written only when the tools
change: it holds when a tool was first seen, never when it was last seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from kagent_api.names import TOOLS_LABEL
from kagent_operator.reconcile.discovery import DEFINITION, Tool
from kagent_operator.reconcile.keys import Key
from kagent_operator.translate.fields import JsonObject, rows, string_map, text
from kagent_operator.translate.metadata import object_meta

__all__ = [
    "inventory_error",
    "inventory_key",
    "inventory_object",
    "inventory_with_error",
    "known_tools",
    "timestamp",
]

_KEY: Final = "tools.json"
_ERROR: Final = "error"
# A ConfigMap holds 1 MiB; schemas go first when a server has more to say than that.
_MAX_BYTES: Final = 900_000


def inventory_key(kind: str, namespace: str, name: str) -> Key:
    """Return where a server's tools lie."""
    return Key("ConfigMap", namespace, f"{name}-{kind.lower()}-tools")


def known_tools(config_map: JsonObject | None) -> list[JsonObject] | None:
    """Return the tools of an inventory, None when there is none or it cannot be read."""
    raw = string_map(config_map, "data").get(_KEY)
    if raw is None:
        return None
    try:
        loaded: Any = json.loads(raw)
    except ValueError:
        return None
    return rows({"tools": loaded.get("tools")}, "tools") if isinstance(loaded, dict) else None  # type: ignore[misc] # JSON object


def inventory_object(
    server: JsonObject, tools: Sequence[Tool], existing: JsonObject | None, now: datetime
) -> JsonObject:
    """Return the ConfigMap for a server's tools; a tool known before keeps when it was first seen and last changed."""
    before = {text(tool, "name"): tool for tool in known_tools(existing) or []}
    moment = timestamp(now)
    entries = [_entry(tool, before.get(tool.name), moment) for tool in tools]
    body = _encode(entries)
    if len(body.encode()) > _MAX_BYTES:
        kept = ("name", "title", "description", "annotations", "hash", "firstSeen", "changed")
        entries = [{**{key: tool[key] for key in kept if key in tool}, "schemaOmitted": True} for tool in entries]
        body = _encode(entries)
    return _config_map(server, {_KEY: body})


def inventory_with_error(server: JsonObject, existing: JsonObject | None, error: str) -> JsonObject:
    """Return the ConfigMap of a server without status that does not answer: what is known of its tools stays."""
    known = string_map(existing, "data").get(_KEY)
    return _config_map(server, {_ERROR: error, **({} if known is None else {_KEY: known})})


def inventory_error(config_map: JsonObject | None) -> str:
    """Return why a server without status does not tell its tools, empty when it does."""
    return string_map(config_map, "data").get(_ERROR, "")


def _config_map(server: JsonObject, data: dict[str, str]) -> JsonObject:
    key = inventory_key(text(server, "kind"), text(server, "metadata", "namespace"), text(server, "metadata", "name"))
    # A plain owner: blocking the deletion of somebody's server for it would take a right on the server's finalizers.
    meta = object_meta(server, name=key.name, labels={TOOLS_LABEL: "true"}, controller=False)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def timestamp(moment: datetime) -> str:
    """Return a time in UTC with microseconds, so that texts of it compare as the times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _entry(tool: Tool, before: JsonObject | None, moment: str) -> JsonObject:
    entry: JsonObject = {"name": tool.name, **tool.definition, "hash": tool.hash}
    entry["firstSeen"] = text(before, "firstSeen") or moment
    if before is None:
        return entry
    if text(before, "hash") != tool.hash:
        fields = [field for field in DEFINITION if before.get(field) != tool.definition.get(field)]
        entry["changed"] = {"at": moment, "was": text(before, "hash"), "fields": fields}
    elif "changed" in before:
        entry["changed"] = before["changed"]
    return entry


def _encode(entries: list[JsonObject]) -> str:
    digest = hashlib.sha256("".join(str(entry["hash"]) for entry in entries).encode()).hexdigest()
    return json.dumps({"tools": entries, "hash": digest}, ensure_ascii=False, indent=1)
