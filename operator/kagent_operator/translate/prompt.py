"""The system message of an agent: its text, or a ConfigMap's or Secret's, rendered when prompt sources are given.

Included text is never expanded again: a prompt library is content, not a program.
"""

from __future__ import annotations

from collections.abc import Sequence

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_operator.errors import MissingReference
from kagent_operator.translate.fields import (
    JsonObject,
    config_values,
    mapping,
    name_of,
    namespace_of,
    quoted,
    rows,
    secret_values,
    section,
    string_map,
    text,
)
from kagent_operator.translate.gotemplate import TemplateError, Value, render
from kagent_operator.translate.world import World

__all__ = ["check_prompt", "system_message", "value_from"]


def value_from(world: World, namespace: str, source: JsonObject, *, owner: ObjectRef, field: str) -> str:
    """Return the text that a ``{type, name, key}`` reference means.

    Raises MissingReference that lists the keys there are, never a value; InvalidSpec for another type.
    """
    kind, name, key = text(source, "type"), text(source, "name"), text(source, "key")
    if kind not in {"ConfigMap", "Secret"}:
        raise InvalidSpec(
            f"type {kind!r} is neither ConfigMap nor Secret",
            ref=owner,
            field=field,
            remedy="write {type: Secret, name: NAME, key: KEY}",
        )
    found = world.get(kind, namespace, name)
    if found is None:
        raise MissingReference(
            f"{kind} '{name}' not found in namespace '{namespace}'",
            ref=owner,
            field=field,
            remedy="create it or name another one",
        )
    values = secret_values(found) if kind == "Secret" else config_values(found)
    if key not in values:
        raise MissingReference(
            f"{kind} '{name}' in namespace '{namespace}' has no key '{key}' (it has: {quoted(sorted(values))})",
            ref=owner,
            field=field,
        )
    return values[key].decode(errors="replace")


def system_message(agent: JsonObject, world: World, *, tool_names: Sequence[str], skill_names: Sequence[str]) -> str:
    """Return the instruction of a declarative agent.

    Raises InvalidSpec when there is none or its template is wrong, MissingReference for sources not there.
    """
    check_prompt(agent)
    ref = ObjectRef("Agent", namespace_of(agent), name_of(agent))
    declarative = mapping(agent, "spec", "declarative")
    message = _source(declarative, world, ref)
    sources = rows(declarative, "promptTemplate", "dataSources")
    if not sources:
        return message
    library = _library(sources, world, ref)
    data: dict[str, Value] = {
        "AgentName": ref.name,
        "AgentNamespace": ref.namespace,
        "Description": text(agent, "spec", "description"),
        "ToolNames": list(tool_names),
        "SkillNames": list(skill_names),
    }

    def include(arguments: Sequence[Value]) -> Value:
        if len(arguments) != 1 or not isinstance(arguments[0], str):
            raise TemplateError('include wants one string: {{include "source/key"}}')
        if arguments[0] not in library:
            raise TemplateError(f"include {arguments[0]!r}: there is none (there are: {quoted(sorted(library))})")
        return library[arguments[0]]

    try:
        return render(message, data, {"include": include})
    except TemplateError as error:
        source = section(declarative, "systemMessageFrom")
        if source is None:
            raise InvalidSpec(str(error), ref=ref, field="spec.declarative.systemMessage") from error
        place = f"{text(source, 'type')} '{text(source, 'name')}', key '{text(source, 'key')}'"
        raise InvalidSpec(f"{place}, {error}", ref=ref, field="spec.declarative.systemMessageFrom") from error


def check_prompt(agent: JsonObject) -> None:
    """Raise InvalidSpec when a declarative agent has no instruction at all."""
    declarative = mapping(agent, "spec", "declarative")
    if section(declarative, "systemMessageFrom") is None and not text(declarative, "systemMessage"):
        raise InvalidSpec(
            "at least one system message source (systemMessage or systemMessageFrom) must be specified",
            ref=ObjectRef("Agent", namespace_of(agent), name_of(agent)),
            field="spec.declarative",
        )


def _source(declarative: JsonObject, world: World, ref: ObjectRef) -> str:
    source = section(declarative, "systemMessageFrom")
    if source is not None:
        return value_from(world, ref.namespace, source, owner=ref, field="spec.declarative.systemMessageFrom")
    return text(declarative, "systemMessage")


def _library(sources: list[JsonObject], world: World, ref: ObjectRef) -> dict[str, str]:
    library: dict[str, str] = {}
    for index, source in enumerate(sources):
        name = text(source, "name")
        field = f"spec.declarative.promptTemplate.dataSources[{index}]"
        config_map = world.get("ConfigMap", ref.namespace, name)
        if config_map is None:
            raise MissingReference(f"ConfigMap '{name}' not found in namespace '{ref.namespace}'", ref=ref, field=field)
        for key, value in string_map(config_map, "data").items():
            path = f"{text(source, 'alias') or name}/{key}"
            if path in library:
                raise InvalidSpec(f"two sources give '{path}'", ref=ref, field=field, remedy="give one an alias")
            library[path] = value
    return library
