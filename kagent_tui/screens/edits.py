"""What changes objects: each is a small road of screens and calls, run by the application as a worker.

Everything that is stored can be taken back (``undo``) while the program runs; everything typed is a draft until it is.
"""

from __future__ import annotations

import time
from typing import Any

from textual.app import App

from kagent_api.errors import InvalidSpec, KagentError, ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import AGENT, SECRET, JsonObject, ref_of
from kagent_tui.cluster.references import mapping
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.choices import choices
from kagent_tui.editing.document import editable, parse, to_yaml
from kagent_tui.editing.drafts import Draft, DraftStore
from kagent_tui.editing.masking import Typed, masked
from kagent_tui.editing.templates import SERIES, TEMPLATES, fill
from kagent_tui.editing.undo import Applied, Undo
from kagent_tui.render.age import duration
from kagent_tui.render.text import BLANK, Line, Tone, head, line, note, span
from kagent_tui.screens.ask import Answer, AskScreen, NameScreen
from kagent_tui.screens.entry import EntryScreen
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.screens.rollout import Rollout, Say

__all__ = ["EditActions"]

_FRESH = "\0fresh"


class EditActions:
    """The roads. ``say`` shows a line on the table's screen (text, tone, whether it stays)."""

    def __init__(self, app: App[Any], workspace: Workspace, drafts: DraftStore, say: Say) -> None:
        self._app = app
        self._workspace = workspace
        self._drafts = drafts
        self._say = say
        self._undo = Undo()
        self._rollout: Rollout | None = None

    async def edit(
        self, cluster: Cluster, ref: ObjectRef, *, external: bool = False, draft: Draft | None = None
    ) -> None:  # fmt: skip
        """Edit an object and follow what applying it sets off."""
        from kagent_tui.screens.editor import EditorScreen

        obj = await self._read(cluster, ref)
        if obj is not None:
            screen = EditorScreen(
                self._workspace, cluster, self._drafts, base=obj, external=external, draft=draft,
            )  # fmt: skip
            self.stored(cluster, await self._app.push_screen_wait(screen))

    async def new(self, cluster: Cluster, name: str = "") -> None:
        """Make an object from a template, or several from a series."""
        if not name:
            items = [Item("wizard", "wizard", "a model and an agent, step by step")]
            items += [Item(key, key, template.title) for key, template in TEMPLATES.items()]
            items += [Item(key, key, series.title) for key, series in SERIES.items()]
            picked = await self._app.push_screen_wait(PickScreen("Begin with", items))
            if not picked:
                return
            name = picked[0]
        if name == "wizard":
            await self.wizard(cluster)
        elif name in SERIES:
            await self._series(cluster, name)
        elif name in TEMPLATES:
            # One draft per template: two new agents at once are rarer than a closed terminal.
            await self._create(cluster, fill(TEMPLATES[name], self._namespace(cluster)), ObjectRef("new", "", name))
        else:
            known = ", ".join([*TEMPLATES, *SERIES])
            self._say(f"no template {name!r}; there are: {known}", Tone.WARN, False)

    async def _series(self, cluster: Cluster, name: str) -> None:
        texts = SERIES[name].texts
        for index, template in enumerate(texts, 1):
            text = fill(template, self._namespace(cluster))
            ref = ref_of(parse(text).object)
            if await self._exists(cluster, ref):
                self._say(f"{ref} is there already; it stays as it is", Tone.DIM, False)
                continue
            step = f"{index} of {len(texts)} › "
            made = await self._create(cluster, text, ObjectRef("new", "", f"{name} {index}"), step=step)
            if made is None and index < len(texts):
                lines = [head(f"{ref} was not made"), line(span("What comes next may refer to it."))]
                answers = [Answer("s", "stop here"), Answer("g", "go on with the next one")]
                if await self._app.push_screen_wait(AskScreen(lines, answers)) != "g":
                    return

    async def _create(
        self, cluster: Cluster, text: str, key: ObjectRef, *, step: str = "", typed: Typed | None = None,
        draft: Draft | None = None,
    ) -> Applied | None:  # fmt: skip
        from kagent_tui.screens.editor import EditorScreen

        made = await self._app.push_screen_wait(
            EditorScreen(
                self._workspace, cluster, self._drafts, base=None, text=text, ref=key, step=step, typed=typed,
                draft=draft,
            )
        )  # fmt: skip
        self.stored(cluster, made)
        return made

    async def clone(self, cluster: Cluster, ref: ObjectRef) -> None:
        """Make another object out of one, under a name of its own."""
        obj = await self._read(cluster, ref)
        if obj is None:
            return
        name = await self._app.push_screen_wait(EntryScreen(f"Clone {ref} as", f"{ref.name}-copy"))
        if not name:
            return
        bare = editable(obj)
        meta = {**mapping(bare.get("metadata")), "name": name}
        typed: Typed = {("data", key): str(value) for key, value in mapping(bare.get("data")).items()}
        text = to_yaml(masked({**bare, "metadata": meta}))
        key = ObjectRef("new", ref.namespace, f"clone of {ref.kind} {ref.name}")
        await self._create(cluster, text, key, typed=typed if ref.kind == SECRET else None)

    async def delete(self, cluster: Cluster, ref: ObjectRef) -> None:
        """Delete an object; where something would break, only once its name is typed."""
        obj = await self._read(cluster, ref)
        if obj is None:
            return
        lines: list[Line] = [head(f"Delete {ref} in {self._workspace.context}"), line(span(_effect(ref)))]
        users = cluster.store.used_by(ref)
        if users:
            lines += [BLANK, line(span("These would break:", Tone.BAD))]
            lines += [line(span(f"  {user.kind} {user.namespace}/{user.name}")) for user in users]
            lines += [BLANK, line(span("Type its name to delete it."))]
            sure = await self._app.push_screen_wait(NameScreen(lines, ref.name))
        else:
            lines += [BLANK, note("Nothing that can be seen from here refers to it.", 0)]
            answers = [Answer("n", "leave it"), Answer("y", f"delete {ref.name}")]
            sure = await self._app.push_screen_wait(AskScreen(lines, answers)) == "y"
        if not sure:
            return
        try:
            await cluster.delete(ref, uid=str(mapping(obj.get("metadata")).get("uid", "")))
        except KagentError as error:
            self._say(f"not deleted: {error}", Tone.BAD, True)
        else:
            self._undo.remember(cluster.identity, Applied(obj, None))
            self._say(f"{ref} deleted; :undo makes it again", Tone.OK, False)

    async def undo(self, cluster: Cluster) -> None:
        """Take the last change back that was made from here, on the same road as any other change."""
        from kagent_tui.screens.applying import apply_object

        change = self._undo.last(cluster.identity)
        if change is None:
            self._say("nothing was applied from here yet", Tone.PLAIN, False)
            return
        if change.before is None and change.after is not None:
            if await self._unmake(cluster, change.after):
                self._undo.forget_last(cluster.identity)
            return
        assert change.before is not None
        wanted = editable(change.before)
        applied = await apply_object(self._app, self._workspace, cluster, change.after, wanted)
        if applied is not None:
            self._undo.forget_last(cluster.identity)
            self._follow(cluster, applied)

    async def _unmake(self, cluster: Cluster, made: JsonObject) -> bool:
        ref = ref_of(made)
        lines = [head(f"Undo: delete {ref}, which was made from here"), line(span(_effect(ref)))]
        lines += [line(span(f"  {user} would break", Tone.BAD)) for user in cluster.store.used_by(ref)]
        answers = [Answer("n", "leave it"), Answer("y", f"delete {ref.name}")]
        if await self._app.push_screen_wait(AskScreen(lines, answers)) != "y":
            return False
        await cluster.delete(ref, uid=str(mapping(made.get("metadata")).get("uid", "")))
        self._say(f"{ref} deleted", Tone.OK, False)
        return True

    async def revisions(self, cluster: Cluster, ref: ObjectRef) -> None:
        """Show the generations of an agent and go back to one of them."""
        from kagent_tui.editing.revisions import read_revisions
        from kagent_tui.screens.revisions import RevisionsScreen

        if ref.kind != AGENT:
            self._say(f"only agents have revisions; {ref} is none", Tone.WARN, False)
            return
        obj = await self._read(cluster, ref)
        if obj is not None:
            found = await read_revisions(cluster, obj)
            await self._app.push_screen(
                RevisionsScreen(self._workspace, cluster, obj, found, lambda applied: self.stored(cluster, applied))
            )

    async def drafts(self, cluster: Cluster) -> None:
        """Go on with work that was not applied."""
        found = self._drafts.all(cluster.identity)
        if not found:
            self._say("no unsaved work for this cluster", Tone.PLAIN, False)
            return
        now = time.time()
        items = [Item(str(n), _draft_title(one), f"{duration(now - one.saved)} ago") for n, one in enumerate(found)]
        picked = await self._app.push_screen_wait(PickScreen("Unsaved work", items))
        if not picked:
            return
        draft = found[int(picked[0])]
        if draft.ref.kind == "wizard":
            await self.wizard(cluster)
        elif draft.ref.kind == "new" or not await self._exists(cluster, draft.ref):
            await self._create(cluster, "", draft.ref, draft=draft)
        else:
            await self.edit(cluster, draft.ref, draft=draft)

    def tell_drafts(self, cluster: Cluster) -> None:
        """Say once that there is unsaved work, when a cluster is opened."""
        found = self._drafts.all(cluster.identity)
        if found:
            names = ", ".join(_draft_title(one) for one in found[:3]) + (", ..." if len(found) > 3 else "")
            self._say(f"unsaved work: {names} (:drafts)", Tone.WARN, False)

    async def secrets(self, cluster: Cluster, name: str = "") -> None:
        """Choose a Secret, then what to do with it."""
        namespace = self._namespace(cluster)
        if not name:
            found = await choices("secret", ("spec",), {"metadata": {"namespace": namespace}}, cluster)
            items = [Item(one.value, one.value, _used(cluster, namespace, one.value, one.note)) for one in found.values]
            if not self._workspace.readonly:
                items.append(Item(_FRESH, "+ a new Secret"))
            if found.trouble:
                self._say(found.trouble, Tone.WARN, False)
            picked = await self._app.push_screen_wait(PickScreen(f"Secrets of {namespace}", items, free=True))
            if not picked:
                return
            name = picked[0]
        if name == _FRESH:
            await self.new(cluster, "secret")
            return
        ref = ObjectRef(SECRET, namespace, name)
        lines = [head(str(ref)), line(span("Its values stay hidden; F6 in the editor shows them."))]
        answers = [Answer("b", "back")]
        if not self._workspace.readonly:
            answers += [Answer("e", "edit"), Answer("c", "clone"), Answer("d", "delete")]
        match await self._app.push_screen_wait(AskScreen(lines, answers)):
            case "e":
                await self.edit(cluster, ref)
            case "c":
                await self.clone(cluster, ref)
            case "d":
                await self.delete(cluster, ref)
            case _:
                return

    async def wizard(self, cluster: Cluster) -> None:
        """Ask for a first model and agent, step by step, and make them."""
        from kagent_tui.screens.wizard import Wizard

        for made in await Wizard(self._app, self._workspace, cluster, self._drafts, self._namespace(cluster)).run():
            self.stored(cluster, made)

    def stored(self, cluster: Cluster, change: Applied | None) -> None:
        """Remember a change, so that it can be taken back, and tell how it comes along."""
        if change is not None:
            self._undo.remember(cluster.identity, change)
            self._follow(cluster, change)

    def _follow(self, cluster: Cluster, change: Applied) -> None:
        if change.after is not None:
            if self._rollout is not None:
                self._rollout.close()
            self._rollout = Rollout(cluster, change.after, self._say)
            self._rollout.start()

    def _namespace(self, cluster: Cluster) -> str:
        return self._workspace.namespaces[0] if self._workspace.namespaces else cluster.client.access.namespace

    async def _exists(self, cluster: Cluster, ref: ObjectRef) -> bool:
        from kagent_api.kube import NotFound

        try:
            await cluster.read(ref)
        except (NotFound, KeyError):
            return False
        return True

    async def _read(self, cluster: Cluster, ref: ObjectRef) -> JsonObject | None:
        try:
            return await cluster.read(ref)
        except KagentError as error:
            self._say(str(error), Tone.BAD, True)
            return None


def _draft_title(draft: Draft) -> str:
    if draft.ref.kind == "wizard":
        return "the wizard's answers"
    if draft.ref.kind != "new":
        return str(draft.ref)
    try:
        return f"new {ref_of(parse(draft.text).object)}"
    except InvalidSpec:
        return f"new {draft.ref.name}"


def _used(cluster: Cluster, namespace: str, name: str, words: str) -> str:
    users = cluster.store.used_by(ObjectRef(SECRET, namespace, name))
    return f"{words}; used by {', '.join(user.name for user in users)}" if users else words


def _effect(ref: ObjectRef) -> str:
    match ref.kind:
        case "Agent":
            return "Its Deployment, Service and configuration go with it; its chats can no longer be continued."
        case "MCPServer":
            return "Its Deployment and Service go with it, and its tools are gone."
        case "RemoteMCPServer":
            return "The server itself keeps running; agents can no longer use its tools."
        case "Secret":
            return "Its values are gone; what reads them stops working at its next start."
        case _:
            return "What uses it stops working at its next change or start."
