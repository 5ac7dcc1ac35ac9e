"""Volumes as directories: projection all at once, refusals that name the volume, and paths that stay inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kagent_localcluster.runner.projection import ProjectedFile, UnsafePath, project, safe_relative
from kagent_localcluster.runner.resources import CLAIMS, CONFIGMAPS, SECRETS
from kagent_localcluster.runner.volumes import PodVolumes, VolumePlaces, VolumeProblem
from kagent_localcluster.seams import JsonObject


def test_a_change_of_many_files_is_seen_all_at_once(tmp_path: Path) -> None:
    assert project(tmp_path, {"a": ProjectedFile(b"1"), "b": ProjectedFile(b"1"), "sub/c": ProjectedFile(b"1")})
    held = (tmp_path / "..data").resolve()
    assert project(tmp_path, {"a": ProjectedFile(b"2"), "sub/c": ProjectedFile(b"2", 0o600)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "sub" / "c").read_bytes() == b"2"
    assert (tmp_path / "sub" / "c").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "b").exists()
    assert not held.exists()
    assert (tmp_path / "..data").resolve() != held


def test_the_same_files_are_not_written_again(tmp_path: Path) -> None:
    files = {"a": ProjectedFile(b"1"), "sub/b": ProjectedFile(b"2")}
    assert project(tmp_path, files)
    before = (tmp_path / "..data").resolve()
    assert not project(tmp_path, files)
    assert (tmp_path / "..data").resolve() == before


def test_an_empty_source_makes_an_empty_directory(tmp_path: Path) -> None:
    project(tmp_path / "v", {})
    assert [entry.name for entry in (tmp_path / "v").iterdir() if not entry.name.startswith("..")] == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../up", "", ".."])
def test_a_path_that_leaves_its_volume_is_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        safe_relative(path)


class Issuer:
    """Signs tokens that say what they are for."""

    def __init__(self) -> None:
        self.issued = 0

    def service_account_token(
        self,
        namespace: str,
        name: str,
        *,
        audiences: tuple[str, ...] = (),
        expiration_seconds: int = 3_600,
        pod: tuple[str, str] | None = None,
    ) -> str:
        self.issued += 1
        return f"{namespace}/{name} for {','.join(audiences)} {expiration_seconds} {pod}"


@pytest.fixture
async def world(start_cluster: Any, tmp_path: Path) -> Any:
    cluster = await start_cluster("hollow")
    for kind, resource, data in (
        ("ConfigMap", CONFIGMAPS, {"data": {"a": "1", "b": "2"}}),
        ("Secret", SECRETS, {"data": {"k": "Z2VoZWlt"}}),
    ):
        metadata = {"name": kind.lower(), "namespace": "default"}
        cluster.objects.create(resource, "default", {"apiVersion": "v1", "kind": kind, "metadata": metadata, **data})
    return cluster


def volumes(world: Any, tmp_path: Path, *declared: JsonObject, issuer: Issuer | None = None) -> PodVolumes:
    metadata = {"name": "p", "namespace": "default", "uid": "u", "labels": {"app": "x"}}
    pod: JsonObject = {"metadata": metadata, "spec": {"serviceAccountName": "sa", "volumes": list(declared)}}
    places = VolumePlaces(tmp_path / "volumes", tmp_path / "claims")
    return PodVolumes(world.objects, issuer or Issuer(), pod, places)


def shown(tmp_path: Path, volume: str) -> dict[str, str]:
    root = tmp_path / "volumes" / volume / "..data"
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


async def test_every_kind_of_projected_source_shows_its_files(world: Any, tmp_path: Path) -> None:
    issuer = Issuer()
    projected = {
        "defaultMode": 0o640,
        "sources": [
            {"secret": {"name": "secret", "items": [{"key": "k", "path": "keys/k", "mode": 0o400}]}},
            {"configMap": {"name": "configmap"}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"serviceAccountToken": {"path": "token", "audience": "kagent", "expirationSeconds": 600}},
        ],
    }
    made = volumes(world, tmp_path, {"name": "all", "projected": projected}, issuer=issuer)
    made.write()
    assert shown(tmp_path, "all") == {
        "keys/k": "geheim",
        "a": "1",
        "b": "2",
        "labels": 'app="x"',
        "token": "default/sa for kagent 600 ('p', 'u')",
    }
    assert (tmp_path / "volumes" / "all" / "keys" / "k").stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "volumes" / "all" / "token").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "volumes" / "all" / "a").stat().st_mode & 0o777 == 0o640
    made.write()
    assert issuer.issued == 1


async def test_a_mount_may_show_one_file_or_a_directory_below(world: Any, tmp_path: Path) -> None:
    made = volumes(world, tmp_path, {"name": "c", "configMap": {"name": "configmap"}}, {"name": "e", "emptyDir": {}})
    made.write()
    container: JsonObject = {
        "volumeMounts": [
            {"name": "c", "mountPath": "/etc/app/a", "subPath": "a"},
            {"name": "e", "mountPath": "/scratch", "subPathExpr": "$(WHO)"},
        ]
    }
    mounts = made.mounts(container, {"WHO": "me"})
    assert content(mounts["/etc/app/a"]) == "1"
    assert content(mounts["/scratch"]) == "directory"
    assert mounts["/scratch"].endswith("volumes/e/me")


def content(path: str) -> str:
    return "directory" if Path(path).is_dir() else Path(path).read_text()


async def test_a_claim_keeps_its_directory_apart_from_the_pod(world: Any, tmp_path: Path) -> None:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}
    made = volumes(world, tmp_path, volume)
    with pytest.raises(VolumeProblem, match="persistentvolumeclaim 'mine' not found"):
        made.write()
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "mine", "namespace": "default"}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
    world.objects.create(CLAIMS, "default", body)
    made.write()
    assert (tmp_path / "claims" / "default" / "mine").is_dir()


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"nfs": {"server": "x"}}, "nfs: this kind of volume needs a real cluster"),
        ({"secret": {"secretName": "none"}}, "Secret 'none' not found"),
        (
            {"configMap": {"name": "configmap", "items": [{"key": "z", "path": "z"}]}},
            r"no key 'z' \(it has: 'a', 'b'\)",
        ),
        ({"configMap": {"name": "configmap", "items": [{"key": "a", "path": "../a"}]}}, "leaves the volume"),
    ],
)
async def test_a_volume_that_cannot_be_set_up_is_named(
    world: Any, tmp_path: Path, volume: JsonObject, message: str
) -> None:
    with pytest.raises(VolumeProblem, match=f'volume "v": .*{message}'):
        volumes(world, tmp_path, {"name": "v", **volume}).write()


async def test_an_optional_source_that_is_missing_is_an_empty_volume(world: Any, tmp_path: Path) -> None:
    volumes(world, tmp_path, {"name": "v", "secret": {"secretName": "none", "optional": True}}).write()
    assert shown(tmp_path, "v") == {}
