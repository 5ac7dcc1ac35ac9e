"""Small forms: Go's JSON, durations, quantities, hashes, YAML that every reader understands."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import yaml

from kagent_operator.translate.config_hash import secret_hash
from kagent_operator.translate.durations import seconds
from kagent_operator.translate.go_json import compact, indented
from kagent_operator.translate.goform import canonical_pod
from kagent_operator.translate.quantities import canonical
from kagent_operator.yaml_text import dump_yaml


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 30.0, "b": 0.7, "c": 1e-7, "d": 5e-05, "e": 1e21}, '{"a":30,"b":0.7,"c":1e-7,"d":0.00005,"e":1e+21}'),
        ({"x": "<a & b>"}, '{"x":"\\u003ca \\u0026 b\\u003e"}'),
        ({"x": "东京\n\u2028"}, '{"x":"东京\\n\\u2028"}'),
        ({"x": None, "y": True, "z": [], "w": {}}, '{"x":null,"y":true,"z":[],"w":{}}'),
    ],
)
def test_json_is_written_as_go_writes_it(value: object, expected: str) -> None:
    assert compact(value) == expected


def test_indented_json_keeps_empty_containers_on_one_line() -> None:
    assert indented({"a": [], "b": {"c": [1]}}) == '{\n  "a": [],\n  "b": {\n    "c": [\n      1\n    ]\n  }\n}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("5m0s", 300), ("1h2m3.5s", 3723.5), ("250ms", 0.25), ("0", 0), ("-1s", -1), ("1.5h", 5400)],
)
def test_go_durations_are_read(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "30", "s", "5 m", "1d", "abc", "1s2"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("3000m", "3"),
        ("100m", "100m"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("384Mi", "384Mi"),
        ("1.5Gi", "1536Mi"),
        ("2", "2"),
        ("1000", "1k"),
        ("0", "0"),
        ("1e3", "1e3"),
        ("12E6", "12e6"),
        ("nonsense", "nonsense"),
    ],
)
def test_quantities_become_what_the_server_stores(given: str, expected: str) -> None:
    assert canonical(given) == expected


def test_a_secret_hash_is_upstreams() -> None:
    expected = hashlib.sha256(b"ns/a" + b"k1" + b"v1" + b"k2" + b"v2" + b"ns/b" + b"k" + b"v").hexdigest()
    assert secret_hash({"ns/b": {"k": b"v"}, "ns/a": {"k2": b"v2", "k1": b"v1"}}) == expected


@pytest.mark.parametrize(
    "word", ["y", "n", "Y", "N", "on", "off", "yes", "null", "1", "1.0", "0x1f", "2026-01-01", "=", ""]
)
def test_words_that_other_readers_take_for_something_else_are_quoted(word: str) -> None:
    written = dump_yaml({"k": word, word: "v"})
    assert f"k: '{word}'" in written or f'k: "{word}"' in written
    assert yaml.safe_load(written) == {"k": word, word: "v"}


@pytest.mark.parametrize("text", ["a\nb\n", "a\nb", " a\nb", "a \nb", "\n", "a\tb\nc", "a\n\nb\n\n"])
def test_texts_of_several_lines_survive(text: str) -> None:
    assert yaml.safe_load(dump_yaml({"k": text})) == {"k": text}


def test_a_pod_is_written_as_the_server_keeps_it() -> None:
    claim = {"spec": {"resources": {"requests": {"storage": "1024Mi"}}}}
    half, thousand = {"resource": "limits.cpu", "divisor": "0.5"}, {"resource": "limits.cpu", "divisor": "1000m"}
    pod: dict[str, Any] = {
        "containers": [
            {
                "name": "c",
                "env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"resourceFieldRef": half}}],
                "resources": {"limits": {"cpu": "1000m"}},
            }
        ],
        "volumes": [
            {"name": "e", "ephemeral": {"volumeClaimTemplate": claim}},
            {"name": "d", "downwardAPI": {"items": [{"path": "p", "resourceFieldRef": thousand}]}},
            {"name": "s", "emptyDir": {"sizeLimit": "2048Ki"}},
        ],
    }
    canonical_pod(pod)
    [container] = pod["containers"]
    assert container["env"][0] == {"name": "A"}
    assert container["env"][1]["valueFrom"]["resourceFieldRef"]["divisor"] == "500m"
    assert container["resources"] == {"limits": {"cpu": "1"}}
    ephemeral, downward, scratch = pod["volumes"]
    requests = ephemeral["ephemeral"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]
    assert requests == {"storage": "1Gi"}
    assert downward["downwardAPI"]["items"][0]["resourceFieldRef"]["divisor"] == "1"
    assert scratch["emptyDir"] == {"sizeLimit": "2Mi"}
