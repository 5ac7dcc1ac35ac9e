"""From the answers of the wizard to the objects of a first model and agent. Pure; a key's value never stands in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from kagent_tui.cluster.kinds import JsonObject

__all__ = ["PRESETS", "Answers", "Preset", "objects_of", "url_problem"]


class Preset(NamedTuple):
    """A provider as people know it. ``url``: where its API is, "?" to be asked, "" where the provider knows it."""

    id: str
    title: str
    provider: str
    url: str
    models: tuple[str, ...]
    key: bool = True
    block: str = "openAI"
    field: str = "baseUrl"


PRESETS: Final = (
    Preset("openai", "OpenAI", "OpenAI", "", ("gpt-5-mini", "gpt-5", "gpt-5-nano", "gpt-4.1")),
    Preset("qwen", "Qwen at DashScope, China", "OpenAI", "https://dashscope.aliyuncs.com/compatible-mode/v1",
           ("qwen-plus", "qwen-max", "qwen-turbo", "qwen3-max")),
    Preset("qwen-intl", "Qwen at DashScope, international", "OpenAI",
           "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
           ("qwen-plus", "qwen-max", "qwen-turbo", "qwen3-max")),
    Preset("anthropic", "Anthropic", "Anthropic", "", ("claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5")),
    Preset("gemini", "Google Gemini", "Gemini", "", ("gemini-2.5-flash", "gemini-2.5-pro")),
    Preset("ollama", "Ollama, on this machine or elsewhere", "Ollama", "?", ("qwen3", "llama3.3", "gpt-oss"),
           key=False, block="ollama", field="host"),
    Preset("compatible", "anything OpenAI-compatible, at an address of yours", "OpenAI", "?", ()),
)  # fmt: skip


@dataclass(slots=True)
class Answers:
    """What was answered so far; "" where nothing was. ``secret`` and ``secret_key`` name where the key lies."""

    namespace: str
    preset: str = ""
    url: str = ""
    model: str = ""
    secret: str = ""
    secret_key: str = ""
    new_secret: bool = False
    config: str = ""
    agent: str = ""
    description: str = ""
    instruction: str = ""
    tools: list[JsonObject] = field(default_factory=list[JsonObject])

    @property
    def chosen(self) -> Preset | None:
        """The preset, None for a ModelConfig that is there already."""
        return next((one for one in PRESETS if one.id == self.preset), None)


def url_problem(url: str) -> str:
    """Say what is wrong with an address, "" when nothing is."""
    if not re.match(r"https?://[^/\s]+", url):
        return "an address begins with http:// or https://"
    if re.search(r"dashscope[^/]*\.aliyuncs\.com", url) and "/compatible-mode/v1" not in url:
        return "DashScope's OpenAI-compatible address ends in /compatible-mode/v1"
    return ""


def objects_of(answers: Answers, key_value: str = "") -> list[JsonObject]:
    """Return what is to be made, in order: Secret, ModelConfig, Agent; those that are there already are left out."""
    found: list[JsonObject] = []
    preset = answers.chosen
    if preset is not None:
        if answers.new_secret:
            secret = _object("v1", "Secret", answers.secret, answers.namespace)
            found.append({**secret, "type": "Opaque", "stringData": {answers.secret_key: key_value}})
        found.append(_model(answers, preset))
    found.append(_agent(answers))
    return found


def _model(answers: Answers, preset: Preset) -> JsonObject:
    spec: JsonObject = {"provider": preset.provider, "model": answers.model}
    if preset.key and answers.secret:
        spec |= {"apiKeySecret": answers.secret, "apiKeySecretKey": answers.secret_key}
    url = answers.url or preset.url
    if url and url != "?":
        spec[preset.block] = {preset.field: url}
    return {**_object("kagent.dev/v1alpha2", "ModelConfig", answers.config, answers.namespace), "spec": spec}


def _agent(answers: Answers) -> JsonObject:
    declarative: dict[str, Any] = {"modelConfig": answers.config, "systemMessage": answers.instruction}
    if answers.tools:
        declarative["tools"] = answers.tools
    spec = {"type": "Declarative", "description": answers.description, "declarative": declarative}
    return {**_object("kagent.dev/v1alpha2", "Agent", answers.agent, answers.namespace), "spec": spec}


def _object(api_version: str, kind: str, name: str, namespace: str) -> JsonObject:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
