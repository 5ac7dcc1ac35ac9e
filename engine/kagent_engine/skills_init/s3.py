"""Fetches a skill from S3: an archive (.zip, .tgz, .tar.gz) or all below a prefix, with the keys the Pod finds."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_plus, urlencode, urlsplit

import aiohttp
from yarl import URL

from kagent_engine.models.aws_credentials import AwsCredentials
from kagent_engine.models.aws_signature import AwsKeys, signed_headers
from kagent_engine.models.base import ModelError
from kagent_engine.models.connection import Connection
from kagent_engine.models.endpoint import Endpoint
from kagent_engine.skills_init.archives import unpack_tar, unpack_zip
from kagent_engine.skills_init.plan import S3Source, SkillNotFetched

__all__ = ["fetch_s3"]

_MOST_BYTES: Final = 1024 * 1024 * 1024
_MOST_OBJECTS: Final = 10_000
_ARCHIVES: Final = (".zip", ".tgz", ".tar.gz")
_HINTS: Final = {
    301: "the bucket is in another region; set region",
    403: "the keys may not read it",
    404: "check bucket and key",
}


async def fetch_s3(source: S3Source, dest: Path) -> None:
    """Put a skill's files into ``dest``.

    Raises:
        SkillNotFetched: the address, the credentials or the objects cannot be used.
    """
    parts = urlsplit(source.uri)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if parts.scheme != "s3" or not bucket or not key:
        raise SkillNotFetched("expected s3://BUCKET/KEY")
    region = source.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60)
    async with aiohttp.ClientSession(trust_env=True, timeout=timeout) as session:
        store = _Bucket(session, _address(bucket, region), await _keys(region), region)
        if key.endswith(_ARCHIVES):
            await _archive(store, key, dest)
        else:
            await _prefix(store, key.rstrip("/") + "/", dest, bucket)


class _Object(NamedTuple):
    key: str
    size: int


class _Bucket:
    """Signed requests to one bucket (docs.aws.amazon.com, Amazon S3 API: ListObjectsV2, GetObject)."""

    def __init__(self, session: aiohttp.ClientSession, base: str, keys: AwsKeys, region: str) -> None:
        self._session = session
        self._base = base
        self._keys = keys
        self._region = region

    async def below(self, prefix: str) -> AsyncIterator[_Object]:
        """Yield the objects below a prefix, those of every page."""
        token = ""
        while True:
            query = {"encoding-type": "url", "list-type": "2", "prefix": prefix}
            if token:
                query["continuation-token"] = token
            async with await self._get(f"{self._base}/?{urlencode(sorted(query.items()), quote_via=quote)}") as answer:
                page = await answer.text(errors="replace")
            for entry in re.findall(r"<Contents>(.*?)</Contents>", page, re.DOTALL):
                yield _Object(unquote_plus(_element(entry, "Key")), int(_element(entry, "Size") or 0))
            token = _element(page, "NextContinuationToken")
            if not token:
                return

    async def download(self, key: str, file: Path, most: int) -> None:
        """Write an object to a file.

        Raises:
            SkillNotFetched: the object is refused, or larger than ``most`` bytes.
        """
        size = 0
        async with await self._get(f"{self._base}/{quote(key, safe='/-_.~')}") as answer:
            with file.open("wb") as out:
                async for block in answer.content.iter_chunked(1 << 18):
                    size += len(block)
                    if size > most:
                        raise SkillNotFetched("it is larger than 1 GiB, which no skill should be")
                    out.write(block)

    async def _get(self, url: str) -> aiohttp.ClientResponse:
        headers = signed_headers("GET", url, b"", self._keys, region=self._region, service="s3")
        try:
            # Sent as it was signed: no escape is written another way.
            answer = await self._session.get(URL(url, encoded=True), headers=headers, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SkillNotFetched(f"S3: {error or type(error).__name__}") from error
        if answer.status != 200:
            code = _element((await answer.content.read(4096)).decode(errors="replace"), "Code")
            answer.release()
            hint = f"; {_HINTS[answer.status]}" if answer.status in _HINTS else ""
            raise SkillNotFetched(f"S3 answered {answer.status} {code}".rstrip() + hint)
        return answer


async def _archive(store: _Bucket, key: str, dest: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="skill-") as scratch:
        file = Path(scratch) / "archive"
        await store.download(key, file, _MOST_BYTES)
        (unpack_zip if key.endswith(".zip") else unpack_tar)(file, dest)


async def _prefix(store: _Bucket, prefix: str, dest: Path, bucket: str) -> None:
    left, count = _MOST_BYTES, 0
    async for entry in store.below(prefix):
        name = entry.key.removeprefix(prefix)
        if not name or name.endswith("/"):
            continue
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise SkillNotFetched(f"object '{entry.key}' leads outside of the skill's folder")
        if count >= _MOST_OBJECTS:
            raise SkillNotFetched(f"there are more than {_MOST_OBJECTS} objects, which no skill should have")
        place = dest / name
        place.parent.mkdir(parents=True, exist_ok=True)
        await store.download(entry.key, place, left)
        left, count = left - place.stat().st_size, count + 1
    if count == 0:
        raise SkillNotFetched(f"there is no object below s3://{bucket}/{prefix}")


async def _keys(region: str) -> AwsKeys:
    connection = Connection(Endpoint("S3", "skills", ""))
    try:
        return await AwsCredentials(connection, os.environ, region).keys()
    except ModelError as error:
        remedy = "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the agent's ServiceAccount a role"
        said = "there are no AWS keys" if error.status == 401 else error.message
        raise SkillNotFetched(f"S3: {said} ({remedy})") from error
    finally:
        await connection.aclose()


def _address(bucket: str, region: str) -> str:
    """Return the bucket's base URL. Dots in a name fit no certificate, other servers often know paths only."""
    if own := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        return f"{own.rstrip('/')}/{bucket}"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    host = f"s3.{region}.{domain}"
    return f"https://{host}/{bucket}" if "." in bucket else f"https://{bucket}.{host}"


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return unescape(found[1]) if found else ""
