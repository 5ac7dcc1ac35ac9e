"""The volumes of a Pod as directories of this machine, and what each container's mount paths mean.

Secrets, ConfigMaps, tokens and downward-API files are written anew when their sources change, also under a running
program. A volume of a kind that needs a storage driver is refused by name.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kagent_localcluster.errors import ApiError, NotFound
from kagent_localcluster.runner.access import TokenIssuer
from kagent_localcluster.runner.environment import ConfigProblem, field_value, payload_of
from kagent_localcluster.runner.fields import items, mapping, name_of, number, text, uid_of
from kagent_localcluster.runner.projection import ProjectedFile, UnsafePath, project, safe_relative
from kagent_localcluster.runner.quantities import container_resource
from kagent_localcluster.runner.resources import CLAIMS
from kagent_localcluster.runner.translate import expand
from kagent_localcluster.seams import JsonObject, Objects

__all__ = ["PodVolumes", "VolumePlaces", "VolumeProblem"]

DEFAULT_MODE = 0o644
RENEWED_SHARE = 0.8  # of a token's life, as the kubelet does
DEFAULT_TOKEN_SECONDS = 3_600
REFUSED = "this kind of volume needs a real cluster; use emptyDir, secret, configMap, projected or a claim here"


class VolumeProblem(Exception):
    """A volume cannot be set up as written; retried, since the missing object may still come."""


@dataclass(frozen=True)
class VolumePlaces:
    """Where volumes lie: those that go with the Pod, and claims, which stay."""

    pod: Path
    claims: Path


class PodVolumes:
    """The volumes of one Pod."""

    def __init__(self, objects: Objects, issuer: TokenIssuer, pod: JsonObject, places: VolumePlaces) -> None:
        self._objects = objects
        self._issuer = issuer
        self.pod = pod
        self._places = places
        self._namespace = text(pod, "metadata", "namespace")
        self._directories: dict[str, Path] = {}
        self._tokens: dict[tuple[str, str], tuple[bytes, float]] = {}

    def write(self) -> None:
        """Set up every volume, or bring those with changed sources up to date.

        Raises:
            VolumeProblem: a source is missing, or the kind of volume is not supported.
        """
        for volume in items(self.pod, "spec", "volumes"):
            name = text(volume, "name")
            try:
                self._directories[name] = self._one(name, volume)
            except (ConfigProblem, UnsafePath) as error:
                raise VolumeProblem(f'MountVolume.SetUp failed for volume "{name}": {error}') from error

    def references(self, kind: str, name: str) -> bool:
        """Tell whether a volume shows this Secret or ConfigMap."""
        return any((kind, name) in _sources_of(volume) for volume in items(self.pod, "spec", "volumes"))

    def renewable(self) -> bool:
        """Tell whether a volume holds a token that will run out."""
        return bool(self._tokens)

    def mounts(self, container: JsonObject, variables: dict[str, str]) -> dict[str, str]:
        """Return mount path -> real path of a container.

        Raises:
            VolumeProblem: a mount names no volume, or its sub-path leaves it.
        """
        mounts: dict[str, str] = {}
        for mount in items(container, "volumeMounts"):
            name = text(mount, "name")
            directory = self._directories.get(name)
            if directory is None:
                raise VolumeProblem(
                    f'container {text(container, "name")}: volumeMount "{name}" names no volume of the Pod'
                )
            mounts[text(mount, "mountPath")] = str(self._sub_path(directory, mount, variables))
        return mounts

    def _sub_path(self, directory: Path, mount: JsonObject, variables: dict[str, str]) -> Path:
        below = text(mount, "subPath") or expand(text(mount, "subPathExpr"), variables)
        if not below:
            return directory
        try:
            target = directory / safe_relative(below)
        except UnsafePath as error:
            raise VolumeProblem(f'volumeMount "{text(mount, "name")}" subPath: {error}') from error
        if not target.exists() and not (directory / "..data").exists():
            target.mkdir(parents=True)
        return target

    def _one(self, name: str, volume: JsonObject) -> Path:
        directory = self._places.pod / name
        if "hostPath" in volume:
            return Path(text(volume, "hostPath", "path"))
        if "persistentVolumeClaim" in volume:
            return self._claim(text(volume, "persistentVolumeClaim", "claimName"))
        files = self._files(name, volume)
        if files is None:
            directory.mkdir(parents=True, exist_ok=True)
        else:
            project(directory, files)
        return directory

    def _files(self, name: str, volume: JsonObject) -> dict[str, ProjectedFile] | None:
        """Return the files of a projected kind of volume, None for an empty directory."""
        if "secret" in volume:
            source = mapping(volume, "secret")
            return dict(self._keys("Secret", text(source, "secretName"), source, _mode(source, DEFAULT_MODE)))
        if "configMap" in volume:
            source = mapping(volume, "configMap")
            return dict(self._keys("ConfigMap", text(source, "name"), source, _mode(source, DEFAULT_MODE)))
        if "downwardAPI" in volume:
            source = mapping(volume, "downwardAPI")
            return dict(self._downward(source, _mode(source, DEFAULT_MODE)))
        if "projected" in volume:
            projected = mapping(volume, "projected")
            mode = _mode(projected, DEFAULT_MODE)
            files: dict[str, ProjectedFile] = {}
            for source in items(projected, "sources"):
                files.update(self._projected(name, source, mode))
            return files
        if "emptyDir" in volume or volume.keys() == {"name"}:
            return None
        raise ConfigProblem(f"{', '.join(sorted(volume.keys() - {'name'}))}: {REFUSED}")

    def _projected(self, volume: str, source: JsonObject, mode: int) -> Iterator[tuple[str, ProjectedFile]]:
        if "secret" in source:
            yield from self._keys("Secret", text(source, "secret", "name"), mapping(source, "secret"), mode)
        elif "configMap" in source:
            yield from self._keys("ConfigMap", text(source, "configMap", "name"), mapping(source, "configMap"), mode)
        elif "downwardAPI" in source:
            yield from self._downward(mapping(source, "downwardAPI"), mode)
        elif "serviceAccountToken" in source:
            token = mapping(source, "serviceAccountToken")
            # The kubelet writes tokens for their owner only, whatever the mode says.
            yield text(token, "path"), ProjectedFile(self._token(volume, token), 0o600)
        else:
            raise ConfigProblem(f"projected source {', '.join(sorted(source))}: {REFUSED}")

    def _keys(self, kind: str, name: str, source: JsonObject, mode: int) -> Iterator[tuple[str, ProjectedFile]]:
        optional = bool(source.get("optional"))
        payload = payload_of(self._objects, kind, self._namespace, name, optional=optional)
        wanted = items(source, "items")
        if not wanted:
            yield from ((key, ProjectedFile(data, mode)) for key, data in payload.items())
        for item in wanted:
            key = text(item, "key")
            if key in payload:
                yield safe_relative(text(item, "path")), ProjectedFile(payload[key], number(item, "mode", default=mode))
            elif not optional:
                present = ", ".join(f"'{other}'" for other in sorted(payload)) or "no keys"
                raise ConfigProblem(f"{kind} '{name}' has no key '{key}' (it has: {present})")

    def _downward(self, source: JsonObject, mode: int) -> Iterator[tuple[str, ProjectedFile]]:
        for item in items(source, "items"):
            if "resourceFieldRef" in item:
                value = container_resource(self.pod, {}, mapping(item, "resourceFieldRef"))
            else:
                value = field_value(self.pod, text(item, "fieldRef", "fieldPath"), text(self.pod, "spec", "nodeName"))
            yield text(item, "path"), ProjectedFile(value.encode(), number(item, "mode", default=mode))

    def _token(self, volume: str, source: JsonObject) -> bytes:
        place = (volume, text(source, "path"))
        known = self._tokens.get(place)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        seconds = number(source, "expirationSeconds", default=DEFAULT_TOKEN_SECONDS)
        account = text(self.pod, "spec", "serviceAccountName", default="default")
        audience = text(source, "audience")
        try:
            token = self._issuer.service_account_token(
                self._namespace,
                account,
                audiences=(audience,) if audience else (),
                expiration_seconds=seconds,
                pod=(name_of(self.pod), uid_of(self.pod)),
            ).encode()
        except ApiError as error:
            raise ConfigProblem(f"token of ServiceAccount '{account}': {error}") from error
        self._tokens[place] = (token, time.monotonic() + seconds * RENEWED_SHARE)
        return token

    def _claim(self, name: str) -> Path:
        try:
            self._objects.get(CLAIMS, self._namespace, name)
        except NotFound:
            raise ConfigProblem(f"persistentvolumeclaim '{name}' not found in namespace '{self._namespace}'") from None
        directory = self._places.claims / self._namespace / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory


def _mode(source: JsonObject, default: int) -> int:
    return number(source, "defaultMode", default=default)


def _sources_of(volume: JsonObject) -> Iterator[tuple[str, str]]:
    if "secret" in volume:
        yield "Secret", text(volume, "secret", "secretName")
    if "configMap" in volume:
        yield "ConfigMap", text(volume, "configMap", "name")
    for source in items(volume, "projected", "sources"):
        for kind, field in (("Secret", "secret"), ("ConfigMap", "configMap")):
            if field in source:
                yield kind, text(source, field, "name")
