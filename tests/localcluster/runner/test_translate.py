"""What is rewritten in a container's words, and what must stay."""

from __future__ import annotations

import pytest

from kagent_localcluster.runner.translate import expand, translate

PORTS = {8080: 20_001, 3000: 20_002}
MOUNTS = {"/config": "/data/pods/u/volumes/config", "/config/tls": "/data/pods/u/volumes/tls"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("8080", "20001"),
        (":8080", ":20001"),
        ("--port=8080", "--port=20001"),
        ("-p=3000", "-p=20002"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "127.0.0.1"),
        ("--host=0.0.0.0", "--host=127.0.0.1"),
        ("0.0.0.0:8080", "127.0.0.1:20001"),
        ("[::]:8080", "127.0.0.1:20001"),
        ("*:8080", "127.0.0.1:20001"),
        ("--listen=localhost:3000", "--listen=localhost:20002"),
        ("http://localhost:8080/x?y=1", "http://localhost:20001/x?y=1"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:20001"),
        ("https://127.0.0.1:3000/", "https://127.0.0.1:20002/"),
        ("/config", "/data/pods/u/volumes/config"),
        ("/config/a.json", "/data/pods/u/volumes/config/a.json"),
        ("/config/tls/key", "/data/pods/u/volumes/tls/key"),
        ("--file=/config/a.json", "--file=/data/pods/u/volumes/config/a.json"),
        ("/config:/config", "/data/pods/u/volumes/config:/data/pods/u/volumes/config"),
    ],
)
def test_a_declared_port_an_address_to_bind_or_a_mount_path_as_a_whole_value_is_replaced(
    word: str, expected: str
) -> None:
    assert translate([word], PORTS, MOUNTS) == [expected]


@pytest.mark.parametrize(
    "word",
    [
        "8081",
        "--port=9000",
        "http://other.ns:8080",
        "http://other.ns:8080/config",
        "localhost",
        "http://localhost:11434/v1",
        "127.0.0.1:11434",
        "gpt-8080",
        "v8080",
        "*",
        "",
        "/configuration",
        "/etc/config",
        "the file /config",
        "8080/tcp",
        "localhost8080",
    ],
)
def test_anything_else_stays(word: str) -> None:
    assert translate([word], PORTS, {"/config": "/real"}) == [word]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("$(HOST):1", "h:1"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(HOST)", "$(HOST)"),
        ("$HOST ${HOST}", "$HOST ${HOST}"),
        ("$(HOST)$(HOST)", "hh"),
        ("cost: 5$", "cost: 5$"),
    ],
)
def test_variables_expand_as_in_kubernetes(value: str, expected: str) -> None:
    assert expand(value, {"HOST": "h"}) == expected
