"""What goes through the HTTP API, counted: requests by route and outcome, tokens by agent.

Counts start at zero with the process, as Prometheus expects. What agents send is not trusted: labels are the routes we
have and agents we know, numbers are whole and not negative, and an event that is sent again counts once.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, cast

from kagent_operator.translate.fields import JsonObject, flag, integer, section

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Traffic", "area"]

_REMEMBERED: Final = 4096
# More agents than one operator looks after; beyond it only known ones are counted on.
_AGENTS: Final = 10_000
_FIELDS: Final = (
    ("input", ("promptTokenCount", "prompt_token_count")),
    ("output", ("candidatesTokenCount", "candidates_token_count")),
    ("output", ("thoughtsTokenCount", "thoughts_token_count")),
)


def area(path: str) -> str:
    """Return the part of a path that says which routes it belongs to: ``/api/a2a`` of ``/api/a2a/kagent/helper/``."""
    parts = path.strip("/").split("/")
    return "/" + "/".join(parts[:2] if parts[0] == "api" else parts[:1])


class Traffic:
    """The counters of one gateway."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.tokens: Counter[tuple[str, str]] = Counter()
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def counting(self, app: ASGIApp, paths: Iterable[str]) -> ASGIApp:
        """Return the app with its requests counted by the areas of ``paths``, all others as one."""
        areas = {area(path) for path in paths}

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            where = area(str(scope["path"]))
            where = where if where in areas else "other"

            async def count(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self.requests[where, str(scope["method"]), _status(message)] += 1
                await send(message)

            await app(scope, receive, count)

        return counted

    def event(self, agent: str, event: str, data: str) -> None:
        """Take in an event that an agent has stored: the tokens that its model call took."""
        if "sage" not in data or (agent, event) in self._seen:
            return
        try:
            read: Any = json.loads(data)
        except (ValueError, RecursionError):
            return
        if not isinstance(read, dict):
            return
        obj = cast(JsonObject, read)
        usage = section(obj, "usage_metadata") or section(obj, "usageMetadata")
        if usage is None or flag(obj, "partial"):
            return
        self._seen[agent, event] = None
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        for kind, names in _FIELDS:
            count = next((found for name in names if (found := integer(usage, name)) is not None), 0)
            if count > 0 and ((agent, kind) in self.tokens or len(self.tokens) < _AGENTS):
                self.tokens[agent, kind] += count


def _status(message: MutableMapping[str, Any]) -> int:
    return int(message["status"])
