"""What is to be fetched: the ``config.json`` that the operator (ours or upstream's) writes for the init container."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from kagent_engine.errors import ConfigError
from kagent_engine.shapes import JsonObject, as_objects, as_text, is_object

__all__ = ["GitSource", "OciSource", "Plan", "S3Source", "SkillNotFetched", "read_plan"]


class SkillNotFetched(Exception):
    """One skill could not be had; the message names the source and what to do, never a credential."""


@dataclass(frozen=True, slots=True)
class GitSource:
    url: str
    ref: str
    dest: str
    full: bool = False
    sub_path: str = ""


@dataclass(frozen=True, slots=True)
class OciSource:
    image: str
    dest: str


@dataclass(frozen=True, slots=True)
class S3Source:
    uri: str
    dest: str
    region: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """``auth_folder`` holds ``token`` or ``ssh-privatekey``; ``pull_secrets`` are names below /docker-secrets."""

    git: tuple[GitSource, ...] = ()
    oci: tuple[OciSource, ...] = ()
    s3: tuple[S3Source, ...] = ()
    auth_folder: str = ""
    insecure_oci: bool = False
    pull_secrets: tuple[str, ...] = ()


def read_plan(file: Path) -> Plan:
    """Read the plan.

    Raises:
        ConfigError: names the file and the entry that cannot be used.
    """
    try:
        parsed: object = json.loads(file.read_bytes())
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read: {error.strerror}", remedy="--file names it") from error
    except ValueError as error:
        raise ConfigError(str(file), f"not JSON: {error}") from error
    if not is_object(parsed):
        raise ConfigError(str(file), "expected an object")

    def needed(entry: Mapping[str, object], where: str, *names: str) -> list[str]:
        values = [as_text(entry.get(name)) for name in names]
        for name, value in zip(names, values, strict=True):
            if not value:
                raise ConfigError(str(file), "expected text", field=f"{where}.{name}")
        return values

    def all_of(key: str) -> list[tuple[str, JsonObject]]:
        return [(f"{key}[{index}]", entry) for index, entry in enumerate(as_objects(parsed.get(key)))]

    git: list[GitSource] = []
    for where, entry in all_of("gitRefs"):
        url, dest = needed(entry, where, "url", "dest")
        ref, sub_path = as_text(entry.get("ref")) or "main", as_text(entry.get("subPath"))
        if ref.startswith("-") or url.startswith("-"):
            raise ConfigError(str(file), "must not begin with '-'", field=where)
        if sub_path.startswith("/") or ".." in sub_path.split("/"):
            raise ConfigError(str(file), "must stay inside the repository", field=f"{where}.subPath")
        git.append(GitSource(url, ref, dest, entry.get("full") is True, sub_path))
    oci = [OciSource(*needed(entry, where, "image", "dest")) for where, entry in all_of("ociRefs")]
    s3 = [
        S3Source(*needed(entry, where, "uri", "dest"), region=as_text(entry.get("region")))
        for where, entry in all_of("s3Refs")
    ]
    return Plan(
        git=tuple(git),
        oci=tuple(oci),
        s3=tuple(s3),
        auth_folder=as_text(parsed.get("authMountPath")),
        insecure_oci=parsed.get("insecureOci") is True,
        pull_secrets=_texts(parsed.get("imagePullSecrets")),
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(as_text(item) for item in cast("list[object]", value)) if isinstance(value, list) else ()
