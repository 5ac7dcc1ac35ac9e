"""What can be done with one object: each is a small road of screens and calls, run by the application as a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import DEPLOYMENT, JsonObject, ref_of, view_of
from kagent_tui.cluster.references import mapping
from kagent_tui.cluster.rollout import progress
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.document import to_yaml
from kagent_tui.editing.drafts import DraftStore
from kagent_tui.editing.masking import masked
from kagent_tui.editing.templates import TEMPLATES, fill
from kagent_tui.editing.undo import Applied, Undo
from kagent_tui.render.text import BLANK, Line, Tone, head, line, span
from kagent_tui.render.yaml import yaml_lines
from kagent_tui.screens.ask import NameScreen
from kagent_tui.screens.base import Host
from kagent_tui.screens.detail import DetailScreen
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["ObjectActions"]

Say = Callable[[str, Tone, bool], None]


class ObjectActions:
    """The roads. ``say`` shows a line on the table's screen (text, tone, whether it stays)."""

    def __init__(self, app: Host, workspace: Workspace, drafts: DraftStore, say: Say) -> None:
        self._app = app
        self._workspace = workspace
        self._drafts = drafts
        self._say = say
        self._undo = Undo()

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

    async def edit(self, cluster: Cluster, ref: ObjectRef, *, external: bool = False) -> None:
        """Edit an object and follow what applying it sets off."""
        from kagent_tui.screens.editor import EditorScreen

        obj = await self._read(cluster, ref)
        if obj is None:
            return
        screen = EditorScreen(self._workspace, cluster, self._drafts, base=obj, external=external)
        stored = await self._app.push_screen_wait(screen)
        if stored is not None:
            self._stored(cluster, stored)

    async def new(self, cluster: Cluster, name: str = "") -> None:
        """Make an object from a template."""
        from kagent_tui.screens.editor import EditorScreen

        if name and name not in TEMPLATES:
            self._say(f"no template {name!r}; there are: {', '.join(TEMPLATES)}", Tone.WARN, False)
            return
        if not name:
            items = [Item(key, key, template.title) for key, template in TEMPLATES.items()]
            picked = await self._app.push_screen_wait(PickScreen("Begin with", items))
            if not picked:
                return
            name = picked[0]
        namespace = self._workspace.namespaces[0] if self._workspace.namespaces else cluster.client.access.namespace
        # One draft per template: two new agents at once are rarer than a closed terminal.
        ref = ObjectRef("new", "", name)
        text = fill(TEMPLATES[name], namespace)
        stored = await self._app.push_screen_wait(
            EditorScreen(self._workspace, cluster, self._drafts, base=None, text=text, ref=ref)
        )
        if stored is not None:
            self._stored(cluster, stored)

    async def delete(self, cluster: Cluster, ref: ObjectRef) -> None:
        """Delete an object once its name is typed; say before what depends on it."""
        obj = await self._read(cluster, ref)
        if obj is None:
            return
        lines: list[Line] = [head(f"Delete {ref} in {self._workspace.context}")]
        lines.append(line(span(_effect(ref))))
        users = cluster.store.used_by(ref)
        if users:
            lines += [BLANK, line(span("These would break:", Tone.BAD))]
            lines += [line(span(f"  {user.kind} {user.namespace}/{user.name}")) for user in users]
        lines += [BLANK, line(span("Type its name to delete it."))]
        if not await self._app.push_screen_wait(NameScreen(lines, ref.name)):
            return
        try:
            await cluster.delete(ref, uid=str(mapping(obj.get("metadata")).get("uid", "")))
        except KagentError as error:
            self._say(f"not deleted: {error}", Tone.BAD, True)
        else:
            self._say(f"{ref} deleted", Tone.OK, False)

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

    def _stored(self, cluster: Cluster, change: Applied) -> None:
        self._undo.remember(cluster.identity, change)
        if change.after is not None:
            self.follow(cluster, change.after)

    def follow(self, cluster: Cluster, stored: JsonObject) -> None:
        """Tell how the change comes along until it has arrived or failed, from watches alone."""
        _Rollout(cluster, stored, self._say).start()

    async def _read(self, cluster: Cluster, ref: ObjectRef) -> JsonObject | None:
        try:
            return await cluster.read(ref)
        except KagentError as error:
            self._say(str(error), Tone.BAD, True)
            return None


class _Rollout:
    """Follows one written object; closes itself."""

    def __init__(self, cluster: Cluster, stored: JsonObject, say: Say) -> None:
        self._cluster = cluster
        self._ref = ref_of(stored)
        generation = mapping(stored.get("metadata")).get("generation")
        self._generation = generation if isinstance(generation, int) else 0
        self._say = say
        self._last = ""
        self._closed = False

    def start(self) -> None:
        if view_of(self._ref.kind) is None:
            self._say(f"{self._ref} applied", Tone.OK, False)
            return
        field = f"metadata.name={self._ref.name}"
        self._deployments = self._cluster.follow(DEPLOYMENT, self._ref.namespace, self._look, field_selector=field)
        self._unsubscribe = self._cluster.store.subscribe(lambda changes: self._look())
        self._look()

    def _look(self) -> None:
        if self._closed:
            return
        deployment = next(iter(self._deployments.objects), None)
        now = progress(self._cluster.store.find(self._ref), deployment, self._generation)
        if now.text != self._last:
            self._last = now.text
            tone = {"going": Tone.DIM, "done": Tone.OK, "failed": Tone.BAD}[now.state]
            self._say(now.text, tone, now.state == "going")
        if now.state != "going":
            self._closed = True
            self._deployments.close()
            self._unsubscribe()


def _effect(ref: ObjectRef) -> str:
    match ref.kind:
        case "Agent":
            return "Its Deployment, Service and configuration go with it; its chats can no longer be continued."
        case "MCPServer":
            return "Its Deployment and Service go with it, and its tools are gone."
        case "RemoteMCPServer":
            return "The server itself keeps running; agents can no longer use its tools."
        case _:
            return "There is no way back."
