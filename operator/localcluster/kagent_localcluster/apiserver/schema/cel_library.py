"""The one door to the ``cel`` package: evaluator, contexts and its optional functions.

The package imports its own command line first, which brings prompt_toolkit (0.6 s, 15 MB); nothing here needs it, so a
stand-in takes its place while the package is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cel

__all__ = ["compile_rule", "new_context", "standard_functions"]

_COMMAND_LINE = "cel.cli"


@cache
def _library() -> ModuleType:
    absent = _COMMAND_LINE not in sys.modules
    if absent:
        sys.modules[_COMMAND_LINE] = ModuleType(_COMMAND_LINE)
    try:
        import cel
    finally:
        if absent:
            del sys.modules[_COMMAND_LINE]
    return cel


def new_context() -> cel.Context:
    """Return an empty set of variables and functions."""
    context: cel.Context = _library().Context()
    return context


def compile_rule(text: str) -> cel.Program:
    """Return the compiled expression.

    Raises:
        ValueError: it does not parse.
    """
    program: cel.Program = _library().compile(text)
    return program


def standard_functions() -> dict[str, Callable[..., Any]]:
    """Return cel-go's extension functions by name."""
    _library()
    from cel.stdlib import STDLIB_FUNCTIONS

    return dict(STDLIB_FUNCTIONS)
