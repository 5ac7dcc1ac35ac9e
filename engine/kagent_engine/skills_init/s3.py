"""Fetches a skill from S3: an archive (.zip, .tgz, .tar.gz) or all below a prefix. boto3 finds the credentials."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from kagent_engine.skills_init.archives import unpack_tar, unpack_zip
from kagent_engine.skills_init.plan import S3Source, SkillNotFetched

__all__ = ["fetch_s3"]

_MOST_BYTES: Final = 1024 * 1024 * 1024


def fetch_s3(source: S3Source, dest: Path) -> None:
    """Put a skill's files into ``dest``.

    Raises:
        SkillNotFetched: the address, the credentials or the objects cannot be used.
    """
    parts = urlsplit(source.uri)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if parts.scheme != "s3" or not bucket or not key:
        raise SkillNotFetched("expected s3://BUCKET/KEY")
    try:
        boto3 = cast("Any", importlib.import_module("boto3"))
        failures = cast("Any", importlib.import_module("botocore.exceptions"))
    except ImportError as error:
        raise SkillNotFetched(
            "boto3 is not installed: the engine's image has it, elsewhere install kagent-engine[aws] by itself"
        ) from error
    try:
        client = boto3.client("s3", region_name=source.region or None)
        if key.endswith((".zip", ".tgz", ".tar.gz")):
            _archive(client, bucket, key, dest)
        else:
            _prefix(client, bucket, key.rstrip("/") + "/", dest)
    except (failures.BotoCoreError, failures.ClientError) as error:
        raise SkillNotFetched(f"S3: {error}") from error


def _archive(client: Any, bucket: str, key: str, dest: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="skill-") as scratch:
        file = Path(scratch) / "archive"
        client.download_file(bucket, key, str(file))
        (unpack_zip if key.endswith(".zip") else unpack_tar)(file, dest)


def _prefix(client: Any, bucket: str, prefix: str, dest: Path) -> None:
    total = count = 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            name = str(entry["Key"]).removeprefix(prefix)
            if not name or name.endswith("/"):
                continue
            place = (dest / name).resolve()
            if not place.is_relative_to(dest.resolve()):
                raise SkillNotFetched(f"object '{entry['Key']}' leads outside of the skill's folder")
            total, count = total + int(entry["Size"]), count + 1
            if total > _MOST_BYTES:
                raise SkillNotFetched("it is larger than 1 GiB, which no skill should be")
            place.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, entry["Key"], str(place))
    if count == 0:
        raise SkillNotFetched(f"there is no object below s3://{bucket}/{prefix}")
