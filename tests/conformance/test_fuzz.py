"""The same damaged requests to both servers: the same status, the same faulty fields, the same stored object.

Sound objects (``seeds.yaml``) are mutated by the schemas the real server publishes and by what people get wrong, and
sent as create, update, the four patch types and status writes. FUZZ_ROUNDS and FUZZ_SEED widen or repeat a run.
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

import httpx
import pytest
import yaml

from kagent_api.crds import crds
from kagent_localcluster.apiserver.jsonvalue import is_array, is_object, objects_at

Json = Any

_SEEDS: list[dict[str, Json]] = yaml.safe_load((Path(__file__).parent / "seeds.yaml").read_text())
_ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "80"))
_SEED = int(os.environ.get("FUZZ_SEED", "1"))
_PLURALS = {
    "Agent": "agents", "ModelConfig": "modelconfigs", "RemoteMCPServer": "remotemcpservers", "MCPServer": "mcpservers",
    "Deployment": "deployments", "Service": "services", "ConfigMap": "configmaps", "Secret": "secrets", "Pod": "pods",
    "ServiceAccount": "serviceaccounts", "Role": "roles", "RoleBinding": "rolebindings", "Job": "jobs",
}  # fmt: skip
_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


# Stands for the uid of the namespace: owners that are not there would have their objects collected.
_OWNER = "00000000-owner"


class Answer(NamedTuple):
    """What a server said, without what must differ."""

    code: int
    reason: str
    faults: tuple[tuple[str, str], ...]
    stored: Json
    raw: Json

    @property
    def told(self) -> tuple[Json, ...]:
        return self.code, self.reason, self.faults, self.stored


class Call(NamedTuple):
    """One request, to be sent to both."""

    method: str
    path: str
    body: Json
    media: str
    params: dict[str, str]


class Servers(NamedTuple):
    """The real server and ours, by their administrators' clients."""

    real: httpx.Client
    ours: httpx.Client

    def ask(self, call: Call) -> tuple[Answer, Answer]:
        return _ask(self.real, call), _ask(self.ours, call)


def _ask(client: httpx.Client, call: Call) -> Answer:
    content = None if call.body is None else json.dumps(call.body).replace(_OWNER, client.headers["X-Owner"])
    answer = client.request(
        call.method, call.path, content=content, params=call.params, headers={"Content-Type": call.media}
    )
    body = answer.json()
    if answer.status_code >= 400:
        faults = sorted({
            (str(cause.get("reason", "")), str(cause.get("field", "")))
            for cause in objects_at(body, "details", "causes")
        })  # fmt: skip
        return Answer(answer.status_code, body.get("reason", ""), tuple(faults), None, body)
    stored = json.loads(json.dumps(_scrubbed(body)).replace(client.headers["X-Owner"], _OWNER))
    return Answer(answer.status_code, "", (), stored, body)


def _scrubbed(obj: Json) -> Json:
    """Remove what no two servers share: identities, times and addresses."""
    obj = copy.deepcopy(obj)
    if obj.get("kind") == "Status":
        return obj.get("status")
    for field in ("uid", "creationTimestamp", "resourceVersion", "managedFields"):
        obj["metadata"].pop(field, None)
    spec = obj.get("spec")
    if obj.get("kind") == "Service" and is_object(spec):
        spec = {key: value for key, value in spec.items() if key not in ("clusterIP", "clusterIPs")}
        spec["ports"] = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec.get("ports") or ()]
        obj["spec"] = spec
    if obj.get("kind") == "Pod":
        for field in ("serviceAccount", "serviceAccountName"):
            spec.pop(field, None)  # the real server's admission plug-in is off: nothing makes default accounts there
    if not obj.get("rules", True):
        del obj["rules"]  # apply leaves null where other writes leave an empty list
    text = json.dumps(obj)
    # A Job's generated labels and selector hold its uid, written into them nowhere else.
    text = re.sub(r'(controller-uid": ")[0-9a-f-]{36}', r"\1UID", text)
    return json.loads(text)


class Schemas:
    """What the real server publishes about its kinds, to grow fields that the seed does not have."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._documents: dict[str, Json] = {}

    def of(self, api_version: str, kind: str) -> tuple[Json, Json]:
        """Return the schema of a kind and the definitions its references lead to."""
        place = f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"
        if place not in self._documents:
            self._documents[place] = self._client.get(f"/openapi/v3/{place}").json()["components"]["schemas"]
        group, _, version = api_version.rpartition("/")
        wanted = {"group": group, "version": version, "kind": kind}
        found = self._documents[place]
        return next(s for s in found.values() if wanted in s.get("x-kubernetes-group-version-kind", ())), found


_ODD: tuple[Json, ...] = (
    None, True, False, 0, 1, -1, 7, 1.5, 99_999, 2**40, "", "x", "X y", "5", "50%", "-1", "1.5", "true", "100m", "1Gi",
    "a" * 70, "UPPER", "under_score", "http", "/abs", "10s", [], {}, [None], ["a", "a"], [1], [{}], {"a": 1},
    {"a": None}, {"name": "n"}, [{"name": "n"}], [{"name": "n"}, {"name": "n"}],
)  # fmt: skip
_SCALARS = tuple(value for value in _ODD if not isinstance(value, (dict, list)) and value is not None)
_NAMES = ("", "x", "Bad", "a_b", "a" * 64, "a" * 254, "-a", "a.b", "a-", "1a")
_LABELS: tuple[Json, ...] = (
    {"a": "b"}, {"A/B/C": "d"}, {"k": "has space"}, {"k": "a" * 64}, {"k": 1}, {"k": None}, {}, None, [], {"": "x"},
    {"x.io/y": "z"}, {"-k": "v"},
)  # fmt: skip


class Mutator:
    """Damages objects; everything comes from one random source."""

    def __init__(self, source: random.Random, schema: Json, definitions: Json, *, grows: bool) -> None:
        self._random = source
        self._ways = (self._set, self._drop, self._unknown, self._metadata, self._duplicate)
        if grows:
            self._ways += (self._grow, self._grow, self._grow)
        self._schema = schema
        self._definitions = definitions

    def mutate(self, obj: Json) -> Json:
        obj = copy.deepcopy(obj)
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            self._random.choice(self._ways)(obj)
        return obj

    def _set(self, obj: Json) -> None:
        if place := self._place(obj):
            holder, key = place
            # Go takes lists of numbers for bytes, which no client sends.
            values = _SCALARS if holder in (obj.get("data"), obj.get("binaryData")) else _ODD
            holder[key] = copy.deepcopy(self._random.choice(values))

    def _drop(self, obj: Json) -> None:
        if place := self._place(obj):
            holder, key = place
            del holder[key]

    def _unknown(self, obj: Json) -> None:
        holders = [obj, *(value for value in _below(obj) if is_object(value))]
        holder = self._random.choice(holders)
        values = _SCALARS if holder in (obj.get("data"), obj.get("binaryData")) else _ODD
        holder["fuzzed"] = copy.deepcopy(self._random.choice(values))

    def _duplicate(self, obj: Json) -> None:
        lists = [value for value in _below(obj) if is_array(value) and value]
        if lists:
            chosen = self._random.choice(lists)
            chosen.append(copy.deepcopy(self._random.choice(chosen)))

    def _metadata(self, obj: Json) -> None:
        metadata = obj.setdefault("metadata", {})
        if not is_object(metadata):
            return
        match self._random.randrange(5):
            case 0:
                metadata["labels"] = copy.deepcopy(self._random.choice(_LABELS))
            case 1:
                metadata["annotations"] = copy.deepcopy(self._random.choice(_LABELS))
            case 2:
                metadata["finalizers"] = self._random.choice((["a"], ["x.io/y"], [""], "x", [1]))
            case 3:
                owner = {"apiVersion": "v1", "kind": "Namespace", "name": "fuzz", "uid": _OWNER}
                metadata["ownerReferences"] = [dict(owner), {**owner, "name": self._random.choice(("", "p", "fuzz"))}]
            case _:
                metadata["generateName"] = self._random.choice(("x-", "Bad-", ""))

    def _grow(self, obj: Json) -> None:
        """Add a field that the schema knows, with a value that fits it, or nearly."""
        node, holder = self._schema, obj
        for _ in range(8):
            node = self._resolved(node)
            if is_array(holder):
                if not holder:
                    return
                node, holder = node.get("items", {}), self._random.choice(holder)
                continue
            if not is_object(holder):
                return
            known = [key for key in node.get("properties", {}) if key not in ("metadata", "apiVersion", "kind")]
            deeper = [key for key in known if isinstance(holder.get(key), (dict, list))]
            fresh = [key for key in known if key not in holder]
            if fresh and (not deeper or self._random.random() < 0.35):
                key = self._random.choice(fresh)
                holder[key] = self._value(node["properties"][key], 0)
                return
            if not deeper:
                return
            key = self._random.choice(deeper)
            node, holder = node["properties"][key], holder[key]

    def _value(self, node: Json, depth: int) -> Json:
        node = self._resolved(node)
        if self._random.random() < 0.06:
            return copy.deepcopy(self._random.choice(_ODD))
        if choices := node.get("enum"):
            return self._random.choice([*choices, *choices, "Nope"])
        if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string" or "oneOf" in node:
            return self._random.choice((1, 8080, "50%", "http", "100m", "1Gi", -1, "no such"))
        match node.get("type"):
            case "object" | None if node.get("properties") and depth < 5:
                needed = set(node.get("required", ()))
                return {
                    key: self._value(below, depth + 1)
                    for key, below in node["properties"].items()
                    if (key in needed and self._random.random() < 0.93) or self._random.random() < 0.3
                }
            case "object" if is_object(node.get("additionalProperties")):
                return {self._random.choice(("a", "k-1")): self._value(node["additionalProperties"], depth + 1)}
            case "array":
                return [self._value(node.get("items", {}), depth + 1) for _ in range(self._random.randrange(3))]
            case "integer" | "number":
                low, high = node.get("minimum", -1), node.get("maximum", 70_000)
                return self._random.choice((0, 1, 5, 80, low, low - 1, high, high + 1))
            case "boolean":
                return self._random.random() < 0.5
            case "string":
                return self._random.choice(("a", "b", "x-1", "http", "/p", "", "A b", "30s", "2026-01-01T00:00:00Z"))
            case _:
                return {}

    def _resolved(self, node: Json) -> Json:
        reference = node.get("$ref") or next((part["$ref"] for part in node.get("allOf", ()) if "$ref" in part), "")
        return self._definitions[reference.rpartition("/")[2]] if reference else node

    def _place(self, obj: Json) -> tuple[Json, Json] | None:
        places: list[tuple[Json, Json]] = []
        for top in obj:
            if top not in ("apiVersion", "kind", "metadata"):
                places.append((obj, top))
                places += list(_places(obj[top]))
        return self._random.choice(places) if places else None


def _below(obj: Json) -> Iterator[Json]:
    for key, value in obj.items():
        if key != "metadata":
            yield value
            yield from (holder[inner] for holder, inner in _places(value))


def _places(value: Json) -> Iterator[tuple[Json, Json]]:
    if is_object(value):
        for key, item in value.items():
            yield value, key
            yield from _places(item)
    elif is_array(value):
        for index, item in enumerate(value):
            yield value, index
            yield from _places(item)


def _client(kubeconfig: Path) -> httpx.Client:
    config = yaml.safe_load(kubeconfig.read_text())
    token = config["users"][0]["user"]["token"]
    server = config["clusters"][0]["cluster"]["server"]
    return httpx.Client(
        base_url=server, headers={"Authorization": f"Bearer {token}", "User-Agent": "fuzz"}, verify=False,
        timeout=30, trust_env=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def servers(real_kubeconfig: Path, local_kubeconfig: Path) -> Iterator[Servers]:
    with _client(real_kubeconfig) as real, _client(local_kubeconfig) as ours:
        both = Servers(real, ours)
        for crd in crds():
            for client in both:
                _install(client, crd)
        for client in both:
            _until_served(client, "/apis/kagent.dev/v1alpha2/namespaces/default/agents")
            _until_served(client, "/apis/kagent.dev/v1alpha1/namespaces/default/mcpservers")
            client.post("/api/v1/namespaces", json={"metadata": {"name": "fuzz"}})
            client.headers["X-Owner"] = client.get("/api/v1/namespaces/fuzz").json()["metadata"]["uid"]
        yield both


def _install(client: httpx.Client, crd: dict[str, Json]) -> None:
    """Create the definition, or replace the one that another module of the session left."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    answer = client.post(path, json=crd)
    if answer.status_code == 409:
        present = client.get(f"{path}/{crd['metadata']['name']}").json()
        present["spec"] = crd["spec"]
        answer = client.put(f"{path}/{crd['metadata']['name']}", json=present)
    assert answer.status_code in (200, 201), answer.text


def _until_served(client: httpx.Client, path: str) -> None:
    deadline = monotonic() + 60
    while client.get(path).status_code != 200 and monotonic() < deadline:
        sleep(0.1)  # establishing a definition can only be polled


def _collection(obj: Json) -> str:
    version = obj["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/fuzz/{_PLURALS[obj['kind']]}"


def _differences(servers: Servers, seed: Json, rounds: int, source: random.Random) -> Iterator[str]:
    schema, definitions = Schemas(servers.real).of(seed["apiVersion"], seed["kind"])
    # What only the rare fields of built-in kinds would be refused for is not claimed: docs/local-cluster.md.
    mutator = Mutator(source, schema, definitions, grows="kagent.dev" in seed["apiVersion"])
    collection = _collection(seed)
    one = f"{collection}/{seed['metadata']['name']}"
    wipe = Call("DELETE", one, None, "application/json", {"gracePeriodSeconds": "0", "propagationPolicy": "Background"})
    for index in range(rounds):
        for call in _calls(source, mutator, seed, collection, one, index):
            real, ours = servers.ask(call)
            if real.told != ours.told:
                yield _explained(call, real, ours)
            for answer, client in ((real, servers.real), (ours, servers.ours)):
                _clear_up(client, collection, answer)
        servers.ask(wipe)


def _clear_up(client: httpx.Client, collection: str, answer: Answer) -> None:
    """Let nothing stay that a finalizer or a generated name would keep."""
    if answer.code >= 400 or answer.raw.get("kind") == "Status":
        return
    metadata = answer.raw["metadata"]
    path = f"{collection}/{metadata['name']}"
    if metadata.get("finalizers"):
        client.patch(path, content='{"metadata":{"finalizers":null}}', headers={"Content-Type": _PATCHES["merge"]})
    if metadata.get("generateName"):
        client.delete(path)


def _calls(
    source: random.Random, mutator: Mutator, seed: Json, collection: str, one: str, index: int
) -> Iterator[Call]:
    """Yield the requests of one round: a damaged create, or a sound one followed by damaged changes."""
    params = {"fieldValidation": source.choice(("Strict", "Warn", "Ignore")), "fieldManager": "fuzz"}
    if index == 0 or source.random() < 0.45:
        body = seed if index == 0 else mutator.mutate(seed)
        yield Call("POST", collection, body, "application/json", params)
        return
    yield Call("POST", collection, seed, "application/json", params)
    for _ in range(source.choice((1, 2, 3))):
        yield _change(source, mutator.mutate(seed), seed, one, params)


def _change(source: random.Random, damaged: Json, seed: Json, one: str, params: dict[str, str]) -> Call:
    name = source.choice(("put", "merge", "json", "strategic", "apply", "apply"))
    if source.random() < 0.1 and "kagent.dev" in seed["apiVersion"]:
        one += "/status"
    if name == "put":
        return Call("PUT", one, damaged, "application/json", params)
    if name == "json":
        return Call("PATCH", one, _operations(source, seed, damaged), _PATCHES[name], params)
    if name == "apply":
        extra = {"fieldManager": source.choice(("one", "two")), "force": source.choice(("true", "false"))}
        return Call("PATCH", one, damaged, _PATCHES[name], {**params, **extra})
    return Call("PATCH", one, _partial(source, damaged), _PATCHES[name], params)


def _partial(source: random.Random, obj: Json) -> Json:
    """Return part of an object, some of it nulled, as patches are written."""
    if not is_object(obj):
        return obj
    kept: dict[str, Json] = {}
    for key, value in obj.items():
        roll = source.random()
        if key in ("apiVersion", "kind", "metadata") or roll < 0.6:
            kept[key] = value if key in ("apiVersion", "kind", "metadata") else _partial(source, value)
        elif roll < 0.7:
            kept[key] = None
    return kept


def _operations(source: random.Random, seed: Json, damaged: Json) -> Json:
    operations: list[Json] = []
    for key, value in damaged.items():
        if key in ("apiVersion", "kind", "metadata"):
            continue
        known = [(f"/{key}", value, key in seed)]
        if is_object(value):
            before = seed.get(key)
            known += [(f"/{key}/{inner}", item, is_object(before) and inner in before) for inner, item in value.items()]
        path, item, there = source.choice(known)
        match source.randrange(4):
            case 0 if there:
                operations.append({"op": "remove", "path": path})
            case 1:
                operations.append({"op": "replace", "path": path, "value": item})
            case 2:
                operations.append({"op": "test", "path": path, "value": item})
            case _:
                operations.append({"op": "add", "path": path, "value": item})
    return operations


def _explained(call: Call, real: Answer, ours: Answer) -> str:
    lines = [f"{call.method} {call.path} {call.media} {call.params}", f"  body {json.dumps(call.body)}"]
    for name, answer in (("real", real), ("ours", ours)):
        message = answer.raw.get("message", "") if answer.code >= 400 else ""
        lines.append(f"  {name} {answer.code} {answer.reason} {list(answer.faults)} {message[:400]}")
    if real.stored is not None and ours.stored is not None:
        lines += [f"    {line}" for line in _diff(real.stored, ours.stored, "")]
    return "\n".join(lines)


def _diff(real: Json, ours: Json, path: str) -> Iterator[str]:
    if is_object(real) and is_object(ours):
        for key in sorted({*real, *ours}):
            yield from _diff(real.get(key, "(absent)"), ours.get(key, "(absent)"), f"{path}.{key}")
    elif is_array(real) and is_array(ours) and len(real) == len(ours):
        for index, (first, second) in enumerate(zip(real, ours, strict=True)):
            yield from _diff(first, second, f"{path}[{index}]")
    elif real != ours:
        yield f"{path}: real {json.dumps(real)[:200]} ours {json.dumps(ours)[:200]}"


def _name(seed: Json) -> str:
    return f"{seed['kind']}-{seed['metadata']['name']}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", _SEEDS, ids=_name)
def test_both_servers_judge_and_store_alike(servers: Servers, seed: Json) -> None:
    source = random.Random(f"{_SEED}/{_name(seed)}")
    found = list(_differences(servers, seed, _ROUNDS, source))
    assert not found, f"{len(found)} differences\n" + "\n".join(found)
