"""Real ports: below the ephemeral range, never two for one, remembered and reclaimed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kagent_localcluster.runner.pod_ports import PodPorts
from kagent_localcluster.runner.ports import NoFreePort, Ports, below_ephemeral, bindable
from kagent_localcluster.seams import JsonObject


@pytest.fixture
def span() -> range:
    """A few ports that nobody uses now, outside the range from which connections get theirs meanwhile."""
    last = below_ephemeral().stop
    spans = (range(first, first + 6) for first in range(last - 6, last - 6_000, -6))
    return next(span for span in spans if all(bindable(port) for port in span))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("32768\t60999\n", range(20_000, 32_768)),
        ("15000 60999", range(10_000, 15_000)),
        ("1024 60999", range(61_000, 65_536)),
        ("nonsense", range(20_000, 32_768)),
    ],
)
def test_ports_are_chosen_beside_the_range_that_the_system_hands_out(
    tmp_path: Path, content: str, expected: range
) -> None:
    source = tmp_path / "range"
    source.write_text(content)
    assert below_ephemeral(source) == expected


def test_a_port_that_was_given_back_is_not_handed_out_next(tmp_path: Path, span: range) -> None:
    ports = Ports(tmp_path / "ports", span)
    first = ports.take()
    ports.give_back(first)
    assert ports.take() != first


def test_a_port_that_somebody_listens_on_is_left_out(tmp_path: Path, span: range) -> None:
    with socket.create_server(("127.0.0.1", span.start)):
        assert Ports(tmp_path / "ports", span).take() != span.start


def test_a_new_run_forgets_marks_of_ports_that_are_free_and_goes_on_behind_them(tmp_path: Path, span: range) -> None:
    taken = Ports(tmp_path / "ports", span).take()
    again = Ports(tmp_path / "ports", span)
    assert again.take() != taken
    everything = {again.take() for _ in range(len(span) - 1)}
    assert taken in everything


def test_a_full_range_is_an_error_that_says_so(tmp_path: Path, span: range) -> None:
    ports = Ports(tmp_path / "ports", span[:1])
    ports.take()
    with pytest.raises(NoFreePort, match="no free port"):
        ports.take()


def pod(*containers: JsonObject, **spec: object) -> JsonObject:
    return {"spec": {"containers": list(containers), **spec}}


def test_declared_and_probed_ports_get_real_ones_and_others_stand_for_themselves(tmp_path: Path, span: range) -> None:
    body = pod(
        {"ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": {"httpGet": {"port": "http"}}},
        {"livenessProbe": {"tcpSocket": {"port": 9000}}},
    )
    ports = PodPorts(Ports(tmp_path / "ports", span), body)
    ports.take()
    assert ports.real.keys() == {8080, 9000}
    assert ports.resolve("http") == ports.resolve(8080) == ports.resolve("8080") in span
    assert ports.resolve(7000) == 7000
    assert ports.resolve("grpc") is None


def test_a_host_port_and_the_hosts_network_are_taken_as_they_are(tmp_path: Path, span: range) -> None:
    ports = PodPorts(Ports(tmp_path / "ports", span), pod({"ports": [{"containerPort": 80, "hostPort": 18_081}]}))
    ports.take()
    assert ports.resolve(80) == 18_081
    host = PodPorts(Ports(tmp_path / "ports", span), pod({"ports": [{"containerPort": 80}]}, hostNetwork=True))
    host.take()
    assert host.resolve(80) == 80


def test_an_adopted_port_gives_the_chosen_one_back(tmp_path: Path, span: range) -> None:
    book = Ports(tmp_path / "ports", span[:1])
    ports = PodPorts(book, pod({"ports": [{"containerPort": 8080}]}))
    ports.take()
    ports.adopt(8080)
    assert ports.resolve(8080) == 8080
    assert book.take() == span.start


def test_a_port_that_a_stranger_took_is_left_to_him(tmp_path: Path) -> None:
    container: JsonObject = {"name": "c", "ports": [{"containerPort": 8080}]}
    ports = PodPorts(Ports(tmp_path / "ports"), {"spec": {"containers": [container]}})
    ports.take()
    first = ports.real[8080]
    ports.leave_to_strangers(container)
    assert ports.real[8080] == first
    with socket.create_server(("127.0.0.1", first)):
        ports.leave_to_strangers(container)
        assert ports.real[8080] != first
