"""The program of test_dashboard_output: the dashboard on a cluster in which every text is hostile."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, cast

from kagent_tui.app import KagentApp
from kagent_tui.cluster.contexts import Opened
from kagent_tui.config import Config

BAD = (
    "\x1b]52;c;U1RPTEVO\x07\x1b]2;PWNED\x1b\\\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\\x1b[2J\x1b[1;1H\x1bPq\x1b\\"
    "\x9b31m\x9d2;PWNED\x9c\x00\x7f\x07\x08\x0b\r\u202e\u200b\u2066\ufeff\u200d\U000e0041[red]markup[/red]"
    "[link=http://evil]x[/link]\x1b[?1049l\x1b[6n\x1bc\x90q\x9c$text [@click=app.bell]y[/]"
    "\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\\x9fapc\x9c\x85\x84\ud800\udfff\u2028\u061c"
)
LONG = "MEGABYTE " + "x" * 1_000_000


def helpers() -> Any:
    """Return the fixtures' module of the TUI's tests: the Kubernetes API in memory."""
    spec = importlib.util.spec_from_file_location("fixtures", Path(__file__).parents[1] / "tui" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def poisoned(value: Any, *, keep: frozenset[str]) -> Any:
    """Return a JSON value with the hostile text behind every string but those that the program steers by."""
    if isinstance(value, dict):
        return {
            key if key in keep or len(key) > 2 else f"{key}{BAD}": each if key in keep else poisoned(each, keep=keep)
            for key, each in cast("dict[str, Any]", value).items()
        }
    if isinstance(value, list):
        return [poisoned(each, keep=keep) for each in cast("list[Any]", value)]
    return f"{value}{BAD}" if isinstance(value, str) else value


STEERING = frozenset(
    {"apiVersion", "kind", "resourceVersion", "uid", "namespace", "creationTimestamp", "lastTransitionTime", "type",
     "status", "lastTimestamp", "matchLabels", "phase", "provider", "transportType", "protocol", "startedAt"}
)  # fmt: skip


def world(fixtures: Any) -> Any:
    """Return a cluster with one of everything, all of it hostile."""
    samples = fixtures.Samples
    agent = samples.agent("a1", ready="False", tools=[samples.tool_of("s1", "RemoteMCPServer", "t1")])
    # Named exactly, so that every screen finds what belongs to it; the name itself is hostile.
    name = f"a1{BAD}"
    labels = {"kagent": "a1"}
    deployment = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a1", "namespace": "kagent"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                 "template": {"spec": {"containers": [{"name": "kagent", "image": "image"}]}}},
        "status": {"conditions": [samples.condition("Available", "False", "Reason", LONG)]},
    }  # fmt: skip
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p1", "namespace": "kagent"},
        "spec": {"nodeName": "node", "containers": [{"name": "c1"}]},
        "status": {"phase": "Running", "containerStatuses": [
            {"name": "c1", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "wait"}},
             "lastState": {"terminated": {"reason": "Error", "exitCode": 1, "message": LONG}}}]},
    }  # fmt: skip
    event = samples.event("a1", "Agent", "Reason", "message")
    model = samples.model(note="note", secret="secret")
    library = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "l1", "namespace": "kagent"},
               "data": {"f1": "fragment\nof two lines", "long": LONG}}  # fmt: skip
    provider = {
        "apiVersion": "kagent.dev/v1alpha2", "kind": "ModelProviderConfig",
        "metadata": {"name": "v1", "namespace": "kagent"}, "spec": {"type": "OpenAI", "endpoint": "http://x"},
        "status": {"modelCount": 1, "discoveredModels": ["m1"],
                   "conditions": [samples.condition("Ready", "False", "Reason", "message")]},
    }  # fmt: skip
    raw = [agent, deployment, pod, event, model, library, provider, samples.remote("s1", "t1", message="message"),
           samples.remote("s2", accepted="False", message=LONG), samples.stdio("m1")]  # fmt: skip
    objects = [poisoned(obj, keep=STEERING) for obj in raw]
    by_kind = {obj["kind"]: obj for obj in objects}
    by_kind["Deployment"]["metadata"]["name"] = name
    by_kind["Pod"]["metadata"]["labels"] = labels
    by_kind["ConfigMap"]["metadata"]["labels"] = {"kagent.dev/prompt-library": "true"}
    by_kind["Event"]["involvedObject"]["name"] = name
    for obj in objects:
        obj["metadata"].setdefault("annotations", {})[f"note{BAD}"] = BAD
    by_kind["Agent"]["metadata"]["annotations"]["long"] = LONG
    kube = fixtures.MemoryKube(*objects, context=f"ctx{BAD}")
    kube.log_lines[by_kind["Pod"]["metadata"]["name"]] = [f"line {BAD}", LONG, f"MARKER-LOG {BAD}"]
    return kube


def main() -> None:
    fixtures = helpers()
    kube = world(fixtures)
    app = KagentApp(
        opener=lambda options: Opened(kube, options.namespaces), banner=f"banner{BAD}", clock=lambda: fixtures.NOW,
        config=Config(ascii="off"),
    )  # fmt: skip
    app.run(mouse=False)


if __name__ == "__main__":
    sys.exit(main())
