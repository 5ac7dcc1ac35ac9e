"""The scripted offline model: rules instead of intelligence, so that anybody runs an agent with no key and no network.

It is a pure function of the messages and tools of one OpenAI chat request; the same input always gives the same output.
``scripted_server`` puts it on the wire. Its rules, in the order they apply:

1. **Tools already called.** Results since the last user message are answered with (rule 5), unless the prompt said
   "then": each part after a "then" is a round of its own, called when the results before it are there.
2. **Which tools.** A part is split into clauses at ``. ; ? !``, line ends and "and"; a clause that matches no tool
   joins the one before it. A clause matches a tool when both share a word of four letters or more that is no stop word
   (plural s aside), the tool's words being those of its name (of an agent ``ns__NS__name`` only the last part) and its
   description. A word of the name counts three, one of the description one; the highest sum is called, several tools
   at once when they are equal. Among equals those come first that miss the fewest required parameters in the prompt.
   Where no name and no description fits, the tool is called that shares a word with its parameters' descriptions, gets
   all that it requires from the prompt, and gets most.
3. **Arguments** (``scripted_arguments``) come from the clause, then the prompt, then the schema's default, enum and
   minimum. Required parameters are always filled, optional ones only by what the prompt names. A parameter that wants a
   time zone takes a place that names an IANA zone; several places give several calls. ``request`` gets the clause.
4. **Never the same call twice** in a turn.
5. **The answer** quotes each result, objects and lists as Markdown lists; a result that is an error is called one.
6. **No match, no tools:** it says that it is a scripted model, which instruction it follows (the system message as it
   stands, so an edited instruction is seen at once), what it read and which tools it was offered.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from kagent_engine.models.scripted_arguments import Filled, arguments_for, parameter_texts

__all__ = ["Reply", "ScriptedCall", "reply_to"]

JsonObject: TypeAlias = dict[str, Any]

_NAME_WEIGHT = 3
_MIN_LETTERS = 4
_EXCERPT = 400
_RESULT_LIMIT = 4000
_PARTS = re.compile(r"(?:,\s*|\band\s+)?\bthen\b", re.IGNORECASE)
_CLAUSES = re.compile(r"[;?!\n]+|\.(?=\s|$)|\band\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# Words that say nothing about a subject, and the vocabulary that every tool description shares.
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        about above after again against agent agents along already also although always among another answer answers
        anybody anyone anything around asked asks available based because been before being below between both call
        called calls cannot could default does doing done down during each either else ever every everything example
        find first following for from further gets give given gives going have having help here hers herself himself
        hold into itself just know last like list lists look made make makes many mean might more most much must myself
        name named names need needs never next none nothing number once only onto optional other others ought over
        perform performs please provide provided provides question questions quite rather really request requests
        required result results return returned returns same several shall should show shows since some someone
        something specific specified specify still string such take takes tell than thank thanks that their theirs
        them themselves then there these they thing this those through tool tools true under until upon used user
        users uses using value values various very want wants were what whatever when where whether which while whole
        whom whose will with within without work would your yours yourself
        """,
    )
)


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """A tool call with an id that follows from the conversation."""

    id: str
    name: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True)
class Reply:
    """Either calls or a text."""

    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()


@dataclass(frozen=True, slots=True)
class _Tool:
    name: str
    name_words: frozenset[str]
    words: frozenset[str]
    parameter_words: frozenset[str]
    parameters: JsonObject

    def score(self, words: frozenset[str]) -> tuple[int, int]:
        """Return how well name and description fit, then how well the parameters' descriptions do."""
        named = self.name_words & words
        return _NAME_WEIGHT * len(named) + len((self.words & words) - named), len(self.parameter_words & words)

    def fill(self, clause: str, prompt: str) -> Filled:
        return arguments_for(self.parameters, clause, prompt, known=self.words)


@dataclass(frozen=True, slots=True)
class _Result:
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the messages say about the turn in progress."""

    instruction: str
    prompt: str
    calls: tuple[tuple[str, str], ...]
    rounds: int
    results: tuple[_Result, ...]


def reply_to(messages: Sequence[JsonObject], tools: Sequence[JsonObject] = ()) -> Reply:
    """Return the reply to a chat request: ``messages`` and ``tools`` as OpenAI's chat completions carry them."""
    turn = _read(messages)
    offered = [_tool(tool) for tool in tools]
    seed = f"{len(messages)}:{turn.prompt}"
    parts = [part.strip(" ,") for part in _PARTS.split(turn.prompt)]
    parts = [part for part in parts if part] or [""]
    # Rounds count calls asked for, so a part that matches nothing is passed over without one.
    pending = [calls for part in parts if (calls := _calls(part, turn.prompt, offered))]
    if turn.rounds < len(pending):
        fresh = [call for call in pending[turn.rounds] if _identity(*call) not in turn.calls]
        if fresh:
            return Reply(calls=tuple(_numbered(seed, index, *call) for index, call in enumerate(fresh)))
    if turn.results:
        return Reply(text="\n\n".join(_told(result) for result in turn.results))
    return Reply(text=_introduction(turn, offered))


def _calls(part: str, prompt: str, offered: Sequence[_Tool]) -> list[tuple[str, JsonObject]]:
    calls: list[tuple[str, JsonObject]] = []
    seen: set[tuple[str, str]] = set()
    for clause in _clauses(part, offered):
        for tool in _best(clause, prompt, offered):
            for arguments in tool.fill(clause, prompt).calls:
                identity = _identity(tool.name, arguments)
                if identity not in seen:
                    seen.add(identity)
                    calls.append((tool.name, arguments))
    return calls


def _clauses(part: str, offered: Sequence[_Tool]) -> list[str]:
    """Return the stretches of ``part`` that each match some tool; the whole part when it is only one."""
    spans: list[tuple[int, int]] = []
    start = 0
    for stop, after in [(match.start(), match.end()) for match in _CLAUSES.finditer(part)] + [(len(part), len(part))]:
        if _best(part[start:stop], part[start:stop], offered):
            spans.append((start if spans else 0, stop))
        elif spans:
            spans[-1] = (spans[-1][0], stop)
        start = after
    return [part.strip()] if len(spans) == 1 else [part[begin:end].strip() for begin, end in spans]


def _best(clause: str, prompt: str, offered: Sequence[_Tool]) -> list[_Tool]:
    """Return the tools that fit a clause best and equally well."""
    scored = [(*tool.score(_words(clause)), tool) for tool in offered]
    if top := max((score for score, _, _ in scored), default=0):
        missing = [(tool.fill(clause, prompt).missing, tool) for score, _, tool in scored if score == top]
        fewest = min(count for count, _ in missing)
        return [tool for count, tool in missing if count == fewest]
    filled = [(tool.fill(clause, prompt), tool) for _, score, tool in scored if score]
    given = [(len(fill.calls[0]), tool) for fill, tool in filled if not fill.missing]
    most = max((count for count, _ in given), default=0)
    return [tool for count, tool in given if count == most]


def _read(messages: Sequence[JsonObject]) -> _Turn:
    last_user = max((i for i, message in enumerate(messages) if message.get("role") == "user"), default=-1)
    system = [_text(m.get("content")) for m in messages if m.get("role") in ("system", "developer")]
    tail = messages[last_user + 1 :]
    names: dict[str, str] = {}
    calls: list[tuple[str, str]] = []
    rounds = 0
    results: list[_Result] = []
    for message in tail:
        asked = cast("list[JsonObject]", message.get("tool_calls") or [])
        rounds += bool(asked)
        for call in asked:
            function = cast("JsonObject", call.get("function") or {})
            name = str(function.get("name") or "")
            names[str(call.get("id") or "")] = name
            calls.append(_identity(name, _parsed(function.get("arguments"))))
        if message.get("role") == "tool":
            name = names.get(str(message.get("tool_call_id") or "")) or str(message.get("name") or "tool")
            results.append(_Result(name, _text(message.get("content"))))
    prompt = _text(messages[last_user].get("content")) if last_user >= 0 else ""
    return _Turn(
        "\n".join(text for text in system if text).strip(), prompt.strip(), tuple(calls), rounds, tuple(results)
    )


def _tool(raw: JsonObject) -> _Tool:
    function = cast("JsonObject", raw.get("function") or {})
    name = str(function.get("name") or "")
    own_name = name.rsplit("__NS__", 1)[-1]
    name_words = _words(_CAMEL.sub(" ", own_name).replace("_", " "))
    described = _words(str(function.get("description") or ""))
    parameters: object = function.get("parameters")
    schema = cast("JsonObject", parameters) if isinstance(parameters, dict) else {}
    return _Tool(name, name_words, name_words | described, _words(" ".join(parameter_texts(schema))), schema)


def _words(text: str) -> frozenset[str]:
    found = (word.lower() for word in _WORD.findall(text))
    return frozenset(word.removesuffix("s") for word in found if len(word) >= _MIN_LETTERS and word not in _STOP_WORDS)


def _identity(name: str, arguments: object) -> tuple[str, str]:
    return name, json.dumps(arguments, sort_keys=True, ensure_ascii=False)


def _numbered(seed: str, index: int, name: str, arguments: JsonObject) -> ScriptedCall:
    digest = hashlib.sha256(f"{seed}:{index}:{_identity(name, arguments)}".encode()).hexdigest()
    return ScriptedCall(f"call_{digest[:24]}", name, arguments)


def _told(result: _Result) -> str:
    name = result.name.rsplit("__NS__", 1)[-1]
    value = _parsed(result.text)
    if (error := _error(value, result.text)) is not None:
        return f"The tool {name} reported an error: {_cut(error)}"
    return f"{name} answered:\n\n{_cut(_readable(value))}"


def _error(value: object, text: str) -> str | None:
    if isinstance(value, dict):
        answer = cast("JsonObject", value)
        if answer.get("isError") is True or answer.get("is_error") is True:
            return _readable(answer)
        if answer.get("error") and set(answer) <= {"error", "message", "code", "status"}:
            return _readable(answer["error"])
    return text.strip() if re.match(r"\s*error\b", text, re.IGNORECASE) else None


def _readable(value: object) -> str:
    """Return Markdown: MCP content blocks as their text, objects and lists as lists, texts as they are."""
    if isinstance(value, str):
        inner = _parsed(value)
        return value.strip() if isinstance(inner, str) else _readable(inner)
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        blocks = entries.get("content")
        if isinstance(blocks, list):
            texts = [_text([block]) for block in cast("list[object]", blocks)]
            return "\n".join(_readable(text) for text in texts if text)
        if set(entries) == {"result"}:
            return _readable(entries["result"])
        return "\n".join(f"- {key}: {_inline(item)}" for key, item in entries.items())
    if isinstance(value, list):
        items = cast("list[object]", value)
        return "\n".join(f"- {_inline(item)}" for item in items) or "(an empty list)"
    return _inline(value)


def _inline(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _introduction(turn: _Turn, offered: Sequence[_Tool]) -> str:
    lines = ["I am a scripted offline model: rules, no intelligence. Give the agent a real model for real answers."]
    if turn.instruction:
        lines.append(f"I am following this instruction: {_cut(turn.instruction, _EXCERPT)}")
    if turn.prompt:
        lines.append(f"You wrote: {_cut(turn.prompt, _EXCERPT)}")
    if offered:
        names = ", ".join(tool.name.rsplit("__NS__", 1)[-1] for tool in offered)
        lines.append(f"None of my tools shares a word with that. I was offered: {names}.")
    return "\n\n".join(lines)


def _cut(text: str, limit: int = _RESULT_LIMIT) -> str:
    return text if len(text) <= limit else f"{text[:limit].rstrip()} … ({len(text) - limit} more characters)"


def _parsed(value: object) -> object:
    """Return the JSON in a text, or the text itself; a text that is a JSON string or number stays a text."""
    if not isinstance(value, str):
        return value
    try:
        found: object = json.loads(value)
    except ValueError:
        return value
    return cast("object", found) if isinstance(found, dict | list) else value


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    blocks = [cast("JsonObject", block) for block in cast("list[object]", content) if isinstance(block, dict)]
    return "\n".join(text for block in blocks if isinstance(text := block.get("text"), str))
