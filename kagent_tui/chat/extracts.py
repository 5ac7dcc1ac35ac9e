"""Code blocks and links of a conversation, to be copied or opened: the newest first. Pure."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from kagent_tui.chat.transcript import AnswerEntry, Transcript

__all__ = ["CodeBlock", "Link", "code_blocks", "links"]


class CodeBlock(NamedTuple):
    """One block of code; raw."""

    language: str
    code: str


class Link(NamedTuple):
    """One link; raw. ``host`` is where it leads, whatever its text says."""

    text: str
    url: str
    host: str


def code_blocks(transcript: Transcript) -> list[CodeBlock]:
    """Return the code blocks of all answers."""
    from kagent_tui.chat.markdown import parsed

    found: list[CodeBlock] = []
    for entry in reversed(transcript.entries):
        if isinstance(entry, AnswerEntry) and ("```" in entry.text or "~~~" in entry.text or "    " in entry.text):
            blocks = [token for token in parsed(entry.text) if token.type in ("fence", "code_block")]
            found += [CodeBlock(block.info.strip().split(" ")[0], block.content) for block in reversed(blocks)]
    return found


def links(transcript: Transcript) -> list[Link]:
    """Return the http and https links of all answers, each address once."""
    from kagent_tui.chat.markdown import parsed

    found: dict[str, Link] = {}
    for entry in reversed(transcript.entries):
        if not isinstance(entry, AnswerEntry) or "://" not in entry.text:
            continue
        for token in parsed(entry.text):
            url, text = "", ""
            for child in token.children or []:
                if child.type == "link_open":
                    url, text = str(child.attrGet("href") or ""), ""
                elif child.type == "link_close" and url:
                    _keep(found, text, url)
                    url = ""
                elif url:
                    text += child.content
                else:
                    for word in child.content.split():
                        if word.startswith(("http://", "https://")):
                            _keep(found, "", word.rstrip(".,;:!?)]}>'\""))
    return list(found.values())


def _keep(found: dict[str, Link], text: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return
    if parts.scheme in ("http", "https") and host:
        found.setdefault(url, Link(text, url, host))
