"""Fills a tool's parameters from a prompt by rules; the part of the scripted model that knows JSON schema.

For each parameter, first rule that gives a value:

- the value after its name in the prompt (``namespace kagent``, ``limit: 5``, ``the kagent namespace``);
- a word of the prompt that its description gives as an example (``e.g. pods, deploy, svc``);
- an enum value, a URL, a clock time, a place that is an IANA zone, a number, where the schema asks for such;
- ``request``, ``query`` and the like: quoted text (not for ``request``), else the whole clause;
- other texts: quoted text;
- if it is required: the schema's ``const`` or ``default``, the first enum value, the minimum, ``UTC``, the words that
  nothing else has used and that are not the tool's own, an empty list or object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias, cast
from zoneinfo import available_timezones

__all__ = ["Filled", "arguments_for", "parameter_texts", "zones_in"]

JsonObject: TypeAlias = dict[str, Any]

_REGIONS = re.compile(r"Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific")
# Last parts of zone names that are everyday English words.
_NO_PLACES = frozenset(
    re.findall(r"\w+", "north south east west center central eastern general local universal wake city")
)
_SHORT_ZONES = frozenset({"utc", "gmt"})
_FREE_TEXT = frozenset(
    re.findall(
        r"\w+", "request query prompt question message text input task instruction instructions content search thought"
    )
)
_QUOTED = re.compile(r'"([^"]+)"|\'([^\']+)\'(?!\w)|“([^”]+)”|「([^」]+)」|`([^`]+)`')
_URL = re.compile(r"https?://[^\s\"'<>]+[^\s\"'<>.,;:!?)]")
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b")
_NUMBER = re.compile(r"(?<![\w.:-])-?\d+(?:\.\d+)?(?![\w:]|\.\d)")
_TOKEN = r"[\w./@-]*\w"  # noqa: S105 - a pattern for names, no secret
_FILLERS = r"(?:\s*[:=]\s*|\s+(?:is|named|called|of)\s+|\s+)"
_NOT_VALUES = frozenset(
    re.findall(r"\w+", "the a an in on of for to and or with is are this that my our your all any each every what")
)


@dataclass(frozen=True, slots=True)
class Filled:
    """One argument object per call; ``missing`` counts the required parameters that the prompt did not give."""

    calls: tuple[JsonObject, ...]
    missing: int


@dataclass(slots=True)
class _Prompt:
    """What can still be taken from the prompt; each quoted text, zone, time and number is given once."""

    clause: str
    whole: str
    known: frozenset[str]
    used: list[str] = field(default_factory=list[str])
    zones: Iterator[str] = field(default_factory=lambda: iter(()))
    quoted: Iterator[str] = field(default_factory=lambda: iter(()))
    clocks: Iterator[str] = field(default_factory=lambda: iter(()))
    numbers: Iterator[str] = field(default_factory=lambda: iter(()))

    @classmethod
    def of(cls, clause: str, whole: str, known: frozenset[str], zones: list[str]) -> _Prompt:
        quoted = ["".join(groups) for groups in _QUOTED.findall(clause)]
        clocks = [f"{int(hour):02d}:{minute}" for hour, minute in _CLOCK.findall(clause)]
        return cls(clause, whole, known, [], iter(zones), iter(quoted), iter(clocks), iter(_NUMBER.findall(clause)))


def arguments_for(schema: Mapping[str, Any], clause: str, whole: str, *, known: frozenset[str] = frozenset()) -> Filled:
    """Return the arguments of the calls that ``clause`` of the prompt ``whole`` asks for.

    ``known`` are the tool's own words in lower case without plural s: they chose the tool and are no values.
    """
    properties = _properties(schema)
    zones = zones_in(clause) or zones_in(whole)
    wanting = [name for name, sub in properties.items() if _wants_zone(name, _resolved(sub, schema))]
    # One zone parameter and several places: the same question for each place.
    batches = [[zone] for zone in zones] if len(wanting) == 1 and len(zones) > 1 else [zones]
    filled = [_object(schema, schema, _Prompt.of(clause, whole, known, batch)) for batch in batches]
    return Filled(tuple(arguments for arguments, _ in filled), max(missing for _, missing in filled))


def parameter_texts(schema: Mapping[str, Any]) -> list[str]:
    """Return the descriptions of a tool's parameters; that of an agent's ``request`` says nothing of the subject."""
    return [str(sub.get("description") or "") for name, sub in _properties(schema).items() if name != "request"]


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], prompt: _Prompt) -> tuple[JsonObject, int]:
    required = cast("list[str]", schema.get("required") or [])
    arguments: JsonObject = {}
    missing = 0
    for name, raw in _properties(schema).items():
        sub = _resolved(raw, root)
        found = _evidence(name, sub, prompt, required=name in required)
        if found is not None:
            arguments[name] = found
        elif name in required and ("const" in sub or sub.get("default") is not None):
            arguments[name] = sub.get("const", sub.get("default"))
        elif name in required:
            missing += 1
            arguments[name] = _fallback(name, sub, root, prompt)
    return arguments, missing


def _evidence(name: str, schema: JsonObject, prompt: _Prompt, *, required: bool) -> object:
    """Return what the prompt says about a parameter, None if nothing."""
    kind = schema.get("type")
    if "enum" in schema:
        return _mentioned(cast("list[object]", schema["enum"]), prompt)
    if kind in ("integer", "number"):
        return _number(name, kind, prompt, required=required)
    if kind == "boolean":
        return True if _phrase(name).search(prompt.whole) else None
    if kind == "array":
        items = schema.get("items")
        item = cast("JsonObject", items) if isinstance(items, dict) else {"type": "string"}
        one = _evidence(name.removesuffix("s"), item, prompt, required=required) if "type" in item else None
        return None if one is None else [one]
    if kind in ("string", None):
        return _string(name, schema, prompt, required=required)
    return None


def _string(name: str, schema: JsonObject, prompt: _Prompt, *, required: bool) -> str | None:
    if _wants_zone(name, schema):
        return next(prompt.zones, None)
    if _wants_clock(name, schema):
        return next(prompt.clocks, None)
    if name.lower() == "request":
        return prompt.clause or None
    if (value := _after_name(name, prompt)) is not None:
        prompt.used.append(value)
        return value
    if required and (value := _example(schema, prompt)) is not None:
        prompt.used.append(value)
        return value
    if "url" in name.lower() or "uri" in name.lower() or schema.get("format") == "uri":
        match = _URL.search(prompt.clause)
        return match.group() if match else None
    if not required:
        return None
    if (value := next(prompt.quoted, None)) is not None:
        return value
    return (prompt.clause or None) if name.lower() in _FREE_TEXT else None


def _number(name: str, kind: str, prompt: _Prompt, *, required: bool) -> int | float | None:
    value = _after_name(name, prompt)
    text = value if value is not None and _NUMBER.fullmatch(value) else None
    if text is None and required:
        text = next(prompt.numbers, None)
    if text is None:
        return None
    number = float(text)
    return int(number) if kind == "integer" or number.is_integer() else number


def _fallback(name: str, schema: JsonObject, root: Mapping[str, Any], prompt: _Prompt) -> object:
    kind = schema.get("type")
    if enum := cast("list[object]", schema.get("enum") or []):
        return enum[0]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    if kind == "boolean":
        return False
    if kind == "array":
        items = schema.get("items")
        if not isinstance(items, dict) or not schema.get("minItems"):
            return []
        item = _resolved(cast("JsonObject", items), root)
        found = _evidence(name.removesuffix("s"), item, prompt, required=True)
        return [_fallback(name.removesuffix("s"), item, root, prompt) if found is None else found]
    if kind == "object":
        return _object(schema, root, prompt)[0]
    if kind == "null":
        return None
    if _wants_zone(name, schema):
        return "UTC"
    if _wants_clock(name, schema):
        return "12:00"
    return _remaining(prompt)


def _remaining(prompt: _Prompt) -> str:
    words = [word for word in re.findall(_TOKEN, prompt.clause) if word not in prompt.used]
    telling = [w for w in words if w.lower() not in _NOT_VALUES and w.lower().removesuffix("s") not in prompt.known]
    return " ".join(telling) or prompt.clause or prompt.whole or "(nothing)"


def _after_name(name: str, prompt: _Prompt) -> str | None:
    """Return ``VALUE`` of "NAME VALUE", "NAME: VALUE" or "the VALUE NAME"; the clause first, then the prompt."""
    phrase = _phrase(name).pattern
    for text in (prompt.clause, prompt.whole):
        for pattern in (rf"{phrase}{_FILLERS}[\"'`]?({_TOKEN})", rf"({_TOKEN})[\"'`]?\s+{phrase}"):
            for match in re.finditer(pattern, text, re.IGNORECASE):
                value = match.group(1)
                if value.lower() not in _NOT_VALUES:
                    return value
    return None


def _example(schema: Mapping[str, Any], prompt: _Prompt) -> str | None:
    """Return a word of the clause that the description names after "e.g.", whatever its plural or short form."""
    _, marker, rest = str(schema.get("description") or "").partition("e.g.")
    examples = [word.lower().removesuffix("s") for word in re.findall(r"[A-Za-z]{3,}", rest)] if marker else []
    for word in re.findall(r"[A-Za-z]{3,}", prompt.clause):
        folded = word.lower().removesuffix("s")
        if word.lower() not in _NOT_VALUES and any(_same(folded, example) for example in examples):
            return word
    return None


def _same(word: str, example: str) -> bool:
    # Short forms are prefixes: "deploy" of "deployment".
    return word == example or (len(example) >= 5 and word.startswith(example))


def _mentioned(enum: list[object], prompt: _Prompt) -> object:
    for text in (prompt.clause, prompt.whole):
        for value in enum:
            if isinstance(value, str) and value and re.search(rf"\b{re.escape(value)}\b", text, re.IGNORECASE):
                return value
    return None


def _phrase(name: str) -> re.Pattern[str]:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").split()
    return re.compile(r"\b" + r"[\s_-]?".join(re.escape(word) for word in words) + r"\b", re.IGNORECASE)


def _wants_zone(name: str, schema: Mapping[str, Any]) -> bool:
    if schema.get("type", "string") != "string" or "enum" in schema:
        return False
    words = name.lower().replace("_", "")
    return "timezone" in words or words in ("tz", "zone") or "iana" in str(schema.get("description", "")).lower()


def _wants_clock(name: str, schema: Mapping[str, Any]) -> bool:
    return name.lower() == "time" or "HH:MM" in str(schema.get("description", ""))


def _properties(schema: Mapping[str, Any]) -> dict[str, JsonObject]:
    found: object = schema.get("properties")
    if not isinstance(found, dict):
        return {}
    entries = cast("dict[str, object]", found)
    return {name: cast("JsonObject", sub) if isinstance(sub, dict) else {} for name, sub in entries.items()}


def _resolved(schema: JsonObject, root: Mapping[str, Any]) -> JsonObject:
    """Follow a local ``$ref`` and choose the first branch that is not null."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        definitions = cast("JsonObject", root.get("$defs") or {})
        target = cast("JsonObject", definitions.get(reference.removeprefix("#/$defs/")) or {})
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    for key in ("anyOf", "oneOf"):
        branches = cast("list[JsonObject]", schema.get(key) or [])
        chosen = next((branch for branch in branches if branch.get("type") != "null"), None)
        if chosen is not None:
            return {**_resolved(chosen, root), **{k: v for k, v in schema.items() if k != key}}
    kinds: object = schema.get("type")
    if isinstance(kinds, list):
        named = cast("list[str]", kinds)
        return {**schema, "type": next((kind for kind in named if kind != "null"), "null")}
    return schema


def zones_in(text: str) -> list[str]:
    """Return the IANA zones that places in ``text`` name, in their order: "New York" is America/New_York."""
    places = _places()
    words = [(match.group().lower(), match.start()) for match in re.finditer(r"[\w/+-]+", text)]
    found: list[str] = []
    index = 0
    while index < len(words):
        for length in (4, 3, 2, 1):
            zone = places.get(" ".join(word for word, _ in words[index : index + length]))
            if zone is not None and index + length <= len(words):
                if zone not in found:
                    found.append(zone)
                index += length
                break
        else:
            index += 1
    return found


@cache
def _places() -> dict[str, str]:
    places: dict[str, str] = {}
    # Shorter names first, so that America/Louisville wins over America/Kentucky/Louisville.
    for zone in sorted(available_timezones(), key=lambda name: (len(name), name)):
        region, _, rest = zone.partition("/")
        place = (rest.rsplit("/", 1)[-1] if rest else region).replace("_", " ").lower()
        if not rest or _REGIONS.fullmatch(region):
            places.setdefault(zone.lower(), zone)
            if place not in _NO_PLACES and (len(place) >= 4 or place in _SHORT_ZONES):
                places.setdefault(place, zone)
    return places
