"""Signatures, event streams and keys of AWS, and Bedrock with them over a socket."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kagent_api.engine_config import ModelSettings
from kagent_engine.models.aws_event_stream import Frame, frames
from kagent_engine.models.aws_signature import AwsKeys, signed_headers
from kagent_engine.models.base import ModelError, ModelRequest, TextDelta, TextPart, ToolSpec, UserMessage
from kagent_engine.models.factory import build_model

if TYPE_CHECKING:
    from .conftest import Wire

ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
HELLO = ModelRequest((UserMessage((TextPart("hello"),)),), (ToolSpec("add", "", {}),))


# The first is "get-vanilla" of Amazon's published suite, the others what botocore 1.44.8 signed.
@pytest.mark.parametrize(
    ("method", "url", "body", "session", "service", "signature"),
    [
        ("GET", "https://example.amazonaws.com/", b"", "", "service",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "https://bedrock-runtime.eu-central-1.amazonaws.com/model/eu.anthropic.claude-sonnet-4-5%3A0/converse-stream",
         '{"a":"ü"}'.encode(), "", "bedrock", "4ad89b3a570fe94dc81a3aa7208d6eb0d09f2e41d2917c21b2ef16f6abae6fe9"),
        ("POST", "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3A"
         "application-inference-profile%2Fx/converse-stream", b"{}", "SESSION/+=", "bedrock",
         "f783cc025e399a6d45125819c04af0fd8ae459761a385f5d9d0d00d81a335d00"),
        ("GET", "https://example.amazonaws.com:8443/a%20b/?z=1&a=%2Fx&a=&b", b"", "", "bedrock",
         "472e5222a4065e83f471f8f9d6641660f140fbe9b9a5a099f4c1db2c14f71148"),
    ],
)  # fmt: skip
def test_requests_are_signed_as_amazon_signs_them(
    method: str, url: str, body: bytes, session: str, service: str, signature: str
) -> None:
    keys = AwsKeys(ACCESS, SECRET, session)
    headers = {"content-type": "application/json"} if method == "POST" else {}
    signed = signed_headers(method, url, body, keys, region="us-east-1", service=service, headers=headers, now=NOW)
    assert signed["Authorization"].rpartition("=")[2] == signature
    assert signed.get("x-amz-security-token", "") == session


# Both from "Signature Calculations for the Authorization Header" of Amazon's S3 API reference.
@pytest.mark.parametrize(
    ("path", "headers", "signature"),
    [
        ("test.txt", {"Range": "bytes=0-9"}, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("?max-keys=2&prefix=J", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_requests_to_s3_are_signed_as_amazon_shows(path: str, headers: dict[str, str], signature: str) -> None:
    keys = AwsKeys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    url = f"https://examplebucket.s3.amazonaws.com/{path}"
    moment = datetime(2013, 5, 24, tzinfo=UTC)
    signed = signed_headers("GET", url, b"", keys, region="us-east-1", service="s3", headers=headers, now=moment)
    assert signed["Authorization"].endswith(f"Signature={signature}")


def test_keys_are_not_shown() -> None:
    assert SECRET not in repr(AwsKeys(ACCESS, SECRET, "session"))


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    head = b"".join(
        bytes((len(name),)) + name.encode() + b"\x07" + len(value).to_bytes(2) + value.encode()
        for name, value in headers.items()
    )
    # A header of each other kind that may stand there, which no one reads.
    head += b"\x01t\x00" + b"\x01n\x04\x00\x00\x00\x01" + b"\x01d\x08" + bytes(8) + b"\x01b\x06\x00\x02ab"
    prelude = (16 + len(head) + len(payload)).to_bytes(4) + len(head).to_bytes(4)
    prelude += zlib.crc32(prelude).to_bytes(4)
    return prelude + head + payload + zlib.crc32(prelude + head + payload).to_bytes(4)


async def read(data: bytes, size: int = 5) -> list[Frame]:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), size):
            yield data[at : at + size]

    return [found async for found in frames(pieces())]


async def test_frames_are_read_from_pieces_of_any_size() -> None:
    data = frame({":event-type": "a"}, b"{}") + frame({}, b"") + frame({":event-type": "b"}, "ü".encode())
    for size in (1, 5, len(data)):
        assert await read(data, size) == [
            ({":event-type": "a"}, b"{}"), ({}, b""), ({":event-type": "b"}, "ü".encode()),
        ]  # fmt: skip


@pytest.mark.parametrize("at", [0, 5, 9, 13, 30, -1])
async def test_a_spoiled_byte_is_found_wherever_it_is(at: int) -> None:
    data = bytearray(frame({":event-type": "a"}, b'{"text": "hello"}'))
    data[at] ^= 0x40
    with pytest.raises(ValueError, match="frame"):
        await read(bytes(data))


async def test_a_length_that_cannot_be_is_refused_before_it_is_waited_for() -> None:
    prelude = (2**31).to_bytes(4) + (4).to_bytes(4)
    with pytest.raises(ValueError, match="lengths"):
        await read(prelude + zlib.crc32(prelude).to_bytes(4))


ANSWER = b"".join(
    frame({":event-type": kind, ":message-type": "event"}, json.dumps(body).encode())
    for kind, body in (
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hi"}}),
        ("messageStop", {"stopReason": "end_turn"}),
    )
)


async def ask(wire: Wire, env: dict[str, str], **settings: Any) -> None:
    wire.raw(200, ANSWER, "application/vnd.amazon.eventstream")
    given = {"type": "bedrock", "model": "eu.anthropic.claude:0/x", "region": "eu-central-1", **settings}
    endpoints = {f"AWS_ENDPOINT_URL_{service}": wire.url for service in ("BEDROCK_RUNTIME", "STS")}
    built = build_model(ModelSettings.model_validate(given), endpoints | {"HOME": "/nowhere"} | env)
    try:
        async with asyncio.timeout(20):
            assert TextDelta("hi") in [event async for event in built.stream(HELLO)]
    finally:
        await built.aclose()


def signature_of(wire: Wire) -> str:
    """Return the access key and session of the request that asked the model, its signature checked."""
    seen = wire.seen[-1]
    session = seen.headers.get("x-amz-security-token", "")
    now = datetime.strptime(seen.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    access = seen.headers["authorization"].partition("Credential=")[2].partition("/")[0]
    expected = signed_headers(
        "POST", wire.url + seen.target, seen.text, AwsKeys(access, SECRET, session), region="eu-central-1",
        service="bedrock", headers={"content-type": seen.headers["content-type"]}, now=now,
    )  # fmt: skip
    assert seen.headers["host"] == wire.url.removeprefix("http://")
    assert seen.headers["authorization"] == expected["Authorization"]
    return f"{access}/{session}"


async def test_a_model_is_asked_with_the_keys_of_the_variables(wire: Wire) -> None:
    await ask(wire, {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": "s"})
    assert signature_of(wire) == f"{ACCESS}/s"
    assert wire.seen[0].target == "/model/eu.anthropic.claude%3A0%2Fx/converse-stream"
    assert wire.seen[0].body["toolConfig"]["tools"][0]["toolSpec"]["description"] == "add"


async def test_a_service_accounts_role_gives_keys(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("web.identity.token\n")
    wire.beside["/"] = (
        b"HTTP/1.1 200 X\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
        b"<AssumeRoleWithWebIdentityResponse><Credentials><AccessKeyId>ASIA1</AccessKeyId>"
        b"<SecretAccessKey>" + SECRET.encode() + b"</SecretAccessKey><SessionToken>s2</SessionToken>"
        b"<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResponse>"
    )
    head, _, body = wire.beside["/"].partition(b"\r\n\r\n")
    wire.beside["/"] = head.replace(b"%d", str(len(body)).encode()) + b"\r\n\r\n" + body
    await ask(wire, {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"})
    assert signature_of(wire) == "ASIA1/s2"
    (asked,) = wire.asked_beside
    assert b"WebIdentityToken=web.identity.token" in asked.text
    assert b"RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr" in asked.text
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_pod_identity_gives_keys_and_they_are_renewed_before_they_end(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pod-token")
    ending = {"AccessKeyId": "ASIA2", "SecretAccessKey": SECRET, "Token": "s3", "Expiration": "2001-01-01T00:00:00Z"}
    wire.token("/v1/credentials", ending)
    env = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{wire.url}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    await ask(wire, env)
    assert signature_of(wire) == "ASIA2/s3"
    await ask(wire, env)
    assert [seen.headers["authorization"] for seen in wire.asked_beside] == ["pod-token", "pod-token"]


async def test_the_shared_file_and_a_machines_role_give_keys(wire: Wire, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(f"[default]\nregion = x\n[team]\naws_access_key_id = AK3\naws_secret_access_key = {SECRET}\n")
    await ask(wire, {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "team"})
    assert signature_of(wire) == "AK3/"
    wire.token("/latest/api/token", "instance-token")
    place = "/latest/meta-data/iam/security-credentials/"
    wire.beside[place] = b"HTTP/1.1 200 X\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nrole-1"
    wire.token(f"{place}role-1", {"AccessKeyId": "ASIA4", "SecretAccessKey": SECRET, "Token": "s4"})
    await ask(wire, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": wire.url})
    assert signature_of(wire) == "ASIA4/s4"
    assert [seen.method for seen in wire.asked_beside] == ["PUT", "GET", "GET"]


async def test_no_keys_at_all_name_what_helps(wire: Wire) -> None:
    with pytest.raises(ModelError, match="no AWS keys") as caught:
        await ask(wire, {"AWS_EC2_METADATA_DISABLED": "true"})
    assert "AWS_BEARER_TOKEN_BEDROCK" in caught.value.remedy
    assert not caught.value.retryable


async def test_prompts_are_cached_where_it_is_asked_for(wire: Wire) -> None:
    env = {"AWS_BEARER_TOKEN_BEDROCK": "key"}
    await ask(wire, env, prompt_caching=True, cache_ttl="1h")
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    body = wire.seen[0].body
    assert body["messages"][-1]["content"][-1] == point
    assert body["toolConfig"]["tools"][-1] == point
    assert wire.seen[0].headers["authorization"] == "Bearer key"


async def test_a_throttled_call_says_so_by_amazons_own_name(wire: Wire) -> None:
    wire.raw(
        429, '{"message": "Too many requests"}', "application/json",
        headers={"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/"},
    )  # fmt: skip
    with pytest.raises(ModelError, match="Too many requests") as caught:
        await ask(wire, {"AWS_BEARER_TOKEN_BEDROCK": "key"})
    assert (caught.value.code, caught.value.retryable) == ("ThrottlingException", True)
