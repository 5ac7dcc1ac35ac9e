"""Translation of agents: what every field becomes, and where profile kagent-tui differs from upstream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kagent_api.engine_config import EngineConfig, HeaderFile
from kagent_api.errors import InvalidSpec
from kagent_operator.errors import MissingReference
from kagent_operator.translate import Profile, Settings, Snapshot, Translation, translate_agent

JsonObject = dict[str, Any]


def _object(kind: str, name: str, spec: JsonObject, *, namespace: str = "ns", **more: Any) -> JsonObject:
    version = {"Secret": "v1", "ConfigMap": "v1", "Service": "v1", "MCPServer": "kagent.dev/v1alpha1"}
    return {
        "apiVersion": version.get(kind, "kagent.dev/v1alpha2"),
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, **more.pop("metadata", {})},
        "spec": spec,
        **more,
    }


def _model(provider: str = "OpenAI", name: str = "default-model-config", **spec: Any) -> JsonObject:
    return _object("ModelConfig", name, {"provider": provider, "model": "m", **spec})


def _agent(*, spec: JsonObject | None = None, metadata: JsonObject | None = None, **declarative: Any) -> JsonObject:
    body = {"type": "Declarative", "declarative": {"systemMessage": "Help.", **declarative}, **(spec or {})}
    return _object("Agent", "my-agent", body, metadata={"uid": "u1", **(metadata or {})})


def _translate(agent: JsonObject, *others: JsonObject, profile: Profile = "kagent-tui", **settings: Any) -> Translation:
    objects = [agent, *others]
    if not any(obj["kind"] == "ModelConfig" for obj in others):
        objects.append(_model())
    return translate_agent(agent, Snapshot(objects), Settings(profile=profile, **settings))


def _made(translation: Translation, kind: str) -> JsonObject:
    return next(obj for obj in translation.objects if obj["kind"] == kind)


def _pod(translation: Translation) -> JsonObject:
    return _made(translation, "Deployment")["spec"]["template"]["spec"]


def _container(translation: Translation) -> JsonObject:
    return _pod(translation)["containers"][0]


def _env(translation: Translation) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in _container(translation)["env"]}


def test_our_profile_runs_our_image_restricted_and_probed_on_health() -> None:
    done = _translate(_agent(runtime="go"))
    container, pod = _container(done), _pod(done)
    assert container["image"].startswith("ghcr.io/kagent-tui/kagent-engine:")
    assert container["args"] == ["--host", "0.0.0.0", "--port", "8080", "--filepath", "/config"]
    probe = container["readinessProbe"]
    assert probe["httpGet"] == {"path": "/health", "port": "http"}
    assert (probe["initialDelaySeconds"], probe["timeoutSeconds"], probe["periodSeconds"]) == (1, 5, 1)
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError", "a crash's last lines reach the status"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["automountServiceAccountToken"] is False
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/config", "/var/run/secrets/tokens", "/tmp"}
    assert _env(done)["KAGENT_URL"] == "http://kagent-controller.kagent:8083"
    assert _env(done)["KAGENT_NAME"] == "my-agent"


def test_an_agents_annotation_chooses_its_profile() -> None:
    done = _translate(_agent(runtime="go", metadata={"annotations": {"kagent-tui.dev/engine": "upstream"}}))
    assert _container(done)["image"].startswith("ghcr.io/kagent-dev/kagent/golang-adk:")
    probe = _container(done)["readinessProbe"]
    assert (probe["initialDelaySeconds"], probe["timeoutSeconds"], probe["periodSeconds"]) == (1, 5, 1)
    assert "livenessProbe" not in _container(done)


def test_the_configuration_is_what_the_engine_reads() -> None:
    server = _object("RemoteMCPServer", "tools", {"url": "http://t/mcp", "timeout": "30s", "terminateOnClose": True})
    tool = {"type": "McpServer", "mcpServer": {"kind": "RemoteMCPServer", "name": "tools", "toolNames": ["a"]}}
    done = _translate(_agent(tools=[tool], stream=True), server)
    config = EngineConfig.model_validate_json(_made(done, "Secret")["stringData"]["config.json"])
    assert config.stream is True
    assert config.http_tools[0].params.url == "http://t/mcp"
    assert config.model is not None


@pytest.mark.parametrize(
    ("provider", "spec", "model", "env"),
    [
        (
            "OpenAI",
            {"openAI": {"baseUrl": "http://x/v1", "temperature": "0.5", "organization": "o", "apiFormat": "responses"}},
            {"type": "openai", "model": "m", "base_url": "http://x/v1", "temperature": 0.5, "api_format": "responses"},
            {"OPENAI_API_KEY", "OPENAI_ORGANIZATION"},
        ),
        (
            "Anthropic",
            {"anthropic": {"maxTokens": 10, "topK": 3, "topP": "0.1"}},
            {"type": "anthropic", "model": "m", "max_tokens": 10, "top_p": 0.1, "top_k": 3},
            {"ANTHROPIC_API_KEY"},
        ),
        (
            "AzureOpenAI",
            {"azureOpenAI": {"azureEndpoint": "https://a", "apiVersion": "v", "azureDeployment": "d"}},
            {"type": "azure_openai", "model": "d", "endpoint": "https://a", "deployment": "d", "api_version": "v"},
            {"AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION", "AZURE_OPENAI_ENDPOINT"},
        ),
        (
            "GeminiVertexAI",
            {"geminiVertexAI": {"projectID": "p", "location": "l", "maxOutputTokens": 5}},
            {"type": "gemini_vertex_ai", "model": "m", "max_output_tokens": 5},
            {
                "GOOGLE_CLOUD_PROJECT",
                "GOOGLE_CLOUD_LOCATION",
                "GOOGLE_GENAI_USE_VERTEXAI",
                "GOOGLE_APPLICATION_CREDENTIALS",
            },
        ),
        (
            "AnthropicVertexAI",
            {"anthropicVertexAI": {"projectID": "p", "location": "l"}},
            {"type": "gemini_anthropic", "model": "m"},
            {"GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_APPLICATION_CREDENTIALS"},
        ),
        (
            "Ollama",
            {"ollama": {"host": "laptop:11434", "options": {"num_ctx": "1", "a": "b"}}, "apiKeySecret": ""},
            {"type": "ollama", "model": "m", "options": {"a": "b", "num_ctx": "1"}},
            {"OLLAMA_API_BASE"},
        ),
        ("Gemini", {}, {"type": "gemini", "model": "m"}, {"GOOGLE_API_KEY"}),
        (
            "Bedrock",
            {"bedrock": {"region": "r", "promptCaching": True, "guardrail": {"identifier": "i", "version": "1"}}},
            {
                "type": "bedrock",
                "model": "m",
                "region": "r",
                "prompt_caching": True,
                "guardrail": {"identifier": "i", "version": "1"},
            },
            {"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
        ),
        (
            "SAPAICore",
            {"sapAICore": {"baseUrl": "https://s", "resourceGroup": "default"}},
            {"type": "sap_ai_core", "model": "m", "base_url": "https://s", "resource_group": "default"},
            {"SAP_AI_CORE_CLIENT_ID", "SAP_AI_CORE_CLIENT_SECRET"},
        ),
        (
            "Foundry",
            {"foundry": {"endpoint": "https://f", "deployment": "d", "apiVersion": "v"}},
            {"type": "foundry", "model": "m", "endpoint": "https://f", "deployment": "d", "api_version": "v"},
            {"FOUNDRY_API_KEY", "FOUNDRY_ENDPOINT", "FOUNDRY_DEPLOYMENT", "FOUNDRY_API_VERSION"},
        ),
    ],
)
def test_every_provider_has_its_model_and_its_variables(
    provider: str, spec: JsonObject, model: JsonObject, env: set[str]
) -> None:
    keys = {"apiKeySecret": "key", "apiKeySecretKey": "k", **spec}
    done = _translate(_agent(runtime="go"), _model(provider, **keys), _object("Secret", "key", {}))
    assert done.config["model"] == model
    own = {"KAGENT_NAMESPACE", "KAGENT_NAME", "KAGENT_URL"}
    assert set(_env(done)) - own == env


def test_a_bearer_token_for_bedrock_is_preferred() -> None:
    secret = _object("Secret", "key", {}, data={"AWS_BEARER_TOKEN_BEDROCK": "eA=="})
    done = _translate(_agent(), _model("Bedrock", bedrock={"region": "r"}, apiKeySecret="key"), secret)
    assert "AWS_BEARER_TOKEN_BEDROCK" in _env(done)
    assert "AWS_ACCESS_KEY_ID" not in _env(done)


def test_a_number_that_is_none_is_ignored_and_said() -> None:
    done = _translate(_agent(), _model(openAI={"temperature": "warm"}))
    assert "temperature" not in done.config["model"]
    assert "temperature is no number" in done.warnings[0]


def test_foundry_needs_runtime_go_in_profile_upstream_only() -> None:
    model = _model("Foundry", foundry={"endpoint": "e", "deployment": "d", "apiVersion": "v"})
    with pytest.raises(InvalidSpec, match="runtime go only"):
        _translate(_agent(runtime="python"), model, profile="upstream")
    assert _translate(_agent(runtime="python"), model).config["model"]["type"] == "foundry"


def test_secret_headers_are_files_in_our_profile_and_plain_in_upstreams() -> None:
    secret = _object("Secret", "token", {}, stringData={"v": "Bearer x"})
    reference = {"name": "Authorization", "valueFrom": {"type": "Secret", "name": "token", "key": "v"}}
    server = _object("RemoteMCPServer", "t", {"url": "http://t/mcp", "headersFrom": [reference]})
    tool = {
        "mcpServer": {"kind": "RemoteMCPServer", "name": "t"},
        "headersFrom": [{"name": "X-Plain", "value": "p"}],
    }
    ours = _translate(_agent(tools=[tool]), server, secret)
    headers = ours.config["http_tools"][0]["params"]["headers"]
    assert headers["X-Plain"] == "p"
    file = HeaderFile.parse(headers["Authorization"])
    assert file is not None
    name = file.path.removeprefix("/etc/kagent/headers/")
    assert HeaderFile.named(name) == file
    data = _made(ours, "Secret")["stringData"]
    assert data[f"header.{name}"] == "Bearer x"
    assert "Bearer x" not in data["config.json"]
    volumes = {volume["name"]: volume for volume in _pod(ours)["volumes"]}
    assert volumes["headers"]["secret"]["items"] == [{"key": f"header.{name}", "path": name}]
    assert {item["key"] for item in volumes["config"]["secret"]["items"]} == {"config.json", "agent-card.json"}
    upstream = _translate(_agent(tools=[tool]), server, secret, profile="upstream")
    assert upstream.config["http_tools"][0]["params"]["headers"]["Authorization"] == "Bearer x"


def test_a_tools_own_headers_win_over_its_servers() -> None:
    server = _object("RemoteMCPServer", "t", {"url": "http://t", "headersFrom": [{"name": "A", "value": "server"}]})
    tool = {"mcpServer": {"kind": "RemoteMCPServer", "name": "t"}, "headersFrom": [{"name": "A", "value": "tool"}]}
    assert _translate(_agent(tools=[tool]), server).config["http_tools"][0]["params"]["headers"] == {"A": "tool"}


def test_an_sse_server_goes_to_sse_tools_without_terminate_on_close() -> None:
    server = _object("RemoteMCPServer", "t", {"url": "http://t", "protocol": "SSE", "terminateOnClose": True})
    done = _translate(_agent(tools=[{"mcpServer": {"kind": "RemoteMCPServer", "name": "t"}}]), server)
    assert done.config["sse_tools"] == [{"params": {"url": "http://t", "headers": {}}}]
    assert "http_tools" not in done.config


def test_an_mcp_servers_address_and_an_http_servers_own_path() -> None:
    server = _object(
        "MCPServer", "t", {"transportType": "http", "httpTransport": {"path": "/api"}, "deployment": {"port": 9}}
    )
    tool = {"type": "McpServer", "mcpServer": {"name": "t"}}
    ours = _translate(_agent(tools=[tool]), server).config["http_tools"][0]["params"]
    assert ours == {"url": "http://t.ns:9/api", "headers": {}, "timeout": 30}
    upstream = _translate(_agent(tools=[tool]), server, profile="upstream").config["http_tools"][0]["params"]
    assert upstream["url"] == "http://t.ns:9/mcp"


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"ports": [{"port": 1}, {"port": 2}]}, "no port serves MCP"),
        ({"ports": []}, "no port serves MCP"),
    ],
)
def test_a_service_without_a_clear_port_is_refused(service: JsonObject, words: str) -> None:
    tool = {"mcpServer": {"kind": "Service", "name": "s"}}
    with pytest.raises(InvalidSpec, match=words):
        _translate(_agent(tools=[tool]), _object("Service", "s", service))


def test_agents_that_call_each_other_in_a_circle_are_refused() -> None:
    other = _object("Agent", "other", {"declarative": {"tools": [{"agent": {"name": "my-agent"}}]}})
    with pytest.raises(InvalidSpec, match="in a circle: ns/my-agent -> ns/other -> ns/my-agent"):
        _translate(_agent(tools=[{"type": "Agent", "agent": {"name": "other"}}]), other)


def test_the_same_agent_twice_is_no_circle() -> None:
    leaf = _object("Agent", "leaf", {"declarative": {}})
    one = _object("Agent", "one", {"declarative": {"tools": [{"agent": {"name": "leaf"}}]}, "description": "One"})
    done = _translate(_agent(tools=[{"agent": {"name": "one"}}, {"agent": {"name": "leaf"}}]), one, leaf)
    assert [entry["name"] for entry in done.config["remote_agents"]] == ["ns__NS__one", "ns__NS__leaf"]
    assert done.config["remote_agents"][0]["description"] == "One"


def test_a_missing_tool_server_names_those_there_are() -> None:
    there = _object("RemoteMCPServer", "there", {"url": "http://x"})
    with pytest.raises(MissingReference, match="'gone' not found in namespace 'ns' \\(there: 'there'\\)"):
        _translate(_agent(tools=[{"mcpServer": {"kind": "RemoteMCPServer", "name": "gone"}}]), there)


def test_skill_tags_are_a_list_in_our_profile_and_null_in_upstreams() -> None:
    config = {"skills": [{"id": "s", "name": "S"}]}
    assert _translate(_agent(a2aConfig=config)).card["skills"][0]["tags"] == []
    assert _translate(_agent(a2aConfig=config), profile="upstream").card["skills"][0]["tags"] is None


def test_skills_are_fetched_by_an_init_container() -> None:
    skills = {
        "refs": ["ghcr.io/org/oci-skill:v1"],
        "gitRefs": [
            {"url": "git@github.com:org/repo.git", "ref": "abc123def456abc123def456abc123def456abc1", "path": "a/b"},
            {"url": "ssh://git@host:2222/x/y.git"},
        ],
        "s3Refs": [{"uri": "s3://bucket/ops.tar.gz", "region": "r"}],
        "gitAuthSecretRef": {"name": "auth"},
        "imagePullSecrets": [{"name": "pull"}],
    }
    done = _translate(_agent(spec={"skills": skills}), profile="upstream")
    [init] = _pod(done)["initContainers"]
    assert init["name"] == "skills-init"
    assert {mount["mountPath"] for mount in init["volumeMounts"]} == {
        "/skills",
        "/etc/kagent/skills-init",
        "/git-auth",
        "/docker-secrets/pull",
    }
    config_map = _made(done, "ConfigMap")
    assert config_map["metadata"]["name"] == "my-agent-skills-init"
    assert "labels" not in config_map["metadata"]
    assert json.loads(config_map["data"]["config.json"]) == {
        "authMountPath": "/git-auth",
        "gitRefs": [
            {
                "url": "git@github.com:org/repo.git",
                "ref": "abc123def456abc123def456abc123def456abc1",
                "dest": "/skills/b",
                "full": True,
                "subPath": "a/b",
            },
            {"url": "ssh://git@host:2222/x/y.git", "ref": "main", "dest": "/skills/y"},
        ],
        "ociRefs": [{"image": "ghcr.io/org/oci-skill:v1", "dest": "/skills/oci-skill"}],
        "sshHosts": [{"host": "github.com"}, {"host": "host", "port": "2222"}],
        "imagePullSecrets": ["pull"],
        "s3Refs": [{"uri": "s3://bucket/ops.tar.gz", "dest": "/skills/ops", "region": "r"}],
    }
    assert _container(done)["image"].endswith("-full")
    assert _container(done)["securityContext"] == {"privileged": True}
    assert _env(done)["KAGENT_SKILLS_FOLDER"] == "/skills"


def test_skills_in_our_profile_never_make_a_pod_privileged() -> None:
    done = _translate(_agent(spec={"skills": {"refs": ["ghcr.io/org/s:v1"]}}))
    [init] = _pod(done)["initContainers"]
    assert init["args"] == ["skills-init"]
    for container in (init, _container(done)):
        assert "privileged" not in container["securityContext"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(
    ("skills", "words"),
    [
        ({"refs": ["r/a:1"], "gitRefs": [{"url": "https://h/a.git"}]}, "duplicate skill name 'a'"),
        ({"gitRefs": [{"url": "https://h/a", "path": "../x"}]}, "must stay inside the repository"),
        ({"gitRefs": [{"url": "https://h/a", "name": "b d"}]}, "is not made of"),
        ({"s3Refs": [{"uri": "s3://b/..", "name": ".."}]}, "is not made of"),
    ],
)
def test_skills_that_cannot_be_kept_apart_are_refused(skills: JsonObject, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        _translate(_agent(spec={"skills": skills}))


def test_a_byo_agent_runs_its_own_image_unchanged() -> None:
    deployment = {"image": "example.com/a:1", "cmd": "serve", "args": ["--x"], "workingDir": "/app"}
    done = _translate(_agent(spec={"type": "BYO", "byo": {"deployment": deployment}}))
    container = _container(done)
    assert (container["image"], container["command"], container["args"]) == ("example.com/a:1", ["serve"], ["--x"])
    assert container["workingDir"] == "/app"
    assert "securityContext" not in container
    assert "automountServiceAccountToken" not in _pod(done)
    assert _made(done, "Service")["spec"]["ports"][0]["appProtocol"] == "kgateway.dev/a2a"


@pytest.mark.parametrize("byo", [None, {}, {"deployment": {}}])
def test_a_byo_agent_without_image_is_refused(byo: JsonObject | None) -> None:
    with pytest.raises(InvalidSpec, match="BYO agent needs"):
        _translate(_agent(spec={"type": "BYO", "byo": byo}))


def test_the_authors_deployment_settings_reach_the_pod() -> None:
    deployment = {
        "replicas": 0,
        "labels": {"team": "a"},
        "annotations": {"note": "pod"},
        "deploymentAnnotations": {"note": "deployment"},
        "env": [{"name": "KAGENT_NAME", "value": "mine"}, {"name": "A", "value": "1"}],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1024Mi"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "nodeSelector": {"disk": "ssd"},
        "imagePullSecrets": [{"name": "mine"}],
        "serviceAccountName": "own",
        "securityContext": {"runAsUser": 7, "readOnlyRootFilesystem": False},
        "resources": {},
    }
    done = _translate(
        _agent(deployment=deployment),
        default_node_selector={"zone": "z"},
        default_pod_labels={"org": "o"},
        image_pull_secret="default",
    )
    made, pod, container = _made(done, "Deployment"), _pod(done), _container(done)
    assert made["spec"]["replicas"] == 0
    assert made["metadata"]["annotations"]["note"] == "deployment"
    template = made["spec"]["template"]["metadata"]
    assert template["annotations"]["note"] == "pod"
    assert template["labels"]["team"] == "a"
    assert template["labels"]["org"] == "o"
    assert made["spec"]["selector"]["matchLabels"] == {"app": "kagent", "kagent": "my-agent"}
    assert _env(done)["KAGENT_NAME"] == "my-agent", "the later of two wins, as in the kubelet"
    assert [entry["name"] for entry in container["env"]].count("KAGENT_NAME") == 1
    assert pod["nodeSelector"] == {"disk": "ssd", "zone": "z"}
    assert pod["imagePullSecrets"] == [{"name": "mine"}, {"name": "default"}]
    assert pod["serviceAccountName"] == "own"
    assert all(obj["kind"] != "ServiceAccount" for obj in done.objects)
    assert container["securityContext"]["runAsUser"] == 7
    assert container["securityContext"]["readOnlyRootFilesystem"] is False
    assert container["resources"] == {}


def test_kubectls_record_of_the_agent_is_not_handed_down_in_our_profile() -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "n"}
    agent = _agent(metadata={"annotations": annotations})
    assert _made(_translate(agent), "Secret")["metadata"]["annotations"] == {"note": "n"}
    assert _made(_translate(agent, profile="upstream"), "Secret")["metadata"]["annotations"] == annotations


def test_memory_context_and_the_rest_of_the_configuration() -> None:
    embedding = _model(
        "AzureOpenAI", "emb", azureOpenAI={"azureEndpoint": "e", "apiVersion": "v", "azureDeployment": "d"}
    )
    agent = _agent(
        spec={"sandbox": {"network": {"allowedDomains": ["a.com"]}}},
        memory={"modelConfig": "emb", "ttlDays": 3},
        context={"compaction": {"compactionInterval": 5, "overlapSize": 0, "summarizer": {"promptTemplate": "p"}}},
        executeCodeBlocks=False,
        shareTools=True,
    )
    config = _translate(agent, _model(), embedding).config
    assert config["memory"] == {
        "ttl_days": 3,
        "embedding": {"provider": "azure_openai", "model": "d", "endpoint": "e", "deployment": "d", "api_version": "v"},
    }
    assert config["context_config"]["compaction"] == {
        "compaction_interval": 5,
        "overlap_size": 0,
        "summarizer_model": config["model"],
        "prompt_template": "p",
    }
    assert config["network"] == {"allowed_domains": ["a.com"]}
    assert (config["execute_code"], config["share_tools"], config["stream"]) == (False, True, False)


def test_a_prompt_without_sources_is_literal_text() -> None:
    assert (
        _translate(_agent(systemMessage="{{.AgentName}}", promptTemplate={})).config["instruction"] == "{{.AgentName}}"
    )


def test_two_prompt_sources_that_clash_are_refused() -> None:
    config_map = _object("ConfigMap", "p", {}, data={"k": "v"})
    sources = [{"name": "p", "alias": "x"}, {"name": "p", "alias": "x"}]
    with pytest.raises(InvalidSpec, match="two sources give 'x/k'"):
        _translate(_agent(promptTemplate={"dataSources": sources}), config_map, _model())


def test_an_unknown_include_lists_what_there_is() -> None:
    config_map = _object("ConfigMap", "p", {}, data={"k": "v"})
    agent = _agent(systemMessage='{{include "p/x"}}', promptTemplate={"dataSources": [{"name": "p"}]})
    with pytest.raises(InvalidSpec, match="there are: 'p/k'"):
        _translate(agent, config_map, _model())


def test_a_wrong_template_is_told_with_object_field_and_line() -> None:
    config_map = _object("ConfigMap", "p", {}, data={"k": "fine\n{{.Nobody}}"})
    sources = {"promptTemplate": {"dataSources": [{"name": "p"}]}}
    written = _agent(systemMessage="\n\n{{end}}", **sources)
    with pytest.raises(InvalidSpec, match=r"Agent ns/my-agent: spec\.declarative\.systemMessage: line 3: unexpected"):
        _translate(written, config_map, _model())
    taken = _agent(systemMessageFrom={"type": "ConfigMap", "name": "p", "key": "k"}, **sources)
    with pytest.raises(InvalidSpec, match=r"systemMessageFrom: ConfigMap 'p', key 'k', line 2: there is no field"):
        _translate(taken, config_map, _model())


@pytest.mark.parametrize(("namespaces", "through"), [(["y"], True), ([], False)])
def test_only_addresses_inside_the_cluster_go_through_the_proxy(namespaces: list[str], through: bool) -> None:
    server = _object("RemoteMCPServer", "t", {"url": "http://x.y:8/mcp?a=b"})
    agent = _agent(tools=[{"mcpServer": {"kind": "RemoteMCPServer", "name": "t"}}])
    world = Snapshot([agent, server, _model()], namespaces=namespaces)
    params = translate_agent(agent, world, Settings(proxy_url="http://proxy:1")).config["http_tools"][0]["params"]
    if through:
        assert params["url"] == "http://proxy:1/mcp"
        assert params["headers"] == {"x-kagent-host": "x.y"}
    else:
        assert params["url"] == "http://x.y:8/mcp?a=b"
        assert params["headers"] == {}
