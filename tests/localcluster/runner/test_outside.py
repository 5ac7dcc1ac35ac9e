"""The person's own proxies: when they are used, and what of them a Pod learns."""

from __future__ import annotations

import pytest

from kagent_localcluster.runner.proxy.outside import Outside

SETTINGS = {
    "http": "http://user:p%40ss@proxy.corp:3128",
    "https": "http://proxy.corp:3129",
    "no": "localhost,.corp.example,10.0.0.0/8,kagent,svc,.cluster.local,exact.example:8443,*.wild.example",
}


@pytest.mark.parametrize(
    ("scheme", "host", "port", "proxied"),
    [
        ("http", "example.org", 80, True),
        ("https", "example.org", 443, True),
        ("http", "127.0.0.1", 80, False),
        ("http", "build.corp.example", 80, False),
        ("http", "10.1.2.3", 80, False),
        ("https", "exact.example", 8443, False),
        ("https", "exact.example", 443, True),
        ("http", "a.wild.example", 80, False),
        ("http", "notcorp.example", 80, True),
    ],
)
def test_exceptions_are_honoured(scheme: str, host: str, port: int, proxied: bool) -> None:
    assert (Outside.from_settings(SETTINGS).proxy_for(scheme, host, port) is not None) is proxied


def test_credentials_are_decoded_for_the_header() -> None:
    proxy = Outside.from_settings(SETTINGS).proxy_for("http", "example.org", 80)
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.authorization) == ("proxy.corp", 3128, "Basic dXNlcjpwQHNz")


def test_a_pod_goes_through_us_for_http_and_as_the_person_does_for_https() -> None:
    variables = Outside.from_settings(SETTINGS).pod_variables("http://me:tok@127.0.0.1:1")
    assert variables["HTTP_PROXY"] == variables["http_proxy"] == "http://me:tok@127.0.0.1:1"
    assert variables["ws_proxy"] == variables["http_proxy"]
    assert variables["NODE_USE_ENV_PROXY"] == "1"
    assert variables["HTTPS_PROXY"] == "http://proxy.corp:3129"
    exceptions = variables["NO_PROXY"].split(",")
    assert exceptions[:3] == ["localhost", "127.0.0.1", "::1"]
    assert ".corp.example" in exceptions
    assert not {"kagent", "svc", ".cluster.local"} & set(exceptions)


def test_without_proxies_everything_goes_straight() -> None:
    outside = Outside.from_settings({})
    assert outside.proxy_for("http", "example.org", 80) is None
    assert "HTTPS_PROXY" not in outside.pod_variables("http://x")


def test_a_socks_proxy_is_left_to_the_program() -> None:
    outside = Outside.from_settings({"all": "socks5://127.0.0.1:1080"})
    assert outside.proxy_for("http", "example.org", 80) is None
