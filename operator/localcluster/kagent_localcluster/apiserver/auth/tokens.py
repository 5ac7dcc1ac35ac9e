"""ServiceAccount tokens: ES256 JWTs as the TokenRequest API issues them, bound to their account and, if asked, a Pod.

A token dies with the object it is bound to, and with its time. Signing keys stay in the data directory.
"""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from kagent_localcluster.apiserver.auth.pki import Material
from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.jsonvalue import dig, is_array
from kagent_localcluster.apiserver.storage import Storage
from kagent_localcluster.seams import JsonObject

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

__all__ = ["ISSUER", "Issued", "TokenIssuer", "TokenUser", "service_account_user"]

# A check of the signature takes a tenth of a millisecond, and controllers send the same token with every request.
_MAX_VERIFIED = 256

ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class Issued:
    """A signed token and its end as a Unix time."""

    token: str
    expires: int


@dataclass(frozen=True)
class TokenUser:
    """Whom a good token names, and for which audiences."""

    user: User
    audiences: tuple[str, ...]


class TokenIssuer:
    """Signs and checks ServiceAccount tokens."""

    def __init__(self, material: Material, storage: Storage) -> None:
        self._material = material
        self._storage = storage
        # Payloads of tokens whose signature was good; whether they still count is asked every time.
        self._verified: dict[str, JsonObject] = {}

    def issue(
        self,
        namespace: str,
        name: str,
        account_uid: str,
        *,
        audiences: tuple[str, ...],
        seconds: int,
        bound: tuple[str, str, str] | None = None,
    ) -> Issued:
        """Return a token; ``bound`` is (kind, name, uid) of the Pod or Secret it must not outlive."""
        present = int(time.time())
        claims: JsonObject = {"namespace": namespace, "serviceaccount": {"name": name, "uid": account_uid}}
        if bound is not None:
            claims[bound[0].lower()] = {"name": bound[1], "uid": bound[2]}
        payload: JsonObject = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "aud": list(audiences or (ISSUER,)),
            "iat": present,
            "nbf": present,
            "exp": present + seconds,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": claims,
        }
        return Issued(self._sign(payload), present + seconds)

    def check(self, token: str, audiences: tuple[str, ...] = (ISSUER,)) -> TokenUser | None:
        """Return whom the token names, None when it is not good for any of the audiences."""
        payload = self._verified.get(token)
        if payload is None and (payload := self._verify(token)) is not None:
            if len(self._verified) >= _MAX_VERIFIED:
                self._verified.clear()
            self._verified[token] = payload
        if payload is None or payload.get("iss") != ISSUER or payload.get("exp", 0) < time.time():
            return None
        given = payload.get("aud")
        shared = tuple(audience for audience in audiences if is_array(given) and audience in given)
        if not shared:
            return None
        claims: JsonObject = payload.get("kubernetes.io") or {}
        namespace = str(claims.get("namespace", ""))
        name, uid = dig(claims, "serviceaccount", "name"), dig(claims, "serviceaccount", "uid")
        if not self._alive("/serviceaccounts", namespace, name, uid):
            return None
        extra: list[tuple[str, tuple[str, ...]]] = [
            ("authentication.kubernetes.io/credential-id", (f"JTI={payload.get('jti', '')}",))
        ]
        for kind in ("pod", "secret"):
            if bound := claims.get(kind):
                if not self._alive(f"/{kind}s", namespace, bound.get("name"), bound.get("uid")):
                    return None
                if kind == "pod":
                    extra.append(("authentication.kubernetes.io/pod-name", (bound["name"],)))
                    extra.append(("authentication.kubernetes.io/pod-uid", (bound["uid"],)))
        return TokenUser(service_account_user(namespace, str(name), str(uid), tuple(extra)), shared)

    def _alive(self, key: str, namespace: str, name: Any, uid: Any) -> bool:
        record = self._storage.get(key, namespace, str(name))
        return record is not None and record.uid == uid

    def keys(self) -> JsonObject:
        """Return the JSON Web Key Set that verifies the tokens."""
        numbers = self._public.public_numbers()
        key = {
            "use": "sig",
            "kty": "EC",
            "kid": self._key_id,
            "alg": "ES256",
            "crv": "P-256",
            "x": _encode(numbers.x.to_bytes(32, "big")),
            "y": _encode(numbers.y.to_bytes(32, "big")),
        }
        return {"keys": [key]}

    @property
    def _public(self) -> EllipticCurvePublicKey:
        return self._material.token_key.public_key()

    @property
    def _key_id(self) -> str:
        from cryptography.hazmat.primitives import serialization

        der = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return _encode(hashlib.sha256(der).digest())

    def _sign(self, payload: JsonObject) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        header = {"alg": "ES256", "kid": self._key_id, "typ": "JWT"}
        text = f"{_encode(orjson.dumps(header))}.{_encode(orjson.dumps(payload))}"
        first, second = decode_dss_signature(self._material.token_key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_encode(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"

    def _verify(self, token: str) -> JsonObject | None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        try:
            text, _, signature = token.rpartition(".")
            header, payload = (orjson.loads(_decode(part)) for part in text.split("."))
            raw = _decode(signature)
            if header.get("alg") != "ES256" or len(raw) != 64:
                return None
            encoded = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            self._public.verify(encoded, text.encode(), ec.ECDSA(hashes.SHA256()))
        except (ValueError, AttributeError, InvalidSignature):
            return None
        return payload if isinstance(payload, dict) else None  # pyright: ignore[reportUnknownVariableType] JSON


def service_account_user(
    namespace: str, name: str, uid: str = "", extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
) -> User:
    """Return the user a ServiceAccount acts as."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
