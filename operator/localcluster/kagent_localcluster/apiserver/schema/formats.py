"""The string formats an API server checks; unknown formats pass, as they do there."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
import uuid

__all__ = ["format_problem", "is_quantity"]

_DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|w))+|0")
_QUANTITY = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?")
_HOSTNAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def is_quantity(value: object) -> bool:
    """Tell whether a value reads as a resource quantity (``500m``, ``1Gi``, 2)."""
    return _QUANTITY.fullmatch(str(value)) is not None and not isinstance(value, bool)


def format_problem(name: str, value: str) -> bool:
    """Tell whether the string violates the format."""
    try:
        match name:
            case "date-time":
                datetime.datetime.fromisoformat(value)
                return len(value) < 11
            case "date":
                datetime.date.fromisoformat(value)
            case "ipv4":
                ipaddress.IPv4Address(value)
            case "ipv6":
                ipaddress.IPv6Address(value)
            case "cidr":
                ipaddress.ip_network(value, strict=False)
            case "uuid" | "uuid3" | "uuid4" | "uuid5":
                uuid.UUID(value)
            case "byte":
                base64.b64decode(value, validate=True)
            case "duration":
                return _DURATION.fullmatch(value) is None
            case "hostname":
                return _HOSTNAME.fullmatch(value) is None
            case "email":
                return _EMAIL.fullmatch(value) is None
            case "quantity":
                return not is_quantity(value)
            case _:
                return False
    except (ValueError, binascii.Error):
        return True
    return False
