"""The chats of one cluster: makes conversations through its API server and keeps the chat screen while it is not seen.

A chat belongs to the cluster it was begun on; on another one there is another screen. The inbox of that cluster is
kept here too, since what is decided in it is decided in a conversation.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial

from kagent_api.errors import KagentError, ObjectRef
from kagent_api.names import CONTROLLER_NAMESPACE
from kagent_tui.chat.auditing import audited
from kagent_tui.chat.cache import TranscriptCache
from kagent_tui.chat.conversation import Conversation
from kagent_tui.chat.decisions import Answer
from kagent_tui.chat.desk import Desk, Snippet
from kagent_tui.chat.effects import effect_lines
from kagent_tui.chat.errors import ChatError
from kagent_tui.chat.events import ChatEvent, PendingCall
from kagent_tui.chat.gateway import Gateway, agent_of
from kagent_tui.chat.inbox import Inbox, Waiting
from kagent_tui.chat.jsonvalue import JsonObject
from kagent_tui.chat.rules import Verdicts
from kagent_tui.chat.safe_tools import inventory_of, servers_of, verdicts_in
from kagent_tui.chat.subject import ChatSubject, subject_of
from kagent_tui.chat.target import DEFAULT_USER, gateway_root, gateway_target
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import AGENT, DEPLOYMENT, MCP_SERVER, MODEL_CONFIG, POD, REMOTE_MCP_SERVER
from kagent_tui.cluster.store import Changes
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.render.age import age, seconds_since
from kagent_tui.render.text import Line, Tone
from kagent_tui.safety.audit import AuditTrail
from kagent_tui.screens.base import Host
from kagent_tui.screens.chat import MOST_PANES, ChatScreen
from kagent_tui.screens.inbox import InboxScreen
from kagent_tui.screens.sessions import SessionsScreen
from kagent_tui.widgets.chat_pane import OLD_SECONDS
from kagent_tui.widgets.decision_bar import DecisionHelp

__all__ = ["Chats"]

# A controller that is not there now may be installed later; asking costs one list of Services.
_NO_GATEWAY_SECONDS = 60.0


class Chats:
    """Opens chats, sessions and the inbox on behalf of the application. ``say`` shows a line (text, tone)."""

    def __init__(
        self, app: Host, workspace: Workspace, say: Callable[[str, Tone], None], *, audit: AuditTrail | None = None
    ) -> None:
        self._app = app
        self.user = os.environ.get("KAGENT_TUI_USER") or DEFAULT_USER
        self._cache = TranscriptCache()
        self._desk: Desk | None = None
        self._workspace = workspace
        self._say = say
        self._audit = audit or AuditTrail()
        self._cluster: Cluster | None = None
        self._screen: ChatScreen | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._inbox: Inbox | None = None
        self._trouble = ""

    async def talk(self, cluster: Cluster, ref: ObjectRef, *, beside: bool = False, session_id: str = "") -> None:
        """Go to the chat with an agent; ``beside`` opens another pane even if there is one."""
        screen = self._screen_for(cluster)
        await self._show(screen)
        await screen.talk_to(ref, beside=beside, session_id=session_id)

    async def reopen(self, cluster: Cluster) -> None:
        """Go to the chats as they were left, with what was written in them; what still runs is followed."""
        screen = self._screen_for(cluster)
        panes = await self._cache.panes(cluster.identity) if not screen.is_attached or not screen.panes else []
        first = True
        for pane in panes[:MOST_PANES]:
            namespace, _, name = pane.agent.partition("/")
            ref = ObjectRef(AGENT, namespace, name)
            if cluster.store.find(ref) is None:
                self._say(f"the chat with {pane.agent} is not opened: there is no such agent now", Tone.WARN)
                continue
            if first:
                await self._show(screen)
            await screen.talk_to(ref, beside=not first, session_id=pane.session, draft=pane.draft)
            first = False
        if first and screen.is_attached and screen.panes:
            await self._show(screen)
        elif first:
            self._say("no chats are open: c on an agent begins one", Tone.WARN)

    async def set_user(self, cluster: Cluster | None, user: str) -> None:
        """Talk as another user from now on: sessions belong to users, and chats that are open stay whose they are."""
        self.user = user.strip() or DEFAULT_USER
        if self._desk is not None:
            self._desk.user = self.user
        if self._inbox is not None and cluster is not None:
            self._inbox.turn_to(await self._gateway(cluster))
        self._say(f"you are {self.user} now; open chats go on as before", Tone.OK)

    async def _show(self, screen: ChatScreen) -> None:
        if screen in self._app.screen_stack:
            while self._app.screen is not screen:
                await self._app.pop_screen()
        else:
            await self._app.push_screen(screen)

    async def sessions(self, cluster: Cluster, *, only: ObjectRef | None = None, filter_text: str = "") -> None:
        """Show the sessions of all agents, or of one."""

        def resume(ref: ObjectRef, session_id: str) -> None:
            self._resume(cluster, ref, session_id)

        screen = SessionsScreen(
            self._workspace, partial(self._gateway, cluster), partial(_agent_of, cluster), self._waits, resume,
            partial(self._read, cluster), only=only, filter_text=filter_text, cache=self._cache,
            context=cluster.identity,
        )  # fmt: skip
        await self._app.push_screen(screen)

    async def approvals(self, cluster: Cluster) -> None:
        """Show what waits for a decision."""
        if isinstance(self._app.screen, InboxScreen):
            return

        def chat(waiting: Waiting) -> None:
            self._resume(cluster, waiting.agent, waiting.session.id)

        await self._app.push_screen(
            InboxScreen(
                self._workspace,
                lambda: self._inbox,
                lambda: self._trouble,
                self._decide,
                chat,
                help=partial(self._help, cluster),
            )
        )

    async def watch(self, cluster: Cluster) -> None:
        """Keep the inbox of a cluster up to date until cancelled."""
        self._inbox, self._trouble = None, ""
        while True:
            try:
                gateway = await self._gateway(cluster)
                break
            except KagentError as error:
                self._trouble = f"{error.message}{f' ({error.remedy})' if error.remedy else ''}"
                self._workspace.changed()
            await asyncio.sleep(_NO_GATEWAY_SECONDS)
        await self._tell_what_runs(cluster, gateway)
        converse = partial(self._converse, cluster, "inbox")
        self._inbox = Inbox(gateway, converse, partial(_agent_of, cluster), self._inbox_changed)
        await self._inbox.run()

    async def _tell_what_runs(self, cluster: Cluster, gateway: Gateway) -> None:
        """Say at start which of the chats that were open still run; ``:chats`` takes them up again."""
        running: list[str] = []
        for pane in await self._cache.panes(cluster.identity):
            try:
                states = await gateway.task_states(pane.session) if pane.session else []
            except KagentError:
                continue
            if states and states[-1] in ("submitted", "working", "input-required"):
                running.append(pane.agent)
        if running and self._screen is None:
            self._say(f"{', '.join(running)}: still at work in a chat you left; :chats goes on with it", Tone.WARN)

    def _help(self, cluster: Cluster, waiting: Waiting) -> DecisionHelp:
        desk = self._desk_for(cluster)
        agent = waiting.agent
        since = waiting.conversation.waits_since or waiting.session.updated
        now = self._workspace.clock()
        old = (seconds_since(since, now) or 0.0) >= OLD_SECONDS

        async def effect(call: PendingCall) -> list[Line]:
            return await desk.effect(call, agent.namespace) if desk.effect is not None else []

        return DecisionHelp(
            takes_edits=waiting.conversation.takes_edits,
            old=age(since, now) if old else "",
            verdicts=desk.verdicts(agent),
            effect=effect,
        )

    def _inbox_changed(self) -> None:
        waiting = len(self._inbox.waiting) if self._inbox is not None else 0
        if waiting > (self._workspace.waiting or 0):
            self._app.bell()
        self._workspace.waiting = waiting
        self._workspace.changed()

    def _waits(self, session_id: str) -> bool:
        return self._inbox is not None and session_id in self._inbox.waiting

    async def _decide(self, waiting: Waiting, answer: Answer) -> str:
        """Decide in the pane that shows the session, if one does: two answers to one question would be one too many."""
        panes = self._screen.panes if self._screen is not None and self._screen.is_attached else []
        for pane in panes:
            if pane.conversation is not None and pane.conversation.session_id == waiting.session.id:
                if pane.conversation.pause:
                    pane.decide(answer)
                if self._inbox is not None:
                    self._inbox.waiting.pop(waiting.session.id, None)
                    self._inbox_changed()
                return ""
        return await self._inbox.decide(waiting.session.id, answer) if self._inbox is not None else ""

    def _resume(self, cluster: Cluster, ref: ObjectRef, session_id: str) -> None:
        self._app.keyboard.hold()
        self._app.run_worker(self._guarded(cluster, ref, session_id), group="object", exclusive=True)

    async def _guarded(self, cluster: Cluster, ref: ObjectRef, session_id: str) -> None:
        try:
            await self.talk(cluster, ref, session_id=session_id)
        except KagentError as error:
            self._say(str(error), Tone.BAD)
        finally:
            self._app.call_later(self._app.keyboard.go_on)

    async def _gateway(self, cluster: Cluster) -> Gateway:
        namespace = cluster.namespaces[0] if cluster.namespaces else CONTROLLER_NAMESPACE
        root = await gateway_root(cluster.client, namespace)
        if not root:
            raise ChatError(
                f"no controller with an HTTP API is in {namespace} or {CONTROLLER_NAMESPACE}",
                remedy="sessions and approvals are kept by a controller: is it installed?",
            )
        return Gateway(cluster.client.http(), root, user=self.user)

    async def _converse(self, cluster: Cluster, via: str, ref: ObjectRef, session_id: str) -> Conversation:
        target = await gateway_target(cluster.client, ref.namespace, ref.name, user=self.user)
        decided = audited(
            self._audit, context=cluster.context, via=lambda: via, complain=lambda text: self._say(text, Tone.BAD)
        )
        return Conversation(target, session_id=session_id, decided=decided)

    async def _read(self, cluster: Cluster, ref: ObjectRef, session_id: str) -> Sequence[ChatEvent]:
        return await (await self._converse(cluster, "chat", ref, session_id)).history()

    def _screen_for(self, cluster: Cluster) -> ChatScreen:
        if self._screen is None or self._cluster is not cluster:
            if self._unsubscribe is not None:
                self._unsubscribe()
            if self._screen is not None:
                self._app.uninstall_screen(self._screen)  # pyright: ignore[reportUnknownMemberType] - Textual's own
            self._cluster = cluster
            self._screen = self._make(cluster)
            # An installed screen lives on when it is left: its chats go on.
            self._app.install_screen(self._screen, f"chats-{id(self._screen)}")  # pyright: ignore[reportUnknownMemberType]
            self._unsubscribe = cluster.store.subscribe(self._changed)
        return self._screen

    def _make(self, cluster: Cluster) -> ChatScreen:
        def describe(ref: ObjectRef) -> ChatSubject:
            return subject_of(ref, cluster.store.find)

        def agents() -> list[ObjectRef]:
            return sorted(cluster.store.objects(AGENT))

        return ChatScreen(
            self._workspace, partial(self._converse, cluster, "chat"), describe, agents=agents,
            desk=self._desk_for(cluster),
        )  # fmt: skip

    def _desk_for(self, cluster: Cluster) -> Desk:
        """Return what chats of this cluster need around them."""
        if self._desk is not None and self._desk.context == cluster.identity:
            return self._desk

        def verdicts(ref: ObjectRef) -> Verdicts:
            agent = cluster.store.find(ref)
            servers = servers_of(agent) if agent is not None else []
            found = [cluster.store.find(inventory_of(server)) for server in servers]
            return verdicts_in([each for each in found if each is not None])

        async def read(ref: ObjectRef) -> JsonObject | None:
            from kagent_api.kube import NotFound
            from kagent_tui.cli.reach import find_resource

            known = cluster.store.find(ref)
            if known is not None:
                return known
            try:
                return await cluster.client.get(find_resource(ref.kind), ref.name, ref.namespace)
            except NotFound:
                return None

        async def effect(call: PendingCall, namespace: str) -> list[Line]:
            return await effect_lines(cluster.client, call, namespace=namespace)

        def resources() -> list[ObjectRef]:
            kinds = (AGENT, MODEL_CONFIG, REMOTE_MCP_SERVER, MCP_SERVER, DEPLOYMENT, POD)
            return [ref for kind in kinds for ref in sorted(cluster.store.objects(kind))]

        async def snippets() -> list[Snippet]:
            return [Snippet(*each) for each in await (await self._gateway(cluster)).prompts()]

        self._desk = Desk(
            self._cache, cluster.identity, self.user, verdicts, effect, read, resources, snippets,
            partial(self._gateway, cluster),
        )  # fmt: skip
        return self._desk

    def _changed(self, changes: Changes) -> None:
        if self._screen is not None and self._screen.is_attached:
            self._screen.refresh_panes()


def _agent_of(cluster: Cluster, wanted: str) -> ObjectRef | None:
    return agent_of(wanted, cluster.store.objects(AGENT))
