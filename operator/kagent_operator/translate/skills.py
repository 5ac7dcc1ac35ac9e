"""spec.skills -> the init container that fetches them, its ConfigMap and the volumes.

Only describes what to fetch; where credentials lie is mounted, never written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_operator.translate.fields import (
    JsonObject,
    flag,
    mapping,
    name_of,
    namespace_of,
    rows,
    section,
    strings,
    text,
)
from kagent_operator.translate.go_json import compact

__all__ = ["CONFIG_MAP_SUFFIX", "SKILLS_FOLDER", "SkillPart", "skill_names", "translate_skills"]

CONFIG_MAP_SUFFIX = "-skills-init"
SKILLS_FOLDER = "/skills"
_NAME = re.compile(r"^[A-Za-z0-9._-]+$")
_COMMIT = re.compile(r"^[0-9a-fA-F]{40}$")
_SCP_LIKE = re.compile(r"^(?:[^@/:]+@)?(?P<host>[^/:@]+):(?!//)")
_ARCHIVES = (".zip", ".tgz", ".tar.gz")


@dataclass(frozen=True)
class SkillPart:
    """What an agent's skills add to its Pod."""

    config: str
    names: tuple[str, ...]
    volumes: list[JsonObject] = field(default_factory=list[JsonObject])
    init_mounts: list[JsonObject] = field(default_factory=list[JsonObject])
    main_mounts: list[JsonObject] = field(default_factory=list[JsonObject])


def translate_skills(agent: JsonObject) -> SkillPart | None:
    """Return what fetches an agent's skills, None when it has no sources.

    Raises InvalidSpec for names that are not usable as directories or are used twice, and for paths that lead outside.
    """
    skills = section(agent, "spec", "skills")
    git, oci, s3 = rows(skills, "gitRefs"), strings(skills, "refs"), rows(skills, "s3Refs")
    if skills is None or not (git or oci or s3):
        return None
    ref = ObjectRef("Agent", namespace_of(agent), name_of(agent))
    names = _Names(ref)
    git_entries = [_git(entry, names, ref, index) for index, entry in enumerate(git)]
    oci_entries = [{"image": image, "dest": names.take(_oci_name(image), image)} for image in oci]
    s3_entries = [_s3(entry, names) for entry in s3]
    auth = text(skills, "gitAuthSecretRef", "name")
    pull_secrets = [text(entry, "name") for entry in rows(skills, "imagePullSecrets")]
    config: JsonObject = {
        "authMountPath": "/git-auth" if auth else "",
        "gitRefs": git_entries,
        "ociRefs": oci_entries,
        "insecureOci": flag(skills, "insecureSkipVerify"),
        "sshHosts": _ssh_hosts(git) if auth else [],
        "imagePullSecrets": pull_secrets,
        "s3Refs": s3_entries,
    }
    part = SkillPart(
        config=compact({key: value for key, value in config.items() if value}),
        names=tuple(_ordered_names(oci, git, s3)),
        volumes=[
            {"name": "kagent-skills", "emptyDir": {}},
            {"name": "skills-init-config", "configMap": {"name": f"{ref.name}{CONFIG_MAP_SUFFIX}"}},
        ],
        init_mounts=[
            {"name": "kagent-skills", "mountPath": SKILLS_FOLDER},
            {"name": "skills-init-config", "mountPath": "/etc/kagent/skills-init", "readOnly": True},
        ],
        main_mounts=[{"name": "kagent-skills", "mountPath": SKILLS_FOLDER, "readOnly": True}],
    )
    if auth:
        part.volumes.append({"name": "git-auth", "secret": {"secretName": auth}})
        part.init_mounts.append({"name": "git-auth", "mountPath": "/git-auth", "readOnly": True})
    for secret in pull_secrets:
        volume = f"pull-secret-{secret}"
        part.volumes.append({"name": volume, "secret": {"secretName": secret}})
        part.init_mounts.append({"name": volume, "mountPath": f"/docker-secrets/{secret}", "readOnly": True})
    return part


def skill_names(agent: JsonObject) -> list[str]:
    """Return the names that prompts may list: OCI, then git, then S3."""
    skills = mapping(agent, "spec", "skills")
    return _ordered_names(strings(skills, "refs"), rows(skills, "gitRefs"), rows(skills, "s3Refs"))


def _ordered_names(oci: list[str], git: list[JsonObject], s3: list[JsonObject]) -> list[str]:
    return [*(_oci_name(image) for image in oci), *(_git_name(entry) for entry in git), *(_s3_name(e) for e in s3)]


class _Names:
    def __init__(self, ref: ObjectRef) -> None:
        self._ref = ref
        self._taken: dict[str, str] = {}

    def take(self, name: str, source: str) -> str:
        if not _NAME.match(name) or name in {".", ".."}:
            raise InvalidSpec(
                f"skill name {name!r} of {source} is not made of letters, digits, '.', '_' and '-'",
                ref=self._ref,
                field="spec.skills",
                remedy="give it a name",
            )
        if name in self._taken:
            raise InvalidSpec(
                f"duplicate skill name '{name}': {self._taken[name]} and {source}",
                ref=self._ref,
                field="spec.skills",
                remedy="give one of them another name",
            )
        self._taken[name] = source
        return f"{SKILLS_FOLDER}/{name}"


def _git(entry: JsonObject, names: _Names, ref: ObjectRef, index: int) -> JsonObject:
    url, revision, path = text(entry, "url"), text(entry, "ref") or "main", text(entry, "path")
    if path.startswith("/") or ".." in path.split("/"):
        raise InvalidSpec(
            f"path {path!r} must stay inside the repository", ref=ref, field=f"spec.skills.gitRefs[{index}].path"
        )
    result: JsonObject = {"url": url, "ref": revision, "dest": names.take(_git_name(entry), url)}
    if _COMMIT.match(revision):
        result["full"] = True
    if path:
        result["subPath"] = path
    return result


def _git_name(entry: JsonObject) -> str:
    if name := text(entry, "name"):
        return name
    if path := text(entry, "path").strip("/"):
        return path.rsplit("/", 1)[-1]
    base = text(entry, "url").rstrip("/").replace(":", "/").rsplit("/", 1)[-1]
    return base.removesuffix(".git")


def _oci_name(image: str) -> str:
    last = image.split("@", 1)[0].rstrip("/").rsplit("/", 1)[-1]
    return last.split(":", 1)[0]


def _s3(entry: JsonObject, names: _Names) -> dict[str, Any]:
    uri = text(entry, "uri")
    result: JsonObject = {"uri": uri, "dest": names.take(_s3_name(entry), uri)}
    if region := text(entry, "region"):
        result["region"] = region
    return result


def _s3_name(entry: JsonObject) -> str:
    if name := text(entry, "name"):
        return name
    last = text(entry, "uri").rstrip("/").rsplit("/", 1)[-1]
    for ending in _ARCHIVES:
        last = last.removesuffix(ending)
    return last


def _ssh_hosts(git: list[JsonObject]) -> list[JsonObject]:
    found: set[tuple[str, str]] = set()
    for entry in git:
        url = text(entry, "url")
        if url.startswith("ssh://"):
            parts = urlsplit(url)
            port = str(parts.port) if parts.port and parts.port != 22 else ""
            found.add((parts.hostname or "", port))
        elif "://" not in url and (match := _SCP_LIKE.match(url)):
            found.add((match["host"], ""))
    return [{"host": host, "port": port} if port else {"host": host} for host, port in sorted(found)]
