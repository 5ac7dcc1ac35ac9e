"""Where a model lives and how a request shows its key. Data only; built by ``factory`` from a ModelConfig."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["Endpoint"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model behind one URL. ``provider`` and ``key_variable`` are what messages name.

    ``key_header`` is ``Authorization`` for a bearer token, else the header that takes the bare key (Azure's
    ``api-key``). ``key_required`` makes a call without any key fail before it is sent. ``callers_key`` lets a caller's
    own key take the place of the model's; without it that key is never sent.
    """

    provider: str
    model: str
    url: str
    api_key: str = field(default="", repr=False)
    key_variable: str = ""
    key_header: str = "Authorization"
    key_required: bool = False
    callers_key: bool = False
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def headers_with(self, key: str) -> dict[str, str]:
        """Return the request's headers; the ModelConfig's own headers win, so that a gateway's key can be set there."""
        headers: dict[str, str] = {}
        if key:
            headers[self.key_header] = f"Bearer {key}" if self.key_header == "Authorization" else key
        own = {name.lower() for name in self.headers}
        return {name: value for name, value in headers.items() if name.lower() not in own} | dict(self.headers)

    def beside(self, url: str) -> Endpoint:
        """Return an address that serves this model otherwise, with tokens for instance; for messages."""
        return replace(self, url=url)
