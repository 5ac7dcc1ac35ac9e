"""Edit one object, as a form or as YAML: one text behind both, kept on disk until it is applied or thrown away.

Apply means: parsed, compared with what is in the cluster now, checked by the server, shown as a difference, and only
then written. Nothing typed is ever lost to an error; values of Secrets stay in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.timer import Timer
from textual.widget import Widget

from kagent_api.errors import InvalidSpec, KagentError, ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import JsonObject, ref_of
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.document import BrokenYaml, parse
from kagent_tui.editing.drafts import Draft, DraftStore
from kagent_tui.editing.edit import (
    Conflicting,
    Edit,
    Rejected,
    Reviewed,
    Unchanged,
    Vanished,
    rebase,
    resume,
    review,
    write,
)
from kagent_tui.editing.masking import Typed, absorb, placeholder, revealed, unmasked
from kagent_tui.editing.problems import Problem, check, problems_of
from kagent_tui.editing.source import Path, dotted, put
from kagent_tui.editing.templates import TEMPLATES, fill
from kagent_tui.editing.undo import Applied
from kagent_tui.render.age import duration
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note, span
from kagent_tui.screens.ask import Answer, AskScreen
from kagent_tui.screens.base import BaseScreen
from kagent_tui.screens.clashes import ClashesScreen
from kagent_tui.screens.completing import Completer
from kagent_tui.screens.external import EditorFailed, edit_externally
from kagent_tui.screens.fields import Fields
from kagent_tui.screens.review import ReviewScreen
from kagent_tui.widgets.bindings import bindings
from kagent_tui.widgets.text_pane import TextPane
from kagent_tui.widgets.yaml_area import YamlArea

if TYPE_CHECKING:
    # Importing it for real would import every widget that Textual has.
    from textual.types import CSSPathType

__all__ = ["EditorScreen"]

# Long enough not to parse at every key, short enough that a crash costs a word.
PAUSE_SECONDS = 0.4


class EditorScreen(BaseScreen[Applied | None]):
    """Answers with what was stored in place of what, None when nothing was applied."""

    CSS_PATH: ClassVar[CSSPathType | None] = [
        "editor.tcss", "../widgets/yaml_area.tcss", "../widgets/form_pane.tcss",
    ]  # fmt: skip
    BINDINGS = bindings("edit")
    AUTO_FOCUS = ""

    def __init__(
        self, workspace: Workspace, cluster: Cluster, drafts: DraftStore, *, base: JsonObject | None, text: str = "",
        ref: ObjectRef | None = None, external: bool = False, form: bool = True, draft: Draft | None = None,
        step: str = "", typed: Typed | None = None,
    ) -> None:  # fmt: skip
        """``base`` is the object to edit; without it ``text`` and ``ref`` are those of a new one.

        ``draft`` is unsaved work to go on with at once; ``step`` says where in a series of objects this one stands;
        ``typed`` are values behind the text's placeholders.
        """
        self.ref = ref if base is None or ref is not None else ref_of(base)
        name = self.ref.name if self.ref and base is not None else "new"
        super().__init__(workspace, trail=f"{step}{name} › edit")
        self._cluster = cluster
        self._drafts = drafts
        self._edit = Edit(base, text)
        if base is not None:
            self._edit = Edit(base, self._edit.base_text)
        self._first = self._edit.text
        self._external = external
        self._form = form and not external
        self._draft = draft
        self._typed: Typed = dict(typed or {})
        self._problems: Sequence[Problem] = ()
        self._pause: Timer | None = None
        self._ready = False
        self._completer = Completer(self)

    def body(self) -> Iterable[Widget]:
        yield Fields(self)
        yield YamlArea()
        problems = TextPane(id="problems")
        problems.can_focus = False
        yield problems

    @property
    def area(self) -> YamlArea:
        return self.query_one(YamlArea)

    @property
    def fields(self) -> Fields:
        return self.query_one(Fields)

    @property
    def text(self) -> str:
        return self.area.text

    @property
    def dirty(self) -> bool:
        """Whether there is something to lose."""
        return self.text != self._first or bool(self._typed)

    @property
    def creates(self) -> bool:
        """Whether the object does not exist yet."""
        return self._edit.base is None

    @property
    def cluster(self) -> Cluster:
        """The cluster as it is connected now: reading everything again makes another connection."""
        now = self.workspace.cluster
        return now if now is not None and now.identity == self._cluster.identity else self._cluster

    @property
    def in_form(self) -> bool:
        return self.has_class("-form")

    def on_mount(self) -> None:
        self.area.load(self._edit.text)
        self._first = self.text
        draft = self._draft or self._drafts.load(self._cluster.identity, self._key)
        if self._draft is not None:
            self._use(self._draft)
        self._open_first_view()
        if self._draft is None and draft is not None and draft.text != self._first:
            self._offer(draft)
        elif self._external:
            self.action_external()

    @work(exclusive=True, group="first")
    async def _open_first_view(self) -> None:
        # The schema is read outside of the loop: it imports every resource type.
        problems = await asyncio.to_thread(check, self.text)
        if self._gone:
            return
        if not (self._form and self._show_form(problems)):
            self._show_yaml()
        self._ready = True
        self._show_problems(problems if self.dirty else ())

    @property
    def _gone(self) -> bool:
        """Whether the screen was closed while something was worked out: its widgets leave before its workers end."""
        return not self.is_attached or not self.query("#problems") or not self.query(YamlArea)

    @property
    def _key(self) -> ObjectRef:
        return self.ref if self.ref is not None else ObjectRef("new", "", "")

    def _use(self, draft: Draft) -> None:
        self._edit = resume(self._edit.base, draft.text, draft.base)
        self.area.load(draft.text)

    def _show_yaml(self) -> None:
        self.remove_class("-form")
        self.area.focus()
        self.refresh_bindings()

    def _show_form(self, problems: Sequence[Problem] | None = None) -> bool:
        """Show the form; False when the text has none."""
        try:
            self._set_text(absorb(self.text, self._typed))
        except BrokenYaml as error:
            self.say(f"the form needs YAML that can be read: {error}", Tone.WARN)
            return False
        if not self.fields.show(self.text, self._problems if problems is None else problems):
            return False
        self.add_class("-form")
        self.fields.pane.focus()
        self.refresh_bindings()
        return True

    def action_form(self) -> None:
        if not self._ready:
            self._form = not self._form
        elif self.in_form:
            row = self.fields.pane.row
            self._show_yaml()
            if row is not None:
                self.in_yaml(row.path)
        else:
            self._show_form()

    @on(Fields.InYaml)
    def _in_yaml(self, event: Fields.InYaml) -> None:
        self._show_yaml()
        self.in_yaml(event.path)

    def in_yaml(self, path: Path) -> None:
        """Put the cursor of the YAML on a field."""
        try:
            self.area.go_to(parse(self.text).line_of(dotted(path)))
        except BrokenYaml:
            return

    @on(Fields.Edited)
    def _edited(self, event: Fields.Edited) -> None:
        self._set_text(event.text)

    def _set_text(self, text: str) -> None:
        if text != self.text:
            # As one edit, so that ^z of the YAML takes it back.
            self.area.replace(text, self.area.document.start, self.area.document.end)

    def take_secret(self, key: str, value: str) -> None:
        """Keep a Secret's value in memory and a placeholder in the text."""
        self._typed["stringData", key] = value
        self._set_text(put(self.text, ("stringData", key), placeholder(key) if value else ""))
        if self.in_form:
            self.fields.show(self.text, self._problems)

    async def make_secret(self, name: str) -> str | None:
        """Make a Secret on the way and return its name; None when none was made."""
        try:
            namespace = ref_of(parse(self.text).object).namespace
        except BrokenYaml:
            namespace = ""
        namespace = namespace or self.cluster.client.access.namespace
        draft = fill(TEMPLATES["secret"], namespace)
        if name:
            draft = put(draft, ("metadata", "name"), name)
        made = await self.app.push_screen_wait(
            EditorScreen(
                self.workspace, self.cluster, self._drafts, base=None, text=draft, ref=ObjectRef("new", "", "secret")
            )
        )
        return ref_of(made.after).name if made is not None and made.after is not None else None

    @work(exclusive=True, group="ask")
    async def _offer(self, draft: Draft) -> None:
        lines = [
            head("There is unsaved work"),
            line(span(f"You were editing {self._key} {duration(time.time() - draft.saved)} ago and did not apply it.")),
        ]
        if draft.base != self._edit.base_text:
            lines.append(line(span("The object has changed since; applying will show both.", Tone.WARN)))
        answers = [Answer("n", "not now: begin with what the cluster has"), Answer("u", "use the unsaved work"),
                   Answer("x", "throw it away")]  # fmt: skip
        answer = await self.app.push_screen_wait(AskScreen(lines, answers))
        if answer == "u":
            self._use(draft)
            if self.in_form and not self._show_form():
                self._show_yaml()
            self._look()
        elif answer == "x":
            self._drafts.discard(self._cluster.identity, self._key)
        if self._external:
            self.action_external()

    @on(YamlArea.Changed)
    def _text_changed(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE_SECONDS, self._look)
        if self._ready and self.area.has_focus:
            self._hint()

    @work(exclusive=True, group="complete")
    async def _hint(self) -> None:
        await self._completer.hint()

    @work(exclusive=True, group="complete")
    async def action_complete(self) -> None:
        await self._completer.choose()

    @work(exclusive=True, group="look")
    async def _look(self) -> None:
        """Judge and keep what is there, once the person pauses."""
        self.keep()
        if not self._ready:
            return
        text = self.text
        problems = await asyncio.to_thread(check, text)
        if not self._gone and text == self.text:
            self._show_problems(problems if self.dirty else ())

    def keep(self) -> None:
        """Write unsaved work down."""
        if not self.dirty:
            return
        try:
            kept = self._drafts.save(self._cluster.identity, self._key, self.text, self._edit.base_text)
        except OSError as error:
            self.say(f"the draft cannot be kept on disk: {error.strerror or error}", Tone.WARN)
            return
        if not kept:
            self.say("this Secret is not kept on disk while its YAML is broken", Tone.WARN)

    def _show_problems(self, problems: Sequence[Problem]) -> None:
        if self._gone:
            return
        self._problems = problems
        self.set_class(bool(problems), "-problems")
        self.query_one("#problems", TextPane).set_lines(_problem_lines(problems))
        if self.in_form:
            self.fields.show(self.text, problems)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "reveal":
            return self._is_secret
        if action == "complete":
            return not self.in_form
        return bool(self._problems) if action == "problem" else True

    @property
    def _is_secret(self) -> bool:
        return "kind: Secret" in self._first or (self.ref is not None and self.ref.kind == "Secret")

    def action_reveal(self) -> None:
        """Show a Secret's values until a key is pressed; they go nowhere else."""
        try:
            obj = unmasked(parse(self.text).object, self._edit.base, self._typed)
        except InvalidSpec as error:
            self.say(str(error), Tone.WARN)
            return
        lines = [head(f"The values of {self._key}"), note("on this screen only; any terminal log keeps them", 0)]
        for key, value in revealed(obj).items():
            shown = [span(part) for part in value.split("\n")]
            lines += [BLANK, line(span(f"{key}:", Tone.KEY)), *(line(part, indent=2) for part in shown)]
        self.app.push_screen(AskScreen(lines, [Answer("h", "hide them")]))

    def action_problem(self) -> None:
        if self._problems and self.in_form:
            here = self.fields.pane.row
            fields = [one.field for one in self._problems]
            at = fields.index(dotted(here.path)) + 1 if here is not None and dotted(here.path) in fields else 0
            self.fields.go_to(fields[at % len(fields)])
        elif self._problems:
            here = self.area.cursor_location[0] + 1
            following = next((one for one in self._problems if one.line > here), self._problems[0])
            self.area.go_to(following.line, following.column)

    def action_revert(self) -> None:
        self._revert()

    @work(exclusive=True, group="ask")
    async def _revert(self) -> None:
        if self.dirty:
            lines = [head("Start over?"), line(span("What you typed since opening this editor would be gone."))]
            answers = [Answer("n", "no, keep it"), Answer("y", "yes, start over")]
            if await self.app.push_screen_wait(AskScreen(lines, answers)) != "y":
                return
        self._typed.clear()
        self.area.load(self._edit.base_text or self._edit.text)
        self._first = self.text
        if self.in_form:
            self.fields.show(self.text, ())
        self._drafts.discard(self._cluster.identity, self._key)
        self._show_problems(())

    def action_close(self) -> None:
        if self.dirty:
            self._ask_to_close()
        else:
            self.dismiss(None)

    @work(exclusive=True, group="ask")
    async def _ask_to_close(self) -> None:
        lines = [head("Not applied yet"), line(span(f"{self._key}: what you typed is not in the cluster."))]
        answers = [
            Answer("b", "back to the editor"), Answer("k", "keep it as a draft and leave"),
            Answer("x", "throw it away"),
        ]  # fmt: skip
        answer = await self.app.push_screen_wait(AskScreen(lines, answers))
        if answer == "k":
            self.keep()
            self.dismiss(None)
        elif answer == "x":
            self._drafts.discard(self._cluster.identity, self._key)
            self.dismiss(None)

    @work(exclusive=True, group="external")
    async def action_external(self) -> None:
        try:
            # The editor's file is on a disk: placeholders stand there for a Secret's values.
            before = absorb(self.text, self._typed)
        except BrokenYaml as error:
            if self._is_secret:
                self.say(f"a Secret's values cannot be hidden while its YAML is broken: {error}", Tone.WARN)
                return
            before = self.text
        try:
            after = await edit_externally(self.app, before)
        except EditorFailed as error:
            self.say(str(error), Tone.WARN)
            return
        if after == before:
            self.say("nothing was changed in the editor")
            if self._external and not self.dirty:
                self.dismiss(None)
            return
        self.area.load(after)
        if self.area.text != after:
            self.say("control characters in the text were replaced by visible signs", Tone.WARN)
        if self.in_form and not self._show_form():
            self._show_yaml()
        self._look()
        self.action_apply()

    @work(exclusive=True, group="apply")
    async def action_apply(self) -> None:
        """Review, ask, write; come back here with the reason if anything is in the way."""
        self.keep()
        self._edit = Edit(self._edit.base, self.text, self._typed)
        self.say("asking the cluster", Tone.DIM, stay=True)
        self.app.keyboard.hold()
        try:
            outcome = await review(self.cluster, self._edit)
        except KagentError as error:
            self.app.keyboard.go_on()
            self.say(f"{error}; what you typed is kept", Tone.BAD)
            return
        self.say("")
        match outcome:
            case Rejected(problems=problems):
                self.app.keyboard.go_on()
                self._show_problems(await self._explained(problems))
                self.action_problem()
                self.say("not applied: what is wrong stands below (F8 goes from one to the next)", Tone.WARN)
            case Unchanged():
                self.app.keyboard.go_on()
                self.say("the cluster has exactly this already")
            case Vanished(ref=ref):
                await self._vanished(ref)
            case Conflicting():
                await self._conflict(outcome)
            case Reviewed():
                await self._confirm(outcome)

    async def _explained(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        """Join the server's refusals with what we can say about the same fields: ours say what to write."""
        ours = await asyncio.to_thread(check, self.text)
        known = {one.field for one in ours}
        return sorted({*ours, *(one for one in problems if one.field not in known)})

    async def _confirm(self, reviewed: Reviewed) -> None:
        self._show_problems(())
        if not await self.app.push_screen_wait(ReviewScreen(self.workspace, reviewed)):
            return
        try:
            stored = await write(self.cluster, reviewed)
        except KagentError as error:
            self._show_problems(problems_of(error, None))
            self.say("not applied; what you typed is kept. ^s tries again", Tone.BAD)
            return
        self._drafts.discard(self._cluster.identity, self._key)
        self.dismiss(Applied(reviewed.live, stored))

    async def _vanished(self, ref: ObjectRef) -> None:
        lines = [head(f"{ref} is gone"), line(span("Somebody deleted it while you were editing."))]
        answers = [Answer("b", "back to the editor"), Answer("c", "make it anew from what you have")]
        if await self.app.push_screen_wait(AskScreen(lines, answers)) == "c":
            self._edit = Edit(None, self.text, self._typed)
            self.action_apply()

    async def _conflict(self, conflict: Conflicting) -> None:
        mine = await self.app.push_screen_wait(ClashesScreen(self.workspace, conflict))
        if mine is None:
            return
        self._edit = rebase(self._edit, conflict, prefer_mine=lambda path: path in mine)
        self._typed = self._edit.typed
        self._set_text(self._edit.text)
        if self.in_form:
            self.fields.show(self.text, ())
        self.action_apply()


def _problem_lines(problems: Sequence[Problem]) -> list[Line]:
    return [
        line(
            Span("✖ ", Tone.BAD), span(f"line {one.line}: ", Tone.DIM),
            span(f"{one.field}: " if one.field else "", Tone.KEY),
            span(one.message), indent=4,
        )
        for one in problems
    ]  # fmt: skip
