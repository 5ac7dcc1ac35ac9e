"""A tool that a person has to approve: the wrapper asks first and runs the tool only on an explicit yes.

An answer that is missing is never a yes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kagent_engine.events import Ask
from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.tools.base import Answer, CallContext, Tool, ToolResult, text_result

__all__ = ["NeedsApproval"]


@dataclass(frozen=True, slots=True)
class NeedsApproval:
    """Ask a person before each call of ``tool``."""

    tool: Tool

    @property
    def spec(self) -> ToolSpec:
        return self.tool.spec

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        if answer is None:
            return Ask("approval", f"The agent wants to run '{call.name}' and needs your approval.")
        if answer.ask.nested is not None:
            return await self.tool.call(call, context, answer)
        if not answer.decision.approved:
            return rejected(answer.decision.reason)
        if answer.decision.arguments is not None:
            call = replace(call, arguments=answer.decision.arguments)
        return await self.tool.call(call, context)


def rejected(reason: str) -> ToolResult:
    """Tell the model that the person said no, with the person's own words where there are any."""
    text = "The user rejected this tool call."
    if reason:
        text += f" Reason: {reason}"
    return text_result(text)
