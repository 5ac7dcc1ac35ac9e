"""Make text that came from outside safe to put on a terminal.

Objects of a cluster, model answers, tool results and logs are written by others; Textual and Rich pass their escape
sequences on, so a name could fill the clipboard, retitle the terminal or draw a false approval prompt (CVE-2021-25743
was this in kubectl). Stores and drafts keep the raw text; whatever builds rows, content or command-line output calls
``clean``. It must never lengthen a text beyond its tabs, never raise, and never change ordinary writing in any script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["clean", "has_hidden"]

ESCAPE_MARK: Final = "␛"
HIDDEN_MARK: Final = "�"
_TAB: Final = "    "

# Format, filler and non-characters that show nothing or turn the reading direction (Unicode general categories Cf, Zl,
# Zp, Cs and the default-ignorable letters), C1 controls and the tag characters. Joiners and variation selectors are
# not here: they are judged by their neighbours.
_INVISIBLE: Final = (
    "\x80-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff\ud800-\udfff"
)
_JOINERS: Final = "\u200c\u200d"
_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
# Scripts whose spelling needs joiners (Arabic, Syriac, the Indic ones, Myanmar, Khmer), without what is hidden.
_JOINING: Final = "\u0600-\u061b\u061d-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17b3\u17b6-\u17ff"
_PICTURES: Final = "\u2190-\u2bff\U0001f000-\U0001faff"

# ECMA-48 5.4 and 8.3: colours and other text attributes. They are dropped without a mark: logs are full of them, and
# without them the text is all there.
_COLOUR: Final = re.compile("(?:\x1b\\[|\x9b)[0-9;:]*m")
# A string sequence that is not ended would swallow the rest of the text: then only its introducer is replaced.
_SEQUENCE: Final = re.compile(
    "(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\\\|\x9c)"
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|\x1b[ -/]*[0-Z\\\\^-~]?"
)
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_UNSEEN: Final = re.compile(
    f"(?:[{_INVISIBLE}]"
    f"|[{_JOINERS}](?![{_JOINING}{_PICTURES}])"
    f"|(?<![{_JOINING}{_PICTURES}])(?<![{_PICTURES}]\ufe0f)[{_JOINERS}]"
    f"|(?:^|(?<=[{_INVISIBLE}{_JOINERS}{_SELECTORS}\\s\x00-\x1f\x7f]))[{_SELECTORS}])+"
)
_SUSPECT_ASCII: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f]")
_SUSPECT: Final = re.compile(f"[\x00-\x09\x0b-\x1f\x7f{_INVISIBLE}{_JOINERS}{_SELECTORS}]")
_CANDIDATE: Final = re.compile(f"[{_INVISIBLE}{_JOINERS}{_SELECTORS}]")


def clean(text: str, *, newlines: bool = True) -> str:
    """Return ``text`` with everything a terminal would obey, or a reader could not see, made visible.

    Escape sequences become one ``␛`` (colours vanish), other control characters their pictures (``␇``), runs of
    invisible characters one ``�``, tabs four spaces. Line feeds stay, or become spaces if ``newlines`` is false.
    """
    if text.isascii() and text.isprintable():
        return text
    if _suspect(text):
        text = _SEQUENCE.sub(ESCAPE_MARK, _COLOUR.sub("", text.replace("\r\n", "\n")))
        text = "".join(_visible(text))
        text = _CONTROL.sub(_picture, text.replace("\t", _TAB))
    return text if newlines else text.replace("\n", " ")


def has_hidden(text: str) -> bool:
    """Tell whether ``text`` holds something a reader could not see; line ends, tabs and colours do not count."""
    if text.isascii() and text.isprintable():
        return False
    if not _suspect(text):
        return False
    text = _COLOUR.sub("", text.replace("\r\n", "\n"))
    return bool(_CONTROL.search(text)) or any(piece is HIDDEN_MARK for piece in _visible(text))


def _suspect(text: str) -> bool:
    pattern = _SUSPECT_ASCII if text.isascii() else _SUSPECT
    return pattern.search(text) is not None


def _visible(text: str) -> Iterator[str]:
    """Yield the text in pieces, each invisible run as the mark.

    The judgement looks at neighbours and is slow, so it runs only where a plain character class found a candidate.
    """
    done = position = 0
    while found := _CANDIDATE.search(text, position):
        position = found.start()
        if unseen := _UNSEEN.match(text, position):
            yield text[done:position]
            yield HIDDEN_MARK
            done = position = unseen.end()
        else:
            position += 1
    yield text[done:]


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\u2421" if code == 0x7F else chr(0x2400 + code)
