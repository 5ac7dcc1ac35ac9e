"""``python -m kagent_tui`` is ``kagent-tui``."""

from __future__ import annotations

import sys

from kagent_tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
