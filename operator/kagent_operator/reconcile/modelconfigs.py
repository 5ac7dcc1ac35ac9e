"""ModelConfig: is everything it refers to there? And a hash of it, so that a rotated key rolls agents out."""

from __future__ import annotations

from kagent_api.errors import InvalidSpec
from kagent_api.kube.resources import MODELCONFIGS
from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.context import Context
from kagent_operator.reconcile.hashes import model_config_hash
from kagent_operator.reconcile.keys import Key
from kagent_operator.reconcile.status import StatusDraft
from kagent_operator.translate.fields import (
    JsonObject,
    flag,
    mapping,
    quoted,
    secret_values,
    section,
    text,
)
from kagent_operator.translate.model import translate_model

__all__ = ["ModelConfigReconciler", "advice"]


class ModelConfigReconciler:
    """Writes status only."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key, view: View) -> None:
        model_config = view.get(*key)
        if model_config is None:
            return
        draft = StatusDraft(model_config, self._context.now)
        problems = _missing(model_config, key, view)
        if not problems:
            try:
                translate_model(model_config, view)
            except InvalidSpec as error:
                problems.append(_own_words(error))
        draft.fields["secretHash"] = model_config_hash(model_config, view)
        if problems:
            draft.condition("Accepted", "False", "ModelConfigReconcileFailed", "; ".join(problems))
        else:
            hint = advice(model_config)
            message = "Model configuration accepted" + (f" (check: {hint})" if hint else "")
            draft.condition("Accepted", "True", "ModelConfigReconciled", message)
        await self._context.status.write(MODELCONFIGS, model_config, draft)


def _own_words(error: InvalidSpec) -> str:
    # The condition stands on the object already; its name need not be said again.
    return str(type(error)(error.message, field=error.field, remedy=error.remedy))


def _missing(model_config: JsonObject, key: Key, view: View) -> list[str]:
    """Return what is wrong with the objects behind a ModelConfig, one line each."""
    spec = mapping(model_config, "spec")
    problems: list[str] = []
    for *block, field, key_field in (
        ("apiKeySecret", "apiKeySecretKey"),
        ("tls", "caCertSecretRef", "caCertSecretKey"),
    ):
        name, entry = text(spec, *block, field), text(spec, *block, key_field)
        field, key_field = ".".join([*block, field]), ".".join([*block, key_field])
        if not name:
            continue
        secret = view.get("Secret", key.namespace, name)
        if secret is None:
            problems.append(f"spec.{field}: Secret '{name}' not found in namespace '{key.namespace}'")
            continue
        values = secret_values(secret)
        if entry and entry not in values:
            problems.append(
                f"spec.{key_field}: Secret '{name}' has no key '{entry}' (it has: {quoted(sorted(values))})"
            )
        elif entry and not values[entry].strip():
            problems.append(f"spec.{key_field}: key '{entry}' of Secret '{name}' is empty")
    source = section(spec, "foundry", "endpointFrom")
    if source is not None:
        name = text(source, "name")
        if view.get("ConfigMap", key.namespace, name) is None and not flag(source, "optional"):
            problems.append(f"spec.foundry.endpointFrom: ConfigMap '{name}' not found in namespace '{key.namespace}'")
    return problems


def advice(model_config: JsonObject) -> str:
    """Return a word on a common mistake that is no error, or nothing."""
    base = text(model_config, "spec", "openAI", "baseUrl").rstrip("/")
    if "dashscope" in base and ".aliyuncs.com" in base and not base.endswith("/compatible-mode/v1"):
        return "DashScope's OpenAI-compatible address ends in /compatible-mode/v1, spec.openAI.baseUrl does not"
    return ""
