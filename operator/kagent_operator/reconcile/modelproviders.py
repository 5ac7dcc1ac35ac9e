"""ModelProviderConfig: which models does this provider have? Asked again when the spec or the key changes, and hourly.

Upstream asks once per generation and always calls itself ready; here Ready says what is wrong.
"""

from __future__ import annotations

import hashlib
from typing import Final

from kagent_api.errors import InvalidSpec
from kagent_api.kube.resources import MODELPROVIDERCONFIGS
from kagent_operator.errors import MissingReference
from kagent_operator.reconcile.cache import View
from kagent_operator.reconcile.context import Context
from kagent_operator.reconcile.keys import Key
from kagent_operator.reconcile.modellists import DEFAULT_ENDPOINTS, LISTED, Provider
from kagent_operator.reconcile.status import StatusDraft
from kagent_operator.translate.fields import JsonObject, mapping, quoted, secret_values, strings, text

__all__ = ["ModelProviderReconciler"]

_KEYLESS: Final = "Ollama"


class ModelProviderReconciler:
    """Writes status only."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key, view: View) -> None:
        config = view.get(*key)
        if config is None or text(config, "metadata", "deletionTimestamp"):
            self._context.model_lists.forget(key)
            return
        draft = StatusDraft(config, self._context.now)
        try:
            provider = _provider(config, key, view, draft)
        except InvalidSpec as error:
            self._context.model_lists.forget(key)
            reason = "SecretNotFound" if isinstance(error, MissingReference) else "InvalidSpec"
            if reason == "SecretNotFound":
                draft.condition("SecretResolved", "False", reason, str(error))
            draft.condition("Ready", "False", reason, str(error))
        else:
            self._models(key, provider, draft)
        await self._context.status.write(MODELPROVIDERCONFIGS, config, draft)

    def _models(self, key: Key, provider: Provider, draft: StatusDraft) -> None:
        if provider.type not in LISTED:
            message = f"providers of type {provider.type} have no list of models to read; name the model yourself"
            draft.condition("ModelsDiscovered", "False", "NotSupported", message)
            draft.condition("Ready", "True", "Ready", "Model provider config is ready")
            return
        outcome = self._context.model_lists.request(key, provider)
        if outcome is None:
            # Asked now; this is called again with the answer. What was known before stays.
            return
        if outcome.found is None:
            message = f"cannot list models: {outcome.error}"
            draft.condition("ModelsDiscovered", "False", "DiscoveryFailed", message)
            draft.condition("Ready", "False", "DiscoveryFailed", message)
            return
        models = list(outcome.found)
        if "lastDiscoveryTime" not in draft.fields or strings(draft.fields, "discoveredModels") != models:
            draft.fields["lastDiscoveryTime"] = self._context.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        draft.fields.update(discoveredModels=models, modelCount=len(models))
        count = f"Discovered {len(models)} model{'s' if len(models) != 1 else ''}"
        draft.condition("ModelsDiscovered", "True", "ModelsDiscovered", count)
        draft.condition("Ready", "True", "Ready", "Model provider config is ready")


def _provider(config: JsonObject, key: Key, view: View, draft: StatusDraft) -> Provider:
    """Return whom to ask; says in the draft how it stands with the Secret.

    Raises MissingReference for a Secret that is not there or holds not exactly one key, InvalidSpec for no endpoint.
    """
    spec = mapping(config, "spec")
    kind, name = text(spec, "type"), text(spec, "secretRef", "name")
    endpoint = text(spec, "endpoint") or DEFAULT_ENDPOINTS.get(kind, "")
    value = ""
    if name:
        entry, value = _only_key(name, key, view)
        draft.fields["secretHash"] = hashlib.sha256(f"{key.namespace}{name}{entry}{value}".encode()).hexdigest()
        draft.condition("SecretResolved", "True", "SecretResolved", f"Secret '{name}' is used")
    elif kind == _KEYLESS:
        draft.fields.pop("secretHash", None)
        draft.condition("SecretResolved", "True", "SecretNotRequired", "no Secret is required")
    else:
        raise MissingReference("a Secret is required", field="spec.secretRef.name", remedy="name the Secret of the key")
    if kind in LISTED and not endpoint.startswith(("http://", "https://")):
        raise InvalidSpec(f"type {kind} needs an endpoint", field="spec.endpoint", remedy="give its address")
    return Provider(type=kind, endpoint=endpoint, key=value)


def _only_key(name: str, key: Key, view: View) -> tuple[str, str]:
    secret = view.get("Secret", key.namespace, name)
    where = "spec.secretRef.name"
    if secret is None:
        raise MissingReference(
            f"Secret '{name}' not found in namespace '{key.namespace}'", field=where, remedy="create it"
        )
    values = secret_values(secret)
    if len(values) != 1:
        there = quoted(sorted(values))
        raise MissingReference(f"Secret '{name}' must have exactly one key (it has: {there})", field=where)
    entry, raw = next(iter(values.items()))
    value = raw.decode(errors="replace").strip()
    if not value:
        raise MissingReference(f"key '{entry}' of Secret '{name}' is empty", field=where)
    return entry, value
