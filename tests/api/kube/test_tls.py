"""A real TLS server on loopback, with an authority and client certificates made for the test."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kagent_api.kube import Access, KubeClient, Tls, Unreachable
from kagent_api.kube.credentials import ClientCertificate


class Authority:
    """Signs certificates; the CA lacks a key-usage extension, as many old private ones do."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-ca")])
        builder = self._builder(self.name, self.key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )  # fmt: skip

    def issue(self, name: str, *hosts: x509.GeneralName) -> ClientCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        pem = serialization.Encoding.PEM
        return ClientCertificate(
            builder.sign(self.key, hashes.SHA256()).public_bytes(pem),
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@asynccontextmanager
async def https(
    authority: Authority, directory: Path, *hosts: x509.GeneralName, ask: bool = False
) -> AsyncGenerator[str]:
    """Serve ``{"peer": CN of the client certificate}``."""
    pair = authority.issue("server", *hosts)
    (directory / "crt").write_bytes(pair.certificate)
    (directory / "key").write_bytes(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "crt", directory / "key")
    if ask:
        context.load_verify_locations(cadata=authority.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
            der = shown.getpeercert(binary_form=True)
            subject = x509.load_der_x509_certificate(der).subject.rfc4514_string() if der else ""
            body = b'{"peer": "%s"}' % subject.removeprefix("CN=").encode()
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


async def test_the_authority_of_the_kubeconfig_is_trusted_and_no_other(tmp_path: Path) -> None:
    authority = Authority()
    async with https(authority, tmp_path, LOOPBACK) as url:
        access = Access(server=url, cluster="c", tls=Tls(authority=authority.pem))
        async with KubeClient(access, env={}) as client:
            assert await client.version() == {"peer": ""}
        for other in (Tls(authority=Authority().pem), Tls()):
            async with KubeClient(replace(access, tls=other), env={}) as client:
                with pytest.raises(Unreachable, match=r"not trusted.*certificate-authority and tls-server-name"):
                    await client.version()


async def test_a_client_certificate_says_who_we_are_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    authority = Authority()
    tls = Tls(authority=authority.pem, certificate=authority.issue("alice"))
    async with (
        https(authority, tmp_path, LOOPBACK, ask=True) as url,
        KubeClient(Access(url, tls=tls), env={}) as client,
    ):
        assert await client.version() == {"peer": "alice"}
    assert list(temporary.iterdir()) == []


async def test_a_plugins_certificate_is_used_from_the_first_connection_on(tmp_path: Path) -> None:
    authority = Authority()
    shown = authority.issue("plugin-user")

    class Plugin:
        async def authorization(self) -> str:
            return ""

        def certificate(self) -> ClientCertificate:
            return shown

        def forget(self) -> None:
            raise AssertionError("nothing was refused")

    async with https(authority, tmp_path, LOOPBACK, ask=True) as url:
        access = Access(url, credentials=Plugin(), tls=Tls(authority=authority.pem))
        async with KubeClient(access, env={}) as client:
            assert await client.version() == {"peer": "plugin-user"}


async def test_the_server_name_of_the_kubeconfig_is_what_the_certificate_must_hold(tmp_path: Path) -> None:
    authority = Authority()
    async with https(authority, tmp_path, x509.DNSName("inner.cluster")) as url:
        tls = Tls(authority=authority.pem, server_name="inner.cluster")
        async with KubeClient(Access(url, tls=tls), env={}) as client:
            assert await client.version() == {"peer": ""}
        async with KubeClient(Access(url, tls=Tls(authority=authority.pem)), env={}) as client:
            with pytest.raises(Unreachable, match="not trusted"):
                await client.version()
        async with KubeClient(Access(url, tls=Tls(insecure=True)), env={}) as client:
            assert await client.version() == {"peer": ""}
