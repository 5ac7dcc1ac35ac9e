"""Where an agent finds its AWS keys: variables, web identity (IRSA), EKS Pod Identity and ECS, the shared file, EC2.

In the order of Amazon's own SDKs. Profiles that assume roles or sign in by SSO are theirs alone and are not read.
"""

from __future__ import annotations

import asyncio
import configparser
import re
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import orjson

from kagent_engine.models.aws_signature import AwsKeys
from kagent_engine.models.base import ModelError
from kagent_engine.models.connection import Connection
from kagent_engine.shapes import JsonObject, as_object, as_text

__all__ = ["AwsCredentials"]

# Temporary keys are renewed so long before their end.
_MARGIN_SECONDS = 300.0
_CONTAINER = "http://169.254.170.2"
_EC2 = "http://169.254.169.254"
# Nothing answers there outside of EC2, and a turn should not wait for that.
_EC2_SECONDS = 2.0


class AwsCredentials:
    """The keys of this process, fetched through ``connection`` and kept until they end."""

    def __init__(self, connection: Connection, env: Mapping[str, str], region: str) -> None:
        self._connection = connection
        self._env = env
        self._region = region
        self._keys: AwsKeys | None = None
        self._lock = asyncio.Lock()

    async def keys(self) -> AwsKeys:
        """Return keys that hold for some minutes yet.

        Raises:
            ModelError: there are none, or who gives them refused.
        """
        async with self._lock:
            if self._keys is None or (self._keys.expires or float("inf")) - _MARGIN_SECONDS < time.time():
                self._keys = await self._find()
            return self._keys

    async def _find(self) -> AwsKeys:
        env = self._env
        if (access := env.get("AWS_ACCESS_KEY_ID")) and (secret := env.get("AWS_SECRET_ACCESS_KEY")):
            return AwsKeys(access, secret, env.get("AWS_SESSION_TOKEN", ""))
        if (file := env.get("AWS_WEB_IDENTITY_TOKEN_FILE")) and (role := env.get("AWS_ROLE_ARN")):
            return await self._web_identity(file, role)
        if address := self._container():
            return await self._from_container(address)
        if (found := await asyncio.to_thread(self._shared_file)) is not None:
            return found
        if env.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true":
            try:
                async with asyncio.timeout(_EC2_SECONDS):
                    return await self._from_instance(env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _EC2)
            except (ModelError, TimeoutError):
                pass
        raise ModelError(
            f"{self._connection.endpoint.provider} model {self._connection.endpoint.model!r}: there are no AWS keys",
            code="no_key", status=401,
            remedy="give the ModelConfig an apiKeySecret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or with "
            "AWS_BEARER_TOKEN_BEDROCK, or the agent's ServiceAccount a role",
        )  # fmt: skip

    async def _web_identity(self, file: str, role: str) -> AwsKeys:
        token = await asyncio.to_thread(_text, Path(file))
        base = self._env.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{self._region}.{_domain(self._region)}"
        answer = await self._connection.fetch(
            "POST", base.rstrip("/") + "/",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            form={
                "Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": role,
                "RoleSessionName": self._env.get("AWS_ROLE_SESSION_NAME") or "kagent-engine", "WebIdentityToken": token,
            },
            secret=token,
        )  # fmt: skip
        given = {name: _element(answer, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
        return self._checked(given | {"Expiration": _element(answer, "Expiration")}, "SessionToken")

    def _container(self) -> str:
        if full := self._env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            return full
        relative = self._env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        return f"{_CONTAINER}{relative}" if relative else ""

    async def _from_container(self, address: str) -> AwsKeys:
        token = self._env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        if file := self._env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            token = await asyncio.to_thread(_text, Path(file))
        headers = {"Authorization": token} if token else None
        answer = await self._connection.fetch("GET", address, headers=headers, secret=token)
        return self._checked(_json(answer), "Token")

    async def _from_instance(self, base: str) -> AwsKeys:
        base = base.rstrip("/") + "/latest"
        token = await self._connection.fetch(
            "PUT", f"{base}/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
        )
        headers = {"X-aws-ec2-metadata-token": token.decode(errors="replace").strip()}
        place = f"{base}/meta-data/iam/security-credentials/"
        role = (await self._connection.fetch("GET", place, headers=headers)).decode(errors="replace").split("\n")[0]
        return self._checked(_json(await self._connection.fetch("GET", place + role.strip(), headers=headers)), "Token")

    def _shared_file(self) -> AwsKeys | None:
        home = Path(self._env.get("HOME") or "~").expanduser()
        path = Path(self._env.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials")
        reader = configparser.ConfigParser(interpolation=None)
        try:
            reader.read(path, encoding="utf-8")
            profile = reader[self._env.get("AWS_PROFILE") or "default"]
        except (configparser.Error, KeyError, OSError, UnicodeDecodeError):
            return None
        access, secret = profile.get("aws_access_key_id", ""), profile.get("aws_secret_access_key", "")
        return AwsKeys(access, secret, profile.get("aws_session_token", "")) if access and secret else None

    def _checked(self, given: JsonObject, session: str) -> AwsKeys:
        access, secret = as_text(given.get("AccessKeyId")), as_text(given.get("SecretAccessKey"))
        if not access or not secret:
            raise ModelError(
                f"{self._connection.endpoint.provider}: an answer that should hold AWS keys holds none", code="no_key",
                status=401,
            )  # fmt: skip
        return AwsKeys(access, secret, as_text(given.get(session)), _moment(as_text(given.get("Expiration"))))


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _element(answer: bytes, name: str) -> str:
    """Return the text of the one element of this name; STS answers in XML without attributes."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", answer.decode(errors="replace"))
    return found.group(1).strip() if found else ""


def _json(answer: bytes) -> JsonObject:
    try:
        return as_object(orjson.loads(answer))
    except ValueError:
        return {}


def _moment(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ModelError(f"Bedrock: the token {path} cannot be read: {error.strerror}", code="no_key") from error
