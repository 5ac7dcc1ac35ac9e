"""What can be done with one object: each is a small road of screens and calls, run by the application as a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import mapping
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.document import to_yaml
from kagent_tui.editing.masking import masked
from kagent_tui.render.text import Tone
from kagent_tui.render.yaml import yaml_lines
from kagent_tui.screens.base import Host
from kagent_tui.screens.detail import DetailScreen
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["ObjectActions"]

Say = Callable[[str, Tone, bool], None]


class ObjectActions:
    """The roads. ``say`` shows a line on the table's screen (text, tone, whether it stays)."""

    def __init__(self, app: Host, workspace: Workspace, say: Say) -> None:
        self._app = app
        self._workspace = workspace
        self._say = say

    async def open(self, cluster: Cluster, ref: ObjectRef) -> None:
        """Show everything about an object."""
        await self._app.push_screen(DetailScreen(self._workspace, cluster, ref))

    async def why(self, cluster: Cluster, ref: ObjectRef) -> None:
        """Show the chain of what an object needs and what of it is broken."""
        from kagent_tui.screens.why import WhyScreen

        await self._app.push_screen(WhyScreen(self._workspace, cluster, ref))

    async def logs(self, cluster: Cluster, ref: ObjectRef) -> None:
        """Follow the log of an object's Pods."""
        from kagent_tui.screens.logs import LogScreen

        await self._app.push_screen(LogScreen(self._workspace, cluster, ref))

    async def yaml(self, cluster: Cluster, ref: ObjectRef) -> None:
        """Show an object's YAML as the cluster has it, without the bookkeeping of field managers."""
        obj = await self._read(cluster, ref)
        if obj is not None:
            meta = {key: value for key, value in mapping(obj.get("metadata")).items() if key != "managedFields"}
            text = to_yaml(masked({**obj, "metadata": meta}))
            trail = f"{ref.kind.lower()} › {ref.name} › yaml"
            await self._app.push_screen(
                ReaderScreen(self._workspace, trail=trail, lines=yaml_lines(text), wrapping=False)
            )

    async def xray(self, cluster: Cluster, ref: ObjectRef, *, users_only: bool = False) -> None:
        """Show the trees of what an object needs and what uses it."""
        from kagent_tui.screens.xray import XrayScreen

        await self._app.push_screen(XrayScreen(self._workspace, cluster, ref, users_only=users_only))

    async def pods(self, cluster: Cluster, ref: ObjectRef) -> None:
        """Show what runs for an object."""
        from kagent_tui.screens.workload import WorkloadScreen

        await self._app.push_screen(WorkloadScreen(self._workspace, cluster, ref))

    async def copy(self, cluster: Cluster, refs: Sequence[ObjectRef]) -> None:
        """Send names to the terminal's clipboard (OSC 52), one a line."""
        what = repr(refs[0].name) if len(refs) == 1 else f"{len(refs)} names"
        told, tone = self._app.put_on_clipboard("\n".join(ref.name for ref in refs), what)
        self._say(told, tone, False)

    async def _read(self, cluster: Cluster, ref: ObjectRef) -> JsonObject | None:
        try:
            return await cluster.read(ref)
        except KagentError as error:
            self._say(str(error), Tone.BAD, True)
            return None
