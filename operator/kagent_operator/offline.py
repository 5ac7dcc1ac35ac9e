"""``kagent-operator translate``: what manifests become, without a cluster and without the CRDs' checks.

References are looked up among the given manifests only. One faulty resource does not hide what the others become.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import yaml

from kagent_api.errors import InvalidSpec, KagentError
from kagent_operator.translate import Settings, Snapshot, profile_of, translate_agent, translate_mcpserver
from kagent_operator.translate.fields import JsonObject, mapping, rows, text
from kagent_operator.translate.references import check_cross_namespace
from kagent_operator.yaml_text import dump_yaml_documents

__all__ = ["read_manifests", "translate_files"]

_ENDINGS: Final = {".yaml", ".yml", ".json"}
_CLUSTER_SCOPED: Final = {
    "Namespace",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "PersistentVolume",
}


def translate_files(paths: Sequence[str], *, settings: Settings, namespace: str, output: str) -> int:
    """Print what Agents and MCPServers become; return 0, or 1 when one could not be translated."""
    objects = [obj for path in paths for obj in read_manifests(path, namespace)]
    world = Snapshot(objects, namespaces=[settings.controller_namespace])
    made: list[JsonObject] = []
    failed = False
    for obj in objects:
        try:
            made += _translate(obj, world, settings)
        except KagentError as error:
            # Upstream's controller leaves MCPServers to another program, so profile upstream does not fail for one.
            failed |= not (text(obj, "kind") == "MCPServer" and profile_of(obj, settings) == "upstream")
            sys.stderr.write(f"error: {error}\n")
    if output == "json":
        sys.stdout.write(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": made}, indent=2, ensure_ascii=False) + "\n"
        )
    else:
        sys.stdout.write(dump_yaml_documents(made))
    return 1 if failed else 0


def _translate(obj: JsonObject, world: Snapshot, settings: Settings) -> list[JsonObject]:
    group, _, version = text(obj, "apiVersion").partition("/")
    match group, version, text(obj, "kind"):
        case "kagent.dev", "v1alpha2", "Agent":
            try:
                check_cross_namespace(obj, world, ())
            except InvalidSpec as error:
                # What the operator would refuse in a cluster; what would be written is shown all the same.
                sys.stderr.write(f"warning: {error}\n")
            translation = translate_agent(obj, world, settings)
            for warning in translation.warnings:
                sys.stderr.write(f"warning: {warning}\n")
            return translation.objects
        case "kagent.dev", "v1alpha1", "MCPServer":
            return translate_mcpserver(obj, world, settings)
        case _:
            return []


def read_manifests(path: str, namespace: str) -> list[JsonObject]:
    """Return the objects of a file, of a directory's YAML and JSON files, or of standard input.

    Raises InvalidSpec that names the file, and the line of text that is no YAML; OSError for unreadable files.
    """
    if path == "-":
        return list(_objects(sys.stdin.read(), "standard input", namespace))
    place = Path(path)
    if place.is_dir():
        files = sorted(file for file in place.iterdir() if file.suffix in _ENDINGS and file.is_file())
        if not files:
            raise InvalidSpec(f"{path}: no .yaml, .yml or .json file in this directory")
    else:
        files = [place]
    return [obj for file in files for obj in _objects(file.read_text(encoding="utf-8"), str(file), namespace)]


def _objects(content: str, place: str, namespace: str) -> Iterator[JsonObject]:
    try:
        documents = list(yaml.load_all(content, Loader=_Loader))
    except yaml.YAMLError as error:
        raise InvalidSpec(f"{place}: {' '.join(str(error).split())}") from error
    for number, document in enumerate(documents, 1):
        if document is None:
            continue
        if not isinstance(document, dict) or not isinstance(cast(dict[str, Any], document).get("kind"), str):
            raise InvalidSpec(f"{place}: document {number} is no Kubernetes object (it has no kind)")
        obj = cast(JsonObject, document)
        entries = rows(obj, "items") if text(obj, "kind").endswith("List") else [obj]
        for entry in entries:
            if text(entry, "kind") not in _CLUSTER_SCOPED and not text(entry, "metadata", "namespace"):
                entry["metadata"] = {**mapping(entry, "metadata"), "namespace": namespace}
            yield entry


class _Loader(yaml.SafeLoader):
    """Reads times as the text they are, as Kubernetes does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
