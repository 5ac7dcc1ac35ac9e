"""The models of one agent: the main one, those of memory and summariser, and those that stand in for the main one.

Their Pod parts merge, and each counts once in the hash. All of them read the same variables of one container, so in
profile kagent-tui a model whose key, organisation or address is not that of the others gets variables of its own, named
under ``variables`` in its part of config.json: no model ever sends another one's key. Upstream's first one wins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_api.names import FALLBACK_MODELS_ANNOTATION
from kagent_operator.translate.fields import (
    JsonObject,
    integer,
    mapping,
    name_of,
    namespace_of,
    quoted,
    string_map,
    text,
)
from kagent_operator.translate.model import ModelPart, PodPart, embedding, find_model_config, translate_model
from kagent_operator.translate.settings import Profile, Settings
from kagent_operator.translate.world import World

__all__ = ["AgentModels", "fallback_names", "model_config_name"]

# What libraries of the providers read from the process's environment themselves, so that there can be one of it only.
_ONE_PER_PROCESS: Final = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK",
    "GOOGLE_APPLICATION_CREDENTIALS",
}  # fmt: skip


def model_config_name(agent: JsonObject, settings: Settings) -> str:
    """Return the ModelConfig an agent uses; the documented default when it names none."""
    return text(agent, "spec", "declarative", "modelConfig") or settings.default_model_config


def fallback_names(agent: JsonObject) -> list[str]:
    """Return the ModelConfigs that stand in for an agent's own, in the order of its annotation."""
    listed = text(agent, "metadata", "annotations", FALLBACK_MODELS_ANNOTATION).split(",")
    return list(dict.fromkeys(filter(None, (name.strip() for name in listed))))


class AgentModels:
    """Translates each model when it is asked for; ``pod``, ``hashes`` and ``warnings`` are of all so far.

    Raises InvalidSpec and MissingReference, from the constructor for the main model.
    """

    def __init__(self, agent: JsonObject, world: World, settings: Settings, profile: Profile) -> None:
        self._agent = agent
        self._ref = ObjectRef("Agent", namespace_of(agent), name_of(agent))
        self._world = world
        self._profile: Profile = profile
        self._used: list[ModelPart] = []
        self.hashes: list[str] = []
        self.warnings: list[str] = []
        self.pod = PodPart()
        self.main = self._use(model_config_name(agent, settings), "spec.declarative.modelConfig")

    def summarizer(self, block: JsonObject | None) -> JsonObject | None:
        """Return the summariser's model: its own, or the agent's when the block names none."""
        if block is None:
            return None
        name = text(block, "modelConfig")
        if not name or name == self.main.name:
            return self.main.config
        return self._use(name, "spec.declarative.context.compaction.summarizer.modelConfig").config

    def memory(self, block: JsonObject | None) -> JsonObject | None:
        """Return the memory section of config.json."""
        if block is None:
            return None
        name = text(block, "modelConfig")
        part = self.main if name == self.main.name else self._use(name, "spec.declarative.memory.modelConfig")
        days = integer(block, "ttlDays")
        return {**({"ttl_days": days} if days else {}), "embedding": embedding(part)}

    def fallbacks(self) -> list[JsonObject]:
        """Return the models that stand in for the main one; upstream's engines know none."""
        names = fallback_names(self._agent)
        place = f"metadata.annotations[{FALLBACK_MODELS_ANNOTATION}]"
        if self._profile == "upstream":
            if names:
                self.warnings.append(f"{place} is ignored: upstream's engine has no fallback models")
            return []
        if self.main.name in names:
            raise InvalidSpec(
                f"ModelConfig '{self.main.name}' cannot stand in for itself",
                ref=self._ref,
                field=place,
                remedy="name other ModelConfigs",
            )
        return [self._use(name, place).config for name in names]

    def _use(self, name: str, field_path: str) -> ModelPart:
        found = find_model_config(self._world, self._ref.namespace, name, owner=self._ref, field_path=field_path)
        part = translate_model(found, self._world, self._profile)
        runtime = text(self._agent, "spec", "declarative", "runtime")
        if part.config["type"] == "foundry" and self._profile == "upstream" and runtime != "go":
            raise InvalidSpec(
                f"ModelConfig '{name}' is of provider Foundry, which upstream's engine has for runtime go only",
                ref=self._ref,
                field=field_path,
                remedy="set spec.declarative.runtime: go",
            )
        if self._profile == "kagent-tui":
            part = self._apart(part, field_path)
        self._used.append(part)
        self.pod = self.pod.merged(part.pod)
        self.hashes.append(part.secret_hash)
        self.warnings.extend(part.warnings)
        return part

    def _apart(self, part: ModelPart, field_path: str) -> ModelPart:
        """Return a model with variables of its own where those of the models before it are not its."""
        before, own, volumes = (_by_name(entries) for entries in (self.pod.env, part.pod.env, self.pod.volumes))
        for volume in part.pod.volumes:
            if volumes.get(text(volume, "name"), volume) != volume:
                raise self._only_one(part, text(volume, "name"), field_path)
        peers = [used for used in self._used if used.config["type"] == part.config["type"]]
        variables = {
            name: f"MODEL_{len(self._used) + 1}_{name}"
            for name, entry in own.items()
            if before.get(name, entry) != entry or any(name not in _seen_names(peer) for peer in peers)
        }
        # What it does not have itself must not come to it from another model of its provider.
        theirs = {name for peer in peers for name in _by_name(peer.pod.env)}
        variables.update(dict.fromkeys(theirs & before.keys() - own.keys() - _aliases(peers), ""))
        for name in variables:
            if name in _ONE_PER_PROCESS:
                raise self._only_one(part, name, field_path)
        if not variables:
            return part
        env = [{**entry, "name": variables.get(name, name)} for name, entry in own.items()]
        config = {**part.config, "variables": dict(sorted(variables.items()))}
        return replace(part, config=config, pod=replace(part.pod, env=env))

    def _only_one(self, part: ModelPart, what: str, field_path: str) -> InvalidSpec:
        others = quoted([used.name for used in self._used])
        return InvalidSpec(
            f"ModelConfig '{part.name}' needs another {what} than {others}, and an agent's process has one",
            ref=self._ref,
            field=field_path,
            remedy="use the same Secret, or a model of another provider",
        )


def _by_name(entries: list[JsonObject]) -> dict[str, JsonObject]:
    return {text(entry, "name"): entry for entry in entries}


def _seen_names(part: ModelPart) -> set[str]:
    """Return the variables that a model reads or is kept from."""
    return {*_by_name(part.pod.env), *mapping(part.config, "variables")}


def _aliases(parts: list[ModelPart]) -> set[str]:
    return {alias for part in parts for alias in string_map(part.config, "variables").values()}
