"""The cases of upstream's golden translations whose files are not at hand, written from what is known of upstream.

Whole ``config.json`` objects and whole env lists are compared, in order: the rollout hash depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from kagent_operator.translate import Settings, Snapshot, Translation, translate_agent

JsonObject = dict[str, Any]
_INJECTED = ["KAGENT_NAMESPACE", "KAGENT_NAME", "KAGENT_URL"]
_OPENAI = {"type": "openai", "model": "gpt-4o", "base_url": ""}


def _object(
    kind: str, name: str, *, namespace: str = "test", api: str = "kagent.dev/v1alpha2", **body: Any
) -> JsonObject:
    metadata = {"name": name, "namespace": namespace, **body.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


def _model(name: str = "model", provider: str = "OpenAI", model: str = "gpt-4o", **spec: Any) -> JsonObject:
    if provider == "OpenAI" and not spec.get("apiKeyPassthrough"):
        spec = {"apiKeySecret": "openai-secret", "apiKeySecretKey": "api-key", **spec}
    return _object("ModelConfig", name, spec={"provider": provider, "model": model, **spec})


def _secret(name: str, *keys: str, namespace: str = "test") -> JsonObject:
    return _object("Secret", name, namespace=namespace, api="v1", data=dict.fromkeys(keys, "dG9rZW4="))


def _mcp(name: str, kind: str = "RemoteMCPServer", **more: Any) -> JsonObject:
    return {"type": "McpServer", "mcpServer": {"name": name, "kind": kind, "toolNames": ["t"], **more}}


@dataclass(frozen=True)
class Case:
    """One agent and its world; what must come out. ``config`` is without description, instruction and stream."""

    declarative: JsonObject = field(default_factory=dict[str, Any])
    spec: JsonObject = field(default_factory=dict[str, Any])
    objects: list[JsonObject] = field(default_factory=list[JsonObject])
    settings: JsonObject = field(default_factory=dict[str, Any])
    config: JsonObject = field(default_factory=dict[str, Any])
    env: list[str] = field(default_factory=lambda: ["OPENAI_API_KEY"])
    instruction: str = "Help."
    stream: bool = False


def _translate(case: Case) -> Translation:
    declarative = {"systemMessage": "Help.", "modelConfig": "model", **case.declarative}
    if "systemMessageFrom" in declarative:
        del declarative["systemMessage"]
    agent = _object("Agent", "my-agent", spec={"type": "Declarative", "declarative": declarative, **case.spec})
    objects = [agent, *case.objects]
    if not any(obj["kind"] == "ModelConfig" and obj["metadata"]["name"] == "model" for obj in objects):
        objects.append(_model())
    world = Snapshot(objects, namespaces=["kagent", "test"])
    return translate_agent(agent, world, Settings(profile="upstream", image_tag="dev", **case.settings))


_REMOTE = _object("RemoteMCPServer", "remote", spec={"url": "https://far.example.com/mcp"})
_INTERNAL = _object("RemoteMCPServer", "remote", spec={"url": "http://remote.kagent:8084/mcp?x=1"})
_SERVICE = _object(
    "Service", "svc", api="v1", spec={"ports": [{"port": 1, "name": "a"}, {"port": 9000, "appProtocol": "MCP"}]}
)
_KMCP = _object("MCPServer", "stdio", api="kagent.dev/v1alpha1", spec={"deployment": {"port": 8084}})
_PROXY = {"proxy_url": "http://proxy.kagent:8080/ignored"}


def _http(url: str, headers: dict[str, str] | None = None, timeout: float | None = None, **more: Any) -> JsonObject:
    params: JsonObject = {"url": url, "headers": headers or {}}
    if timeout is not None:
        params["timeout"] = timeout
    return {"params": params, "tools": ["t"], **more}


_CASES: dict[str, Case] = {
    "streaming": Case({"stream": True}, stream=True),
    "bedrock": Case(
        objects=[
            _model("model", "Bedrock", "claude", apiKeySecret="aws", bedrock={"region": "us-east-1"}),
            _secret("aws", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ],
        config={"model": {"type": "bedrock", "model": "claude", "region": "us-east-1"}},
        env=["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    ),
    "ollama": Case(
        objects=[_model("model", "Ollama", "llama3", ollama={"host": "h:11434", "options": {"b": "2", "a": "1"}})],
        config={"model": {"type": "ollama", "model": "llama3", "options": {"a": "1", "b": "2"}}},
        env=["OLLAMA_API_BASE"],
    ),
    "passthrough": Case(
        objects=[_model(apiKeyPassthrough=True)],
        config={"model": {"type": "openai", "model": "gpt-4o", "api_key_passthrough": True, "base_url": ""}},
        env=[],
    ),
    "allowed_headers": Case(
        {"tools": [_mcp("remote", allowedHeaders=["x-user", "authorization"])]},
        objects=[_REMOTE],
        config={"http_tools": [_http("https://far.example.com/mcp", allowed_headers=["x-user", "authorization"])]},
    ),
    "isolated_sessions": Case(
        {"tools": [{"type": "Agent", "agent": {"name": "other"}, "isolateSessions": True}]},
        objects=[_object("Agent", "other", spec={"description": "d", "declarative": {}})],
        config={
            "remote_agents": [
                {
                    "name": "test__NS__other",
                    "url": "http://other.test:8080",
                    "description": "d",
                    "isolate_sessions": True,
                }
            ]
        },
    ),
    "cross_namespace_tools": Case(
        {
            "tools": [
                _mcp("far", namespace="tools-ns"),
                {"type": "Agent", "agent": {"name": "o-x", "namespace": "b-ns"}},
            ]
        },
        objects=[
            _object(
                "RemoteMCPServer",
                "far",
                namespace="tools-ns",
                spec={
                    "url": "http://far/mcp",
                    "timeout": "30s",
                    "sseReadTimeout": "5m0s",
                    "terminateOnClose": True,
                    "headersFrom": [{"name": "K", "valueFrom": {"type": "Secret", "name": "s", "key": "k"}}],
                },
            ),
            _secret("s", "k", namespace="tools-ns"),
            _object("Agent", "o-x", namespace="b-ns", spec={"declarative": {}}),
        ],
        config={
            "http_tools": [
                {
                    "params": {
                        "url": "http://far/mcp",
                        "headers": {"K": "token"},
                        "timeout": 30.0,
                        "sse_read_timeout": 300.0,
                        "terminate_on_close": True,
                    },
                    "tools": ["t"],
                }
            ],
            "remote_agents": [{"name": "b_ns__NS__o_x", "url": "http://o-x.b-ns:8080"}],
        },
    ),
    "proxy_external_remotemcp": Case(
        {"tools": [_mcp("remote")]},
        objects=[_REMOTE],
        settings=_PROXY,
        config={"http_tools": [_http("https://far.example.com/mcp")]},
    ),
    "proxy_internal_remotemcp_loses_its_query": Case(
        {"tools": [_mcp("remote")]},
        objects=[_INTERNAL],
        settings=_PROXY,
        config={"http_tools": [_http("http://proxy.kagent:8080/mcp", {"x-kagent-host": "remote.kagent"})]},
    ),
    "proxy_mcpserver": Case(
        {"tools": [_mcp("stdio", "MCPServer")]},
        objects=[_KMCP],
        settings=_PROXY,
        config={"http_tools": [_http("http://proxy.kagent:8080/mcp", {"x-kagent-host": "stdio.test"}, 30.0)]},
    ),
    "proxy_mcpserver_custom_timeout": Case(
        {"tools": [_mcp("stdio", "MCPServer")]},
        objects=[_object("MCPServer", "stdio", spec={"timeout": "60s", "deployment": {"port": 1}})],
        settings=_PROXY,
        config={"http_tools": [_http("http://proxy.kagent:8080/mcp", {"x-kagent-host": "stdio.test"}, 60.0)]},
    ),
    "proxy_service": Case(
        {"tools": [_mcp("svc", "Service")]},
        objects=[_SERVICE],
        settings=_PROXY,
        config={"http_tools": [_http("http://proxy.kagent:8080/mcp", {"x-kagent-host": "svc.test"})]},
    ),
    "service_by_app_protocol": Case(
        {"tools": [_mcp("svc", "Service")]},
        objects=[_SERVICE],
        config={"http_tools": [_http("http://svc.test:9000/mcp")]},
    ),
    "code": Case({"executeCodeBlocks": True}, config={"execute_code": True}),
    "no_code": Case({"executeCodeBlocks": False}, config={"execute_code": False}),
    "context_config": Case(
        {
            "context": {
                "compaction": {
                    "compactionInterval": 5,
                    "overlapSize": 2,
                    "tokenThreshold": 1000,
                    "eventRetentionSize": 10,
                    "summarizer": {"modelConfig": "sum", "promptTemplate": "short"},
                }
            }
        },
        objects=[_model("sum", "Anthropic", "claude", apiKeySecret="a", apiKeySecretKey="k")],
        config={
            "context_config": {
                "compaction": {
                    "compaction_interval": 5,
                    "overlap_size": 2,
                    "summarizer_model": {"type": "anthropic", "model": "claude"},
                    "prompt_template": "short",
                    "token_threshold": 1000,
                    "event_retention_size": 10,
                }
            }
        },
        env=["OPENAI_API_KEY", "ANTHROPIC_API_KEY"],
    ),
    "embedding_provider": Case(
        {"memory": {"modelConfig": "vertex", "ttlDays": 7}},
        objects=[
            _model(
                "vertex",
                "GeminiVertexAI",
                "text-embedding",
                apiKeySecret="gcp",
                apiKeySecretKey="sa.json",
                geminiVertexAI={"projectID": "p", "location": "l"},
            )
        ],
        config={"memory": {"ttl_days": 7, "embedding": {"provider": "gemini_vertex_ai", "model": "text-embedding"}}},
        env=[
            *("OPENAI_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_GENAI_USE_VERTEXAI"),
            "GOOGLE_APPLICATION_CREDENTIALS",
        ],
    ),
    "system_message_from_configmap": Case(
        {"systemMessageFrom": {"type": "ConfigMap", "name": "prompt", "key": "p"}},
        objects=[_object("ConfigMap", "prompt", api="v1", data={"p": "From a map {{.AgentName}}"})],
        instruction="From a map {{.AgentName}}",
    ),
    "system_message_from_secret": Case(
        {"systemMessageFrom": {"type": "Secret", "name": "prompt", "key": "p"}},
        objects=[_secret("prompt", "p")],
        instruction="token",
    ),
    "tls_disabled_verify": Case(
        objects=[_model(tls={"disableVerify": True})],
        config={
            "model": {
                "type": "openai",
                "model": "gpt-4o",
                "tls_insecure_skip_verify": True,
                "tls_disable_system_cas": False,
                "base_url": "",
            }
        },
    ),
    "tls_system_cas_disabled": Case(
        objects=[_model(tls={"caCertSecretRef": "ca", "caCertSecretKey": "ca.crt", "disableSystemCAs": True})],
        config={
            "model": {
                "type": "openai",
                "model": "gpt-4o",
                "tls_insecure_skip_verify": False,
                "tls_ca_cert_path": "/etc/ssl/certs/custom/ca/ca.crt",
                "tls_disable_system_cas": True,
                "base_url": "",
            }
        },
    ),
    "network_of_a_sandbox": Case(
        spec={"sandbox": {"network": {"allowedDomains": ["a.example"]}}},
        config={"network": {"allowed_domains": ["a.example"]}},
    ),
    "shared_tools": Case({"shareTools": True}, config={"share_tools": True}),
}


@pytest.mark.parametrize("name", _CASES)
def test_a_case_of_upstreams_translates_to_its_configuration(name: str) -> None:
    case = _CASES[name]
    done = _translate(case)
    rest = {"description": "", "instruction": case.instruction, "stream": case.stream}
    assert done.config == {"model": _OPENAI, **rest, **case.config}
    container = _pod(done)["containers"][0]
    tail = ["KAGENT_SRT_SETTINGS_PATH"] if name == "code" else []
    assert [entry["name"] for entry in container["env"]] == [*case.env, *_INJECTED, *tail]


def _pod(done: Translation) -> JsonObject:
    deployment = next(obj for obj in done.objects if obj["kind"] == "Deployment")
    return deployment["spec"]["template"]["spec"]


def test_code_runs_in_the_full_image_privileged_with_sandbox_settings() -> None:
    done = _translate(_CASES["code"])
    container = _pod(done)["containers"][0]
    assert container["image"] == "ghcr.io/kagent-dev/kagent/app:dev-full"
    assert container["securityContext"] == {"privileged": True}
    assert done.objects[0]["stringData"]["srt-settings.json"] == (
        '{"filesystem":{"allowWrite":[".","/tmp"],"denyRead":[],"denyWrite":[]},'
        '"network":{"allowedDomains":[],"deniedDomains":[]}}'
    )
    modest = _translate(
        Case({"executeCodeBlocks": True, "deployment": {"securityContext": {"allowPrivilegeEscalation": False}}})
    )
    assert _pod(modest)["containers"][0]["securityContext"] == {"allowPrivilegeEscalation": False}


def test_a2a_skills_stand_on_the_card_and_mark_the_service() -> None:
    skill = {"id": "s", "name": "S", "description": "d", "tags": ["x"], "examples": ["e"], "inputModes": ["text"]}
    done = _translate(Case({"a2aConfig": {"skills": [skill]}}))
    assert done.card["skills"] == [skill]
    assert done.objects[-1]["spec"]["ports"] == [
        {"name": "http", "port": 8080, "targetPort": 8080, "appProtocol": "kgateway.dev/a2a"}
    ]


def test_git_oci_and_s3_skills_are_described_for_the_init_container() -> None:
    skills = {
        "refs": ["ghcr.io/org/oci-skill:v1"],
        "gitRefs": [
            {"url": "https://github.com/org/repo.git", "ref": "main", "path": "skills/one"},
            {"url": "git@github.com:org/private.git", "ref": "a" * 40},
            {"url": "ssh://git@host.example:2222/r.git", "name": "named"},
        ],
        "s3Refs": [{"uri": "s3://bucket/prefix/pack.zip", "region": "eu-west-1"}, {"uri": "s3://bucket/dir/"}],
        "gitAuthSecretRef": {"name": "git"},
        "imagePullSecrets": [{"name": "reg"}],
        "initContainer": {"env": [{"name": "AWS_REGION", "value": "x"}]},
    }
    done = _translate(Case(spec={"skills": skills}))
    kinds = [obj["kind"] for obj in done.objects]
    assert kinds == ["Secret", "ServiceAccount", "ConfigMap", "Deployment", "Service"]
    config_map = done.objects[2]
    assert config_map["metadata"]["name"] == "my-agent-skills-init"
    assert not config_map["metadata"].get("labels")
    assert config_map["data"]["config.json"] == (
        '{"authMountPath":"/git-auth","gitRefs":['
        '{"url":"https://github.com/org/repo.git","ref":"main","dest":"/skills/one","subPath":"skills/one"},'
        '{"url":"git@github.com:org/private.git","ref":"' + "a" * 40 + '","dest":"/skills/private","full":true},'
        '{"url":"ssh://git@host.example:2222/r.git","ref":"main","dest":"/skills/named"}],'
        '"ociRefs":[{"image":"ghcr.io/org/oci-skill:v1","dest":"/skills/oci-skill"}],'
        '"sshHosts":[{"host":"github.com"},{"host":"host.example","port":"2222"}],'
        '"imagePullSecrets":["reg"],'
        '"s3Refs":[{"uri":"s3://bucket/prefix/pack.zip","dest":"/skills/pack","region":"eu-west-1"},'
        '{"uri":"s3://bucket/dir/","dest":"/skills/dir"}]}'
    )
    pod = _pod(done)
    init, main = pod["initContainers"][0], pod["containers"][0]
    assert (init["name"], init["image"]) == ("skills-init", "ghcr.io/kagent-dev/kagent/skills-init:dev")
    assert init["env"] == [{"name": "AWS_REGION", "value": "x"}]
    assert [mount["mountPath"] for mount in init["volumeMounts"]] == [
        *("/skills", "/etc/kagent/skills-init", "/git-auth", "/docker-secrets/reg")
    ]
    assert [volume["name"] for volume in pod["volumes"]] == [
        *("config", "kagent-skills", "skills-init-config", "git-auth", "pull-secret-reg", "kagent-token")
    ]
    assert [entry["name"] for entry in main["env"]][-2:] == ["KAGENT_SKILLS_FOLDER", "KAGENT_SRT_SETTINGS_PATH"]
    assert main["securityContext"] == {"privileged": True}
    assert main["image"].endswith("app:dev-full")


def test_scheduling_and_extra_containers_are_taken_verbatim() -> None:
    tolerations = [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    affinity: JsonObject = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    }
    side = {"name": "side", "image": "busybox"}
    block: JsonObject = {
        "tolerations": tolerations,
        "affinity": affinity,
        "nodeSelector": {"disk": "ssd"},
        "extraContainers": [side],
        "replicas": 3,
    }
    pod = _pod(_translate(Case({"deployment": block}, settings={"default_node_selector": {"disk": "hdd", "z": "1"}})))
    assert (pod["tolerations"], pod["affinity"]) == (tolerations, affinity)
    assert pod["nodeSelector"] == {"disk": "ssd", "z": "1"}
    assert [container["name"] for container in pod["containers"]] == ["kagent", "side"]


@pytest.mark.parametrize(
    ("block", "settings", "account", "made"),
    [
        ({"serviceAccountName": "own"}, {}, "own", False),
        ({}, {"default_service_account": "global"}, "global", False),
        ({"serviceAccountName": "my-agent"}, {"default_service_account": "global"}, "my-agent", True),
        ({"serviceAccountConfig": {"labels": {"a": "b"}}}, {}, "my-agent", True),
    ],
)
def test_a_service_account_is_made_only_where_the_agent_has_its_own(
    block: JsonObject, settings: JsonObject, account: str, made: bool
) -> None:
    done = _translate(Case({"deployment": block}, settings=settings))
    assert _pod(done)["serviceAccountName"] == account
    assert ("ServiceAccount" in [obj["kind"] for obj in done.objects]) is made


def test_a_vertex_key_and_a_private_ca_are_mounted_once() -> None:
    long_name = "a" * 60
    models = [
        _model(tls={"caCertSecretRef": long_name, "caCertSecretKey": "ca.crt"}),
        _object(
            "RemoteMCPServer",
            "remote",
            spec={"url": "https://x.example", "tls": {"caCertSecretRef": long_name, "caCertSecretKey": "ca.crt"}},
        ),
    ]
    pod = _pod(_translate(Case({"tools": [_mcp("remote")]}, objects=models)))
    names = [volume["name"] for volume in pod["volumes"]]
    # sha256 of the Secret's name, as tls-ca-<name> would be longer than a label
    assert names == ["config", "tls-ca-11ee3912", "kagent-token"]
    assert [m["mountPath"] for m in pod["containers"][0]["volumeMounts"]][1] == "/etc/ssl/certs/custom/11ee3912"
