"""The log of what runs for an agent or a server, followed; a new Pod of a rollout takes over by itself."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import cast

from textual import work

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cluster.cluster import Cluster, Follow
from kagent_tui.cluster.kinds import POD, JsonObject, ref_of
from kagent_tui.cluster.workloads import containers_of, newest_first, pod_selector, pod_state
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.state import state_home
from kagent_tui.render.logs import log_line
from kagent_tui.render.text import Line, Span, Tone, line, note
from kagent_tui.screens.reader import ReaderScreen
from kagent_tui.widgets.bindings import bindings

__all__ = ["LogScreen"]

FIRST_LINES = 500
SINCE = {0: f"the last {FIRST_LINES} lines", 300: "the last 5 minutes", 3600: "the last hour", 86400: "the last day"}
# As often as the screen is painted for chats; a chatty Pod writes thousands of lines between.
FLUSH_SECONDS = 0.1


class LogScreen(ReaderScreen):
    """Follows one container of one Pod at a time."""

    CSS_PATH = "reader.tcss"
    BINDINGS = bindings("logs")

    def __init__(self, workspace: Workspace, cluster: Cluster, ref: ObjectRef) -> None:
        super().__init__(workspace, trail=f"{ref.name} › logs")
        self._cluster = cluster
        self._ref = ref
        self._pods: Follow | None = None
        self._source: tuple[str, str] = ("", "")
        self._chosen = False
        self._previous = False
        # Seconds; 0 is the last lines, however old.
        self._since = 0
        self._following = True
        self._waiting: list[Line] = []

    def on_mount(self) -> None:
        self.set_interval(FLUSH_SECONDS, self._flush)
        self._find()

    def on_unmount(self) -> None:
        if self._pods is not None:
            self._pods.close()

    @work(exclusive=True, group="find")
    async def _find(self) -> None:
        try:
            selector = await pod_selector(self._cluster, self._ref)
        except KagentError as error:
            self.show_lines([note(f"no Pods: {error}", 0)])
            return
        self._pods = self._cluster.follow(POD, self._ref.namespace, self._pods_changed, label_selector=selector)

    def _sources(self) -> list[tuple[str, str]]:
        pods = newest_first(self._pods.objects) if self._pods is not None else []
        return [(ref_of(pod).name, container) for pod in pods for container in containers_of(pod)]

    def _pods_changed(self) -> None:
        sources = self._sources()
        if not sources:
            self._source = ("", "")
            self.show_lines([note("there are no Pods; they appear here as soon as there are", 0)])
        elif self._source not in sources or (not self._chosen and self._source != sources[0]):
            self._chosen = False
            self._source = sources[0]
            self._read()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        pod, container = self._source
        self.set_trail(f"{self._ref.name} › logs › {pod}/{container}{' (previous)' if self._previous else ''}")
        self._waiting.clear()
        self.show_lines([])
        try:
            logs = self._cluster.client.logs(
                pod, self._ref.namespace, container=container, follow=not self._previous,
                tail_lines=None if self._since else FIRST_LINES, since_seconds=self._since or None,
                previous=self._previous,
            )  # fmt: skip
            async with aclosing(cast("AsyncGenerator[str]", logs)) as stream:
                async for text in stream:
                    self._waiting.append(log_line(text))
        except KagentError as error:
            self._waiting.append(note(f"{error.message}{self._state_of(pod)}", 0))
        else:
            self._waiting.append(note(f"end of the log{self._state_of(pod)}", 0))

    def _state_of(self, name: str) -> str:
        objects: list[JsonObject] = self._pods.objects if self._pods is not None else []
        found = next((pod for pod in objects if ref_of(pod).name == name), None)
        return f" (Pod: {pod_state(found).reason})" if found is not None else " (the Pod is gone)"

    def _flush(self) -> None:
        if self._waiting and self.is_running:
            lines, self._waiting = self._waiting, []
            self.pane.append(lines, follow=self._following)

    def action_follow(self) -> None:
        self._following = not self._following
        if self._following:
            self.pane.action_last()
        self.say("following the end" if self._following else "standing still; new lines are added below")

    def action_previous(self) -> None:
        self._previous = not self._previous
        self._read()

    def action_since(self) -> None:
        spans = list(SINCE)
        self._since = spans[(spans.index(self._since) + 1) % len(spans)]
        self.say(f"showing {SINCE[self._since]}")
        self._read()

    def action_mark(self) -> None:
        moment = datetime.fromtimestamp(self.workspace.clock()).astimezone().strftime("%H:%M:%S")
        self._waiting.append(line(Span(f"──── {moment} {'─' * 40}", Tone.HEAD)))

    def action_other(self) -> None:
        sources = self._sources()
        if len(sources) > 1:
            here = sources.index(self._source) if self._source in sources else -1
            self._source = sources[(here + 1) % len(sources)]
            self._chosen = True
            self._read()
        else:
            self.say("there is only one container")

    def action_save(self) -> None:
        target = state_home() / "logs" / f"{self._source[0] or self._ref.name}-{int(time.time())}.log"
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_text(self.pane.plain + "\n", encoding="utf-8")
        except OSError as error:
            self.say(f"{target}: {error.strerror or error}", Tone.BAD)
        else:
            self.say(f"saved as {target}", Tone.OK)
