"""Builds one agent, and all it is served with, from its configuration. Starts and connects nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from kagent_api.engine_config import Compaction, EngineConfig, HeaderFile
from kagent_api.prices import Price, price_of, read_prices
from kagent_engine.agent import Agent
from kagent_engine.compaction import CompactionRules
from kagent_engine.config import Configuration
from kagent_engine.errors import ConfigError, InvalidSpec
from kagent_engine.loop import Limits
from kagent_engine.memory import LoadMemory, Recollection, SaveMemory, build_embedder
from kagent_engine.models.base import Model
from kagent_engine.models.factory import build_model
from kagent_engine.secrets import Secrets, secret_header, secret_variables
from kagent_engine.server.app import Serving
from kagent_engine.sessions import Store, open_store
from kagent_engine.settings import Settings
from kagent_engine.tools.ask_user import AskUser
from kagent_engine.tools.base import Tool
from kagent_engine.tools.sources import build_sources

if TYPE_CHECKING:
    from kagent_engine.skills import Uploads
    from kagent_engine.tracing import Tracing

__all__ = ["compose"]

logger = logging.getLogger(__name__)

# Where Kubernetes mounts the token of a Pod that talks to its API server.
_API_TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path, not a token
_NOT_YET: Final = ("share_tools", "execute_code", "network")


def compose(configuration: Configuration, settings: Settings, *, url: str) -> Serving:
    """Build the agent and everything it is served with.

    Raises:
        ConfigError: the configuration asks for something that cannot be.
    """
    config = configuration.config
    if config.model is None:
        raise ConfigError("config.json", "there is no model", field="model")
    sources = build_sources(config, settings)
    store = open_store(settings, database=config.session_db_url or "")
    compaction = config.context_config.compaction if config.context_config else None
    summarizer = compaction.summarizer_model if compaction and compaction.summarizer_model != config.model else None
    for option in _NOT_YET:
        if getattr(config, option):
            logger.warning("config.json: %s is set, which this engine does not act on", option)
    memory = _memory(config, settings, store) if config.memory else None
    skills = _skills(settings)
    servers = (*config.http_tools, *config.sse_tools, *config.stdio_tools)
    model = build_model(config.model, paths=settings.paths)
    fallbacks = [build_model(each, paths=settings.paths) for each in config.fallback_models]
    agent = Agent(
        name=settings.name.replace("-", "_"),
        instruction=config.instruction + skills.notes,
        model=model,
        fallbacks=fallbacks,
        prices=_prices([model, *fallbacks], settings),
        tracing=_tracing(settings, model),
        store=store,
        sources=sources.all,
        own_tools=[AskUser(), *([SaveMemory(memory), LoadMemory(memory)] if memory else []), *skills.tools],
        memory=memory,
        uploads=skills.uploads,
        require_approval=frozenset(name for server in servers for name in server.require_approval) | skills.guarded,
        secrets=_secrets(config, settings),
        limits=Limits(tool_rounds=settings.tool_rounds),
        compaction=_rules(compaction) if compaction else None,
        summarizer=build_model(summarizer, paths=settings.paths) if summarizer else None,
    )
    return Serving(
        agent,
        store,
        configuration.card,
        app_name=settings.agent_id,
        url=url,
        key_passthrough=any(
            each.api_key_passthrough for each in (config.model, *config.fallback_models, summarizer) if each is not None
        ),
        deltas=bool(config.stream),
        largest_request=settings.largest_request,
        unready=sources.unready,
        started=sources.start,
    )


def _memory(config: EngineConfig, settings: Settings, store: Store) -> Recollection | None:
    """Return the agent's memory, with the controller or in a file of its own; None where nothing makes its vectors."""
    from kagent_engine.store_controller import ControllerStore

    if config.memory is None:
        return None
    try:
        embedder = build_embedder(config.memory.embedding)
    except ConfigError as error:
        logger.warning("there is no memory: %s", error)
        return None
    if isinstance(store, ControllerStore):
        return Recollection(store, embedder, config.memory)
    from kagent_engine.memory_sqlite import SqliteMemories, memories_path

    url = config.session_db_url or ""
    own = SqliteMemories(memories_path(settings, url), config.memory.embedding.model)
    return Recollection(own, embedder, config.memory, close_store=own.aclose)


def _prices(models: Sequence[Model], settings: Settings) -> dict[str, Price]:
    """Return the prices of the models that have one, by name.

    Raises:
        ConfigError: the person's own list cannot be used.
    """
    own: dict[str, Price] = {}
    if settings.prices_file is not None:
        try:
            own = read_prices(settings.paths.resolve(str(settings.prices_file)))
        except InvalidSpec as error:
            raise ConfigError("environment", str(error), field="KAGENT_TUI_PRICES") from error
    found = {model.name: price_of(model.name, own) for model in models}
    return {name: price for name, price in found.items() if price is not None}


def _tracing(settings: Settings, model: Model) -> Tracing | None:
    if os.environ.get("OTEL_TRACING_ENABLED", "").lower() != "true":
        return None
    try:
        from kagent_engine.tracing import build_tracing
    except ImportError:
        logger.warning("OTEL_TRACING_ENABLED is set, but OpenTelemetry is not installed: kagent-engine[otel] has it")
        return None
    return build_tracing(settings, agent_name=settings.name.replace("-", "_"), model=model.name)


def _secrets(config: EngineConfig, settings: Settings) -> Secrets:
    """Return what the agent was given and no tool may tell: keys, tokens, the tool servers' and agents' headers."""
    values = [*secret_variables(os.environ)]
    for program in config.stdio_tools:
        values.extend(secret_variables(program.env))
    files = [("service account token", settings.paths.resolve(path)) for path in (settings.token_path, _API_TOKEN)]
    servers = [entry.params.headers for entry in (*config.http_tools, *config.sse_tools)]
    for headers in (*servers, *(agent.headers for agent in config.remote_agents)):
        for name, given in headers.items():
            if reference := HeaderFile.parse(given):
                files.append((name, settings.paths.resolve(reference.path)))
            else:
                values.extend(secret_header(name, given))
    return Secrets(tuple(values), tuple(files))


class _Skills(NamedTuple):
    tools: Sequence[Tool] = ()
    notes: str = ""
    guarded: frozenset[str] = frozenset()
    uploads: Uploads | None = None


def _skills(settings: Settings) -> _Skills:
    """Return what an agent's skills add; outside of a Pod nothing holds a command in, so each needs a person's yes."""
    if settings.skills_folder is None:
        return _Skills()
    from kagent_engine.skills import SHELL, Uploads, read_skills, skill_tools, skills_notes

    folder = settings.paths.resolve(str(settings.skills_folder)).resolve()
    found = read_skills(folder)
    if not found:
        logger.warning("there is no skill (a folder with SKILL.md) below %s", folder)
        return _Skills()
    guarded = frozenset[str]() if settings.contained else frozenset({SHELL})
    return _Skills(skill_tools(found, folder), skills_notes(found), guarded, Uploads(folder))


def _rules(compaction: Compaction) -> CompactionRules:
    return CompactionRules(
        interval=compaction.compaction_interval,
        overlap=compaction.overlap_size or 0,
        token_threshold=compaction.token_threshold,
        retention=compaction.event_retention_size or 0,
        prompt=compaction.prompt_template or "",
    )
