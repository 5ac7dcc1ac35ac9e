"""The same HTTP requests to both servers, in the words of ``wire_cases.yaml``: the same status, headers and bodies.

A step is a request (``do``, ``type``, ``body`` or ``raw``, ``accept``, ``headers``); ``save`` keeps a value for
``${name}`` in later steps. ``judge`` says what must be the same: all of the answer (the default), ``faults`` (status,
reason and the fields at fault, where the words differ on purpose), or ``code``.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from kagent_localcluster.apiserver.jsonvalue import is_array, is_object, objects_at

Json = Any

_SESSIONS: dict[str, list[dict[str, Json]]] = yaml.safe_load((Path(__file__).parent / "wire_cases.yaml").read_text())
_TYPES = {
    "merge": "application/merge-patch+json", "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json", "apply": "application/apply-patch+yaml",
}  # fmt: skip
_HEADERS = ("content-type", "cache-control", "retry-after")
_VOLATILE = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r'("resourceVersion": )"[1-9]\d*"'), r'\1"VERSION"'),
    (re.compile(r"(current: |in record \()\d+"), r"\1VERSION"),
    (re.compile(r'("continue": )"[^"]+"'), r'\1"TOKEN"'),
    (re.compile(r'"10\.\d+\.\d+\.\d+"'), '"ADDRESS"'),
    (re.compile(r'"\d+[smh]"'), '"AGE"'),
    (re.compile(r'("description": )"[^"]*"'), r'\1"TEXT"'),
    (re.compile(r"-----BEGIN CERTIFICATE.*?END CERTIFICATE-----(\\n)?"), "CA"),
)  # fmt: skip


class _Server:
    """One of the two, with what its answers gave to later requests."""

    def __init__(self, kubeconfig: Path, session: str, closing: ExitStack) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        server, user = config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]
        headers = {"Authorization": f"Bearer {user['token']}", "User-Agent": "wire"}
        client = httpx.Client(base_url=server, headers=headers, verify=False, timeout=60, trust_env=False)
        self.http = closing.enter_context(client)
        self._values = {"ns": session}

    def ask(self, step: dict[str, Json]) -> Json:
        method, _, path = self._filled(step["do"]).partition(" ")
        headers: dict[str, str] = {
            **step.get("headers", {}),
            **({"Accept": step["accept"]} if "accept" in step else {}),
        }
        content = step.get("raw")
        if "body" in step:
            content = self._filled(json.dumps(step["body"]))
        if content is not None:
            given = str(step.get("type", "application/json"))
            headers["Content-Type"] = _TYPES.get(given, given)
        answer = self.http.request("GET" if method == "WATCH" else method, path, content=content, headers=headers)
        text = answer.text
        body: Json = text
        if method == "WATCH" and answer.status_code == 200:
            body = [json.loads(line) for line in text.splitlines() if line]
        elif text.startswith(("{", "[")):
            body = json.loads(text)
        saved: dict[str, str] = step.get("save") or {}
        for name, place in saved.items():
            self._values[name] = str(_at(body, place))
        return _judged(step, answer, body)

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda match: self._values[match[1]], text)


def _at(value: Json, place: str) -> Json:
    for name in place.split("."):
        value = value[int(name)] if is_array(value) else value.get(name)
    return value


def _judged(step: dict[str, Json], answer: httpx.Response, body: Json) -> Json:
    judge = step.get("judge", "all")
    if judge == "code":
        return answer.status_code
    if judge == "faults":
        fields = sorted({str(cause.get("field")) for cause in objects_at(body, "details", "causes")})
        return [answer.status_code, body.get("reason"), fields]
    if is_object(body) and step["do"].startswith("GET /apis/apiextensions"):
        body.pop("status", None)  # conditions come one by one
    text = json.dumps(body, sort_keys=True)
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    headers = {name: answer.headers.get(name) for name in _HEADERS}
    return [answer.status_code, headers, sorted(answer.headers.get_list("warning")), json.loads(text)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("session", _SESSIONS)
def test_requests_are_answered_the_same_by_both_servers(
    session: str, real_kubeconfig: Path, local_kubeconfig: Path
) -> None:
    with ExitStack() as closing:
        name = f"wire-{session}"
        different = _differences(
            session, _Server(real_kubeconfig, name, closing), _Server(local_kubeconfig, name, closing)
        )
    assert not different, "\n".join(different)


def _differences(session: str, real: _Server, ours: _Server) -> list[str]:
    for server in (real, ours):
        server.http.post("/api/v1/namespaces", json={"metadata": {"name": f"wire-{session}"}}).raise_for_status()
    # What controllers make in every namespace; none run beside the real server here.
    made = ours.http.get(f"/api/v1/namespaces/wire-{session}/configmaps/kube-root-ca.crt").json()
    bare = {"metadata": {key: made["metadata"][key] for key in ("name", "annotations")}, "data": made["data"]}
    query = {"fieldManager": made["metadata"]["managedFields"][0]["manager"]}
    real.http.post(f"/api/v1/namespaces/wire-{session}/configmaps", json=bare, params=query).raise_for_status()
    real.http.post(f"/api/v1/namespaces/wire-{session}/serviceaccounts", json={"metadata": {"name": "default"}})
    different: list[str] = []
    for step in _SESSIONS[session]:
        if step.get("established"):
            for server in (real, ours):
                _wait_until_served(server.http, step["established"])
        first, second = real.ask(step), ours.ask(step)
        if first != second:
            different.append(f"{step['do']} {json.dumps(step.get('body'))}\n  real {first}\n  ours {second}")
        if step["do"] == "POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions":
            # A server learns of a new definition in several places, one after the other.
            for server, path in product(
                (real, ours), _paths(step["body"], answered=first if isinstance(first, int) else first[0])
            ):
                _wait_until_served(server.http, path)
    return different


def _paths(definition: Json, *, answered: int) -> list[str]:
    """Return what is served once a definition that was accepted has been learned everywhere."""
    if answered != 201:
        return []
    spec = definition["spec"]
    group = f"/apis/{spec['group']}"
    served = [f"{group}/{version['name']}" for version in spec["versions"] if version.get("served")]
    return [group, *served, *(f"{path}/{spec['names']['plural']}" for path in served)]


def _wait_until_served(client: httpx.Client, path: str) -> None:
    deadline = time.monotonic() + 60
    while client.get(path).status_code != 200:
        assert time.monotonic() < deadline, f"{path} is not served"
        time.sleep(0.1)  # a foreign server can only be polled
