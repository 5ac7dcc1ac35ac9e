"""Headers of tool servers: plain values, ``${file:...}`` references read anew each time, and the request's own.

Never logs a value.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from kagent_api.engine_config import HeaderFile
from kagent_engine.errors import ToolFailed
from kagent_engine.settings import PathMap

__all__ = ["forwarded", "resolve"]

logger = logging.getLogger(__name__)


def resolve(headers: Mapping[str, str], paths: PathMap) -> dict[str, str]:
    """Return headers with every file reference replaced by what the file holds now.

    Raises:
        ToolFailed: a file cannot be read; names the header and the file, never a value.
    """
    return {name: _value(name, given, paths) for name, given in headers.items()}


def forwarded(request: Mapping[str, str], allowed: Collection[str]) -> dict[str, str]:
    """Return those of the request's headers that the server may see; names compare without case."""
    wanted = {name.lower(): name for name in allowed}
    return {wanted[name.lower()]: given for name, given in request.items() if name.lower() in wanted}


def _value(name: str, given: str, paths: PathMap) -> str:
    reference = HeaderFile.parse(given)
    if reference is None:
        return given
    try:
        return paths.resolve(reference.path).read_text().rstrip("\r\n")
    except OSError as error:
        raise ToolFailed(
            f"the value of header '{name}' cannot be read from {reference.path}: {error.strerror}"
        ) from error
