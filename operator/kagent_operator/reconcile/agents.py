"""Agent: its workload from its translation, and a status that says in plain words how it is.

Four questions, one condition each: can it work as written (Accepted), is what it refers to in order (ResolvedRefs), do
its tools answer (ToolsReady), and does the current generation run (Ready). The middle two never hold the others up.
"""

from __future__ import annotations

from kagent_api.errors import InvalidSpec, KagentError
from kagent_api.kube import Forbidden, Invalid
from kagent_api.kube.resources import AGENTS
from kagent_operator.reconcile.adoption import Engine, engine_of
from kagent_operator.reconcile.cache import CannotRead, View
from kagent_operator.reconcile.context import Context
from kagent_operator.reconcile.drift import APPLIED_AT, drifted_tools
from kagent_operator.reconcile.hashes import WithCurrentHashes
from kagent_operator.reconcile.inventory import timestamp
from kagent_operator.reconcile.keys import Key, key_of
from kagent_operator.reconcile.revisions import GENERATION
from kagent_operator.reconcile.rollout import judge
from kagent_operator.reconcile.status import StatusDraft
from kagent_operator.reconcile.toolstate import tool_problems
from kagent_operator.translate.agent import Translation, translate_agent
from kagent_operator.translate.agent_models import fallback_names, model_config_name
from kagent_operator.translate.deployment import deployment_block
from kagent_operator.translate.fields import JsonObject, flag, mapping, rows, section, string_map, text
from kagent_operator.translate.references import check_cross_namespace
from kagent_operator.translate.settings import ENGINE_ANNOTATION, Profile
from kagent_operator.translate.tools import tool_servers

__all__ = ["AgentReconciler"]


class AgentReconciler:
    """Owns the agent's Secret, ServiceAccount, ConfigMap, Deployment and Service."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key, view: View) -> None:
        agent = view.get(*key)
        if agent is None or text(agent, "metadata", "deletionTimestamp"):
            return
        draft = StatusDraft(agent, self._context.now)
        failure: KagentError | None = None
        try:
            live = view.get("Deployment", key.namespace, key.name)
            engine = engine_of(agent, live, self._context.settings)
            translation = self._translate(agent, view, engine)
            await self._context.revisions.record(agent, live)
            _mark_generation(translation.objects, live, draft.generation, timestamp(self._context.now()))
            engine.mark(translation.objects)
            objects = _without_own_account(agent, translation.objects, view)
            # The Deployment keeps since when its generation is applied.
            await self._context.writer.ensure(agent, objects, view, made_from=[live] if live else [])
            await self._context.writer.prune(agent, {key_of(obj) for obj in translation.objects})
            draft.condition("Accepted", "True", "Reconciled", _accepted(translation))
        except (InvalidSpec, Invalid, Forbidden, CannotRead) as error:
            failure = error
            draft.condition("Accepted", "False", "ReconcileFailed", _own_words(error, key))
        self._references(agent, view, draft)
        self._tools(agent, view, draft)
        self._unsupported(agent, view, draft)
        self._ready(key, view, draft, failure)
        await self._context.status.write(AGENTS, agent, draft)
        if isinstance(failure, Invalid | Forbidden | CannotRead):
            # Nothing we watch tells when these pass: rights were granted, a webhook was mended.
            raise failure

    def _translate(self, agent: JsonObject, view: View, engine: Engine) -> Translation:
        check_cross_namespace(agent, view, self._context.namespaces)
        return translate_agent(agent, WithCurrentHashes(view), engine.settings, profile=engine.profile)

    def _references(self, agent: JsonObject, view: View, draft: StatusDraft) -> None:
        problems: list[str] = []
        for name in _model_configs(agent, self._context):
            found = view.get("ModelConfig", text(agent, "metadata", "namespace"), name)
            if found is None:
                problems.append(f"ModelConfig '{name}' not found")
                continue
            for condition in rows(found, "status", "conditions"):
                if text(condition, "type") == "Accepted" and text(condition, "status") == "False":
                    problems.append(f"ModelConfig '{name}': {text(condition, 'message')}")
        if problems:
            draft.condition("ResolvedRefs", "False", "ReferencesNotResolved", "; ".join(problems))
        else:
            draft.condition("ResolvedRefs", "True", "ResolvedRefs", "All references resolved")

    def _tools(self, agent: JsonObject, view: View, draft: StatusDraft) -> None:
        if not tool_servers(agent):
            draft.without("ToolsReady")
            draft.without("ToolsDrifted")
            return
        problems = tool_problems(agent, view)
        if problems:
            draft.condition("ToolsReady", "False", "ToolsNotReady", "; ".join(problems))
        else:
            draft.condition("ToolsReady", "True", "ToolsReady", "All tools answer")
        name, namespace = text(agent, "metadata", "name"), text(agent, "metadata", "namespace")
        changes = drifted_tools(agent, view.get("Deployment", namespace, name), view)
        if changes:
            draft.condition("ToolsDrifted", "True", "ToolsDrifted", "; ".join(changes))
        else:
            draft.without("ToolsDrifted")

    def _unsupported(self, agent: JsonObject, view: View, draft: StatusDraft) -> None:
        live = view.get("Deployment", text(agent, "metadata", "namespace"), text(agent, "metadata", "name"))
        profile = engine_of(agent, live, self._context.settings).profile
        ignored = _ignored(agent, profile)
        if not ignored:
            draft.without("UnsupportedFeatures")
            return
        listed = " and ".join(ignored)
        if profile == "upstream":
            message = f"upstream's go runtime ignores {listed}; use runtime: python"
        else:
            message = f"our engine does not act on {listed}; {ENGINE_ANNOTATION}: upstream would run upstream's"
        draft.condition("UnsupportedFeatures", "True", "UnsupportedFeatures", message)

    def _ready(self, key: Key, view: View, draft: StatusDraft, failure: KagentError | None) -> None:
        deployment = view.get("Deployment", key.namespace, key.name)
        rollout = judge(deployment, self._context.cache.pods(key))
        if failure is None:
            draft.condition("Ready", rollout.status, rollout.reason, rollout.message)
        elif deployment is None:
            draft.condition("Ready", "False", "ReconcileFailed", "nothing runs: the configuration is not accepted")
        else:
            message = f"the configuration is not accepted; the last accepted one: {rollout.message}"
            draft.condition("Ready", "False", "ReconcileFailed", message)


def _accepted(translation: Translation) -> str:
    notes = "; ".join(translation.warnings)
    return f"Agent configuration accepted{f' ({notes})' if notes else ''}"


def _without_own_account(agent: JsonObject, objects: list[JsonObject], view: View) -> list[JsonObject]:
    """Leave a ServiceAccount to its owner when the author names one that is not ours and is called like the agent."""
    name = text(agent, "metadata", "name")
    account = view.get("ServiceAccount", text(agent, "metadata", "namespace"), name)
    if account is None or text(deployment_block(agent), "serviceAccountName") != name:
        return objects
    uid = text(agent, "metadata", "uid")
    if any(text(reference, "uid") == uid for reference in rows(account, "metadata", "ownerReferences")):
        return objects
    return [obj for obj in objects if obj["kind"] != "ServiceAccount"]


def _mark_generation(objects: list[JsonObject], live: JsonObject | None, generation: int, moment: str) -> None:
    """Write on the Deployment (not on its Pods) which generation of the agent it is of, and since when."""
    known = string_map(live, "metadata", "annotations")
    since = known.get(APPLIED_AT) if known.get(GENERATION) == str(generation) else None
    for obj in objects:
        if obj["kind"] == "Deployment":
            annotations: JsonObject = obj["metadata"].setdefault("annotations", {})
            annotations.update({GENERATION: str(generation), APPLIED_AT: since or moment})


def _own_words(error: KagentError, key: Key) -> str:
    """Return an error without the name of the object on which it will stand."""
    return str(error).removeprefix(f"{key.kind} {key.namespace}/{key.name}: ")


def _model_configs(agent: JsonObject, context: Context) -> list[str]:
    if text(agent, "spec", "type") == "BYO":
        return []
    declarative = mapping(agent, "spec", "declarative")
    names = [
        model_config_name(agent, context.settings),
        text(declarative, "memory", "modelConfig"),
        text(declarative, "context", "compaction", "summarizer", "modelConfig"),
        *fallback_names(agent),
    ]
    return list(dict.fromkeys(name for name in names if name))


def _ignored(agent: JsonObject, profile: Profile) -> list[str]:
    """Return the settings of an agent that its engine reads and does not act on."""
    declarative = mapping(agent, "spec", "declarative")
    if profile == "upstream":
        if text(declarative, "runtime") != "go":
            return []
        found = {
            "executeCodeBlocks": flag(declarative, "executeCodeBlocks"),
            "context.compaction": section(declarative, "context", "compaction") is not None,
        }
    else:
        found = {
            "executeCodeBlocks": flag(declarative, "executeCodeBlocks"),
            "shareTools": flag(declarative, "shareTools"),
            "sandbox.network": bool(declarative) and section(agent, "spec", "sandbox", "network") is not None,
        }
    return [name for name, wanted in found.items() if wanted]
