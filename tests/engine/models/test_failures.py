from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from kagent_api.engine_config import ModelSettings
from kagent_engine.models.base import ModelError, ModelEvent, ModelRequest, TextPart, UserMessage
from kagent_engine.models.connection import Connection, server_sent
from kagent_engine.models.endpoint import Endpoint
from kagent_engine.models.factory import build_model
from kagent_engine.models.failures import from_network, from_response

if TYPE_CHECKING:
    from .conftest import Wire

KEY = "sk-very-secret"
REQUEST = ModelRequest((UserMessage((TextPart("hi"),)),))


async def fail(url: str, key: str = KEY, **settings: Any) -> ModelError:
    given = {"type": "openai", "model": "qwen-max", "base_url": url, **settings}
    built = build_model(ModelSettings.model_validate(given), {"OPENAI_API_KEY": key})
    try:
        async with asyncio.timeout(10):
            with pytest.raises(ModelError) as caught:
                await drain(built.stream(REQUEST))
    finally:
        await built.aclose()
    return caught.value


async def drain(events: AsyncIterator[ModelEvent]) -> None:
    async for _ in events:
        pass


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"error": {"message": "bad", "type": "t", "code": "c"}}, "bad", "c"),
        ({"error": {"message": "bad", "type": "t", "code": None}}, "bad", "t"),
        ({"error": "bad"}, "bad", "400"),
        ({"code": "InvalidParameter", "message": "bad", "request_id": "r"}, "bad", "InvalidParameter"),
        ({"detail": "bad"}, "bad", "400"),
        ({"detail": [{"loc": ["body", "n"], "msg": "too big"}]}, "['body', 'n']: too big", "400"),
        ([{"error": {"code": 400, "message": "bad", "status": "INVALID"}}], "bad", "400"),
        ("<html><head><title>Bad Gateway</title></head><body>x</body></html>", "Bad Gateway", "400"),
        ("plain words", "plain words", "400"),
        ("", "Bad Request", "400"),
        ('"text"', "text", "400"),
    ],
)
async def test_error_bodies_of_every_shape_are_read(wire: Wire, body: object, message: str, code: str) -> None:
    wire.reply(body, 400)
    error = await fail(wire.url)
    assert error.message == f"OpenAI model 'qwen-max' refused (400): {message}" or body == '"text"'
    assert message in error.message
    assert (error.status, error.code, error.retryable) == (400, code, False)


@pytest.mark.parametrize(
    ("status", "body", "retryable", "says"),
    [
        (401, {}, False, r"check the key in the ModelConfig's apiKeySecret \(OPENAI_API_KEY\)"),
        (403, {}, False, "OPENAI_API_KEY"),
        (404, {"error": {"message": "no such model"}}, False, "check the model name and the base URL"),
        (429, {}, True, ""),
        (429, {"error": {"code": "insufficient_quota", "message": "x"}}, False, "no quota left"),
        (400, {"error": {"message": "This model's maximum context length is 8192"}}, False, "start a new session"),
        (413, {}, False, "start a new session"),
        (500, {}, True, ""),
        (503, {}, True, ""),
        (529, {}, True, ""),
    ],
)
async def test_what_to_do_next_depends_on_the_refusal(
    wire: Wire, status: int, body: object, retryable: bool, says: str
) -> None:
    wire.reply(body, status)
    error = await fail(wire.url)
    assert error.retryable is retryable
    if says:
        with pytest.raises(ModelError, match=says):
            raise error


async def test_a_key_that_the_provider_echoes_is_masked(wire: Wire) -> None:
    wire.reply({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)
    error = await fail(wire.url)
    assert KEY not in str(error)
    assert "***" in str(error)


async def test_a_redirect_is_told_and_never_followed_with_the_key(wire: Wire) -> None:
    wire.answers.append((b"HTTP/1.1 308 X\r\nLocation: https://elsewhere/v1\r\nContent-Length: 0\r\n\r\n", 0))
    error = await fail(wire.url)
    assert "'https://elsewhere/v1'" in error.remedy
    assert not error.retryable
    assert len(wire.seen) == 1


async def test_without_a_key_the_remedy_is_to_give_one(wire: Wire) -> None:
    wire.reply({}, 401)
    assert "no key was sent" in (await fail(wire.url, key="")).remedy


def test_dashscope_without_its_compatible_path_is_told_the_right_one() -> None:
    wrong = Endpoint("OpenAI", "qwen-max", "https://dashscope-intl.aliyuncs.com/api/v1/chat/completions")
    error = from_response(404, {}, b"", wrong, KEY)
    assert "https://dashscope-intl.aliyuncs.com/compatible-mode/v1" in error.remedy
    right = Endpoint("OpenAI", "qwen-max", "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions")
    assert "compatible-mode" not in from_response(401, {}, b"", right, KEY).remedy


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({}, None),
        ({"Retry-After": format_datetime(datetime.now(UTC) - timedelta(hours=1))}, 0.0),
    ],
)
def test_the_wait_that_a_provider_asks_for_is_passed_on(headers: dict[str, str], seconds: float | None) -> None:
    assert from_response(429, headers, b"", Endpoint("OpenAI", "m", "https://a"), KEY).retry_after == seconds


def test_a_wait_until_a_date_is_counted_from_now() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    error = from_response(503, {"Retry-After": later}, b"", Endpoint("OpenAI", "m", "https://a"), KEY)
    assert error.retry_after is not None
    assert 3500 < error.retry_after <= 3600


async def test_nobody_at_the_address_names_it() -> None:
    error = await fail("http://127.0.0.1:1/v1")
    assert "cannot connect to http://127.0.0.1:1" in str(error)
    assert "is it running there?" in str(error)
    assert (error.code, error.retryable) == ("unreachable", True)


async def test_a_web_page_instead_of_an_api_is_told(wire: Wire) -> None:
    wire.reply("<html>welcome</html>")
    error = await fail(wire.url)
    assert "sent a web page" in str(error)
    assert "OpenAI-compatible" in error.remedy


async def test_an_error_inside_a_stream_is_told(wire: Wire) -> None:
    wire.stream({"error": {"message": "The server is overloaded", "code": "overloaded"}})
    error = await fail(wire.url)
    assert "broke off: The server is overloaded" in str(error)
    assert error.retryable


async def test_silence_is_a_timeout(wire: Wire) -> None:
    wire.raw(200, "", "text/event-stream", length=10)
    error = await fail(wire.url, timeout=0.05)
    assert error.code == "timeout"
    assert "openAI.timeout" in error.remedy


def test_an_untrusted_certificate_names_the_setting_that_helps() -> None:
    import aiohttp
    from aiohttp.client_reqrep import ConnectionKey

    key = ConnectionKey("a", 443, True, True, None, None, None)
    error = aiohttp.ClientConnectorCertificateError(key, ssl.SSLCertVerificationError("self-signed"))
    told = from_network(error, Endpoint("OpenAI", "m", "https://a/v1"))
    assert "tls.caCertSecretRef" in told.remedy
    assert not told.retryable


async def test_frames_are_found_in_any_spelling_of_the_stream() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in (b": ping\r\n\r\nevent: x\nda", b"ta:{1}\r\n\r\n\n", b"data: a\ndata: b\n\ndata: last"):
            yield piece

    assert [data async for data in server_sent(chunks())] == [b"{1}", b"a\nb", b"last"]


async def test_the_session_opens_again_after_it_was_closed(wire: Wire) -> None:
    connection = Connection(Endpoint("OpenAI", "m", wire.url))
    for _ in range(2):
        wire.reply({})
        async with connection.post({}, "") as response:
            assert response.status == 200
        await connection.aclose()
    assert wire.connections == 2
