"""What goes along with a message: live YAML of mentioned resources, files, standard input, an earlier conversation.

Text goes as a part of its own that says what it is, so that every engine hands it to its model; a file that is no text
goes as a file part. The values of Secrets never go anywhere.
"""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from kagent_api.errors import ObjectRef
from kagent_tui.chat.jsonvalue import JsonObject
from kagent_tui.chat.targets_of_calls import KIND_WORDS, kind_word
from kagent_tui.chat.wire import Part
from kagent_tui.editing.document import editable, to_yaml
from kagent_tui.editing.masking import masked

__all__ = ["Attachment", "Mentions", "file_attachment", "mention", "mentions_in", "object_attachment", "split_attached"]

# What a model can read in one message, and what a gateway takes (upstream's limit is 10 MiB a request).
MOST_TEXT: Final = 256 * 1024
MOST_FILE: Final = 5 * 1024 * 1024
_OBJECT: Final = re.compile(r"(?<!\S)@([A-Za-z]+)/([a-z0-9][a-z0-9.-]*)/([a-z0-9][a-z0-9.-]*)")
_FILE: Final = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|((?:\.{1,2}/|~/|/)\S+))')
_ATTACHED: Final = re.compile(r"^\[attached: ([^\n]*)\]\n(`{3,})[^\n]*\n(.*?)\n\2$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One thing that goes along; ``raw`` (base64) for what is no text."""

    name: str
    text: str = ""
    language: str = ""
    raw: str = ""
    media_type: str = ""

    @property
    def part(self) -> Part:
        """The part of the message that carries it."""
        if self.raw:
            return Part("file", text=self.name, data=self.media_type or "application/octet-stream", raw=self.raw)
        fence = "```"
        while fence in self.text:
            fence += "`"
        return Part("text", text=f"[attached: {self.name}]\n{fence}{self.language}\n{self.text.rstrip()}\n{fence}")


class Mentions(NamedTuple):
    """What a text names with ``@``."""

    objects: tuple[ObjectRef, ...]
    files: tuple[str, ...]


class Said(NamedTuple):
    """A message apart from what went along with it: names and how many lines each has."""

    text: str
    attached: tuple[tuple[str, int], ...]


def mention(ref: ObjectRef) -> str:
    """Return how a resource is mentioned: ``@agent/kagent/time``."""
    word = KIND_WORDS[ref.kind][0] if ref.kind in KIND_WORDS else ref.kind.casefold()
    return f"@{word}/{ref.namespace}/{ref.name}"


def mentions_in(text: str) -> Mentions:
    """Return what a text mentions: ``@kind/namespace/name`` and ``@./file``, ``@~/file``, ``@/file``, ``@"a file"``."""
    objects: list[ObjectRef] = []
    for word, namespace, name in _OBJECT.findall(text):
        kind = kind_word(word)
        if kind:
            objects.append(ObjectRef(kind, namespace, name.rstrip(".")))
    files = [quoted or plain for quoted, plain in _FILE.findall(text)]
    return Mentions(tuple(dict.fromkeys(objects)), tuple(dict.fromkeys(files)))


def object_attachment(ref: ObjectRef, obj: JsonObject) -> Attachment:
    """Return a resource as YAML with its status, without what only the server needs, values of Secrets hidden."""
    safe = masked({**obj, "kind": obj.get("kind") or ref.kind})
    shown = {**editable(safe), **({"status": safe["status"]} if "status" in safe else {})}
    return Attachment(f"{ref.kind} {ref.namespace}/{ref.name}", to_yaml(shown)[:MOST_TEXT], "yaml")


def file_attachment(path: str, *, read: Callable[[Path], bytes] = Path.read_bytes) -> Attachment:
    """Return a file: as text if it is UTF-8, else as it is.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large.
    """
    file = Path(path).expanduser()
    content = read(file)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and "\x00" not in text:
        if len(content) > MOST_TEXT:
            raise ValueError(f"{path} has {len(content):,} bytes; a message takes {MOST_TEXT:,} of text")
        return Attachment(file.name, text, file.suffix.removeprefix("."))
    if len(content) > MOST_FILE:
        raise ValueError(f"{path} has {len(content):,} bytes; a message takes {MOST_FILE:,}")
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if not content:
        return Attachment(file.name, "(the file is empty)")
    return Attachment(file.name, raw=base64.b64encode(content).decode("ascii"), media_type=kind)


def split_attached(text: str) -> Said:
    """Return a message as its author wrote it, and what went along; ``text`` may come from a server's history."""
    found = [(match[1], match[3].count("\n") + 1) for match in _ATTACHED.finditer(text)]
    return Said(_ATTACHED.sub("", text).strip("\n") if found else text, tuple(found))
