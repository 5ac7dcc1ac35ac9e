"""What the gateway's start may not load: it is part of how soon a cluster can be talked to."""

from __future__ import annotations

import subprocess
import sys


def test_the_gateway_starts_without_the_resource_types() -> None:
    heavy = ("kagent_api.agents", "kagent_api.inert", "kagent_api.crds", "pydantic", "a2a", "mcp", "kubernetes")
    code = f"import sys, kagent_operator.gateway; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
