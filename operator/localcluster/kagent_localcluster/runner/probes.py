"""One probe of a container: http, tcp, grpc or exec, tried until its program has ended.

Probes start at once: the declared initial delay is an upper bound, since a program that answers earlier is ready
earlier. Before the first success a probe is tried every 50 to 100 ms, afterwards at its declared period, so that an
access log is not flooded. Failures before the initial delay has passed never count.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from kagent_localcluster.runner.fields import at, items, mapping, number, strings, text
from kagent_localcluster.runner.grpc_health import Health, check_health
from kagent_localcluster.seams import JsonObject

__all__ = [
    "Outcome",
    "ProbeSettings",
    "ProbeTarget",
    "attempt",
    "http_status",
    "settings_of",
    "watch_health",
    "watch_start",
]

FAST, SLOW = 0.05, 0.1  # seconds between tries before the first success
FAST_FOR, SLOW_FOR = 3.0, 30.0
EXEC_GAP = 0.25  # a process per try costs more than a connection
READ_LIMIT = 10 * 1024


@dataclass(frozen=True)
class Outcome:
    """What one try gave; the message is for the Unhealthy event."""

    ok: bool
    message: str = ""


@dataclass(frozen=True)
class ProbeSettings:
    """The timing of a probe, in seconds and counts."""

    initial_delay: float
    period: float
    timeout: float
    successes: int
    failures: int
    is_exec: bool


class ProbeTarget(Protocol):
    """What a probe may ask of its container."""

    def port(self, declared: object) -> int:
        """Return the real port for a container port's number or name."""
        ...

    async def run(self, command: list[str], timeout: float) -> Outcome:
        """Run a command as the container would."""
        ...


def settings_of(probe: JsonObject) -> ProbeSettings:
    return ProbeSettings(
        initial_delay=number(probe, "initialDelaySeconds"),
        period=max(1, number(probe, "periodSeconds", default=10)),
        timeout=max(1, number(probe, "timeoutSeconds", default=1)),
        successes=max(1, number(probe, "successThreshold", default=1)),
        failures=max(1, number(probe, "failureThreshold", default=3)),
        is_exec="exec" in probe,
    )


async def attempt(probe: JsonObject, target: ProbeTarget) -> Outcome:
    """Try a probe once; never raises."""
    limit = settings_of(probe).timeout
    try:
        async with asyncio.timeout(limit):
            if "exec" in probe:
                return await target.run(strings(probe, "exec", "command"), limit)
            if "httpGet" in probe:
                return await _http(mapping(probe, "httpGet"), target)
            if "tcpSocket" in probe:
                return await _tcp(mapping(probe, "tcpSocket"), target)
            if "grpc" in probe:
                return await _grpc(mapping(probe, "grpc"), target)
            return Outcome(False, "the probe has none of httpGet, tcpSocket, grpc and exec")
    except TimeoutError:
        return Outcome(False, f"no answer within {limit:g} s")
    except ConnectionRefusedError:
        return Outcome(False, "connection refused")
    except OSError as error:
        return Outcome(False, error.strerror or type(error).__name__)
    except ValueError as error:
        return Outcome(False, str(error))


async def watch_start(
    probe: JsonObject,
    target: ProbeTarget,
    *,
    on_failure: Callable[[Outcome], None],
) -> bool:
    """Try until the first success; returns False when the probe's own limit has passed before it.

    ``on_failure`` hears one failure a period, none within the initial delay and the first period: a program that is
    merely starting is no news.
    """
    settings = settings_of(probe)
    begun = time.monotonic()
    limit = settings.initial_delay + settings.period * settings.failures
    reported = settings.initial_delay + settings.period
    while True:
        outcome = await attempt(probe, target)
        if outcome.ok:
            return True
        passed = time.monotonic() - begun
        if passed >= reported:
            reported = passed + settings.period
            on_failure(outcome)
        if passed >= limit:
            return False
        await asyncio.sleep(_gap(settings, passed))


async def watch_health(
    probe: JsonObject,
    target: ProbeTarget,
    *,
    healthy: bool,
    on_change: Callable[[bool, Outcome], Awaitable[None] | None],
    on_failure: Callable[[Outcome], None],
    early: bool,
) -> None:
    """Try until cancelled and tell every change of health, by the probe's thresholds.

    With ``early`` an unhealthy container is tried often until its first success (readiness); otherwise tries begin
    after the initial delay (liveness).
    """
    settings = settings_of(probe)
    begun = time.monotonic()
    reported = settings.initial_delay + settings.period if early else 0.0
    ever = healthy
    good = bad = 0
    if not early:
        await asyncio.sleep(settings.initial_delay)
    while True:
        outcome = await attempt(probe, target)
        good, bad = (good + 1, 0) if outcome.ok else (0, bad + 1)
        passed = time.monotonic() - begun
        if not outcome.ok and passed >= reported:
            reported = passed + settings.period * 0.9
            on_failure(outcome)
        flipped = good >= settings.successes if not healthy else bad >= settings.failures
        if flipped:
            healthy = not healthy
            ever = ever or healthy
            told = on_change(healthy, outcome)
            if told is not None:
                await told
        await asyncio.sleep(_gap(settings, passed) if early and not ever else settings.period)


async def http_status(
    host: str,
    port: int,
    path: str,
    *,
    headers: list[tuple[str, str]] | None = None,
    tls: bool = False,
) -> tuple[int, str]:
    """Return status and the beginning of the body of one GET.

    Raises:
        OSError: no connection.
        ValueError: the answer is no HTTP.
    """
    context = ssl.create_default_context() if tls else None
    if context is not None:  # a kubelet does not check a probe's certificate either
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, port, ssl=context, limit=READ_LIMIT)
    try:
        lines = [f"GET {path if path.startswith('/') else '/' + path} HTTP/1.1"]
        sent = {name.lower() for name, _ in headers or []}
        lines += [f"{name}: {value}" for name, value in headers or []]
        lines += [] if "host" in sent else [f"Host: localhost:{port}"]
        lines += [] if "user-agent" in sent else ["User-Agent: kube-probe/local"]
        lines += ["Accept: */*", "Connection: close", "", ""]
        writer.write("\r\n".join(lines).encode())
        head = await reader.readline()
        words = head.split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            raise ValueError(f"port {port} does not speak HTTP")
        while (await reader.readline()).strip():
            pass
        status = int(words[1])
        body = b"" if 200 <= status < 400 else await reader.read(300)
        return status, body.decode(errors="replace")
    finally:
        writer.close()


async def _http(action: JsonObject, target: ProbeTarget) -> Outcome:
    port = target.port(action.get("port"))
    headers = [(text(header, "name"), text(header, "value")) for header in items(action, "httpHeaders")]
    host = text(action, "host") or "127.0.0.1"
    tls = text(action, "scheme").upper() == "HTTPS"
    status, body = await http_status(host, port, text(action, "path") or "/", headers=headers, tls=tls)
    if 200 <= status < 400:
        return Outcome(True)
    return Outcome(
        False, f"HTTP probe failed with statuscode: {status}" + (f" ({body.strip()[:200]})" if body.strip() else "")
    )


async def _tcp(action: JsonObject, target: ProbeTarget) -> Outcome:
    host = text(action, "host") or "127.0.0.1"
    _reader, writer = await asyncio.open_connection(host, target.port(at(action, "port")))
    writer.close()
    return Outcome(True)


async def _grpc(action: JsonObject, target: ProbeTarget) -> Outcome:
    health = await check_health("127.0.0.1", target.port(at(action, "port")), text(action, "service"))
    return Outcome(health == Health.SERVING, f'service unhealthy (responded with "{health.name}")')


def _gap(settings: ProbeSettings, passed: float) -> float:
    if settings.is_exec:
        return EXEC_GAP if passed < SLOW_FOR else settings.period
    if passed < FAST_FOR:
        return FAST
    return SLOW if passed < SLOW_FOR else min(1.0, settings.period)
