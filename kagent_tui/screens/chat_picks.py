"""What a chat offers to choose from: earlier prompts, resources to mention, snippets, code, links, rules, feedback.

Lists only; what is chosen goes into a pane's prompt, to the clipboard, or to the server.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from kagent_api.errors import KagentError
from kagent_tui.chat.attachments import mention
from kagent_tui.chat.blocks import arguments_text, result_text
from kagent_tui.chat.extracts import code_blocks, links
from kagent_tui.chat.targets_of_calls import target_of
from kagent_tui.chat.transcript import AnswerEntry, ToolEntry
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note, span
from kagent_tui.screens.ask import Answer, AskScreen
from kagent_tui.screens.entry import EntryScreen
from kagent_tui.screens.external import edit_externally
from kagent_tui.screens.pick import Item, PickScreen
from kagent_tui.screens.reader import ReaderScreen

if TYPE_CHECKING:
    from kagent_tui.screens.chat import ChatScreen
    from kagent_tui.widgets.chat_pane import ChatPane

__all__ = ["ChatPicks"]

# A list of more is searched no better by eye.
_MOST_ITEMS: Final = 500
_ISSUES: Final = (
    Answer("esc", "say nothing"), Answer("i", "instructions not followed"), Answer("f", "facts wrong"),
    Answer("c", "incomplete"), Answer("t", "tool used wrongly"), Answer("o", "other"),
)  # fmt: skip
_ISSUE_WORDS: Final = {"i": "instructions", "f": "factual", "c": "incomplete", "t": "tool", "o": "other"}


class ChatPicks:
    """Opens lists over one chat screen."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen

    def open(self, pane: ChatPane, what: str, index: int) -> None:
        """Do what a pane asked for; ``index`` is the entry of its transcript that is meant."""
        roads: dict[str, Callable[[], Awaitable[None]]] = {
            "history": lambda: self._history(pane),
            "mention": lambda: self._mention(pane),
            "snippet": lambda: self._snippet(pane),
            "external": lambda: self._external(pane),
            "code": lambda: self._code(pane),
            "links": lambda: self._links(pane),
            "rules": lambda: self._rules(pane),
            "resource": lambda: self._resource(pane, index),
            "copy_card": lambda: self._copy_card(pane, index),
            "good": lambda: self._feedback(pane, index, good=True),
            "bad": lambda: self._feedback(pane, index, good=False),
        }
        if what in roads:
            self._screen.run_worker(self._guarded(roads[what]), group="pick", exclusive=True)

    async def _guarded(self, road: Callable[[], Awaitable[None]]) -> None:
        try:
            await road()
        except KagentError as error:
            self._screen.say(str(error), Tone.BAD)

    async def _choose(self, title: str, items: Sequence[Item]) -> str | None:
        found = await self._screen.app.push_screen_wait(PickScreen(title, items[:_MOST_ITEMS]))
        return found[0] if found else None

    async def _history(self, pane: ChatPane) -> None:
        texts = list(reversed(self._screen.history.texts))
        if not texts:
            self._screen.say("nothing was sent yet")
            return
        items = [Item(str(number), " ".join(text.split())[:300]) for number, text in enumerate(texts)]
        chosen = await self._choose("what was sent before", items)
        if chosen is not None:
            pane.prompt.replace_all(texts[int(chosen)])
        pane.focus_prompt()

    async def _mention(self, pane: ChatPane) -> None:
        refs = list(self._screen.desk.resources())
        if not refs:
            return
        items = [Item(str(number), f"{ref.namespace}/{ref.name}", ref.kind) for number, ref in enumerate(refs)]
        chosen = await self._choose("attach the live YAML of (esc: only the @; @./file attaches a file)", items)
        if chosen is not None:
            pane.prompt.put(mention(refs[int(chosen)]).removeprefix("@") + " ")
        pane.focus_prompt()

    async def _snippet(self, pane: ChatPane) -> None:
        found = await self._screen.desk.snippets()
        if not found:
            self._screen.say("there is no prompt library: a ConfigMap with the label kagent.dev/prompt-library: 'true'")
            return
        items = [
            Item(str(number), f"{each.library} {each.key}", " ".join(each.text.split())[:80])
            for number, each in enumerate(found)
        ]
        chosen = await self._choose("insert from a prompt library", items)
        if chosen is not None:
            pane.prompt.put(found[int(chosen)].text)
        pane.focus_prompt()

    async def _external(self, pane: ChatPane) -> None:
        text = await edit_externally(self._screen.app, pane.prompt.text)
        pane.prompt.replace_all(text.rstrip("\n"))
        pane.focus_prompt()

    async def _code(self, pane: ChatPane) -> None:
        texts: list[str] = []
        items: list[Item] = []

        def offer(title: str, text: str) -> None:
            items.append(Item(str(len(texts)), title, f"{text.count(chr(10)) + 1} lines"))
            texts.append(text)

        for block in code_blocks(pane.transcript):
            first = next((row.strip() for row in block.code.split("\n") if row.strip()), "")
            offer(f"{block.language or 'code'}: {first[:70]}", block.code)
        for entry in reversed(pane.transcript.entries):
            if isinstance(entry, AnswerEntry) and entry.text.strip():
                offer(f"answer: {' '.join(entry.text.split())[:70]}", entry.text)
            elif isinstance(entry, ToolEntry):
                offer(f"tool {entry.name}", _card_text(entry))
        if not items:
            self._screen.say("there is nothing to copy yet")
            return
        chosen = await self._choose("copy to the terminal's clipboard", items)
        if chosen is not None:
            self._screen.copy(texts[int(chosen)])

    async def _links(self, pane: ChatPane) -> None:
        found = links(pane.transcript)
        if not found:
            self._screen.say("there are no links in this chat")
            return
        items = [Item(str(number), f"{link.host}  {link.url}", link.text[:40]) for number, link in enumerate(found)]
        chosen = await self._choose("a link: where it leads, and how it was called", items)
        if chosen is None:
            return
        link = found[int(chosen)]
        lines = [head("A link that an agent wrote leads to"), line(Span("  "), span(link.host, Tone.HEAD)), BLANK]
        lines.append(line(span(link.url, Tone.LINK)))
        answers = [Answer("n", "leave it"), Answer("o", "open it in the browser"), Answer("y", "copy it")]
        match await self._screen.app.push_screen_wait(AskScreen(lines, answers)):
            case "y":
                self._screen.copy(link.url)
            case "o":
                self._browse(link.url)
            case _:
                pass

    def _browse(self, url: str) -> None:
        if os.environ.get("SSH_CONNECTION"):
            self._screen.copy(url)
            self._screen.say("this is a remote terminal: the address was sent to the clipboard instead")
            return
        self._screen.app.open_url(url)

    async def _rules(self, pane: ChatPane) -> None:
        rules = pane.rules.rules
        if not rules:
            self._screen.say("this session allows nothing beforehand; an approval offers it (a, =)")
            return
        items = [Item(str(number), rule.title, rule.arguments or "") for number, rule in enumerate(rules)]
        chosen = await self._choose("allowed in this session; ⏎ ends a rule", items)
        if chosen is not None:
            gone = rules.pop(int(chosen))
            self._screen.say(f"no longer allowed beforehand: {gone.title}")

    async def _resource(self, pane: ChatPane, index: int) -> None:
        entry = pane.transcript.entries[index] if 0 <= index < len(pane.transcript.entries) else None
        if not isinstance(entry, ToolEntry):
            return
        ref = target_of(entry.name, entry.arguments, namespace=pane.ref.namespace)
        if ref is None:
            self._screen.say("this call names no resource that is known here", Tone.WARN)
            return
        self._screen.post_message(ReaderScreen.Followed(ref))

    async def _copy_card(self, pane: ChatPane, index: int) -> None:
        entry = pane.transcript.entries[index] if 0 <= index < len(pane.transcript.entries) else None
        if isinstance(entry, ToolEntry):
            self._screen.copy(_card_text(entry))

    async def _feedback(self, pane: ChatPane, index: int, *, good: bool) -> None:
        """Send feedback; upstream and we keep it per user, with the answer's beginning to find it by."""
        if self._screen.desk.gateway is None:
            self._screen.say("there is no controller that takes feedback", Tone.WARN)
            return
        answer = _answer_near(pane, index)
        if not answer:
            self._screen.say("there is no answer yet")
            return
        issue = ""
        if not good:
            lines: list[Line] = [head("What was wrong with the answer?"), BLANK, note(answer[:200], 0)]
            key = await self._screen.app.push_screen_wait(AskScreen(lines, _ISSUES))
            if key not in _ISSUE_WORDS:
                return
            issue = _ISSUE_WORDS[key]
        said = await self._screen.app.push_screen_wait(EntryScreen("In your words (may stay empty)"))
        if said is None:
            return
        gateway = await self._screen.desk.gateway()
        text = f"{said or ('good' if good else issue)} (session {pane.session_id}: {answer[:100]})"
        await gateway.feedback(positive=good, text=text, issue=issue)
        self._screen.say("thank you: the server has it", Tone.OK)


def _card_text(entry: ToolEntry) -> str:
    parts = [f"# {entry.name}", arguments_text(entry.arguments)]
    if entry.result is not None:
        parts += ["# result", result_text(entry.result)]
    return "\n".join(part for part in parts if part)


def _answer_near(pane: ChatPane, index: int) -> str:
    """Return the answer after an entry, or the last one."""
    entries = pane.transcript.entries
    later = [each.text for each in entries[max(0, index) :] if isinstance(each, AnswerEntry)] if index >= 0 else []
    return " ".join((later[0] if later else pane.transcript.last_answer).split())
