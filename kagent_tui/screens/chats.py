"""The chats of one cluster: makes conversations through its API server and keeps the chat screen while it is not seen.

A chat belongs to the cluster it was begun on; on another one there is another screen.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App

from kagent_api.errors import ObjectRef
from kagent_tui.chat.conversation import Conversation
from kagent_tui.chat.subject import ChatSubject, subject_of
from kagent_tui.chat.target import gateway_target
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import AGENT
from kagent_tui.cluster.store import Changes
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.screens.chat import ChatScreen

__all__ = ["Chats"]


class Chats:
    """Opens chats on behalf of the application."""

    def __init__(self, app: App[int], workspace: Workspace) -> None:
        self._app = app
        self._workspace = workspace
        self._cluster: Cluster | None = None
        self._screen: ChatScreen | None = None
        self._unsubscribe: Callable[[], None] | None = None

    async def talk(self, cluster: Cluster, ref: ObjectRef, *, beside: bool = False, session_id: str = "") -> None:
        """Go to the chat with an agent; ``beside`` opens another pane even if there is one."""
        screen = self._screen_for(cluster)
        if self._app.screen is not screen:
            await self._app.push_screen(screen)
        await screen.talk_to(ref, beside=beside, session_id=session_id)

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
        async def open_conversation(ref: ObjectRef, session_id: str) -> Conversation:
            target = await gateway_target(cluster.client, ref.namespace, ref.name)
            return Conversation(target, session_id=session_id)

        def describe(ref: ObjectRef) -> ChatSubject:
            return subject_of(ref, cluster.store.find)

        def agents() -> list[ObjectRef]:
            return sorted(cluster.store.objects(AGENT))

        return ChatScreen(self._workspace, open_conversation, describe, agents=agents)

    def _changed(self, changes: Changes) -> None:
        if self._screen is not None and self._screen.is_attached:
            self._screen.refresh_panes()
