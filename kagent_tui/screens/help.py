"""The help screen: what can be done in the place one came from stands first."""

from __future__ import annotations

from kagent_tui.cluster.workspace import Workspace
from kagent_tui.commands.defaults import COMMANDS
from kagent_tui.commands.registry import Scope
from kagent_tui.render.help import help_lines
from kagent_tui.screens.reader import ReaderScreen

__all__ = ["HelpScreen"]


class HelpScreen(ReaderScreen):
    """All keys and commands."""

    CSS_PATH = "reader.tcss"

    def __init__(self, workspace: Workspace, *, here: tuple[Scope, ...] = (), place: str = "") -> None:
        super().__init__(workspace, trail="help", lines=help_lines(COMMANDS, here=here, place=place))
