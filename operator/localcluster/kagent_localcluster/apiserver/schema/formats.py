"""The string formats an API server checks; unknown formats pass, as they do there."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
import uuid
from decimal import ROUND_CEILING, Decimal
from typing import Any
from urllib.parse import urlsplit

__all__ = ["canonical_quantity", "format_problem", "is_quantity", "quantity_value"]

_DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|w))+|0")
_QUANTITY = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?")
_AMOUNT = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(.*)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_HOSTNAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def is_quantity(value: object) -> bool:
    """Tell whether a value reads as a resource quantity (``500m``, ``1Gi``, 2)."""
    return _QUANTITY.fullmatch(str(value)) is not None and not isinstance(value, bool)


def is_request_uri(text: str) -> bool:
    """Tell whether Go's url.ParseRequestURI takes the text: an absolute path, or something with a scheme."""
    if not text or any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in text.partition("?")[0]):
        return False
    return text.startswith("/") or bool(urlsplit(text).scheme)


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
            case "uri":
                return not is_request_uri(value)
            case "quantity":
                return not is_quantity(value)
            case _:
                return False
    except (ValueError, binascii.Error):
        return True
    return False


def quantity_value(value: Any) -> Decimal:
    """Return the number that a resource quantity stands for, 0 for what is none."""
    parts = _parts(value)
    if parts is None:
        return Decimal(0)
    number, suffix = parts
    if suffix.endswith("i"):
        return number * 1024 ** _BINARY.index(suffix)
    return number.scaleb(_exponent(suffix))


def _parts(value: Any) -> tuple[Decimal, str] | None:
    match = _AMOUNT.fullmatch(str(value)) if is_quantity(value) else None
    return (Decimal(match[1]), match[2]) if match else None


def _exponent(suffix: str) -> int:
    return int(suffix[1:]) if suffix[:1] in ("e", "E") and len(suffix) > 1 else _DECIMAL[suffix]


def canonical_quantity(value: Any) -> str:
    """Return a resource quantity in Kubernetes' canonical form (``0.5`` -> ``500m``, ``1024Mi`` -> ``1Gi``)."""
    parts = _parts(value)
    if parts is None:
        return "0"
    number, suffix = parts
    if suffix.endswith("i"):
        amount = number * 1024 ** _BINARY.index(suffix)
        if abs(amount) >= 1024:
            whole, power = int(amount.to_integral_value(ROUND_CEILING)), 0
            while whole % 1024 == 0 and power < len(_BINARY) - 1:
                whole, power = whole // 1024, power + 1
            return f"{whole}{_BINARY[power]}"
        suffix, number = "", amount
    exponential = suffix[:1] in ("e", "E") and len(suffix) > 1
    nano = int(number.scaleb(_exponent(suffix) + 9).to_integral_value(ROUND_CEILING))
    power = -9
    while nano and nano % 1000 == 0 and power < 18:
        nano, power = nano // 1000, power + 3
    if not nano:
        return "0"
    if exponential:
        return f"{nano}e{power}" if power else str(nano)
    return f"{nano}{next(name for name, scale in _DECIMAL.items() if scale == power)}"
