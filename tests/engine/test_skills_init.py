"""Fetching skills: real git, a registry and a bucket that answer over a socket, and what must be refused."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from kagent_engine.cli import main
from kagent_engine.errors import ConfigError
from kagent_engine.settings import PathMap
from kagent_engine.skills_init import run_skills_init
from kagent_engine.skills_init.archives import unpack_tar, unpack_zip
from kagent_engine.skills_init.plan import SkillNotFetched
from kagent_engine.skills_init.registry import Reference

JsonObject = dict[str, Any]
SKILL = b"---\nname: one\n---\nbody\n"


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., int]:
    """Run a plan with /skills, /docker-secrets and /git-auth below the test's folder."""
    paths = PathMap(tuple((f"/{name}", str(tmp_path / name)) for name in ("skills", "docker-secrets", "git-auth")))

    def run(**plan: Any) -> int:
        file = tmp_path / "plan.json"
        file.write_text(json.dumps(plan))
        return run_skills_init(file, paths)

    return run


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return the address of a repository and the hash of its first commit, which is no longer on a branch."""
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    folder = tmp_path / "repository"
    (folder / "skills" / "deep").mkdir(parents=True)
    (folder / "SKILL.md").write_bytes(SKILL)
    (folder / "skills" / "deep" / "SKILL.md").write_bytes(SKILL)
    (folder / "link").symlink_to("/etc/passwd")

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    first = git("rev-parse", "HEAD")
    (folder / "SKILL.md").write_text("second")
    git("commit", "-qam", "two")
    return folder.as_uri(), first


def test_git_gives_a_branch_a_commit_or_a_folder_without_history_or_links(
    fetch: Callable[..., int], repository: tuple[str, str], tmp_path: Path
) -> None:
    url, first = repository
    entries = [
        {"url": url, "ref": "main", "dest": "/skills/branch"},
        {"url": url, "ref": first, "full": True, "dest": "/skills/commit"},
        {"url": url, "ref": "main", "subPath": "skills/deep", "dest": "/skills/deep"},
    ]
    for _ in range(2):  # a restarted init container does it all again
        assert fetch(gitRefs=entries) == 0
    skills = tmp_path / "skills"
    assert (skills / "branch" / "SKILL.md").read_text() == "second"
    assert (skills / "commit" / "SKILL.md").read_bytes() == SKILL
    assert sorted(path.name for path in (skills / "deep").iterdir()) == ["SKILL.md"]
    assert not (skills / "branch" / ".git").exists()
    assert not (skills / "branch" / "link").is_symlink()
    assert sorted(path.name for path in skills.iterdir()) == ["branch", "commit", "deep"]


def test_what_git_cannot_give_is_named_with_its_skill_and_leaves_the_one_before(
    fetch: Callable[..., int], repository: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, _ = repository
    assert fetch(gitRefs=[{"url": url, "ref": "main", "dest": "/skills/a"}]) == 0
    assert fetch(gitRefs=[{"url": url, "ref": "nope", "dest": "/skills/a"}]) == 1
    assert "skill 'a' from file://" in caplog.text
    assert "nope" in caplog.text
    assert (tmp_path / "skills" / "a" / "SKILL.md").is_file()
    assert fetch(gitRefs=[{"url": url, "ref": "main", "subPath": "other", "dest": "/skills/a"}]) == 1
    assert "no folder 'other'" in caplog.text
    assert fetch(gitRefs=[{"url": "ext::sh -c 'touch x'", "ref": "main", "dest": "/skills/b"}]) == 1


def test_git_credentials_that_are_not_there_are_said_to_be_missing(
    fetch: Callable[..., int], repository: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "git-auth").mkdir()
    plan = {"authMountPath": "/git-auth", "gitRefs": [{"url": repository[0], "ref": "main", "dest": "/skills/a"}]}
    assert fetch(**plan) == 1
    assert "neither 'token' nor 'ssh-privatekey'" in caplog.text
    (tmp_path / "git-auth" / "token").write_text("t0ken")
    assert fetch(**plan) == 0


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"gitRefs": [{"url": "https://x/y"}]}, "gitRefs[0].dest"),
        ({"gitRefs": [{"url": "https://x/y", "dest": "/skills/a", "ref": "--upload-pack=x"}]}, "gitRefs[0]"),
        ({"gitRefs": [{"url": "https://x/y", "dest": "/skills/a", "subPath": "../x"}]}, "gitRefs[0].subPath"),
        ({"ociRefs": [{"dest": "/skills/a"}]}, "ociRefs[0].image"),
        ({"s3Refs": [{"dest": "/skills/a"}]}, "s3Refs[0].uri"),
    ],
)
def test_a_plan_that_cannot_be_used_names_the_entry(fetch: Callable[..., int], plan: JsonObject, field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        fetch(**plan)
    assert refused.value.field == field


def test_the_command_says_which_file_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skills-init", "--file", str(tmp_path / "none.json")]) == 64
    assert "none.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("ghcr.io/a/b:v1", Reference("ghcr.io", "a/b", "v1")),
        ("localhost:5000/b", Reference("localhost:5000", "b", "latest")),
        ("a/b", Reference("registry-1.docker.io", "a/b", "latest")),
        ("b:2", Reference("registry-1.docker.io", "library/b", "2")),
        ("r.io:5/a/b:v@sha256:00", Reference("r.io:5", "a/b", "sha256:00")),
    ],
)
def test_image_names_are_read_as_docker_reads_them(image: str, expected: Reference) -> None:
    assert Reference.parse(image) == expected


def _layer(files: dict[str, bytes | None]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content or b"")
            archive.addfile(member, io.BytesIO(content or b""))
    return gzip.compress(raw.getvalue())


class FakeRegistry:
    """An OCI registry with token sign-in for one repository, ``team/skill:v1``."""

    def __init__(self, *layers: bytes) -> None:
        self.blobs = {f"sha256:{hashlib.sha256(layer).hexdigest()}": layer for layer in layers}
        kind = "application/vnd.oci.image.layer.v1.tar+gzip"
        manifest = {"layers": [{"digest": digest, "mediaType": kind} for digest in self.blobs]}
        self.manifest = json.dumps(manifest).encode()
        self.digest = f"sha256:{hashlib.sha256(self.manifest).hexdigest()}"
        machine = {"architecture": "none-of-ours", "os": "linux"}
        self.index = json.dumps({"manifests": [{"digest": self.digest, "platform": machine}]}).encode()
        self.password = base64.b64encode(b"me:pw").decode()
        self.host = ""

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/token":
            assert request.query["scope"] == "repository:team/skill:pull"
            if request.headers.get("Authorization") != f"Basic {self.password}":
                return web.Response(status=401)
            return web.json_response({"token": "t1"})
        if request.headers.get("Authorization") != "Bearer t1":
            challenge = f'Bearer realm="http://{self.host}/token",service="here"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        what, _, version = request.path.removeprefix("/v2/team/skill/").partition("/")
        found = {"v1": self.index, self.digest: self.manifest} if what == "manifests" else self.blobs
        return web.Response(body=found[version]) if version in found else web.Response(status=404)


async def _served(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], run: Callable[[str], int]
) -> int:
    """Serve on a port of loopback while ``run(host)`` works in a thread; return what it returned."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host = f"127.0.0.1:{runner.addresses[0][1]}"
        if isinstance(handler, FakeRegistry):
            handler.host = host
        return await asyncio.to_thread(run, host)
    finally:
        await runner.cleanup()


def _sign_in(tmp_path: Path, host: str, auth: str) -> None:
    secret = tmp_path / "docker-secrets" / "pull"
    secret.mkdir(parents=True, exist_ok=True)
    (secret / ".dockerconfigjson").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


async def test_an_image_is_unpacked_layer_over_layer_with_the_pull_secret(
    fetch: Callable[..., int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = FakeRegistry(
        _layer({"SKILL.md": b"old", "gone.txt": b"x", "kept/a": b"a"}),
        _layer({"SKILL.md": SKILL, ".wh.gone.txt": None}),
    )

    def pull(host: str) -> int:
        _sign_in(tmp_path, host, registry.password)
        plan = {"ociRefs": [{"image": f"{host}/team/skill:v1", "dest": "/skills/skill"}], "imagePullSecrets": ["pull"]}
        return fetch(**plan)

    assert await _served(registry, pull) == 0
    skill = tmp_path / "skills" / "skill"
    assert (skill / "SKILL.md").read_bytes() == SKILL
    assert sorted(str(path.relative_to(skill)) for path in skill.rglob("*")) == ["SKILL.md", "kept", "kept/a"]

    assert await _served(
        registry, lambda host: fetch(ociRefs=[{"image": f"{host}/team/skill:v1", "dest": "/skills/b"}])
    )
    assert "skill 'b' from 127.0.0.1" in caplog.text
    assert "pw" not in caplog.text


async def test_a_damaged_layer_is_refused(
    fetch: Callable[..., int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = FakeRegistry(_layer({"SKILL.md": SKILL}))
    registry.blobs = dict.fromkeys(registry.blobs, b"something else")

    def pull(host: str) -> int:
        _sign_in(tmp_path, host, registry.password)
        plan = {"ociRefs": [{"image": f"{host}/team/skill:v1", "dest": "/skills/skill"}], "imagePullSecrets": ["pull"]}
        return fetch(**plan)

    assert await _served(registry, pull) == 1
    assert "arrived damaged" in caplog.text
    assert not (tmp_path / "skills" / "skill").exists()


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_an_archive_that_leads_outside_is_refused_or_stays_inside(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tgz").write_bytes(_layer({name: b"x"}))
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    with suppress(SkillNotFetched):
        unpack_tar(tmp_path / "a.tgz", inside)
    assert not (tmp_path / "in" / "outside").exists()
    assert not Path("/outside").exists()


async def test_s3_gives_an_archive_or_all_below_a_prefix(
    fetch: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("SKILL.md", SKILL)
    objects = {"/b/dir/SKILL.md": SKILL, "/b/dir/sub/é +&.txt": b"x", "/b/a.zip": packed.getvalue()}

    async def bucket(request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=id/")
        if "prefix" in request.query:
            below = sorted(key for key in objects if key[3:].startswith(request.query["prefix"]))
            # One object a page.
            at = int(request.query.get("continuation-token", "0"))
            key = quote(below[at][3:])
            more = f"<NextContinuationToken>{at + 1}</NextContinuationToken>" if at + 1 < len(below) else ""
            entry = f"<Contents><Key>{key}</Key><Size>{len(objects[below[at]])}</Size></Contents>"
            return web.Response(text=f"<ListBucketResult>{entry}{more}</ListBucketResult>")
        if request.path not in objects:
            return web.Response(text="<Error><Code>NoSuchKey</Code></Error>", status=404)
        return web.Response(body=objects[request.path])

    def pull(host: str) -> int:
        os.environ["AWS_ENDPOINT_URL_S3"] = f"http://{host}"
        entries = [
            {"uri": "s3://b/dir", "dest": "/skills/dir", "region": "eu-central-1"},
            {"uri": "s3://b/a.zip", "dest": "/skills/a", "region": "eu-central-1"},
        ]
        return fetch(s3Refs=entries)

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert await _served(bucket, pull) == 0
    assert (tmp_path / "skills" / "dir" / "sub" / "é +&.txt").read_bytes() == b"x"
    assert (tmp_path / "skills" / "a" / "SKILL.md").read_bytes() == SKILL
    objects.pop("/b/a.zip")
    assert await _served(bucket, pull) == 1
    assert "S3 answered 404 NoSuchKey; check bucket and key" in caplog.text


def test_a_damaged_zip_is_said_to_be_damaged(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("SKILL.md", "abc" * 5000)
    damaged = bytearray(whole.getvalue())
    damaged[40:60] = b"\xff" * 20
    (tmp_path / "a.zip").write_bytes(damaged)
    with pytest.raises(SkillNotFetched, match="cannot be unpacked"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "out")
