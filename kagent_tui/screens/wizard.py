"""A first model and agent, asked step by step: esc goes one step back, nothing is made before the last step.

The answers are a draft like any other; a key that was typed stays in memory and is asked again after a restart.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from textual.app import App

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import MODEL_CONFIG, JsonObject, ref_of
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.choices import choices
from kagent_tui.editing.document import to_yaml
from kagent_tui.editing.drafts import DraftStore
from kagent_tui.editing.edit import Rejected, Reviewed, propose, write
from kagent_tui.editing.masking import masked
from kagent_tui.editing.starting import PRESETS, Answers, objects_of, url_problem
from kagent_tui.editing.undo import Applied
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note, span
from kagent_tui.render.yaml import yaml_lines
from kagent_tui.screens.ask import Answer, AskScreen
from kagent_tui.screens.entry import EntryScreen
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.screens.tools import ToolsScreen

__all__ = ["Wizard"]

DRAFT: Final = ObjectRef("wizard", "", "")
_THERE: Final = "there:"
_FRESH: Final = "\0fresh"
# What a step may say: on, back, or that it does not apply (and is passed over in either direction).
_ON, _BACK, _SKIP = 1, -1, 0
_Step: TypeAlias = "Callable[[], Awaitable[int]]"


class Wizard:
    """One walk through the steps."""

    def __init__(
        self, app: App[Any], workspace: Workspace, cluster: Cluster, drafts: DraftStore, namespace: str
    ) -> None:  # fmt: skip
        self._app = app
        self._workspace = workspace
        self._cluster = cluster
        self._drafts = drafts
        self._answers = Answers(namespace)
        self._key = ""
        self._steps: tuple[_Step, ...] = (
            self._provider, self._url, self._model, self._secret, self._secret_value, self._config, self._agent,
            self._description, self._instruction, self._tools,
        )  # fmt: skip

    async def run(self) -> list[Applied]:
        """Return what was made, in order."""
        await self._resume()
        index, direction = 0, _ON
        while True:
            while 0 <= index < len(self._steps):
                said = await self._steps[index]()
                direction = said or direction
                index += direction
                self._keep()
            if index < 0:
                return []
            made = await self._finish()
            if made is not None:
                self._drafts.discard(self._cluster.identity, DRAFT)
                return made
            index, direction = len(self._steps) - 1, _BACK

    async def _resume(self) -> None:
        draft = self._drafts.load(self._cluster.identity, DRAFT)
        if draft is None:
            return
        try:
            kept = Answers(**json.loads(draft.text))
        except (ValueError, TypeError):
            return
        lines = [head("Go on where you were?"), line(span(f"{kept.preset or 'no provider yet'} {kept.model}"))]
        answers = [Answer("y", "go on"), Answer("n", "begin anew")]
        if await self._app.push_screen_wait(AskScreen(lines, answers)) == "y":
            self._answers = kept

    def _keep(self) -> None:
        text = json.dumps(asdict(self._answers), ensure_ascii=False)
        try:
            self._drafts.save(self._cluster.identity, DRAFT, text, "")
        except OSError:
            # Without a disk the walk goes on; only a crash would cost it.
            return

    def _title(self, step: _Step, words: str) -> str:
        return f"{self._steps.index(step) + 1}/{len(self._steps)} {words}"

    async def _ask(self, step: _Step, words: str, now: str, *, hidden: bool = False) -> str | None:
        return await self._app.push_screen_wait(EntryScreen(self._title(step, words), now, hidden=hidden))

    async def _pick(self, step: _Step, words: str, items: list[Item], now: str, *, free: bool = False) -> str | None:
        screen = PickScreen(self._title(step, words), items, current=now, free=free)
        picked = await self._app.push_screen_wait(screen)
        return picked[0] if picked else None

    async def _provider(self) -> int:
        here = [
            Item(_THERE + ref.name, f"use ModelConfig {ref.name}", "it is there already")
            for ref in sorted(self._cluster.store.objects(MODEL_CONFIG))
            if ref.namespace == self._answers.namespace
        ]
        offered = [*(Item(one.id, one.title) for one in PRESETS), *here]
        chosen = await self._pick(self._provider, "Who serves the model?", offered, self._answers.preset)
        if chosen is None:
            return _BACK
        if chosen != self._answers.preset:
            self._answers.model = self._answers.url = ""
        self._answers.preset = chosen
        if chosen.startswith(_THERE):
            self._answers.config = chosen.removeprefix(_THERE)
        return _ON

    async def _url(self) -> int:
        preset = self._answers.chosen
        if preset is None or preset.url != "?":
            return _SKIP
        words = "Where does Ollama listen?" if preset.block == "ollama" else "The address of the API (ends in /v1)"
        now = self._answers.url or ("http://localhost:11434" if preset.block == "ollama" else "https://")
        while True:
            said = await self._ask(self._url, words, now)
            if said is None:
                return _BACK
            problem = url_problem(said)
            if not problem:
                self._answers.url = said
                return _ON
            now, words = said, problem

    async def _model(self) -> int:
        preset = self._answers.chosen
        if preset is None:
            return _SKIP
        if not preset.models:
            said = await self._ask(self._model, "The model, as its provider calls it", self._answers.model)
        else:
            offered = [Item(one, one) for one in preset.models]
            said = await self._pick(
                self._model, "Which model? (or type another)", offered, self._answers.model, free=True
            )
        if not said:
            return _BACK if said is None else await self._model()
        self._answers.model = said
        return _ON

    async def _secret(self) -> int:
        preset = self._answers.chosen
        if preset is None or not preset.key:
            return _SKIP
        here: JsonObject = {"metadata": {"namespace": self._answers.namespace}}
        found = await choices("secret", ("spec", "apiKeySecret"), here, self._cluster)
        offered = [Item(_FRESH, "+ type a key; it goes into a Secret of its own")]
        offered += [Item(one.value, one.value, one.note) for one in found.values]
        chosen = await self._pick(self._secret, "Where is the API key?", offered, self._answers.secret, free=True)
        if chosen is None:
            return _BACK
        self._answers.new_secret = chosen == _FRESH
        self._answers.secret = f"{preset.id}-key" if chosen == _FRESH else chosen
        self._answers.secret_key = "API_KEY" if chosen == _FRESH else self._answers.secret_key
        return _ON

    async def _secret_value(self) -> int:
        preset = self._answers.chosen
        if preset is None or not preset.key:
            return _SKIP
        if self._answers.new_secret:
            said = await self._ask(self._secret_value, "The API key", self._key, hidden=True)
            if said is None:
                return _BACK
            self._key = said
            return _ON if said else await self._secret_value()
        here: JsonObject = {
            "metadata": {"namespace": self._answers.namespace}, "spec": {"apiKeySecret": self._answers.secret},
        }  # fmt: skip
        found = await choices("secret-key", ("spec", "apiKeySecretKey"), here, self._cluster)
        offered = [Item(one.value, one.value) for one in found.values]
        words = f"The key in {self._answers.secret}" + (f" ({found.trouble})" if found.trouble else "")
        said = await self._pick(self._secret_value, words, offered, self._answers.secret_key, free=True)
        if not said:
            return _BACK
        self._answers.secret_key = said
        return _ON

    async def _config(self) -> int:
        if self._answers.chosen is None:
            return _SKIP
        there = self._cluster.store.find(ObjectRef(MODEL_CONFIG, self._answers.namespace, "default-model-config"))
        now = self._answers.config or ("default-model-config" if there is None else self._answers.preset)
        return await self._named(self._config, "A name for the model (ModelConfig)", now, "config")

    async def _agent(self) -> int:
        return await self._named(self._agent, "A name for the agent", self._answers.agent or "my-agent", "agent")

    async def _named(self, step: _Step, words: str, now: str, attribute: str) -> int:
        while True:
            said = await self._ask(step, words, now)
            if said is None:
                return _BACK
            problem = _name_problem(said)
            if not problem:
                setattr(self._answers, attribute, said)
                return _ON
            now, words = said, problem

    async def _description(self) -> int:
        now = self._answers.description or "Answers questions."
        said = await self._ask(self._description, "What is it good for? (one line)", now)
        if said is None:
            return _BACK
        self._answers.description = said
        return _ON

    async def _instruction(self) -> int:
        now = self._answers.instruction or "You help. Say plainly when you do not know."
        said = await self._ask(self._instruction, "Its instruction (make it longer later, with e)", now)
        if said is None:
            return _BACK
        self._answers.instruction = said
        return _ON

    async def _tools(self) -> int:
        agent = objects_of(self._answers)[-1]
        chosen = await self._app.push_screen_wait(ToolsScreen(self._workspace, self._cluster, agent))
        if chosen is None:
            return _BACK
        self._answers.tools = chosen
        return _ON

    async def _finish(self) -> list[Applied] | None:
        """Have everything checked, show it, and make it; None to go back a step."""
        objects = objects_of(self._answers, self._key)
        problems = await self._check(objects)
        lines = [head(f"Make {len(objects)} objects in {self._workspace.context}?"), *problems]
        for obj in objects:
            lines += [BLANK, head(str(ref_of(obj))), *yaml_lines(to_yaml(masked(obj)))]
        make = [] if problems else [Answer("a", "make them")]
        if await self._app.push_screen_wait(AskScreen(lines, [Answer("b", "back"), *make])) != "a":
            return None
        made: list[Applied] = []
        for obj in objects:
            try:
                outcome = await propose(self._cluster, None, obj)
                if not isinstance(outcome, Reviewed):
                    raise KagentError("was refused at the last moment", ref=ref_of(obj), remedy="go back and look")
                made.append(Applied(None, await write(self._cluster, outcome)))
            except KagentError as error:
                done = ", ".join(str(ref_of(one.after or {})) for one in made) or "nothing"
                said = [head("Not everything was made"), line(span(str(error), Tone.BAD)), note(f"made: {done}", 0)]
                await self._app.push_screen_wait(AskScreen(said, [Answer("c", "close")]))
                return made or None
        return made

    async def _check(self, objects: list[JsonObject]) -> list[Line]:
        """Ask the server about each object; return what it says against them."""
        found: list[Line] = []
        for obj in objects:
            try:
                outcome = await propose(self._cluster, None, obj)
            except KagentError as error:
                return [line(Span("✖ ", Tone.BAD), span(str(error)))]
            if isinstance(outcome, Rejected):
                found += [
                    line(Span("✖ ", Tone.BAD), span(f"{ref_of(obj)} {one.field}: {one.message}"))
                    for one in outcome.problems
                ]
        return found


def _name_problem(name: str) -> str:
    import re

    if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
        return ""
    return "small letters, digits and - only, beginning and ending with a letter or digit"
