"""Hashes that make Pods roll out: of an agent's configuration, and of the secrets behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

__all__ = ["config_hash", "secret_hash"]


def config_hash(config: str, card: str, secret_hashes: Iterable[str], srt_settings: str, skills_config: str) -> str:
    """Return the value of the annotation ``kagent.dev/config-hash`` (upstream's algorithm).

    ``secret_hashes`` are hex strings; one that is not hex counts as nothing, as in upstream.
    """
    digest = hashlib.sha256(config.encode() + card.encode())
    for value in secret_hashes:
        try:
            digest.update(bytes.fromhex(value))
        except ValueError:
            continue
    digest.update(srt_settings.encode() + skills_config.encode())
    return str(int.from_bytes(digest.digest()[:8], "big"))


def secret_hash(referenced: Mapping[str, Mapping[str, bytes]]) -> str:
    """Return status.secretHash over objects by ``namespace/name`` (upstream); of nothing it is sha256("")."""
    digest = hashlib.sha256()
    for ref in sorted(referenced):
        digest.update(ref.encode())
        for key in sorted(referenced[ref]):
            digest.update(key.encode() + referenced[ref][key])
    return digest.hexdigest()
