"""AWS Signature Version 4 for requests whose body is known (docs.aws.amazon.com, "Create a signed AWS API request")."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

__all__ = ["AwsKeys", "signed_headers"]

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Keys of an account; ``session`` comes with temporary ones, which end at ``expires`` (seconds since 1970)."""

    access: str
    secret: str = field(repr=False)
    session: str = field(default="", repr=False)
    expires: float | None = None


def signed_headers(
    method: str, url: str, body: bytes, keys: AwsKeys, *, region: str, service: str,
    headers: Mapping[str, str] | None = None, now: datetime | None = None,
) -> dict[str, str]:  # fmt: skip
    """Return ``headers``, which are signed too, with those that show the signature.

    ``url`` is signed as it is written: its path has to be sent with the same escapes.
    """
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    sent = {"x-amz-date": moment, **{name.lower(): value for name, value in (headers or {}).items()}}
    if keys.session:
        sent["x-amz-security-token"] = keys.session
    digest = hashlib.sha256(body).hexdigest()
    if service == "s3":
        sent["x-amz-content-sha256"] = digest
    signed = {"host": parts.netloc.rpartition("@")[2], **sent}
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        (
            method,
            # Every service but S3 escapes the escapes once more.
            quote(parts.path or "/", safe="/-_.~" if service != "s3" else "/-_.~%"),
            "&".join(
                f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
                for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
            ),
            *(f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)),
            "",
            names,
            digest,
        )
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{keys.secret}".encode()
    for step in (moment[:8], region, service, "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    credential = f"{_ALGORITHM} Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return sent | {"Authorization": credential}
