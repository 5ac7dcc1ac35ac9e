"""The commands of editor, form and what goes with them, with their default keys.

In the editor text is typed: what works there are keys that type nothing.
"""

from __future__ import annotations

from typing import Final

from kagent_tui.commands.registry import Command

__all__ = ["EDITING_COMMANDS"]

EDITING_COMMANDS: Final = (
    Command("browse.clone", "clone", "make another object out of it", "browse", ("+",), ("clone",), "", True),
    Command("browse.revisions", "revisions", "the generations of the agent: compare, go back", "browse", ("v",),
            ("revisions", "history")),
    Command("browse.undo", "undo", "take the last change back that was made from here", "browse", ("U",), ("undo",), "",
            True),
    Command("browse.wizard", "wizard", "a first model and agent, asked step by step", "browse", ("W",),
            ("wizard", "start"), "", True),
    Command("browse.drafts", "drafts", "go on with work that was not applied", "browse", (), ("drafts",), "", True),
    Command("browse.secrets", "secrets", "the Secrets of the namespace: edit, clone, delete", "browse", (),
            ("secrets", "secret"), "[NAME]"),
    Command("edit.apply", "apply", "check on the server, show the difference, then apply", "edit", ("ctrl+s",),
            footer=10),
    Command("edit.form", "form/YAML", "the same draft as a form, or as YAML", "edit", ("f3",), footer=12),
    Command("edit.complete", "complete", "what can stand at the cursor of the YAML, to choose from", "edit",
            ("ctrl+@",), footer=15),
    Command("edit.external", "$EDITOR", "go on in $EDITOR", "edit", ("ctrl+e",), footer=20),
    Command("edit.problem", "next problem", "go to the next problem", "edit", ("f8",), footer=30),
    Command("edit.reveal", "reveal", "show the values of this Secret", "edit", ("f6",), footer=35),
    Command("edit.revert", "start over", "back to what the server has", "edit", ("f5",), footer=40),
    Command("edit.close", "close", "leave the editor; asks when something is unsaved", "edit", ("escape",), footer=18),
    Command("form.open", "change", "change the field, or unfold it", "form", ("enter",), footer=11),
    Command("form.flip", "flip", "true or false, unfold or fold", "form", ("space",)),
    Command("form.add", "add", "add an entry", "form", ("+", "a"), footer=13),
    Command("form.remove", "take out", "take the field or entry out", "form", ("x", "delete"), footer=14),
    Command("form.more", "all fields", "show all fields, or those that matter", "form", (".",), footer=16),
    Command("form.unfold", "unfold", "show the fields inside", "form", ("l", "right")),
    Command("form.fold", "fold", "hide the fields inside", "form", ("h", "left")),
    Command("review.accept", "apply", "apply what is shown", "review", ("a", "enter"), footer=10),
    Command("review.back", "back to the editor", "change something first", "review", ("escape", "q"), footer=20),
    Command("clashes.mine", "mine", "keep my value", "clashes", ("m", "left"), footer=10),
    Command("clashes.theirs", "theirs", "take their value", "clashes", ("t", "right"), footer=20),
    Command("clashes.all-mine", "all mine", "keep my value everywhere", "clashes", ("M",)),
    Command("clashes.all-theirs", "all theirs", "take their value everywhere", "clashes", ("T",)),
    Command("clashes.accept", "join", "join both as chosen, then show what applying changes", "clashes",
            ("enter", "ctrl+s"), footer=30),
    Command("clashes.back", "decide later", "back to the editor; nothing is changed", "clashes", ("escape", "q"),
            footer=40),
    Command("tools.mark", "choose", "let the agent use it, or not", "tools", ("space",), footer=10),
    Command("tools.approve", "approval", "have a person approve its calls, or not", "tools", ("a",), footer=20),
    Command("tools.all", "every tool", "every tool of the server, those to come as well", "tools", ("e",), footer=30),
    Command("tools.accept", "take", "put the choice into the draft", "tools", ("enter", "ctrl+s"), footer=40),
    Command("tools.back", "leave", "leave the draft as it is", "tools", ("escape", "q"), footer=50),
    Command("words.take", "take", "put the text into the draft", "words", ("ctrl+s",), footer=10),
    Command("words.fragment", "fragment", "include a prompt fragment", "words", ("ctrl+f",), footer=20),
    Command("words.back", "leave", "leave the text as it was", "words", ("escape",), footer=30),
    Command("revisions.diff", "difference", "what going back to it would change", "revisions", ("enter", "v"),
            footer=10),
    Command("revisions.roll-back", "roll back", "make the agent as it was then", "revisions", ("r",), (), "", True,
            footer=20),
)  # fmt: skip
