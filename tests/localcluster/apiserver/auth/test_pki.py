"""Keys and certificates on disk."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import yaml
from cryptography import x509

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.apiserver.auth.pki import prepare_material


def test_everything_secret_is_the_owners_alone(api: ApiServer) -> None:
    secret = [api.kubeconfig, *(api.data_dir / "pki").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert stat.S_IMODE((api.data_dir / "pki").stat().st_mode) == 0o700


def test_a_second_start_keeps_what_is_there(tmp_path: Path) -> None:
    first = prepare_material(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert prepare_material(tmp_path).admin_token == first.admin_token
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_new_name_makes_a_new_certificate_of_the_same_ca(tmp_path: Path) -> None:
    first = prepare_material(tmp_path)
    ca, server = first.ca_path.read_bytes(), first.certificate_path.read_bytes()
    second = prepare_material(tmp_path, ("cluster.example", "192.0.2.7"))
    assert second.ca_path.read_bytes() == ca
    assert second.certificate_path.read_bytes() != server
    certificate = x509.load_pem_x509_certificate(second.certificate_path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = {str(name.value) for name in names}
    assert {"localhost", "127.0.0.1", "::1", "kubernetes.default.svc", "cluster.example", "192.0.2.7"} <= found
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca))


def test_the_kubeconfig_trusts_the_ca_and_has_the_token(api: ApiServer) -> None:
    config = yaml.safe_load(api.kubeconfig.read_text())
    assert config["users"][0]["user"]["token"] == api.material.admin_token
    assert config["clusters"][0]["cluster"]["server"] == api.server_url
    ssl.create_default_context(cadata=api.material.ca_pem)
