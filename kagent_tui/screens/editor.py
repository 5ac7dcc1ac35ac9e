"""Edit one object as YAML: what is typed is kept on disk until it is applied or thrown away.

Apply means: parsed, compared with what is in the cluster now, checked by the server, shown as a difference, and only
then written. Nothing typed is ever lost to an error.
"""

from __future__ import annotations

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
from kagent_tui.editing.document import parse
from kagent_tui.editing.drafts import Draft, DraftStore
from kagent_tui.editing.edit import Conflicting, Edit, Rejected, Reviewed, Unchanged, Vanished, rebase, review, write
from kagent_tui.editing.problems import Problem, problems_of
from kagent_tui.render.age import duration
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note, span
from kagent_tui.render.yaml import diff_lines
from kagent_tui.screens.ask import Answer, AskScreen
from kagent_tui.screens.base import BaseScreen
from kagent_tui.screens.external import EditorFailed, edit_externally
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


class EditorScreen(BaseScreen[JsonObject | None]):
    """Answers with the stored object, None when nothing was applied."""

    CSS_PATH: ClassVar[CSSPathType | None] = ["editor.tcss", "../widgets/yaml_area.tcss"]
    BINDINGS = bindings("edit")
    AUTO_FOCUS = "YamlArea"

    def __init__(
        self, workspace: Workspace, cluster: Cluster, drafts: DraftStore, *, base: JsonObject | None, text: str = "",
        ref: ObjectRef | None = None, external: bool = False,
    ) -> None:  # fmt: skip
        """``base`` is the object to edit; without it ``text`` and ``ref`` are those of a new one."""
        self.ref = ref if base is None or ref is not None else ref_of(base)
        name = self.ref.name if self.ref and base is not None else "new"
        super().__init__(workspace, trail=f"{name} › edit")
        self._cluster = cluster
        self._drafts = drafts
        self._edit = Edit(base, text)
        if base is not None:
            self._edit = Edit(base, self._edit.base_text)
        self._first = self._edit.text
        self._external = external
        self._problems: Sequence[Problem] = ()
        self._pause: Timer | None = None
        self._busy = False

    def body(self) -> Iterable[Widget]:
        yield YamlArea()
        problems = TextPane(id="problems")
        problems.can_focus = False
        yield problems

    @property
    def area(self) -> YamlArea:
        return self.query_one(YamlArea)

    @property
    def text(self) -> str:
        return self.area.text

    @property
    def dirty(self) -> bool:
        """Whether there is something to lose."""
        return self.text != self._first

    def on_mount(self) -> None:
        self.area.load(self._edit.text)
        self._first = self.text
        draft = self._drafts.load(self._cluster.identity, self._key)
        if draft is not None and draft.text != self._first:
            self._offer(draft)
        elif self._external:
            self.action_external()

    @property
    def _key(self) -> ObjectRef:
        return self.ref if self.ref is not None else ObjectRef("new", "", "")

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
            self.area.load(draft.text)
            self._look()
        elif answer == "x":
            self._drafts.discard(self._cluster.identity, self._key)
        if self._external:
            self.action_external()

    @on(YamlArea.Changed)
    def _typed(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE_SECONDS, self._look)

    def _look(self) -> None:
        """Parse and keep what is there, once the person pauses."""
        self.keep()
        try:
            parse(self.text)
        except InvalidSpec as error:
            self._show_problems(problems_of(error, None))
        else:
            self._show_problems(())

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
        self._problems = problems
        self.set_class(bool(problems), "-problems")
        self.query_one("#problems", TextPane).set_lines(_problem_lines(problems))
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self._problems) if action == "problem" else True

    def action_problem(self) -> None:
        if self._problems:
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
        self.area.load(self._edit.base_text or self._first)
        self._first = self.text
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
        self._look()
        self.action_apply()

    @work(exclusive=True, group="apply")
    async def action_apply(self) -> None:
        """Review, ask, write; come back here with the reason if anything is in the way."""
        self.keep()
        self._edit = Edit(self._edit.base, self.text)
        self.say("asking the cluster", Tone.DIM, stay=True)
        self.app.keyboard.hold()
        try:
            outcome = await review(self._cluster, self._edit)
        except KagentError as error:
            self.app.keyboard.go_on()
            self.say(f"{error}; what you typed is kept", Tone.BAD)
            return
        self.say("")
        match outcome:
            case Rejected(problems=problems):
                self.app.keyboard.go_on()
                self._show_problems(problems)
                self.action_problem()
            case Unchanged():
                self.app.keyboard.go_on()
                self.say("the cluster has exactly this already")
            case Vanished(ref=ref):
                await self._vanished(ref)
            case Conflicting():
                await self._conflict(outcome)
            case Reviewed():
                await self._confirm(outcome)

    async def _confirm(self, reviewed: Reviewed) -> None:
        self._show_problems(())
        if not await self.app.push_screen_wait(ReviewScreen(self.workspace, reviewed)):
            return
        try:
            stored = await write(self._cluster, reviewed)
        except KagentError as error:
            self._show_problems(problems_of(error, None))
            self.say("not applied; what you typed is kept. ^s tries again", Tone.BAD)
            return
        self._drafts.discard(self._cluster.identity, self._key)
        self.dismiss(stored)

    async def _vanished(self, ref: ObjectRef) -> None:
        lines = [head(f"{ref} is gone"), line(span("Somebody deleted it while you were editing."))]
        answers = [Answer("b", "back to the editor"), Answer("c", "make it anew from what you have")]
        if await self.app.push_screen_wait(AskScreen(lines, answers)) == "c":
            self._edit = Edit(None, self.text)
            self.action_apply()

    async def _conflict(self, conflict: Conflicting) -> None:
        clashes = conflict.merged.clashes
        lines: list[Line] = [
            head("Somebody else changed it meanwhile"), *diff_lines(conflict.changes), BLANK,
        ]  # fmt: skip
        answers = [Answer("b", "back, decide later")]
        if clashes:
            lines.append(line(span("You both changed:", Tone.WARN)))
            lines += [line(Span("  "), span(one.path, Tone.KEY)) for one in clashes]
            answers += [Answer("m", "join; mine where both changed"), Answer("t", "join; theirs where both changed")]
        else:
            lines.append(note("Your changes touch other fields; they can be joined.", 0))
            answers.append(Answer("m", "join both"))
        answer = await self.app.push_screen_wait(AskScreen(lines, answers))
        if answer in ("m", "t"):
            self._edit = rebase(self._edit, conflict, prefer_mine=answer == "m")
            self.area.load(self._edit.text)
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
