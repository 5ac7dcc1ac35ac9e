"""Faults in the forms that Kubernetes' field errors have, for the rules of the built-in kinds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from kagent_localcluster.errors import Cause

__all__ = [
    "duplicate",
    "forbidden",
    "invalid",
    "label_fault",
    "non_negative",
    "not_found",
    "one_of",
    "port_name_problem",
    "port_number",
    "required",
    "unsupported",
]

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")


def required(field: str, text: str = "") -> Cause:
    return Cause(field, f"Required value: {text}" if text else "Required value", "FieldValueRequired")


def invalid(field: str, value: Any, text: str) -> Cause:
    return Cause(field, f"Invalid value: {_shown(value)}: {text}")


def duplicate(field: str, value: Any) -> Cause:
    return Cause(field, f"Duplicate value: {_shown(value)}", "FieldValueDuplicate")


def forbidden(field: str, text: str) -> Cause:
    return Cause(field, f"Forbidden: {text}", "FieldValueForbidden")


def not_found(field: str, value: Any) -> Cause:
    return Cause(field, f"Not found: {_shown(value)}", "FieldValueNotFound")


def unsupported(field: str, value: Any, choices: tuple[str, ...]) -> Cause:
    listed = ", ".join(f'"{choice}"' for choice in choices)
    return Cause(field, f"Unsupported value: {_shown(value)}: supported values: {listed}", "FieldValueNotSupported")


def one_of(field: str, value: Any, choices: tuple[str, ...]) -> Iterator[Cause]:
    """Yield the fault of a word that is missing or none of the choices."""
    if not value:
        yield required(field)
    elif value not in choices:
        yield unsupported(field, value, choices)


def non_negative(field: str, value: Any) -> Iterator[Cause]:
    if isinstance(value, (int, float)) and value < 0:
        yield invalid(field, value, "must be greater than or equal to 0")


def port_number(field: str, value: Any) -> Iterator[Cause]:
    if not isinstance(value, int) or not 0 < value < 65_536:
        yield invalid(field, value, "must be between 1 and 65535, inclusive")


def label_fault(field: str, value: str) -> Iterator[Cause]:
    """Yield the fault of a name that is no DNS label."""
    if not _DNS_LABEL.fullmatch(value):
        text = (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
            "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        )
        yield invalid(field, value, text if len(value) < 64 else "must be no more than 63 bytes")


def port_name_problem(name: str) -> str:
    """Return why a name of a port is none, "" when it is one."""
    if _PORT_NAME.fullmatch(name):
        return ""
    return (
        "must be no more than 15 characters, contain only lower case alphanumeric characters or '-' (not two in a "
        "row), at least one letter, and start and end with an alphanumeric character"
    )


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()
