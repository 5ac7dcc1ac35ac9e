"""What a new object begins with: the smallest YAML that works, with comments that say what each part is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["SERIES", "TEMPLATES", "Series", "Template", "fill"]


class Template:
    """A text with a place for the namespace."""

    def __init__(self, title: str, text: str) -> None:
        self.title = title
        self.text = text


def fill(template: Template | str, namespace: str) -> str:
    """Return a template's text for a namespace."""
    text = template if isinstance(template, str) else template.text
    return text.replace("NAMESPACE", namespace)


_AGENT = """\
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata:
  name: my-agent
  namespace: NAMESPACE
spec:
  type: Declarative
  description: Answers questions about one thing, and says so when it does not know.
  declarative:
    # The ModelConfig of this namespace; without this line: default-model-config.
    modelConfig: default-model-config
    systemMessage: |
      You answer questions about ...
      Say plainly when you do not know.
"""

_AGENT_WITH_TOOLS = """\
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata:
  name: my-agent
  namespace: NAMESPACE
spec:
  type: Declarative
  description: Looks things up with tools before it answers.
  declarative:
    modelConfig: default-model-config
    systemMessage: |
      Use your tools to find out; name what you used.
    tools:
      - type: McpServer
        mcpServer:
          apiGroup: kagent.dev
          kind: MCPServer # or RemoteMCPServer
          name: my-server
          # Without toolNames the agent may use every tool of the server.
          toolNames: []
          # Tools that must be approved by a person; each has to be in toolNames too.
          requireApproval: []
"""

_MODEL = """\
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata:
  name: my-model
  namespace: NAMESPACE
spec:
  provider: OpenAI
  model: gpt-5-mini
  # A Secret of this namespace and the key in it that holds the API key.
  apiKeySecret: my-model-key
  apiKeySecretKey: API_KEY
"""

_QWEN = """\
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata:
  name: qwen
  namespace: NAMESPACE
spec:
  provider: OpenAI
  model: qwen-plus
  apiKeySecret: dashscope
  apiKeySecretKey: API_KEY
  openAI:
    # OpenAI-compatible: the path ends in /compatible-mode/v1.
    baseUrl: https://dashscope.aliyuncs.com/compatible-mode/v1
"""

_MCP_STDIO = """\
apiVersion: kagent.dev/v1alpha1
kind: MCPServer
metadata:
  name: fetch
  namespace: NAMESPACE
spec:
  transportType: stdio
  stdioTransport: {}
  deployment:
    cmd: uvx
    args: [mcp-server-fetch]
    port: 3000
"""

_MCP_REMOTE = """\
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata:
  name: my-server
  namespace: NAMESPACE
spec:
  description: What its tools are good for.
  protocol: STREAMABLE_HTTP
  url: https://example.com/mcp
  timeout: 30s
  terminateOnClose: true
  headersFrom:
    - name: Authorization
      valueFrom:
        type: Secret
        name: my-server-token
        key: authorization
"""

_KEY_HOLDER = """\
apiVersion: v1
kind: Secret
metadata:
  name: my-model-key
  namespace: NAMESPACE
type: Opaque
stringData:
  # Never kept on disk by kagent-tui.
  API_KEY: ""
"""

_QWEN_KEY = """\
apiVersion: v1
kind: Secret
metadata:
  name: dashscope
  namespace: NAMESPACE
type: Opaque
stringData:
  # The key from Model Studio's console; kagent-tui never keeps it on disk.
  API_KEY: ""
"""

_READER = """\
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata:
  name: web-reader
  namespace: NAMESPACE
spec:
  type: Declarative
  description: Reads web pages and sums them up.
  declarative:
    modelConfig: qwen
    systemMessage: |
      Fetch the pages you are asked about and sum them up in the language of the question.
      Name the address of every page you used.
    tools:
      - type: McpServer
        mcpServer:
          apiGroup: kagent.dev
          kind: MCPServer
          name: fetch
"""

_HEADER = """\
apiVersion: v1
kind: Secret
metadata:
  name: my-server-token
  namespace: NAMESPACE
type: Opaque
stringData:
  # The whole header value, the word Bearer included.
  authorization: ""
"""

_REMOTE_AGENT = """\
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata:
  name: my-agent
  namespace: NAMESPACE
spec:
  type: Declarative
  description: Looks things up with the tools of my-server.
  declarative:
    modelConfig: default-model-config
    systemMessage: |
      Use your tools to find out; name what you used.
    tools:
      - type: McpServer
        mcpServer:
          apiGroup: kagent.dev
          kind: RemoteMCPServer
          name: my-server
          # Without toolNames: every tool. In the form, Enter on tools lists what the server offers.
          toolNames: []
"""

_KUBERNETES = """\
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata:
  name: kubernetes
  namespace: NAMESPACE
spec:
  description: Reads and diagnoses what runs in the cluster.
  protocol: STREAMABLE_HTTP
  # Where your Kubernetes MCP server listens.
  url: http://kubernetes-mcp-server.NAMESPACE:8080/mcp
  # A diagnosis takes minutes; the default of 30s would cut it off.
  timeout: 600s
"""

_OPERATIONS = """\
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata:
  name: k8s-operations
  namespace: NAMESPACE
spec:
  type: Declarative
  description: Finds out why something in the cluster does not work.
  declarative:
    modelConfig: default-model-config
    systemMessage: |
      You diagnose Kubernetes workloads. Look at the object, its events and its Pods' logs before you judge.
      Say what is broken, why, and what to do; change nothing unless you are asked to.
    tools:
      - type: McpServer
        mcpServer:
          apiGroup: kagent.dev
          kind: RemoteMCPServer
          name: kubernetes
"""

TEMPLATES: Final[Mapping[str, Template]] = {
    "agent": Template("an agent that answers", _AGENT),
    "agent-with-tools": Template("an agent with tools of an MCP server", _AGENT_WITH_TOOLS),
    "model": Template("a model of OpenAI or anything compatible", _MODEL),
    "model-qwen": Template("a Qwen model at DashScope", _QWEN),
    "mcp-stdio": Template("an MCP server started from a command", _MCP_STDIO),
    "mcp-remote": Template("an MCP server at a URL", _MCP_REMOTE),
    "secret": Template("a Secret for a key", _KEY_HOLDER),
}


class Series(NamedTuple):
    """Objects that belong together, in the order they are made."""

    title: str
    texts: tuple[str, ...]


# The first things people do with kagent (reference users.md): each object opens in turn, filled in.
SERIES: Final[Mapping[str, Series]] = {
    "walk-web-reader": Series("key, Qwen model, fetch, agent", (_QWEN_KEY, _QWEN, _MCP_STDIO, _READER)),
    "walk-mcp-http": Series("token, remote server, agent", (_HEADER, _MCP_REMOTE, _REMOTE_AGENT)),
    "walk-kubernetes": Series(
        "Kubernetes tools, an agent that diagnoses",
        (_KUBERNETES, _OPERATIONS),
    ),
}
