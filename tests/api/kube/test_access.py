from __future__ import annotations

import base64
import json
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from kagent_api.kube import KubeconfigError, NoKubeconfig, list_contexts, load_access
from kagent_api.kube.access import in_cluster


def config(**changes: Any) -> dict[str, Any]:
    return {
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/"}}],
        "users": [{"name": "u", "user": {"token": "s3cret"}}],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        **changes,
    }


def write(path: Path, content: dict[str, Any] | str) -> str:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def user(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "u", "user": fields}]


async def test_a_token_context_gives_server_namespace_and_bearer(tmp_path: Path) -> None:
    access = load_access(write(tmp_path / "config", config()))
    assert (access.server, access.namespace, access.context, access.user) == (
        "https://127.0.0.1:6443", "team", "one", "u",
    )  # fmt: skip
    assert await access.credentials.authorization() == "Bearer s3cret"
    assert "s3cret" not in repr(access)


def test_files_of_the_variable_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "a", config(contexts=[], **{"current-context": "two"}))
    second = config(clusters=[{"name": "c", "cluster": {"server": "https://other"}}])
    second["contexts"] = [{"name": n, "context": {"cluster": "c", "user": "u"}} for n in ("one", "two")]
    env = {"KUBECONFIG": os.pathsep.join([first, str(tmp_path / "missing"), write(tmp_path / "b", second)])}
    access = load_access(env=env)
    assert (access.context, access.server, access.namespace) == ("two", "https://127.0.0.1:6443", "default")
    assert [(c.name, c.current) for c in list_contexts(env=env)] == [("one", False), ("two", True)]


def test_home_is_read_last_and_its_absence_says_what_to_do(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    assert list_contexts(env=env) == []
    with pytest.raises(NoKubeconfig, match="pass --kubeconfig"):
        load_access(env=env)
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube" / "config", config())
    assert load_access(env=env).context == "one"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("clusters: [", "line 2, column 1: no valid YAML"),
        ("just text", "is no kubeconfig"),
        (config(clusters={"c": {}}), "clusters: is no list.*expected a list of"),
        (config(users=[{"user": {}}]), r"users\[0\]: has no name"),
        (config(contexts=[{"name": "one", "context": {"cluster": "x"}}]),
         r"contexts\[one\].cluster: there is no cluster named 'x' \(there are: c\)"),
        (config(clusters=[{"name": "c", "cluster": {}}]), r"clusters\[c\].server: '' is no http"),
        (config(clusters=[{"name": "c", "cluster": {"server": 7}}]), r"clusters\[c\].server: is int, not text"),
        (config(clusters=[{"name": "c", "cluster": {"server": "https://a", "certificate-authority-data": "?"}}]),
         r"clusters\[c\].certificate-authority-data: is no base64"),
        (config(users=user(**{"client-certificate": "missing.crt", "client-key": "k"})), "missing.crt cannot be read"),
        (config(users=user(**{"client-key-data": base64.b64encode(b"k").decode()})), "client-certificate: is missing"),
        (config(users=user(exec={"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"})),
         r"users\[u\].exec: apiVersion 'client.authentication.k8s.io/v1alpha1' is not supported"),
        (config(**{"current-context": "nope"}), r"no context named 'nope' \(contexts there: one\)"),
        (config(**{"current-context": ""}), "no current context"),
    ],
)  # fmt: skip
def test_a_broken_kubeconfig_names_file_entry_and_remedy(tmp_path: Path, content: Any, says: str) -> None:
    path = write(tmp_path / "config", content)
    with pytest.raises(KubeconfigError, match=says) as caught:
        load_access(path)
    assert str(caught.value).startswith(path)
    assert caught.value.remedy


def test_an_explicit_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoKubeconfig, match="nowhere: no such kubeconfig"):
        load_access(str(tmp_path / "nowhere"))


def test_a_broken_authority_is_named_when_the_client_is_made(tmp_path: Path) -> None:
    data = base64.b64encode(b"not a certificate").decode()
    cluster = {"server": "https://a", "certificate-authority-data": data}
    access = load_access(write(tmp_path / "config", config(clusters=[{"name": "c", "cluster": cluster}])))
    with pytest.raises(KubeconfigError, match=r"clusters\[c\]: the certificate authority cannot be used"):
        access.ssl_context()


def test_skipping_verification_skips_it(tmp_path: Path) -> None:
    cluster = {"server": "https://a", "insecure-skip-tls-verify": True, "tls-server-name": "inner"}
    access = load_access(write(tmp_path / "config", config(clusters=[{"name": "c", "cluster": cluster}])))
    assert access.ssl_context().verify_mode == ssl.CERT_NONE
    assert access.tls.server_name == "inner"


async def test_a_token_file_is_read_again_when_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    access = load_access(write(tmp_path / "config", config(users=user(tokenFile="token", token="unused"))))
    assert await access.credentials.authorization() == "Bearer one"
    (tmp_path / "token").write_text("two\n")
    assert await access.credentials.authorization() == "Bearer one"
    access.credentials.forget()
    assert await access.credentials.authorization() == "Bearer two"


async def test_a_pod_uses_its_service_account(tmp_path: Path) -> None:
    for name, text in (("ca.crt", "pem"), ("token", "pod-token"), ("namespace", "prod\n")):
        (tmp_path / name).write_text(text)
    access = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, tmp_path)
    assert (access.server, access.namespace) == ("https://[fd00::1]:6443", "prod")
    assert await access.credentials.authorization() == "Bearer pod-token"


def test_a_pod_without_a_token_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="automountServiceAccountToken"):
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path)


async def test_an_oidc_provider_of_an_old_kubeconfig_gives_its_token(tmp_path: Path) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    token = f"{part({'alg': 'none'})}.{part({'exp': 4102444800, 'pad': 'xx'})}.c2ln"
    provider = {"name": "oidc", "config": {"id-token": token, "idp-issuer-url": "https://issuer"}}
    access = load_access(write(tmp_path / "config", config(users=user(**{"auth-provider": provider}))))
    assert await access.credentials.authorization() == f"Bearer {token}"


async def test_an_auth_provider_that_is_gone_names_the_way_out(tmp_path: Path) -> None:
    provider: dict[str, Any] = {"auth-provider": {"name": "azure", "config": {}}}
    access = load_access(write(tmp_path / "config", config(users=user(**provider))))
    with pytest.raises(KubeconfigError, match=r"users\[u\].auth-provider: the auth provider.*exec plugin"):
        await access.credentials.authorization()
