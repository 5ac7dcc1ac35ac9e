"""What stands between outside text and the terminal: the sanitiser, secret masking and cutting by width."""

from __future__ import annotations

from kagent_tui.safety.sanitise import clean, has_hidden
from kagent_tui.safety.secrets import MASK, mask
from kagent_tui.safety.width import cell_width, shorten

__all__ = ["MASK", "cell_width", "clean", "has_hidden", "mask", "shorten"]
