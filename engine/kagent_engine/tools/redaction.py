"""A tool whose answers pass without the process's own secrets: neither model, nor wire, nor history sees one.

It hides what this process was given; what a tool reads elsewhere, it cannot know.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kagent_engine.errors import ToolFailed
from kagent_engine.events import Ask
from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.secrets import Secrets
from kagent_engine.shapes import as_object
from kagent_engine.tools.base import Answer, CallContext, Progress, Tool, ToolResult
from kagent_engine.tools.results import model_text

__all__ = ["Redacted"]


@dataclass(frozen=True, slots=True)
class Redacted:
    """Call ``tool``; hide ``secrets``, and those of the request's headers, in result, failure and progress."""

    tool: Tool
    secrets: Secrets

    @property
    def spec(self) -> ToolSpec:
        return self.tool.spec

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        secrets = self.secrets.beside(context.headers)
        if context.progress is not None:
            context = replace(context, progress=_told(secrets, context.progress))
        try:
            result = await self.tool.call(call, context, answer)
        except ToolFailed as error:
            raise ToolFailed(secrets.hide(str(error))) from error
        if isinstance(result, Ask):
            return result
        response = as_object(secrets.hide_in(result.response))
        if response == result.response:
            return replace(result, content=secrets.hide(result.content))
        # Cut anew: half a secret at the edge of the old cut would not be found.
        content, truncated = model_text(response)
        return replace(result, content=content, response=response, truncated=truncated)


def _told(secrets: Secrets, progress: Progress) -> Progress:
    async def report(done: float, total: float | None, message: str) -> None:
        await progress(done, total, secrets.hide(message))

    return report
