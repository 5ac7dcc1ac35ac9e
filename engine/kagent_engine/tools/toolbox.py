"""All tools of one agent in one place: collects them from their sources, names them apart and finds them again.

Never calls a tool and never hides a source that is away: what is missing comes back as warnings.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kagent_engine.events import Ask, Warned
from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.secrets import NOTHING, Secrets
from kagent_engine.tools.approval import NeedsApproval
from kagent_engine.tools.base import Answer, CallContext, HasSession, Tool, ToolResult, ToolSource
from kagent_engine.tools.redaction import Redacted

__all__ = ["Toolbox", "collect"]

# OpenAI refuses function names outside this alphabet or longer than 64 characters; other providers accept it too.
_REFUSED = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of one turn by the name the model knows them by."""

    by_name: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    warnings: Sequence[Warned] = ()

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.by_name.values())

    def find(self, name: str) -> Tool | None:
        return self.by_name.get(name)

    def session_of(self, call: ToolCall, context: CallContext) -> str:
        """Return the session that this call will work in, empty for a tool that has none."""
        tool = self.find(call.name)
        while isinstance(tool, NeedsApproval | Redacted | _Renamed):
            call, tool = replace(call, name=tool.tool.spec.name), tool.tool
        return tool.session_of(call, context) if isinstance(tool, HasSession) else ""


@dataclass(frozen=True, slots=True)
class _Renamed:
    """A tool under the name that keeps it apart from its namesake; its server still hears the name it gave."""

    tool: Tool
    spec: ToolSpec

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        return await self.tool.call(replace(call, name=self.tool.spec.name), context, answer)


async def collect(
    sources: Iterable[ToolSource],
    context: CallContext,
    *,
    own: Sequence[Tool] = (),
    require_approval: Collection[str] = (),
    secrets: Secrets = NOTHING,
) -> Toolbox:
    """Ask every source at once and join what they offer, in the order of the sources.

    A name that is taken gets a number (``search_2``), so that adding a server never renames the tools that were there.
    Approval is by the name the server gave, as upstream matches it across servers. No answer passes with one of
    ``secrets`` in it.
    """
    answers = await asyncio.gather(*(source.tools(context) for source in sources))
    found: list[Tool] = [*own]
    warnings: list[Warned] = []
    for tools, missing in answers:
        found.extend(tools)
        warnings.extend(missing)
    by_name: dict[str, Tool] = {}
    for tool in found:
        redacted = Redacted(tool, secrets)
        guarded: Tool = NeedsApproval(redacted) if tool.spec.name in require_approval else redacted
        name = _free_name(_accepted(tool.spec.name), by_name)
        by_name[name] = guarded if name == tool.spec.name else _Renamed(guarded, replace(tool.spec, name=name))
    return Toolbox(by_name, tuple(warnings))


def _accepted(name: str) -> str:
    return _REFUSED.sub("_", name)[:_LONGEST_NAME] or "tool"


def _free_name(name: str, taken: Collection[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        suffix = f"_{number}"
        candidate, number = name[: _LONGEST_NAME - len(suffix)] + suffix, number + 1
    return candidate
