"""Markdown as screen lines: headings, lists, quotes, code, tables, links with their host. Pure.

The text is a model's: nothing in it is markup for the terminal, HTML stays text, a link is never live, and character
references cannot smuggle controls past the sanitiser, because each piece is cleaned after parsing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from kagent_tui.chat.lines import Piece, ScreenLine, piece, plain, prefixed, width_of, wrap_pieces
from kagent_tui.chat.tables import table_lines
from kagent_tui.render.text import Tone
from kagent_tui.safety import cell_width, clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["code_lines", "markdown_lines", "parsed"]

# Deeper nesting is an attack or an accident; markdown-it then keeps it as text.
_MAX_NESTING: Final = 20
_FACES: Final = {"strong_open": "b", "em_open": "i", "s_open": "s"}
_ENDS: Final = {"strong_close": "b", "em_close": "i", "s_close": "s"}


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable(["table", "strikethrough"])


def markdown_lines(text: str, width: int) -> list[ScreenLine]:
    """Return a Markdown text as lines of at most ``width`` cells."""
    walk = _Walk(_parser().parse(clean(text)))
    lines: list[ScreenLine] = []
    for line in walk.blocks(max(8, width), end=len(walk.tokens)):
        # Nesting deeper than the pane is wide leaves no room beside its own indent.
        lines += wrap_pieces(line, width) if width_of(line) > width else [line]
    return lines


def parsed(text: str) -> Sequence[Token]:
    """Return a Markdown text's tokens, raw: for what is taken out of it, not shown."""
    return _parser().parse(text)


def code_lines(text: str, width: int) -> list[ScreenLine]:
    """Return code as lines of exactly ``width`` cells on the code background; long lines go on in the next."""
    lines: list[ScreenLine] = []
    for raw in clean(text).split("\n"):
        for chunk in _chopped(raw, max(4, width - 2)):
            pad = " " * max(0, width - 1 - cell_width(chunk))
            lines.append((Piece(" " + chunk + pad, Tone.VALUE, "c"),))
    return lines


def _chopped(line: str, width: int) -> list[str]:
    if cell_width(line) <= width:
        return [line]
    from rich.cells import chop_cells

    return chop_cells(line, width)


@dataclass
class _Walk:
    """A position in the token list; each method takes its block and what belongs to it."""

    tokens: Sequence[Token]
    at: int = field(default=0)

    def blocks(self, width: int, *, end: int, tight: bool = False) -> list[ScreenLine]:
        lines: list[ScreenLine] = []
        while self.at < end and not self.tokens[self.at].type.endswith("_close"):
            block = self._block(width)
            if lines and block and not tight:
                lines.append(())
            lines += block
        return lines

    def _block(self, width: int) -> list[ScreenLine]:
        token = self.tokens[self.at]
        self.at += 1
        match token.type:
            case "heading_open":
                return self._heading(token, width)
            case "paragraph_open":
                return self._closed(_inline(self.tokens[self.at], width))
            case "bullet_list_open" | "ordered_list_open":
                return self._list(token, width)
            case "blockquote_open":
                bar = (Piece("│ ", Tone.DIM),)
                lines = self.blocks(width - 2, end=len(self.tokens))
                self.at += 1
                return prefixed(lines, bar, bar)
            case "fence" | "code_block":
                return fenced(token.content.removesuffix("\n"), token.info.strip(), width)
            case "hr":
                return [(Piece("─" * width, Tone.DIM),)]
            case "table_open":
                return self._table(width)
            case "html_block":
                return [
                    line for raw in token.content.rstrip("\n").split("\n") for line in wrap_pieces((piece(raw),), width)
                ]
            case _:
                return _inline(token, width) if token.type == "inline" else []

    def _closed(self, lines: list[ScreenLine]) -> list[ScreenLine]:
        self.at += 2
        return lines

    def _heading(self, token: Token, width: int) -> list[ScreenLine]:
        lines = self._closed(_inline(self.tokens[self.at], width, Tone.HEAD, "b"))
        if token.tag == "h1":
            lines.append((Piece("━" * min(width, max(width_of(line) for line in lines)), Tone.HEAD),))
        return lines

    def _list(self, token: Token, width: int) -> list[ScreenLine]:
        number = int(token.attrGet("start") or 1) if token.type == "ordered_list_open" else None
        # Items of a tight list carry hidden paragraphs.
        tight = any(each.hidden for each in self.tokens[self.at : self.at + 3])
        lines: list[ScreenLine] = []
        while self.tokens[self.at].type == "list_item_open":
            self.at += 1
            mark = "• " if number is None else f"{number}. "
            if number is not None:
                number += 1
            item = self.blocks(width - len(mark), end=len(self.tokens), tight=tight) or [()]
            self.at += 1
            if lines and not tight:
                lines.append(())
            lines += prefixed(item, (Piece(mark, Tone.KEY),), (Piece(" " * len(mark)),))
        self.at += 1
        return lines

    def _table(self, width: int) -> list[ScreenLine]:
        rows: list[list[list[Piece]]] = []
        while (token := self.tokens[self.at]).type != "table_close":
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append([part for line in _pieces(token, Tone.PLAIN, "") for part in line])
            self.at += 1
        self.at += 1
        return table_lines(rows, width)


def fenced(code: str, info: str, width: int) -> list[ScreenLine]:
    """Return a code block with its language as a first line."""
    language = clean(info.split()[0], newlines=False)[:20] if info else ""
    head: list[ScreenLine] = []
    if language:
        label = f" {language}"
        head = [(Piece(label + " " * max(0, width - cell_width(label)), Tone.DIM, "c"),)]
    return [*head, *code_lines(code, width)]


def _inline(token: Token, width: int, tone: Tone = Tone.PLAIN, face: str = "") -> list[ScreenLine]:
    return [line for pieces in _pieces(token, tone, face) for line in wrap_pieces(pieces, width)]


def _pieces(token: Token, tone: Tone, face: str) -> list[list[Piece]]:
    """Return an inline token's logical lines."""
    lines: list[list[Piece]] = [[]]
    faces = face
    link = ""
    start = 0
    for child in token.children or []:
        kind = child.type
        if kind in _FACES:
            faces += _FACES[kind]
        elif kind in _ENDS:
            faces = faces.replace(_ENDS[kind], "", 1)
        elif kind in ("softbreak", "hardbreak"):
            lines.append([])
        elif kind == "link_open":
            link = str(child.attrGet("href") or "")
            start = len(lines[-1])
        elif kind == "link_close":
            lines[-1] += _host(link, plain(lines[-1][start:]) if link else "")
            link = ""
        elif kind == "image":
            source = str(child.attrGet("src") or "")
            lines[-1].append(piece(f"[image: {child.content or 'no text'}]", Tone.DIM))
            lines[-1] += _host(source, "")
        elif kind == "code_inline":
            lines[-1].append(piece(child.content, Tone.VALUE, "c"))
        elif child.content:
            lines[-1].append(piece(child.content, Tone.LINK if link else tone, faces))
    return lines


def _host(url: str, shown: str) -> list[Piece]:
    """Return where a link leads, unless its own text says so: the text of a link is what its author wants read."""
    if not url or url == shown:
        return []
    try:
        parts = urlsplit(url)
        where = parts.hostname or url
    except ValueError:
        where = url
    return [piece(f" ({where[:60]})", Tone.DIM)]
