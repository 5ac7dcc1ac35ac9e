"""The image map of the local cluster: which program on this machine stands for which container image.

The runner takes it as data and knows nothing of kagent. Every program comes from the environment this one runs in, so
that a local cluster never mixes versions.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["image_map", "write_image_map"]

# Images of this project, of any tag: the environment holds one version only.
_ENGINE: Final = "ghcr.io/kagent-tui/kagent-engine:*"
_OPERATOR: Final = "ghcr.io/kagent-tui/kagent-operator:*"
# kmcp's stdio servers (reference kagent-v1alpha2, 1.8): the adapter and the default images of uvx and npx.
_ADAPTER_IMAGE: Final = "ghcr.io/agentgateway/agentgateway:*"
_ADAPTER_PROGRAM: Final = "/adapterbin/agentgateway"
_UV: Final = "ghcr.io/astral-sh/uv:*"
_NODE: Final = "node:*"
# Agents of the samples that bring their own command.
_SAMPLE: Final = "kagent-tui.local/*"


def image_map(programs: Path | None = None) -> dict[str, Any]:
    """Return the map with absolute paths; ``programs`` is the folder of console scripts (default: this Python's)."""
    folder = programs or Path(sys.executable).parent
    search = [str(folder)]
    bridge = {
        "match": [_ADAPTER_PROGRAM],
        "run": [str(folder / "kagent-engine"), "mcp-bridge", "--installed-first"],
    }
    return {
        "rules": [
            {"image": _OPERATOR, "entrypoint": [str(folder / "kagent-operator")], "path": search},
            {"image": _ENGINE, "entrypoint": [str(folder / "kagent-engine")], "path": search, "commands": [bridge]},
            {"image": _ADAPTER_IMAGE, "skip": True},
            {"image": _UV, "entrypoint": ["uv"], "path": search, "commands": [bridge]},
            {"image": _NODE, "entrypoint": ["node"], "path": search, "commands": [bridge]},
            {"image": _SAMPLE, "entrypoint": [], "path": search, "commands": [bridge]},
        ]
    }


def write_image_map(path: Path) -> Path:
    """Write the map where the runner reads it; an existing file changes atomically."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(image_map(), indent=2), encoding="utf-8")
    os.replace(draft, path)
    return path
