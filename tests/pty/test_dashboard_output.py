"""What the dashboard writes to a terminal while every text of the cluster is hostile: an allow-list over raw bytes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.terminal import Terminal

PROGRAM = Path(__file__).parent / "hostile_dashboard.py"

# Everything a terminal may be told. CSI: colours, cursor movement, erasing, private modes on and off, queries of the
# terminal's abilities and the kitty keyboard. OSC: the mouse pointer's shape alone. Nothing else, and no C1.
ALLOWED = re.compile(
    r"\x1b\[[0-9;:]*m|\x1b\[[0-9;]*[ABCDEFGHJKdf]|\x1b\[\?[0-9;]*[hl]|\x1b\[\?[0-9;]*\$p|\x1b\[[<>=?]?[0-9;]*u"
    r"|\x1b\[[0-9;]*[ ]?q|\x1b\[>?[0-9;]*[cq]|\x1b\[[0-9;]*t|\x1b\]22;[a-z-]*(?:\x07|\x1b\\)|\x1b[78]"
    r"|\x1b_G[A-Za-z0-9=,;+/]*\x1b\\"
    r"|[\r\n]|[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]"
)
# Of the sequences allowed only the program itself may write these, and only at its start and end.
ONCE = re.compile(r"\x1b\[\?1049l|\x1bc|\x1b\[6n")

# Keys, and what shows that the screen is complete ("!": what is gone then; keys after Esc would be taken for Alt).
ROADS = [
    ("", "a1␛"),
    ("\r", "agent › a1"), ("G", ""), ("q", "!agent › a1"),
    ("y", "apiVersion"), ("w", ""), ("G", ""), ("q", "!› yaml|apiVersion"),
    ("x", "What it needs"), ("G", ""), ("q", "!What it needs"),
    ("X", "What uses"), ("q", "!What uses"),
    ("u", "What uses"), ("q", "!What uses"),
    ("p", "0/1 ready"), ("G", "Events|Pods"), ("g", ""), ("q", "!0/1 ready"),
    ("l", "MARKER-LOG"), ("w", ""), ("q", "!MARKER-LOG"),
    ("P", "Latest warnings"), ("G", ""), ("q", "▐Agents"),
    ("K", "keys here and now"), ("\x1b", "!keys here and now"),
    ("f", ""), ("~", ""),
    (" ", "1 marked"), ("\x1b", "!1 marked"),
    ("n", "all namespaces"), ("\x1b", "!all namespaces"),
    ("s", "turns round"), ("\x1b", "!turns round"),
    ("?", "On an object in a table"), ("q", "▐Agents"),
    ("Y", "clipboard"),
    ("e", "systemMessage"), ("G", ""), ("\x1b[13~", "apiVersion"), ("\x1b", "▐Agents"),
    ("D", "leave it|Type its name"), ("\x1b", "!leave it|Type its name"),
    (">", "▐Models"), ("\r", "modelconfig ›"), ("q", "▐Models"),
    (">", "▐MCP servers"), ("\r", "server ›"), ("G", ""), ("q", "▐MCP servers"),
    (">", "▐Providers"), ("\r", "modelproviderconfig ›"), ("q", "▐Providers"),
    (">", "▐Prompts"), ("\r", "promptlibrary ›"), ("G", ""), ("q", "▐Prompts"),
    ("/[x\r", "not a regular expression"),
    (":nosuch\r", "no command"),
]  # fmt: skip


def foreign(written: str) -> Iterator[str]:
    """Yield what is not on the list, with what stands around it."""
    position = 0
    while position < len(written):
        found = ALLOWED.match(written, position)
        if found is None:
            yield repr(written[max(0, position - 40) : position + 40])
            position += 1
        else:
            position = found.end()


def wait_for(terminal: Terminal, shown: str) -> None:
    if shown.startswith("!"):
        terminal.until(lambda text: re.search(shown[1:], text) is None)
    elif shown:
        terminal.until(shown)
    else:
        # Nothing on the screen tells that it has been drawn; whatever is drawn later is judged as well.
        terminal.settle(0.2, seconds=10)


@pytest.mark.parametrize("size", [(100, 40), (80, 24)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_byte_outside_the_list_reaches_the_terminal(size: tuple[int, int]) -> None:
    env = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
    terminal = Terminal([sys.executable, str(PROGRAM)], columns=size[0], lines=size[1], env=env)
    try:
        for keys, shown in ROADS:
            terminal.send(keys)
            wait_for(terminal, shown)
        terminal.send("\x11")
        assert terminal.wait() == 0
    finally:
        terminal.kill()
    written = terminal.raw.decode("utf-8", "replace")
    # Y sends the object's name to the clipboard because a person asked for it: one OSC 52, base64, ended by BEL.
    asked = re.findall(r"\x1b\]52;c;[A-Za-z0-9+/=]*\x07", written)
    assert len(asked) == 1
    written = written.replace(asked[0], "")
    assert next(foreign(written), None) is None
    assert len(ONCE.findall(written)) <= 1
    assert "U1RPTEVO" not in written.replace("52;c;U1RPTEVO", "") or "\x1b]52" not in written
