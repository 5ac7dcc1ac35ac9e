"""``python -m kagent_operator``, for where no console script is at hand."""

from __future__ import annotations

import sys

from kagent_operator.cli import main

sys.exit(main())
