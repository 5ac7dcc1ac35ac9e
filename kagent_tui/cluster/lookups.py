"""What may be learned about a Secret or ConfigMap without showing it: that it exists, and its keys. Never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kagent_api.errors import ObjectRef
from kagent_tui.cluster.kinds import resource_of
from kagent_tui.cluster.references import mapping

if TYPE_CHECKING:
    from kagent_api.kube import KubeClient

__all__ = ["Known", "keys_of"]


class Known(NamedTuple):
    """The keys, or why they are not known."""

    keys: frozenset[str] | None
    trouble: str = ""
    missing: bool = False


async def keys_of(client: KubeClient, ref: ObjectRef) -> Known:
    """Look an object's keys up; a refusal is an answer too."""
    from kagent_api.kube import Forbidden, KubeError, NotFound

    try:
        found = await client.get(resource_of(ref.kind), ref.name, ref.namespace)
    except NotFound:
        return Known(None, "not found", missing=True)
    except Forbidden:
        return Known(None, f"not known: you may not read {ref.kind}s here")
    except KubeError as error:
        return Known(None, f"not known: {error.message}")
    fields = ("data", "stringData", "binaryData")
    return Known(frozenset(key for field in fields for key in mapping(found.get(field))))
