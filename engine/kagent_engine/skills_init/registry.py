"""The part of an OCI registry's API that pulling takes: manifests and blobs, with the registry's own sign-in.

Follows the OCI distribution specification 1.1 and Docker's token authentication. Credentials go only to the registry
they are for, and to the token service that it names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode, urlsplit

import aiohttp

from kagent_engine.shapes import JsonObject, as_text, is_object
from kagent_engine.skills_init.plan import SkillNotFetched

__all__ = ["MANIFEST_TYPES", "Reference", "Registry"]

_INDEX_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES: Final = (
    *_INDEX_TYPES,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LARGEST_MANIFEST: Final = 4 * 1024 * 1024
_LARGEST_BLOB: Final = 1024 * 1024 * 1024
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Reference:
    """``host/repository`` and a tag or digest."""

    host: str
    repository: str
    version: str

    @classmethod
    def parse(cls, image: str) -> Reference:
        """Read an image's name as Docker does: no host means Docker Hub, no tag ``latest``."""
        name, _, digest = image.partition("@")
        first, _, rest = name.partition("/")
        if rest and ("." in first or ":" in first or first == "localhost"):
            host, path = first, rest
        else:
            host, path = "registry-1.docker.io", name if "/" in name else f"library/{name}"
        repository, colon, tag = path.rpartition(":")
        if not colon or "/" in tag:
            repository, tag = path, ""
        if not repository or re.search(r"[\s?#]|\.\.", repository):
            raise SkillNotFetched("this is no image name")
        return cls("registry-1.docker.io" if host == "docker.io" else host, repository, digest or tag or "latest")


class Registry:
    """One registry, for the length of a ``async with``."""

    def __init__(self, reference: Reference, credentials: Mapping[str, str], *, insecure: bool = False) -> None:
        """``credentials`` maps a registry's host to base64 of ``user:password``."""
        self._reference = reference
        self._basic = credentials.get(reference.host, "")
        self._insecure = insecure
        local = _host(f"//{reference.host}") in {"localhost", "127.0.0.1", "::1"}
        self._base = f"{'http' if local else 'https'}://{reference.host}/v2/{reference.repository}"
        self._token = ""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            trust_env=True,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60),
            connector=aiohttp.TCPConnector(ssl=not self._insecure),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def manifest(self, version: str = "") -> JsonObject:
        """Return a manifest or index.

        Raises:
            SkillNotFetched: the registry refuses, or it is none.
        """
        wanted = version or self._reference.version
        accept = {"Accept": ", ".join(MANIFEST_TYPES)}
        async with await self._get(f"{self._base}/manifests/{wanted}", accept) as answer:
            body = await answer.content.read(_LARGEST_MANIFEST)
            while len(body) < _LARGEST_MANIFEST and (more := await answer.content.read(_LARGEST_MANIFEST - len(body))):
                body += more
        if wanted.startswith("sha256:") and hashlib.sha256(body).hexdigest() != wanted.removeprefix("sha256:"):
            raise SkillNotFetched("the registry's manifest does not have the digest that was asked for")
        try:
            parsed: object = json.loads(body)
        except ValueError as error:
            raise SkillNotFetched("the registry's manifest is no JSON") from error
        if not is_object(parsed):
            raise SkillNotFetched("the registry's manifest is no object")
        return parsed

    async def blob(self, digest: str, file: Path) -> None:
        """Write a blob to a file and check its digest.

        Raises:
            SkillNotFetched: the registry refuses, or what came is something else.
        """
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise SkillNotFetched(f"digest '{digest[:80]}' is not of the form sha256:...")
        sum_, size = hashlib.sha256(), 0
        async with await self._get(f"{self._base}/blobs/{digest}", {}) as answer:
            with file.open("wb") as out:
                async for block in answer.content.iter_chunked(1 << 18):
                    size += len(block)
                    if size > _LARGEST_BLOB:
                        raise SkillNotFetched("a layer is larger than 1 GiB, which no skill should be")
                    sum_.update(block)
                    out.write(block)
        if f"sha256:{sum_.hexdigest()}" != digest:
            raise SkillNotFetched(f"the layer {digest[:19]}... arrived damaged")

    async def _get(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        try:
            answer = await self._session.get(url, headers={**headers, **self._authorization()})
            if answer.status == 401 and not self._token:
                challenge = answer.headers.get("WWW-Authenticate", "")
                answer.release()
                await self._sign_in(challenge)
                answer = await self._session.get(url, headers={**headers, **self._authorization()})
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SkillNotFetched(f"registry {self._reference.host}: {error or type(error).__name__}") from error
        if answer.status != 200:
            answer.release()
            hint = {401: "; check imagePullSecrets", 403: "; check imagePullSecrets", 404: "; check name and tag"}
            raise SkillNotFetched(
                f"registry {self._reference.host} answered {answer.status}{hint.get(answer.status, '')}"
            )
        return answer

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": self._token} if self._token else {}

    async def _sign_in(self, challenge: str) -> None:
        scheme, _, rest = challenge.partition(" ")
        facts = dict(_CHALLENGE.findall(rest))
        if scheme.lower() == "basic" and self._basic:
            self._token = f"Basic {self._basic}"
            return
        realm = facts.get("realm", "")
        if scheme.lower() != "bearer" or not realm:
            return
        asked = {"service": facts.get("service", ""), "scope": f"repository:{self._reference.repository}:pull"}
        headers = {"Authorization": f"Basic {self._basic}"} if self._basic else {}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(asked)}"
        async with self._session.get(url, headers=headers) as answer:
            if answer.status != 200:
                raise SkillNotFetched(f"sign-in at {_host(realm)} answered {answer.status}")
            body: object = await answer.json(content_type=None)
        if is_object(body) and (token := as_text(body.get("token")) or as_text(body.get("access_token"))):
            self._token = f"Bearer {token}"


def _host(url: str) -> str:
    return str(urlsplit(url).hostname or "")
