"""Which model the demo uses: the first there is a key for, a running Ollama, else the scripted offline model."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from kagent_api.errors import KagentError
from kagent_api.names import DEFAULT_MODEL_CONFIG

__all__ = ["CHOICES", "SCRIPTED_SERVICE", "DemoModel", "choose_model"]

SCRIPTED_SERVICE: Final = "scripted-model"
MODEL_NOTE_ANNOTATION: Final = "kagent-tui.dev/model-note"
_SECRET: Final = "demo-model-key"  # noqa: S105 - the name of a Secret
_OLLAMA: Final = ("127.0.0.1", 11434)


@dataclass(frozen=True)
class DemoModel:
    """A model for the samples. ``key`` is a secret: it is written into the local cluster's Secret and nowhere else."""

    id: str
    label: str
    spec: dict[str, Any]
    key: str = field(default="", repr=False)
    note: str = ""

    @property
    def scripted(self) -> bool:
        return self.id == "scripted"

    def objects(self, namespace: str) -> list[dict[str, Any]]:
        """Return the ModelConfig and, where there is a key, its Secret."""
        metadata: dict[str, Any] = {"name": DEFAULT_MODEL_CONFIG, "namespace": namespace}
        if self.note:
            metadata["annotations"] = {MODEL_NOTE_ANNOTATION: self.note}
        config = {
            "apiVersion": "kagent.dev/v1alpha2",
            "kind": "ModelConfig",
            "metadata": metadata,
            "spec": self.spec | ({"apiKeySecret": _SECRET, "apiKeySecretKey": "key"} if self.key else {}),
        }
        if not self.key:
            return [config]
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _SECRET, "namespace": namespace},
            "type": "Opaque",
            "stringData": {"key": self.key},
        }
        return [secret, config]


@dataclass(frozen=True)
class _Keyed:
    """A provider found by the environment variable of its key."""

    variable: str
    provider: str
    model: str
    block: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


# The order is the issue's; the models are each provider's small, cheap one that calls tools.
_KEYED: Final[dict[str, _Keyed]] = {
    "openai": _Keyed("OPENAI_API_KEY", "OpenAI", "gpt-4.1-mini"),
    "anthropic": _Keyed("ANTHROPIC_API_KEY", "Anthropic", "claude-haiku-4-5"),
    "gemini": _Keyed("GEMINI_API_KEY", "Gemini", "gemini-2.5-flash"),
    "dashscope": _Keyed(
        "DASHSCOPE_API_KEY",
        "OpenAI",
        "qwen-plus",
        "openAI",
        {"baseUrl": "https://dashscope.aliyuncs.com/compatible-mode/v1"},
    ),
}
CHOICES: Final = ("auto", *_KEYED, "ollama", "scripted")


def choose_model(choice: str, namespace: str, environ: Mapping[str, str]) -> DemoModel:
    """Return the model of ``--model``; ``auto`` takes the first that is there.

    Raises:
        KagentError: the model that was asked for by name is not to be had.
    """
    if choice == "scripted":
        return _scripted(namespace)
    if choice == "auto":
        for name in _KEYED:
            if model := _keyed(name, environ):
                return model
        return _ollama() or _scripted(namespace)
    model = _ollama() if choice == "ollama" else _keyed(choice, environ)
    if model is None:
        missing = "no Ollama with a model answers on 127.0.0.1:11434"
        if choice in _KEYED:
            missing = f"{_KEYED[choice].variable} is not set"
        raise KagentError(missing, remedy="or run the demo offline: kagent-tui demo --model scripted")
    return model


def _keyed(name: str, environ: Mapping[str, str]) -> DemoModel | None:
    found = _KEYED[name]
    key = environ.get(found.variable, "").strip()
    if not key:
        return None
    spec: dict[str, Any] = {"provider": found.provider, "model": found.model}
    if found.block:
        spec[found.block] = dict(found.settings)
    return DemoModel(name, f"{found.model} (key from {found.variable})", spec, key)


def _scripted(namespace: str) -> DemoModel:
    return DemoModel(
        "scripted",
        "scripted offline model (no key found; answers follow fixed rules, not intelligence)",
        {
            "provider": "OpenAI",
            "model": "scripted",
            "openAI": {"baseUrl": f"http://{SCRIPTED_SERVICE}.{namespace}:8080/v1"},
        },
        note="scripted offline model",
    )


def _ollama() -> DemoModel | None:
    """Return a running Ollama's first chat model; nothing listening is the ordinary case and answers at once."""
    connection = http.client.HTTPConnection(*_OLLAMA, timeout=0.5)
    try:
        connection.request("GET", "/api/tags")
        body: object = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    listed = cast("dict[str, Any]", body).get("models") if isinstance(body, dict) else None
    names = [str(each.get("name", "")) for each in cast("list[dict[str, Any]]", listed or [])]
    chat = next((name for name in names if name and "embed" not in name), "")
    if not chat:
        return None
    host, port = _OLLAMA
    spec = {"provider": "Ollama", "model": chat, "ollama": {"host": f"http://{host}:{port}"}}
    return DemoModel("ollama", f"{chat} (Ollama on this machine)", spec)
