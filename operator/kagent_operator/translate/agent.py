"""One Agent -> everything that runs it. Pure: looks things up in the world, writes nothing, asks no server."""

from __future__ import annotations

from dataclasses import dataclass

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_operator.translate.agent_models import AgentModels
from kagent_operator.translate.card import translate_card
from kagent_operator.translate.config_hash import config_hash
from kagent_operator.translate.deployment import Workload, build_objects, deployment_block, extra_containers
from kagent_operator.translate.fields import (
    JsonObject,
    flag,
    integer,
    mapping,
    name_of,
    namespace_of,
    section,
    strings,
    text,
)
from kagent_operator.translate.go_json import compact, indented
from kagent_operator.translate.goform import with_zero_values
from kagent_operator.translate.headers import HeaderWriter
from kagent_operator.translate.model import PodPart
from kagent_operator.translate.prompt import check_prompt, system_message
from kagent_operator.translate.settings import Profile, Settings, profile_of
from kagent_operator.translate.skills import translate_skills
from kagent_operator.translate.tools import check_tools, translate_tools
from kagent_operator.translate.world import World

__all__ = ["Translation", "translate_agent"]


@dataclass(frozen=True)
class Translation:
    """What an Agent becomes: the objects in the order they are written, and the two files of its engine."""

    objects: list[JsonObject]
    config: JsonObject
    card: JsonObject
    profile: Profile
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Engine:
    config: JsonObject
    pod: PodPart
    secret_hashes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def translate_agent(
    agent: JsonObject, world: World, settings: Settings, *, profile: Profile | None = None
) -> Translation:
    """Translate an Agent, Declarative or BYO.

    Raises InvalidSpec when the agent, or something it uses, cannot work as written; MissingReference when something it
    names is not there. Nothing is written in part: either everything translates or nothing does.
    """
    profile = profile or profile_of(agent, settings)
    ref = ObjectRef("Agent", namespace_of(agent), name_of(agent))
    kind = text(agent, "spec", "type") or "Declarative"
    headers = HeaderWriter(world, profile)
    # What is wrong with the agent itself is said before what is missing around it.
    extra_containers(agent, deployment_block(agent))
    skills = translate_skills(agent)
    if kind == "BYO":
        if section(agent, "spec", "byo", "deployment") is None:
            raise InvalidSpec("a BYO agent needs byo.deployment", ref=ref, field="spec.byo.deployment")
        description = text(agent, "spec", "description")
        engine = _Engine({"model": None, "description": description, "instruction": ""}, PodPart())
    elif kind == "Declarative":
        if section(agent, "spec", "declarative") is None:
            raise InvalidSpec("declarative must be specified if type is Declarative", ref=ref, field="spec.declarative")
        check_prompt(agent)
        check_tools(agent)
        engine = _declarative(agent, world, settings, headers, profile)
    else:
        raise InvalidSpec(f"unknown type {kind!r}", ref=ref, field="spec.type", remedy="use Declarative or BYO")
    config, card = compact(engine.config), translate_card(agent, profile)
    srt_settings = _srt_settings(agent)
    work = Workload(
        agent=agent,
        profile=profile,
        config=config,
        card=indented(card),
        srt_settings=srt_settings,
        config_hash=config_hash(
            config, indented(card), engine.secret_hashes, srt_settings, skills.config if skills else ""
        ),
        pod=engine.pod,
        skills=skills,
        header_files=headers.files,
    )
    objects = build_objects(work, settings)
    if profile == "upstream":
        objects = [with_zero_values(obj) for obj in objects]
    return Translation(objects, engine.config, card, profile, engine.warnings)


def _declarative(
    agent: JsonObject, world: World, settings: Settings, headers: HeaderWriter, profile: Profile
) -> _Engine:
    declarative = mapping(agent, "spec", "declarative")
    models = AgentModels(agent, world, settings, profile)
    tools = translate_tools(agent, world, settings, headers)
    skills = translate_skills(agent)
    instruction = system_message(agent, world, tool_names=tools.names, skill_names=list(skills.names) if skills else [])
    config: JsonObject = {
        "model": models.main.config,
        "description": text(agent, "spec", "description"),
        "instruction": instruction,
    }
    for key, entries in (("http_tools", tools.http), ("sse_tools", tools.sse), ("remote_agents", tools.agents)):
        if entries:
            config[key] = entries
    if isinstance(declarative.get("executeCodeBlocks"), bool):
        config["execute_code"] = declarative["executeCodeBlocks"]
    config["stream"] = flag(declarative, "stream")
    summarizer = models.summarizer(section(declarative, "context", "compaction", "summarizer"))
    memory = models.memory(section(declarative, "memory"))
    if memory is not None:
        config["memory"] = memory
    network = section(agent, "spec", "sandbox", "network")
    if network is not None:
        domains = strings(network, "allowedDomains")
        config["network"] = {"allowed_domains": domains} if domains else {}
    context = section(declarative, "context")
    if context is not None:
        config["context_config"] = _context(context, summarizer)
    if flag(declarative, "shareTools"):
        config["share_tools"] = True
    if fallbacks := models.fallbacks():
        config["fallback_models"] = fallbacks
    return _Engine(config, models.pod.merged(tools.pod), (*models.hashes, *tools.secret_hashes), tuple(models.warnings))


def _context(context: JsonObject, summarizer: JsonObject | None) -> JsonObject:
    compaction = section(context, "compaction")
    if compaction is None:
        return {}
    result: JsonObject = {}
    for key, source in (("compaction_interval", "compactionInterval"), ("overlap_size", "overlapSize")):
        if integer(compaction, source) is not None:
            result[key] = integer(compaction, source)
    if summarizer is not None:
        result["summarizer_model"] = summarizer
        if template := text(compaction, "summarizer", "promptTemplate"):
            result["prompt_template"] = template
    for key, source in (("token_threshold", "tokenThreshold"), ("event_retention_size", "eventRetentionSize")):
        if integer(compaction, source) is not None:
            result[key] = integer(compaction, source)
    return {"compaction": result}


def _srt_settings(agent: JsonObject) -> str:
    """Return the sandbox runtime's settings where upstream's engine needs them, else nothing."""
    spec = mapping(agent, "spec")
    sandbox = section(spec, "sandbox")
    if text(spec, "type") == "BYO":
        needed = sandbox is not None
    else:
        needed = section(spec, "skills") is not None or flag(spec, "declarative", "executeCodeBlocks")
    if not needed:
        return ""
    return compact(
        {
            "filesystem": {"allowWrite": [".", "/tmp"], "denyRead": [], "denyWrite": []},  # noqa: S108 - in the container
            "network": {"allowedDomains": strings(sandbox, "network", "allowedDomains"), "deniedDomains": []},
        }
    )
