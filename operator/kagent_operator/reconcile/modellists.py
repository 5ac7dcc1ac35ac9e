"""Ask a model provider which models it has. Never sends a key to another host, never logs one.

Bounded in time and amount, since the address may be anybody's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from kagent_api.names import VERSION
from kagent_operator.errors import DiscoveryFailed
from kagent_operator.translate.fields import JsonObject, rows, text

__all__ = ["DEFAULT_ENDPOINTS", "LISTED", "Provider", "list_models"]

DEFAULT_ENDPOINTS: Final = {
    "OpenAI": "https://api.openai.com/v1",
    "Anthropic": "https://api.anthropic.com",
    "Gemini": "https://generativelanguage.googleapis.com",
    "Ollama": "http://localhost:11434",
}
_TIMEOUT: Final = 20.0
_MAX_BYTES: Final = 8 << 20
_MAX_PAGES: Final = 20
_MAX_MODELS: Final = 2000
_AZURE_VERSION: Final = "2024-10-21"  # the newest stable version of Azure's listing


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Whom to ask, and the key to show."""

    type: str
    endpoint: str
    key: str = field(default="", repr=False)

    @property
    def fingerprint(self) -> str:
        """Identify what would be asked; changes with the key and does not tell it."""
        return hashlib.sha256(json.dumps([self.type, self.endpoint, self.key]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Dialect:
    """How one type of provider is asked: path, headers for a key, and where the names lie in its answer."""

    path: str
    headers: Callable[[str], dict[str, str]]
    entries: str
    name: str
    next_page: tuple[str, str] = ("", "")  # the answer's field, the query's


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


_DIALECTS: Final[dict[str, _Dialect]] = {
    "OpenAI": _Dialect("/models", _bearer, "data", "id"),
    "AzureOpenAI": _Dialect(
        f"/openai/models?api-version={_AZURE_VERSION}", lambda key: {"api-key": key} if key else {}, "data", "id"
    ),
    "Anthropic": _Dialect(
        "/v1/models?limit=1000",
        lambda key: {"anthropic-version": "2023-06-01", **({"x-api-key": key} if key else {})},
        *("data", "id", ("last_id", "after_id")),
    ),
    "Gemini": _Dialect(
        "/v1beta/models?pageSize=1000",
        lambda key: {"x-goog-api-key": key} if key else {},
        *("models", "name", ("nextPageToken", "pageToken")),
    ),
    "Ollama": _Dialect("/api/tags", _bearer, "models", "name"),
}
LISTED: Final = frozenset(_DIALECTS)


async def list_models(provider: Provider) -> list[str]:
    """Return the names of a provider's models, sorted.

    Raises DiscoveryFailed that names the address and what it answered.
    """
    import httpx

    dialect = _DIALECTS[provider.type]
    base = provider.endpoint.rstrip("/")
    prefix = dialect.path.split("/", 2)[1]
    if provider.type != "OpenAI" and base.endswith(f"/{prefix}"):
        base = base.removesuffix(f"/{prefix}")
    url = httpx.URL(base + dialect.path)
    headers = {"User-Agent": f"kagent-operator/{VERSION}", **dialect.headers(provider.key)}
    found: set[str] = set()
    try:
        async with httpx.AsyncClient(headers=headers, timeout=_TIMEOUT) as client:
            for _ in range(_MAX_PAGES):
                page = await _get(client, url)
                found |= {text(entry, dialect.name).removeprefix("models/") for entry in rows(page, dialect.entries)}
                field_name, parameter = dialect.next_page
                token = text(page, field_name) if field_name and page.get("has_more", True) else ""
                if not token or len(found) >= _MAX_MODELS:
                    break
                url = url.copy_set_param(parameter, token)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise DiscoveryFailed(f"{_shown(url)}: {reason}") from error
    return sorted(found - {""})[:_MAX_MODELS]


async def _get(client: Any, url: Any) -> JsonObject:
    async with client.stream("GET", url) as response:
        if response.is_redirect:
            # Following would hand the key to whoever is named there.
            raise DiscoveryFailed(f"{_shown(url)} redirects to {response.headers.get('location', 'nowhere')[:200]}")
        if not response.is_success:
            hint = ": the key is refused" if response.status_code in {401, 403} else ""
            raise DiscoveryFailed(f"{_shown(url)} answered {response.status_code}{hint}")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MAX_BYTES:
                raise DiscoveryFailed(f"{_shown(url)} answered more than {_MAX_BYTES >> 20} MiB")
    try:
        parsed: Any = json.loads(bytes(body))
    except ValueError as error:
        raise DiscoveryFailed(f"{_shown(url)} did not answer with JSON") from error
    if not isinstance(parsed, dict):
        raise DiscoveryFailed(f"{_shown(url)} did not answer with a list of models")
    return cast(JsonObject, parsed)


def _shown(url: Any) -> str:
    return str(url.copy_with(query=None, userinfo=b""))
