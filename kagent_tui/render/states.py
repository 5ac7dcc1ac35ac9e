"""What an empty table says: loading, nothing there, forbidden, unreachable - each plainly, with what to do."""

from __future__ import annotations

from kagent_api.errors import KagentError
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.errors import explain
from kagent_tui.cluster.kinds import View
from kagent_tui.render.text import BLANK, Line, Span, Tone, line, span

__all__ = ["empty_lines", "failure_lines"]

_FIRST_STEPS = {
    "agents": "make one with N, or apply YAML: kubectl apply -f agent.yaml",
    "models": "make one with N: a Secret with the key, then a ModelConfig that names it",
    "mcp": "make one with N: a RemoteMCPServer for a URL, an MCPServer for a command",
    "providers": "a ModelProviderConfig lists the models of a provider: kubectl apply -f provider.yaml",
    "prompts": 'a prompt library is a ConfigMap with the label kagent.dev/prompt-library: "true"',
}


def failure_lines(error: KagentError) -> list[Line]:
    """Say why there is no cluster at all."""
    told = explain(error)
    return _lines("No cluster", Tone.BAD, told.message, told.remedy)


def empty_lines(cluster: Cluster | None, view: View, filter_text: str, total: int) -> list[Line]:
    """Say why a table has no rows."""
    if cluster is None:
        return [line(span("reading the kubeconfig", Tone.DIM))]
    if total and filter_text:
        return [
            line(span(f"none of {total} fits the filter ", Tone.PLAIN), span(filter_text, Tone.WARN)),
            line(span("esc clears it", Tone.DIM)),
        ]
    link = cluster.link_of(view.kinds)
    where = ", ".join(cluster.namespaces) or "all namespaces"
    if link.error is not None:
        namespace = cluster.namespaces[0] if len(cluster.namespaces) == 1 else ""
        told = explain(link.error, kind=view.kinds[0], server=cluster.server, namespace=namespace)
        return _lines(f"No {view.title}", Tone.BAD, told.message, told.remedy)
    if not cluster.synced(view.kinds):
        return [line(span(f"loading {view.title.lower()} of {where}", Tone.DIM))]
    steps = [_FIRST_STEPS[view.id]]
    if cluster.namespaces:
        steps.append(":ns all looks in every namespace")
    return _lines(f"There are no {view.title.lower()} in {where}", Tone.PLAIN, "", "; ".join(steps))


def _lines(title: str, tone: Tone, message: str, remedy: str) -> list[Line]:
    lines = [line(span(title, tone))]
    if message:
        lines += [line(span(message), indent=0)]
    if remedy:
        lines += [BLANK, line(Span("→ ", Tone.HEAD), span(remedy), indent=2)]
    return lines
