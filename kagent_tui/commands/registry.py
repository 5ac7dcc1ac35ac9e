"""Everything a person can do, once: id, words for `:`, keys, where it applies, whether it writes, and its help.

Footer, help, palette, bindings and the command line all read this; nothing declares a key elsewhere. Ids are stable,
since key maps refer to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from kagent_api.errors import InvalidSpec

__all__ = ["Command", "Completer", "Parsed", "Registry", "Scope"]

Scope = Literal[
    "app", "browse", "move", "text", "edit", "review", "logs", "chat", "compose", "transcript", "decide",
    "rows", "sessions", "inbox", "replay",
    "form", "clashes", "tools", "words", "revisions",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do. ``argument`` is its usage on the command line; ``footer`` orders it there, 0 leaves it out."""

    id: str
    title: str
    help: str
    scope: Scope
    keys: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    argument: str = ""
    needs_write: bool = False
    footer: int = 0
    # The action, where it is not named like the id: several keys that do one thing with different arguments.
    does: str = ""
    # What ``keys`` was before a key map changed it.
    default_keys: tuple[str, ...] = ()

    @property
    def action(self) -> str:
        """The name of the method that does it, without its `action_`."""
        return self.does or self.id.split(".", 1)[1].replace("-", "_")

    @property
    def usage(self) -> str:
        return f":{self.words[0]} {self.argument}".rstrip() if self.words else ""


class Parsed(NamedTuple):
    """A command line, understood."""

    command: Command
    argument: str


# Gets what is typed of the argument, yields whole arguments.
Completer = Callable[[str], Iterable[str]]


class Registry:
    """The commands by id, by word and by scope."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self.commands = tuple(replace(command, default_keys=command.keys) for command in commands)
        self._aliases: dict[str, str] = {}
        self._by_id: dict[str, Command] = {}
        self._by_word: dict[str, Command] = {}
        for command in self.commands:
            if command.id in self._by_id:
                raise ValueError(f"two commands have the id {command.id}")
            self._by_id[command.id] = command
            for word in command.words:
                if word in self._by_word:
                    raise ValueError(f"two commands have the word {word}")
                self._by_word[word] = command

    def rebind(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        """Give commands the keys of a key map, all others their own again."""
        self.commands = tuple(
            replace(command, keys=keys.get(command.id, command.default_keys)) for command in self.commands
        )
        self._by_id = {command.id: command for command in self.commands}
        self._by_word = {word: command for command in self.commands for word in command.words}

    def alias(self, words: Mapping[str, str]) -> None:
        """Know a person's own words for the command line, in place of those known before."""
        self._aliases = dict(words)

    def __contains__(self, command_id: object) -> bool:
        return command_id in self._by_id

    def __getitem__(self, command_id: str) -> Command:
        return self._by_id[command_id]

    def __iter__(self) -> Iterator[Command]:
        return iter(self.commands)

    def of(self, *scopes: Scope) -> list[Command]:
        """Return the commands of these scopes, in the order they were declared."""
        return [command for command in self.commands if command.scope in scopes]

    def parse(self, line: str) -> Parsed | None:
        """Understand a command line; None for an empty one.

        Raises:
            InvalidSpec: an unknown word, with the nearest known ones.
        """
        word, _, argument = line.strip().lstrip(":").strip().partition(" ")
        if not word:
            return None
        if word in self._aliases:
            # Once: an alias that names itself must not turn in a circle.
            word, _, own = self._aliases[word].strip().lstrip(":").partition(" ")
            argument = f"{own} {argument}".strip()
        command = self._by_word.get(word)
        if command is None:
            near = [known for known in self._by_word if known.startswith(word)]
            if len({self._by_word[known].id for known in near}) == 1:
                return Parsed(self._by_word[near[0]], argument.strip())
            raise InvalidSpec(f"no command {word!r}", remedy=_near(near, list(self._by_word), word))
        return Parsed(command, argument.strip())

    def complete(self, line: str, arguments: dict[str, Completer]) -> list[str]:
        """Return whole command lines that begin like ``line``; ``arguments`` completes by command id."""
        typed = line.lstrip()
        word, space, argument = typed.partition(" ")
        if not space:
            first = [command.words[0] for command in self.commands if command.words]
            return [
                known for known in (*first, *self._aliases, *self._by_word) if known.startswith(word) and known != word
            ]
        command = self._by_word.get(word)
        completer = arguments.get(command.id) if command else None
        if completer is None:
            return []
        return [f"{word} {value}" for value in completer(argument.lstrip()) if value != argument]


def _near(near: list[str], known: list[str], word: str) -> str:
    import difflib

    found = near or difflib.get_close_matches(word, known, n=3)
    return f"did you mean {', '.join(found)}?" if found else "? lists all of them"
