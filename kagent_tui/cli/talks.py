"""From a command's options to a gateway and to conversations, with a cluster or with only a URL."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kagent_api.errors import InvalidSpec

if TYPE_CHECKING:
    import httpx

    from kagent_api.errors import ObjectRef
    from kagent_api.kube import KubeClient
    from kagent_tui.chat.conversation import Conversation
    from kagent_tui.chat.events import ChatEvent
    from kagent_tui.chat.gateway import Gateway, SessionInfo
    from kagent_tui.chat.target import ChatTarget

__all__ = ["Talks", "chosen_user", "complain", "one_session", "open_talks"]


def chosen_user(args: argparse.Namespace) -> str:
    """Return whose sessions these are: ``--user``, KAGENT_TUI_USER, else upstream's default user."""
    from kagent_tui.chat.target import DEFAULT_USER

    return str(getattr(args, "user", "") or os.environ.get("KAGENT_TUI_USER") or DEFAULT_USER)


def complain(text: str) -> None:
    """Say on standard error that something did not work although the command goes on."""
    from kagent_tui.safety import clean

    sys.stderr.write(f"kagent-tui: {clean(text, newlines=False)}\n")


@dataclass
class Talks:
    """A gateway and how to talk to agents behind it. ``context`` names the place in the audit trail, ``identity`` in
    caches."""

    gateway: Gateway
    context: str
    client: KubeClient | None
    http: httpx.AsyncClient
    root: str
    identity: str

    async def converse(self, agent: ObjectRef, session_id: str = "") -> Conversation:
        """Return a conversation whose decisions are written down."""
        from kagent_tui.chat.auditing import audited
        from kagent_tui.chat.conversation import Conversation
        from kagent_tui.safety.audit import AuditTrail

        decided = audited(AuditTrail(), context=self.context, via=lambda: "command line", complain=complain)
        return Conversation(await self._target(agent), session_id=session_id, decided=decided)

    async def read(self, agent: ObjectRef, session_id: str) -> Sequence[ChatEvent]:
        """Return what was said in a session."""
        return await (await self.converse(agent, session_id)).history()

    async def _target(self, agent: ObjectRef) -> ChatTarget:
        from kagent_tui.chat.target import gateway_target, root_target

        if self.client is not None:
            return await gateway_target(self.client, agent.namespace, agent.name, user=self.gateway.user)
        return root_target(self.http, self.root, agent.namespace, agent.name, user=self.gateway.user)


@asynccontextmanager
async def open_talks(args: argparse.Namespace) -> AsyncGenerator[Talks]:
    """Open the gateway that the options name.

    Raises:
        KagentError: there is none, or it cannot be reached.
    """
    from kagent_tui.chat.errors import ChatError
    from kagent_tui.chat.gateway import Gateway
    from kagent_tui.chat.target import gateway_root

    user = chosen_user(args)
    if args.url:
        import httpx

        root = args.url.rstrip("/") + "/"
        async with httpx.AsyncClient() as http:
            yield Talks(Gateway(http, root, user=user), root, None, http, root, root)
        return
    from kagent_tui.cli.reach import open_reach

    async with open_reach(args) as reach:
        root = await gateway_root(reach.client, reach.namespace)
        if not root:
            raise ChatError(
                f"no controller with an HTTP API is in {reach.namespace}",
                remedy="sessions and approvals are kept by a controller: name its namespace with -n, or give --url",
            )
        http = reach.client.http()
        access = reach.client.access
        # As the dashboard has it: two clusters may carry the same context name.
        identity = f"{access.context} {access.server}"
        yield Talks(Gateway(http, root, user=user), access.context, reach.client, http, root, identity)


def one_session(wanted: str, sessions: Sequence[SessionInfo]) -> SessionInfo:
    """Return the session with this id, or whose id begins so.

    Raises:
        InvalidSpec: there is none, or more than one.
    """
    exact = [info for info in sessions if info.id == wanted]
    found = exact or [info for info in sessions if wanted and info.id.startswith(wanted)]
    if len(found) != 1:
        what = "no session" if not found else f"{len(found)} sessions"
        raise InvalidSpec(f"{what} with the id {wanted!r}", remedy="kagent-tui sessions list shows the ids")
    return found[0]
