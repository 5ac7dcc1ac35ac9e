"""The help screen."""

from __future__ import annotations

from kagent_tui.cluster.workspace import Workspace
from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.render.help import help_lines
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["HelpScreen"]


class HelpScreen(ReaderScreen):
    """All keys and commands."""

    CSS_PATH = "reader.tcss"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, trail="help", lines=help_lines(COMMANDS))
