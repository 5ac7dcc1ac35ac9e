"""The CEL rules of CRDs, judged while a person types; the API server judges them again.

A rule this evaluator cannot run says nothing here: only the server's word counts then. The ``cel`` package imports a
command line of its own first (0.6 s, 15 MB); a stand-in takes its place.
"""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cel

__all__ = ["holds"]

_COMMAND_LINE = "cel.cli"
_EVALUATION_ERRORS = (ValueError, TypeError, RuntimeError, KeyError, ArithmeticError)


def holds(rule: str, value: object) -> bool:
    """Tell whether a rule is kept by a value (``self``); true as well where it cannot be judged here."""
    if "oldSelf" in rule:
        return True
    try:
        program = _compiled(rule)
        context: cel.Context = _library().Context()
        context.add_variable("self", value)
        return program.execute(context) is not False
    except _EVALUATION_ERRORS:
        return True


@cache
def _compiled(rule: str) -> cel.Program:
    program: cel.Program = _library().compile(rule)
    return program


@cache
def _library() -> Any:
    absent = _COMMAND_LINE not in sys.modules
    if absent:
        sys.modules[_COMMAND_LINE] = ModuleType(_COMMAND_LINE)
    try:
        import cel
    finally:
        if absent:
            del sys.modules[_COMMAND_LINE]
    return cel
