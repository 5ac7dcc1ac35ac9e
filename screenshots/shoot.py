"""Write ``screenshots/*.svg`` and ``.png`` from the real demo in a real terminal: ``make screenshots``."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.style import Style
from rich.text import Text

from bench.terminal import LONG, Cell, Terminal

FOLDER = Path(__file__).parent
# The names pyte uses for the sixteen colours, where they differ from Rich's.
COLOURS = {"brown": "yellow", "brightbrown": "bright_yellow", "default": ""}


def main() -> int:
    """Take every screenshot at both sizes."""
    programs = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as state:
        _take(programs, state)
    return 0


def _take(programs: Path, state: str) -> None:
    for columns, lines in ((140, 40), (80, 24)):
        home = {"XDG_STATE_HOME": state}  # no draft of the person who takes the pictures
        env = os.environ | home | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        argv = [str(programs / "kagent-tui"), "demo", "--model", "scripted"]
        terminal = Terminal(argv, columns=columns, lines=lines, env=env)
        try:
            _walk(terminal, f"{columns}x{lines}")
        finally:
            terminal.kill()


def _walk(terminal: Terminal, size: str) -> None:
    terminal.until("time-agent", seconds=LONG)
    terminal.until(lambda text: text.count("● yes") >= 10 and "0/" not in text, seconds=LONG)
    terminal.settle()
    _save(terminal, f"dashboard-{size}")
    terminal.send("/")
    terminal.until(r"(?m)^ /")
    terminal.send("time-agent\r")
    terminal.until(lambda text: "qa-assistant" not in text)
    terminal.send("c")
    terminal.until("write to the agent")
    terminal.send("What time is it in Tokyo?\r")
    terminal.until("(?s)is_dst.*● ready", seconds=LONG)
    terminal.send("\x0f")  # ctrl+o: the card unfolded
    terminal.settle()
    _save(terminal, f"chat-{size}")
    terminal.send("\x1b")
    terminal.until("NAME")
    terminal.send("e")
    terminal.until("systemMessage")
    terminal.settle()
    _save(terminal, f"edit-{size}")
    terminal.send("\x1b[13~")  # F3: the same draft as YAML
    terminal.until("apiVersion|toolNames")
    terminal.settle()
    _save(terminal, f"yaml-{size}")
    terminal.send("\x1b")
    terminal.until("NAME")
    terminal.send("P")
    terminal.until(lambda text: "Latest warnings" in text and "loading" not in text)
    terminal.settle()
    _save(terminal, f"pulse-{size}")
    terminal.send("\x1b")
    terminal.until("NAME")
    terminal.send("X")
    terminal.settle()
    _save(terminal, f"xray-{size}")
    terminal.send("\x1b")
    terminal.until("NAME")
    terminal.send("x")
    terminal.until("What it needs")
    terminal.settle()
    _save(terminal, f"why-{size}")
    terminal.send("\x1b")
    terminal.until("NAME")
    terminal.send("l")
    terminal.until("log")
    terminal.settle()
    _save(terminal, f"logs-{size}")
    terminal.send("\x1b")
    terminal.until("NAME")
    terminal.send("?")
    terminal.settle()
    _save(terminal, f"help-{size}")
    terminal.send("\x1b")
    terminal.until("NAME")
    for name, sign in (("models", "PROVIDER"), ("servers", "URL|TRANSPORT")):
        terminal.send(f":{name}\r")
        terminal.until(sign)
        terminal.settle()
        _save(terminal, f"{name}-{size}")
    terminal.send(":sessions\r")
    terminal.until("What time is it")
    terminal.settle()
    _save(terminal, f"sessions-{size}")
    terminal.send("\x1b")
    terminal.until("NAME")
    _panes(terminal, size)


def _panes(terminal: Terminal, size: str) -> None:
    """Chat with two agents side by side, or with four as tabs where there is no room."""
    terminal.send(":agents\r")
    terminal.until("time-agent")
    terminal.send("/\x15\r")  # ctrl+u: the filter emptied
    terminal.until("qa-assistant")
    terminal.send("g")
    # One chat is open already; as many rows are marked.
    terminal.send(" c" if size == "140x40" else "   c")
    terminal.until("write to the agent")
    terminal.settle()
    _save(terminal, f"panes-{size}")


def _save(terminal: Terminal, name: str) -> None:
    """Write one screen as SVG, and as PNG where rsvg-convert is installed."""
    screen = terminal.screen
    console = Console(width=screen.columns, record=True, file=io.StringIO(), color_system="truecolor")
    for line in range(screen.lines):
        text = Text(no_wrap=True, end="\n")
        for column in range(screen.columns):
            cell = screen.buffer[line][column]
            text.append(cell.data, _style(cell))
        console.print(text)
    svg = FOLDER / f"{name}.svg"
    console.save_svg(str(svg), title="kagent-tui")
    # Only fonts of the machine: a picture must not fetch anything.
    svg.write_text("\n".join(line.rstrip() for line in _without_web_fonts(svg.read_text())) + "\n")
    sys.stdout.write(f"{svg.relative_to(FOLDER.parent)}\n")
    if converter := shutil.which("rsvg-convert"):
        subprocess.run([converter, "-z", "1", "-o", str(svg.with_suffix(".png")), str(svg)], check=True)
    else:
        sys.stdout.write("  no PNG: rsvg-convert is not installed (Debian: librsvg2-bin)\n")


def _without_web_fonts(svg: str) -> list[str]:
    """Drop the ``@font-face`` blocks, which name a web server."""
    kept: list[str] = []
    inside = False
    for line in svg.splitlines():
        if "@font-face" in line:
            inside = True
        if not inside:
            kept.append(line.replace("Fira Code", "DejaVu Sans Mono"))
        elif line.strip() == "}":
            inside = False
    return kept


def _style(cell: Cell) -> Style:
    return Style(
        color=_colour(cell.fg),
        bgcolor=_colour(cell.bg),
        bold=cell.bold,
        italic=cell.italics,
        underline=cell.underscore,
        reverse=cell.reverse,
    )


def _colour(name: str) -> str | None:
    known = COLOURS.get(name, name)
    if len(known) == 6 and all(digit in "0123456789abcdef" for digit in known.lower()):
        return f"#{known}"
    return known.replace("bright", "bright_") if known.startswith("bright") and "_" not in known else known or None


if __name__ == "__main__":
    sys.exit(main())
