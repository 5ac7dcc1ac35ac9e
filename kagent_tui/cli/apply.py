"""``kagent-tui apply``: create or update objects from YAML, unknown fields refused, by server-side apply.

Each problem is one line with file, line and field. One refused object does not keep the others from being applied.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kagent_api.errors import InvalidSpec, KagentError
from kagent_tui.cli import EXIT_OK, EXIT_OTHER
from kagent_tui.cli.reach import Reach, open_reach, resource_for
from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.references import mapping
from kagent_tui.safety import clean

__all__ = ["add_arguments", "documents", "run"]

# One name for all of this program's writes, so that it never conflicts with itself.
_MANAGER = "kagent-tui"
# What a server answers about an object that its schema does not allow; 500 is server-side apply's, of unknown fields.
_REFUSED = (400, 422, 500)
_SEPARATOR = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)


class Document(NamedTuple):
    """One YAML document; ``line`` is where it begins in its file, from 0."""

    source: str
    line: int
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "-f", "--filename", action="append", required=True, metavar="FILE|DIR|-", help="YAML to apply; - is stdin"
    )
    parser.add_argument("--dry-run", action="store_true", help="let the server check, store nothing")
    parser.add_argument("--force", action="store_true", help="take over fields that somebody else manages")


def run(args: argparse.Namespace) -> int:
    """Apply every document and return the exit code: 1 if one was refused."""
    found = [document for name in args.filename for document in documents(name)]
    if not found:
        sys.stderr.write("kagent-tui apply: there is nothing in it\n")
        return EXIT_OTHER
    return asyncio.run(_apply(args, found))


def documents(name: str) -> Iterator[Document]:
    """Yield the documents of a file, of a directory's YAML files, or of standard input (``-``).

    Raises:
        InvalidSpec: the file cannot be read.
    """
    if name == "-":
        yield from _split("standard input", sys.stdin.read())
        return
    path = Path(name)
    files = sorted(each for each in path.iterdir() if each.suffix in (".yaml", ".yml")) if path.is_dir() else [path]
    for file in files:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSpec(f"{file}: {error}", remedy="give a YAML file, a directory of them, or -") from error
        yield from _split(str(file), text)


def _split(source: str, text: str) -> Iterator[Document]:
    start = 0
    for match in [*_SEPARATOR.finditer(text), None]:
        piece = text[start : match.start() if match else len(text)]
        if any(line.strip() and not line.lstrip().startswith("#") for line in piece.splitlines()):
            yield Document(source, text.count("\n", 0, start), piece)
        start = match.end() if match else len(text)


async def _apply(args: argparse.Namespace, found: list[Document]) -> int:
    failed = False
    async with open_reach(args) as reach:
        for document in found:
            try:
                sys.stdout.write(f"{clean(await _one(reach, document, args), newlines=False)}\n")
            except KagentError as error:
                failed = True
                _complain(document, error)
    return EXIT_OTHER if failed else EXIT_OK


async def _one(reach: Reach, document: Document, args: argparse.Namespace) -> str:
    from kagent_api.kube import NotFound
    from kagent_tui.editing.document import parse
    from kagent_tui.editing.masking import unmasked

    obj = unmasked(parse(document.text).object, None)
    resource = await resource_for(reach.client, obj)
    meta = mapping(obj.get("metadata"))
    name = str(meta.get("name") or "")
    if not name:
        raise InvalidSpec("metadata.name is needed", field="metadata.name")
    if resource.namespaced and not meta.get("namespace"):
        obj = {**obj, "metadata": {**meta, "namespace": reach.namespace}}
    where = str(mapping(obj.get("metadata")).get("namespace") or "")
    before: JsonObject | None = None
    try:
        before = await reach.client.get(resource, name, where or None)
    except NotFound:
        before = None
    after = await reach.client.apply(resource, obj, field_manager=_MANAGER, force=args.force, dry_run=args.dry_run)
    verb = "created" if before is None else "unchanged" if _version(before) == _version(after) else "configured"
    return f"{resource.qualified}/{name} {verb}{' (dry run)' if args.dry_run else ''}"


def _version(obj: JsonObject) -> object:
    return mapping(obj.get("metadata")).get("resourceVersion")


def _complain(document: Document, error: KagentError) -> None:
    from kagent_api.kube.errors import KubeError
    from kagent_tui.editing.document import BrokenYaml, parse
    from kagent_tui.editing.problems import check, problems_of

    try:
        parsed = parse(document.text)
    except BrokenYaml:
        parsed = None
    refused = parsed is not None and isinstance(error, KubeError) and error.status in _REFUSED
    # The server names a field it does not know; the schema's own check also says what to write instead.
    for problem in (check(document.text) if refused else []) or problems_of(error, parsed):
        field = f"{problem.field}: " if problem.field and problem.field not in problem.message else ""
        who = f"{error.ref}: " if error.ref else ""
        text = f"{document.source}:{document.line + problem.line}: {who}{field}{problem.message}"
        sys.stderr.write(f"{clean(text, newlines=False)}\n")
