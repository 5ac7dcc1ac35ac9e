"""What a person has allowed beforehand, for one session and while the program runs: a tool, or a tool with the very
same arguments. Never a tool that its server marks destructive; every use is a decision of its own in the audit trail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kagent_tui.chat.decisions import Answer, Decision, Pause
from kagent_tui.chat.events import PendingCall
from kagent_tui.chat.jsonvalue import JsonObject

__all__ = ["Rule", "SessionRules", "Verdict", "Verdicts"]

Verdict: TypeAlias = Literal["reads", "destructive", "writes", "unknown"]
"""What a tool's server says of it."""
Verdicts: TypeAlias = Mapping[str, Verdict]


@dataclass(frozen=True, slots=True)
class Rule:
    """One tool; with ``arguments`` (canonical JSON) only with these."""

    tool: str
    arguments: str | None = None

    @staticmethod
    def always(call: PendingCall) -> Rule:
        return Rule(call.name)

    @staticmethod
    def exactly(call: PendingCall) -> Rule:
        return Rule(call.name, _canonical(call.arguments))

    def covers(self, call: PendingCall) -> bool:
        return call.name == self.tool and self.arguments in (None, _canonical(call.arguments))

    @property
    def title(self) -> str:
        """What it allows, raw."""
        return f"always {self.tool}" if self.arguments is None else f"{self.tool} with these arguments"


@dataclass(slots=True)
class SessionRules:
    """The rules of one session."""

    rules: list[Rule] = field(default_factory=list[Rule])

    def add(self, rule: Rule, verdicts: Verdicts) -> bool:
        """Allow something from now on; False for a destructive tool, which no rule may allow."""
        if verdicts.get(rule.tool) == "destructive":
            return False
        if rule not in self.rules:
            self.rules.append(rule)
        return True

    def answer(self, pause: Pause, verdicts: Verdicts) -> tuple[Answer, str] | None:
        """Return the answer that the rules give to a whole pause, and their names; None if any call needs a person.

        The verdicts are looked at again: a server may have changed its word since the rule was made.
        """
        calls = pause.calls
        if not calls or pause.questions:
            return None
        used: list[str] = []
        for call in calls:
            rule = next((rule for rule in self.rules if rule.covers(call)), None)
            if rule is None or verdicts.get(call.name) == "destructive":
                return None
            used.append(rule.title)
        return Answer.to_all(pause, Decision(True)), ", ".join(dict.fromkeys(used))


def _canonical(arguments: JsonObject) -> str:
    return json.dumps(arguments, sort_keys=True, default=str)
