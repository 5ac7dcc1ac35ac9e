"""Keys, certificates, the admin's token and kubeconfig, made at first start and kept.

Everything secret is written with mode 0600 into a directory of mode 0700, to a temporary name first, so that a crash
leaves no half-written key. The server certificate is made anew when it nears its end or lacks a wanted name; the CA
stays, so kubeconfigs and mounted CA bundles stay valid.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import os
import secrets
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["Material", "kubeconfig_text", "prepare_material", "prepared_material", "write_private"]

_NAMES = (
    "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
)  # fmt: skip
_ADDRESSES = ("127.0.0.1", "::1")
_CA_DAYS = 3_650
# Below the 398 days that some clients refuse to exceed.
_SERVER_DAYS = 365
_RENEW_DAYS = 30
_ADMIN_FILE = "admin.token"


@dataclass(frozen=True)
class Material:
    """Where keys and certificates lie, and the admin's token."""

    directory: Path
    admin_token: str

    @property
    def ca_path(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def certificate_path(self) -> Path:
        return self.directory / "server.crt"

    @property
    def key_path(self) -> Path:
        return self.directory / "server.key"

    @cached_property
    def ca_pem(self) -> str:
        return self.ca_path.read_text()

    @cached_property
    def token_key(self) -> EllipticCurvePrivateKey:
        """Return the key that signs ServiceAccount tokens."""
        return _load_key(self.directory / "tokens.key")

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS context for serving."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate_path, self.key_path)
        return context


def prepare_material(directory: Path, extra_names: tuple[str, ...] = ()) -> Material:
    """Make what is missing under ``directory`` and return it all."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (directory / "ca.crt").exists() or not (directory / "ca.key").exists():
        _make_ca(directory)
    if not _server_is_good(directory, extra_names):
        _make_server(directory, extra_names)
    if not (directory / "tokens.key").exists():
        write_private(directory / "tokens.key", _pem(_new_key()))
    if not (directory / _ADMIN_FILE).exists():
        write_private(directory / _ADMIN_FILE, secrets.token_urlsafe(32).encode())
    return prepared_material(directory)


def prepared_material(directory: Path) -> Material:
    """Return what ``prepare_material`` has made, without the libraries that making it takes."""
    return Material(directory, (directory / _ADMIN_FILE).read_text().strip())


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    # P-256: understood by every client and made in under a millisecond.
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(path: Path) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds another kind of key: remove it, and a new one is made at the next start")
    return key


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, days: int) -> x509.CertificateBuilder:
    from cryptography import x509

    present = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        # Clocks of machine and container may differ a little.
        .not_valid_before(present - datetime.timedelta(hours=1))
        .not_valid_after(present + datetime.timedelta(days=days))
    )


def _make_ca(directory: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    key = _new_key()
    # Named by a random part: two local clusters' CAs must not be taken for one in a shared trust store.
    name = _name(f"kagent-local-cluster-ca-{secrets.token_hex(4)}")
    certificate = (
        _builder(name, name, _CA_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(directory / "ca.key", _pem(key))
    write_private(directory / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _make_server(directory: Path, extra_names: tuple[str, ...]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ca_key = _load_key(directory / "ca.key")
    ca = x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes())
    key = _new_key()
    certificate = (
        _builder(_name("kube-apiserver"), ca.subject, _SERVER_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(_alternative_names(extra_names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(directory / "server.key", _pem(key))
    write_private(directory / "server.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _alternative_names(extra: tuple[str, ...]) -> list[x509.GeneralName]:
    from cryptography import x509

    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    for name in extra:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            names.append(x509.DNSName(name))
    return names


def _server_is_good(directory: Path, extra_names: tuple[str, ...]) -> bool:
    if not (directory / "server.key").exists():
        return False
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate((directory / "server.crt").read_bytes())
    except (OSError, ValueError):
        return False
    remaining = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = {str(name.value) for name in found}
    return remaining.days > _RENEW_DAYS and set(extra_names) <= names


def kubeconfig_text(server: str, ca_pem: str, token: str) -> str:
    """Return a kubeconfig with one context, ``kagent-local``."""
    data = base64.b64encode(ca_pem.encode()).decode()
    return f"""apiVersion: v1
kind: Config
clusters:
- name: kagent-local
  cluster:
    server: {server}
    certificate-authority-data: {data}
contexts:
- name: kagent-local
  context:
    cluster: kagent-local
    user: kagent-local-admin
    namespace: default
current-context: kagent-local
users:
- name: kagent-local-admin
  user:
    token: {token}
"""
