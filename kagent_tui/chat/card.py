"""What an agent's card says that a client needs: which dialect, whether it streams, which extensions.

Cards behind a gateway name cluster-internal addresses, so the address in use stays; only an agent at a bare URL may
send us to another path of the same place. No card, or an odd one, is no error: the first call then tells the dialect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from kagent_tui.chat.dialect_v03 import V03
from kagent_tui.chat.dialect_v1 import V1
from kagent_tui.chat.jsonvalue import JsonObject, object_of, objects_in, text_of
from kagent_tui.chat.wire import Dialect

__all__ = ["CARD_PATHS", "Card", "read_card"]

# The second is where 0.2 servers have it.
CARD_PATHS: Final = (".well-known/agent-card.json", ".well-known/agent.json")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - names to compare, not a bind


@dataclass(frozen=True, slots=True)
class Card:
    """The part of an agent card that this client acts on."""

    name: str = ""
    description: str = ""
    dialects: tuple[Dialect, ...] = (V1, V03)
    streaming: bool = True
    extensions: frozenset[str] = frozenset()
    path_url: str = ""


def read_card(card: JsonObject, base_url: str) -> Card:
    """Return what ``card`` says; dialects it does not list come last, for servers that say less than they do."""
    listed: list[tuple[Dialect, str]] = []
    for item in objects_in(card.get("supportedInterfaces")):
        if text_of(item.get("protocolBinding")).upper() in ("", "JSONRPC"):
            # The field itself is 1.0's: an interface without a version (a2a-samples has one) is of that version.
            dialect = V1 if text_of(item.get("protocolVersion"))[:1] in ("", "1") else V03
            listed.append((dialect, text_of(item.get("url"))))
    if text_of(card.get("url")) and text_of(card.get("preferredTransport")) in ("", "JSONRPC"):
        dialect = V1 if text_of(card.get("protocolVersion")).startswith("1") else V03
        listed.append((dialect, text_of(card.get("url"))))
    listed.sort(key=lambda entry: entry[0] is not V1)
    dialects = tuple(dict.fromkeys([dialect for dialect, _ in listed] + [V1, V03]))
    capabilities = object_of(card.get("capabilities"))
    return Card(
        name=text_of(card.get("name")),
        description=text_of(card.get("description")),
        dialects=dialects,
        # Protobuf's JSON leaves false out; upstream's agents always stream and some cards of theirs do not say so.
        streaming=capabilities.get("streaming") is not False,
        extensions=frozenset(text_of(item.get("uri")) for item in objects_in(capabilities.get("extensions"))),
        path_url=_same_place(listed[0][1], base_url) if listed else "",
    )


def _same_place(url: str, base_url: str) -> str:
    """Return ``base_url`` with the card's path, if the card's address is the very place that was asked."""
    there, here = urlsplit(url), urlsplit(base_url)
    hosts = {there.hostname or "", here.hostname or ""}
    if there.port != here.port or not (len(hosts) == 1 or hosts <= _LOOPBACK):
        return ""
    return urlunsplit((here.scheme, here.netloc, there.path or "/", "", ""))
