"""What is rewritten in a container's words, and what must stay."""

from __future__ import annotations

import pytest

from kagent_localcluster.runner.translate import expand, translate, translate_command

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
        ("$(echo $(HOST))", "$(echo $(HOST))"),
        ("$$$(HOST)", "$h"),
    ],
)
def test_variables_expand_as_in_kubernetes(value: str, expected: str) -> None:
    assert expand(value, {"HOST": "h"}) == expected


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["sh", "-c", "cat /config/a.txt"], "cat /data/pods/u/volumes/config/a.txt"),
        (["/bin/bash", "-ec", "echo x>/config/x; exec f"], "echo x>/data/pods/u/volumes/config/x; exec f"),
        (["sh", "-c", 'uvicorn a:b --host 0.0.0.0 --port "8080"'], 'uvicorn a:b --host 127.0.0.1 --port "20001"'),
        (["sh", "-e", "-c", "[ -f '/config/tls/key' ] && run"], "[ -f '/data/pods/u/volumes/tls/key' ] && run"),
        (["sh", "-c", "curl http://other.ns:8080/config"], "curl http://other.ns:8080/config"),
        (["sh", "-c", "ls /configuration $HOME/config"], "ls /configuration $HOME/config"),
        (
            ["sh", "-c", 'cat ${DIR}/config "$DIR"/config $(pwd)/config'],
            'cat ${DIR}/config "$DIR"/config $(pwd)/config',
        ),
        (
            ["sh", "-c", "'/config/run' $(cat /config/a)"],
            "'/data/pods/u/volumes/config/run' $(cat /data/pods/u/volumes/config/a)",
        ),
        (["python", "-c", "open('/config/a')"], "open('/config/a')"),
    ],
)
def test_the_words_of_a_shells_script_are_translated_one_by_one(argv: list[str], expected: str) -> None:
    translated = translate_command(argv, PORTS, MOUNTS)
    assert translated == [*argv[:-1], expected]


def test_a_shell_without_a_script_is_translated_as_any_command() -> None:
    assert translate_command(["sh", "/config/run.sh", "8080"], PORTS, MOUNTS) == [
        "sh",
        "/data/pods/u/volumes/config/run.sh",
        "20001",
    ]
    assert translate_command(["sh", "-c"], PORTS, MOUNTS) == ["sh", "-c"]
