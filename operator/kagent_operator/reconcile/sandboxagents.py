"""SandboxAgent: it is served so that upstream's YAML applies, and its status says that nothing runs it here."""

from __future__ import annotations

from typing import Final

from kagent_api.kube.resources import SANDBOXAGENTS
from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.context import Context
from kagent_operator.reconcile.keys import Key
from kagent_operator.reconcile.status import StatusDraft
from kagent_operator.translate.fields import text

__all__ = ["SandboxAgentReconciler"]

# Upstream's word where no Agent Substrate is installed.
_REASON: Final = "SandboxBackendNotConfigured"
_MESSAGE: Final = "sandboxes need Agent Substrate, which this operator does not run; an Agent runs in a Deployment"


class SandboxAgentReconciler:
    """Writes status only."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key, view: View) -> None:
        agent = view.get(*key)
        if agent is None or text(agent, "metadata", "deletionTimestamp"):
            return
        draft = StatusDraft(agent, self._context.now)
        draft.condition("Accepted", "False", _REASON, _MESSAGE)
        draft.condition("Ready", "Unknown", _REASON, "nothing runs it")
        await self._context.status.write(SANDBOXAGENTS, agent, draft)
