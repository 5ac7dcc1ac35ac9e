"""Agent cards as the gateway serves them: what the agent says of itself where it answers, at our address.

The resource is enough for a card, so that it is served while the agent is down. What only the running agent knows (the
A2A extensions it speaks, a BYO agent's skills) is asked for, briefly, and remembered for a moment.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httpx

from kagent_api.agent_card import CARD_PATH, LEGACY_CARD_PATH, agent_card, card_at
from kagent_api.conditions import get_condition
from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.directory import field, meta, rows

if TYPE_CHECKING:
    from kagent_api.agents import AgentSpec

__all__ = ["CardReader", "is_card_path"]

_PATIENCE = 2.0
_REMEMBERED = 15.0
_KEPT = 512
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Seen:
    card: JsonObject | None
    until: float


def _spec(agent: JsonObject) -> AgentSpec:
    """Read an agent's spec. Its types are imported here, because the gateway's start has no use for them."""
    from kagent_api.agents import Agent
    from kagent_api.schema import parse

    return parse(Agent, agent).spec


def is_card_path(path: str) -> bool:
    return path.endswith((CARD_PATH, LEGACY_CARD_PATH))


class CardReader:
    """Builds cards and remembers what running agents said."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()

    async def card(self, agent: JsonObject, agent_url: str, public_url: str) -> JsonObject:
        """Return the agent's card with every address replaced by ``public_url``; raise InvalidSpec for a bad spec."""
        # In a thread: the first call imports the resource types, which takes a tenth of a second.
        spec = await asyncio.to_thread(_spec, agent)
        about = meta(agent)
        namespace, name = str(about.get("namespace", "")), str(about.get("name", ""))
        card = agent_card(namespace, name, spec)
        said = await self._said(agent, agent_url)
        if said is not None:
            extensions = field(said, "capabilities", "extensions")
            if extensions:
                card["capabilities"] |= {"extensions": extensions}
            for key in ("skills", "description", "version", "iconUrl", "documentationUrl"):
                if not card.get(key) and said.get(key):
                    card[key] = said[key]
        moved = card_at(card, public_url)
        # Clients take the first interface they know: 1.0 for agents that speak it themselves, untranslated.
        if said and any(entry.get("protocolVersion") == "1.0" for entry in rows(said, "supportedInterfaces")):
            moved["supportedInterfaces"] = moved["supportedInterfaces"][::-1]
        return moved

    async def _said(self, agent: JsonObject, agent_url: str) -> JsonObject | None:
        ready = get_condition(field(agent, "status", "conditions"), "Ready")
        if ready is None or ready.get("status") != "True":
            return None
        key = (agent_url, str(meta(agent).get("resourceVersion", "")))
        seen = self._seen.get(key)
        if seen is None or seen.until < time.monotonic():
            seen = _Seen(await self._ask(agent_url), time.monotonic() + _REMEMBERED)
            self._seen[key] = seen
            while len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
        return seen.card

    async def _ask(self, agent_url: str) -> JsonObject | None:
        try:
            reply = await self._http.get(agent_url.rstrip("/") + CARD_PATH, timeout=_PATIENCE)
            if reply.status_code != 200 or len(reply.content) > _LARGEST:
                return None
            card: Any = reply.json()
        except (httpx.HTTPError, ValueError):
            return None
        return cast("JsonObject", card) if isinstance(card, dict) else None
