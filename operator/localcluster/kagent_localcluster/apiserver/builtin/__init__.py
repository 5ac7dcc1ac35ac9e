"""Kinds that Kubernetes itself brings: schemas, defaults, columns and what their strategies do on write.

The data files come from Kubernetes' own modules (Apache-2.0) by ``generate.py`` and are read when first needed.
"""

from __future__ import annotations

import gzip
from importlib.resources import files
from typing import Any

import orjson

__all__ = ["load_data"]


def load_data(name: str) -> Any:
    """Return the parsed data file; not cached, since most callers turn it into something smaller."""
    return orjson.loads(
        gzip.decompress(files("kagent_localcluster.apiserver.builtin").joinpath("data", f"{name}.json.gz").read_bytes())
    )
