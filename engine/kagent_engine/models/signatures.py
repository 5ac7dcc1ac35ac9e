"""What a provider wants to see again with the call it asked for: thoughts with their signature, or the signature alone.

It travels as base64 text beside the call, through history and stores, and says which wire it belongs to, so that
another provider (a fallback, or the same agent with another model) is never given what it cannot read. Google's stand
bare, as google-adk keeps them.
"""

from __future__ import annotations

import base64
from typing import cast

import orjson

__all__ = ["bare_signature", "pack_signature", "unpack_signature"]


def pack_signature(wire: str, value: object) -> str:
    """Return ``value`` (anything JSON holds) as a signature of ``wire``, empty where there is nothing to keep."""
    return base64.b64encode(orjson.dumps([wire, value])).decode() if value else ""


def unpack_signature(wire: str, signature: str) -> object:
    """Return what was packed for ``wire``; None where there is nothing, or it is another's."""
    try:
        found: object = orjson.loads(base64.b64decode(signature, validate=True))
    except ValueError:
        return None
    if not isinstance(found, list):
        return None
    packed = cast("list[object]", found)
    return packed[1] if len(packed) == 2 and packed[0] == wire else None


def bare_signature(signature: str) -> str:
    """Return a signature that was kept as the provider gave it, empty where it is one of ``pack_signature``'s."""
    # What JSON that begins with '["' looks like in base64.
    return "" if signature.startswith("WyJ") else signature
