"""Declared variables, and the little of the machine's environment that passes."""

from __future__ import annotations

import base64
from typing import cast

import pytest

from kagent_localcluster.errors import NotFound
from kagent_localcluster.runner.environment import ConfigProblem, declared_variables, field_value, machine_variables
from kagent_localcluster.runner.resources import CONFIGMAPS, SECRETS, SERVICES
from kagent_localcluster.seams import JsonObject, Objects, Resource

POD: JsonObject = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "labels": {"app": "x"},
        "annotations": {"a/b": 'say "hi"'},
    },
    "spec": {"nodeName": "local", "serviceAccountName": "sa"},
}


class _Stored:
    """The two kinds that variables come from."""

    def __init__(self, *objects: tuple[Resource, str, JsonObject]) -> None:
        self._objects = {(resource, name): body for resource, name, body in objects}

    def list(self, resource: Resource, namespace: str = "", *, label_selector: str = "") -> list[JsonObject]:
        return [body for (kind, _), body in self._objects.items() if kind == resource and namespace == "ns"]

    def get(self, resource: Resource, namespace: str, name: str) -> JsonObject:
        if namespace != "ns" or (resource, name) not in self._objects:
            raise NotFound(name)
        return self._objects[resource, name]


def encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


STORED = cast(
    Objects,  # only get() and list() are asked
    _Stored(
        (SECRETS, "s", {"data": {"key": encode(b"geheim"), "bad": encode(b"a\0b")}}),
        (CONFIGMAPS, "c", {"data": {"mode": "fast", "port": "8080"}}),
    ),
)


def variables(container: JsonObject) -> dict[str, str]:
    return declared_variables(STORED, POD, container).values


def test_values_come_from_everywhere_in_their_order() -> None:
    container: JsonObject = {
        "envFrom": [{"prefix": "C_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "none", "optional": True}}],
        "env": [
            {"name": "PLAIN", "value": "1"},
            {"name": "EMPTY"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
            {"name": "C_mode", "value": "overridden"},
            {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "URL", "value": "http://$(ME)/$(LATER)$$(PLAIN)"},
            {"name": "LATER", "value": "x"},
        ],
    }
    assert variables(container) == {
        "C_mode": "overridden",
        "C_port": "8080",
        "PLAIN": "1",
        "EMPTY": "",
        "KEY": "geheim",
        "ME": "p",
        "URL": "http://p/$(LATER)$(PLAIN)",
        "LATER": "x",
    }


def test_values_of_secrets_are_marked_private() -> None:
    container: JsonObject = {"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}]}
    assert declared_variables(STORED, POD, container).private == {"K"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"secretKeyRef": {"name": "none", "key": "k"}}, "Secret 'none' not found in namespace 'ns'"),
        ({"configMapKeyRef": {"name": "c", "key": "k"}}, r"ConfigMap 'c' has no key 'k' \(it has: 'mode', 'port'\)"),
        ({"secretKeyRef": {"name": "s", "key": "bad"}}, "zero byte"),
        ({"fieldRef": {"fieldPath": "status.weather"}}, "no field of the downward API"),
        ({"fileKeyRef": {}, "other": {}}, "unknown valueFrom"),
    ],
)
def test_what_is_missing_is_named_without_a_value(source: JsonObject, message: str) -> None:
    with pytest.raises(ConfigProblem, match=message) as caught:
        variables({"env": [{"name": "X", "valueFrom": source}]})
    assert "geheim" not in str(caught.value)


def test_an_optional_key_that_is_missing_sets_nothing() -> None:
    reference = {"name": "s", "key": "none", "optional": True}
    assert variables({"env": [{"name": "X", "valueFrom": {"secretKeyRef": reference}}]}) == {}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.namespace", "ns"),
        ("metadata.labels['app']", "x"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['a/b']", 'say "hi"'),
        ("metadata.annotations", 'a/b="say \\"hi\\""'),
        ("spec.nodeName", "local"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "127.0.0.1"),
    ],
)
def test_the_downward_api_gives_the_pods_own_fields(path: str, expected: str) -> None:
    assert field_value(POD, path, "local") == expected


def test_a_resource_is_what_the_container_states() -> None:
    container: JsonObject = {
        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
        "env": [
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "MIB", "valueFrom": {"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}},
        ],
    }
    assert variables(container) == {"CPU": "1", "MIB": "64"}


def test_only_listed_variables_of_the_machine_pass() -> None:
    machine = {
        "PATH": "/bin",
        "HOME": "/users/me",
        "OPENAI_API_KEY": "sk-1",
        "AWS_SECRET_ACCESS_KEY": "x",
        "SSL_CERT_FILE": "/ca.pem",
        "UV_CACHE_DIR": "/cache",
        "UV_PUBLISH_TOKEN": "secret",
        "HTTP_PROXY": "http://mine",
    }
    assert machine_variables(machine).keys() == {"PATH", "HOME", "SSL_CERT_FILE", "UV_CACHE_DIR"}


WEB: JsonObject = {
    "metadata": {"name": "my-web", "namespace": "ns"},
    "spec": {"clusterIP": "10.96.1.2", "ports": [{"name": "http", "port": 80}, {"port": 53, "protocol": "UDP"}]},
}
HEADLESS: JsonObject = {
    "metadata": {"name": "peers", "namespace": "ns"},
    "spec": {"clusterIP": "None", "ports": [{"port": 80}]},
}


def test_services_beside_a_pod_are_told_by_variables_as_a_kubelet_tells_them() -> None:
    objects = cast(Objects, _Stored((SERVICES, "my-web", WEB), (SERVICES, "peers", HEADLESS)))
    found = declared_variables(objects, POD, {"env": [{"name": "URL", "value": "http://$(MY_WEB_SERVICE_HOST)/"}]})
    assert found.values == {
        "MY_WEB_SERVICE_HOST": "10.96.1.2",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP": "80",
        "MY_WEB_PORT": "tcp://10.96.1.2:80",
        "MY_WEB_PORT_80_TCP": "tcp://10.96.1.2:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "10.96.1.2",
        "MY_WEB_PORT_53_UDP": "udp://10.96.1.2:53",
        "MY_WEB_PORT_53_UDP_PROTO": "udp",
        "MY_WEB_PORT_53_UDP_PORT": "53",
        "MY_WEB_PORT_53_UDP_ADDR": "10.96.1.2",
        "URL": "http://10.96.1.2/",
    }
    assert "MY_WEB_SERVICE_PORT" in found.private  # a Pod that declares port 80 must not have it translated
    alone = {**POD, "spec": {**POD["spec"], "enableServiceLinks": False}}
    assert declared_variables(objects, alone, {}).values == {}


def test_annotations_in_one_text_are_quoted_as_go_quotes_them() -> None:
    value = 'tab\t line\n quote" back\\ bell\a nul\0 zero-width\u200b ümlaut 你 \U0001f600'
    pod: JsonObject = {"metadata": {"annotations": {"k": value, "a": ""}}}
    assert field_value(pod, "metadata.annotations", "") == (
        'a=""\nk="tab\\t line\\n quote\\" back\\\\ bell\\a nul\\x00 zero-width\\u200b ümlaut 你 \U0001f600"'
    )


@pytest.mark.parametrize(
    ("resource", "expected"), [("requests.cpu", "0"), ("requests.memory", "1048576"), ("limits.memory", "1048576")]
)
def test_a_request_that_is_not_stated_follows_the_limit_and_not_the_machine(resource: str, expected: str) -> None:
    container: JsonObject = {
        "resources": {"limits": {"memory": "1Mi"}},
        "env": [{"name": "R", "valueFrom": {"resourceFieldRef": {"resource": resource}}}],
    }
    assert variables(container)["R"] == expected
