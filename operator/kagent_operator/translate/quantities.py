"""Resource quantities in the form the API server stores them (``3000m`` becomes ``3``).

Needed to compare what we want with what is there: the server rewrites quantities when it reads typed objects.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

__all__ = ["canonical", "canonical_resources"]

_QUANTITY = re.compile(r"^([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([eE][+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E))?$")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]


def canonical(quantity: str | float) -> str:
    """Return the canonical form: no fraction, the largest suffix that leaves a whole number; unknown text as it is."""
    match = _QUANTITY.match(str(quantity))
    if match is None:
        return str(quantity)
    number, exponent, suffix = Decimal(match[1]), match[2], match[3] or ""
    if suffix in _BINARY:
        return _binary(number * 1024 ** (_BINARY.index(suffix) + 1))
    if exponent:
        value = number.scaleb(int(exponent[1:]))
        power = 0
        while value and value % 1000 == 0:
            value, power = value / 1000, power + 3
        return f"{value.normalize():f}" + (f"e{power}" if power else "")
    return _decimal(number.scaleb(_DECIMAL[suffix]))


def _binary(value: Decimal) -> str:
    if value != value.to_integral_value():
        return _decimal(value)
    whole, power = int(value), 0
    while whole and whole % 1024 == 0 and power < len(_BINARY):
        whole, power = whole // 1024, power + 1
    return f"{whole}{_BINARY[power - 1] if power else ''}"


def _decimal(value: Decimal) -> str:
    if value == 0:
        return "0"
    for suffix, power in sorted(_DECIMAL.items(), key=lambda entry: -entry[1]):
        scaled = value.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    return f"{int(value.scaleb(9).to_integral_value())}n"


def canonical_resources(resources: dict[str, Any]) -> dict[str, Any]:
    """Return a ResourceRequirements with every quantity in canonical form."""
    result = dict(resources)
    for part in ("limits", "requests"):
        amounts = result.get(part)
        if isinstance(amounts, dict):
            result[part] = {str(key): canonical(str(amount)) for key, amount in amounts.items()}  # type: ignore[misc] # quantities are text or numbers
    return result
