"""One container of a Pod: prepared, started, probed, restarted, ended; its state as the API shows it.

The state is changed here and nowhere else, and every change is told to the Pod, which writes it. A container never
decides about its Pod: it reports, the Pod judges.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from kagent_localcluster.runner.backoff import Backoff, BackoffRules
from kagent_localcluster.runner.environment import ConfigProblem
from kagent_localcluster.runner.fields import at, mapping, number, text
from kagent_localcluster.runner.images import ImageMap, ImageRule
from kagent_localcluster.runner.launch import CannotStart, Launch, Surroundings, plan_command
from kagent_localcluster.runner.listening import ListeningWatch
from kagent_localcluster.runner.logs import LogWriter, last_lines
from kagent_localcluster.runner.metadata import now
from kagent_localcluster.runner.pod_ports import PodPorts
from kagent_localcluster.runner.ports import NoFreePort
from kagent_localcluster.runner.probes import Outcome, attempt, watch_health, watch_start
from kagent_localcluster.runner.process import Process
from kagent_localcluster.runner.volumes import VolumeProblem
from kagent_localcluster.seams import JsonObject

__all__ = ["Container", "ContainerHost", "ContainerPaths"]

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 4_096  # the kubelet's limits for a termination message and for the log lines that replace it
LOG_MESSAGE_LIMIT, LOG_MESSAGE_LINES = 2_048, 80
START_ERROR = 128
UNKNOWN_EXIT = 255
RETRY_FIRST, RETRY_LAST = 1.0, 5.0  # seconds between tries to configure a container
BEGINNING = "1970-01-01T00:00:00Z"

RestartPolicy = Literal["Always", "OnFailure", "Never"]


class ContainerHost(Protocol):
    """What a container needs of its Pod."""

    @property
    def title(self) -> str:
        """``NAME_NAMESPACE(UID)``, as messages name a Pod."""
        ...

    @property
    def ports(self) -> PodPorts: ...

    @property
    def images(self) -> ImageMap: ...

    def plan(self, container: JsonObject, rule: ImageRule) -> tuple[Launch, Surroundings]:
        """Work out what to start.

        Raises:
            ConfigProblem, VolumeProblem, NoFreePort: it cannot be configured now.
            CannotStart: its program is not here.
        """
        ...

    def changed(self) -> None:
        """Have the Pod's status written soon."""
        ...

    def event(self, reason: str, message: str, *, warning: bool = False, container: str = "") -> None: ...


@dataclass(frozen=True)
class ContainerPaths:
    """The files of one container."""

    logs: Path
    message: Path


class Container:
    """A container's runs, one after the other."""

    def __init__(
        self,
        host: ContainerHost,
        spec: JsonObject,
        *,
        restart: RestartPolicy,
        grace: float,
        paths: ContainerPaths,
        rules: BackoffRules,
        mark: str,
        previous: JsonObject,
        waiting: str,
    ) -> None:
        self.name = text(spec, "name")
        self.spec = spec
        self.restarts = number(previous, "restartCount")
        self.state: JsonObject = {"waiting": {"reason": waiting}}
        self.last_state: JsonObject = mapping(previous, "lastState")
        self.ready = False
        self.started = False
        self.process: Process | None = None
        self.identity = text(previous, "containerID")
        self.log: LogWriter | None = None
        self.finished = asyncio.Event()
        self.running = asyncio.Event()
        self._host = host
        self._restart = restart
        self._grace = grace
        self._paths = paths
        self._rules = rules
        self._backoff = Backoff(rules)
        self._redefined = False
        self._mark = mark
        self._stopping = False
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._launched: tuple[Launch, Surroundings] | None = None
        self._probes: list[asyncio.Task[None]] = []
        self._endings: set[asyncio.Task[int]] = set()
        self._remember(mapping(previous, "state"))

    def start(self) -> None:
        """Begin the first run; ``finished`` is set when no further run will follow."""
        self._task = asyncio.create_task(self._runs(), name=f"container {self._host.title}/{self.name}")

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last run, None unless the container is in state terminated."""
        return number(self.state, "terminated", "exitCode") if "terminated" in self.state else None

    def poke(self) -> None:
        """Try again at once where configuration was missing something."""
        self._poked.set()

    def redefine(self, spec: JsonObject) -> None:
        """Take over a changed image: the present run ends, and the next is of the new one whatever the policy says."""
        self.spec = spec
        self._backoff = Backoff(self._rules)
        if self.process is not None and not self._stopping:
            self._redefined = True
            self._kill("", why=f"Container {self.name} definition changed, will be restarted")
        self.poke()

    async def stop(self, grace: float) -> None:
        """End the container for good: hook, SIGTERM, and force when the grace period is over."""
        self._stopping = True
        self._end_probes()
        process = self.process
        begun = time.monotonic()
        if process is not None:
            self._host.event("Killing", f"Stopping container {self.name}", container=self.name)
            await self._stop_hook(grace)
            await process.end(max(0.0, grace - (time.monotonic() - begun)))
        elif self._task is not None:
            self._task.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])

    def skip(self) -> None:
        """Report an init container done whose work this machine does not need."""
        stamp = now()
        self.state = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": stamp, "finishedAt": stamp}}
        self.finished.set()
        self._host.changed()

    def port(self, declared: object) -> int:
        """Return the real port for a probe's port.

        Raises:
            ValueError: the Pod has no port of this name.
        """
        real = self._host.ports.resolve(declared)
        if real is None:
            raise ValueError(f"no port named '{declared}' in the Pod")
        return real

    async def run(self, command: list[str], timeout: float) -> Outcome:
        """Run a command as an exec probe or hook does."""
        if self._launched is None:
            return Outcome(False, "the container is not running")
        output = bytearray()
        try:
            process = Process.start(plan_command(command, self.spec, *self._launched), self._mark, output.extend)
        except (CannotStart, OSError) as error:
            return Outcome(False, str(error))
        try:
            async with asyncio.timeout(timeout):
                code = await process.wait()
        except TimeoutError:
            return Outcome(False, f"command timed out after {timeout:g} s")
        finally:
            await process.end_alone()
        shown = bytes(output[-300:]).decode(errors="replace").strip()
        return Outcome(code == 0, "" if code == 0 else f"exit code {code}: {shown}")

    async def _runs(self) -> None:
        try:
            while not self._stopping:
                ran = await self._one_run()
                again, self._redefined = self._redefined, False
                if self._stopping or not (again or self._restarts_after(self.exit_code or 0)):
                    return
                await self._wait_before_restart(ran)
        finally:
            self._end_probes()
            self.finished.set()
            self._host.changed()

    async def _one_run(self) -> float:
        """Run once; returns how many seconds the program ran."""
        try:
            launch, _ = self._launched = await self._configured()
        except CannotStart as error:
            return self._fail_to_start(error)
        self._count_run()
        image = text(self.spec, "image")
        present = f'Container image "{image}" already present on machine and can be accessed by the pod'
        self._host.event("Pulled", present, container=self.name)
        log = self._open_log()
        try:
            process = Process.start(launch, self._mark, log.write)
        except OSError as error:
            log.close()
            return self._fail_to_start(error, counted=True)
        begun = time.monotonic()
        self.process = process
        self.identity = f"process://{process.pid}"
        self._host.event("Created", "Container created", container=self.name)
        self._show_running()
        watch = ListeningWatch(self._host, self.spec, process)
        self._start_probes(watch)
        try:
            code = await process.wait()
        finally:
            self._end_probes()
            self.ready = self.started = False
            await process.sweep()
            self.process = None
            log.close()
        hint = watch.explain_exit(code, last_lines(log.path, LOG_MESSAGE_LINES, LOG_MESSAGE_LIMIT))
        self._show_ended(code, "Completed" if code == 0 else "Error", self._message(code, log.path, hint))
        return time.monotonic() - begun

    async def _configured(self) -> tuple[Launch, Surroundings]:
        """Wait until the container can be configured."""
        delay = RETRY_FIRST
        while True:
            self._poked.clear()
            rule = self._host.images.find(text(self.spec, "image"))
            if rule is None:
                self._show_unknown_image()
            else:
                try:
                    return self._host.plan(self.spec, rule)
                except ConfigProblem as problem:
                    self._show_waiting("CreateContainerConfigError", str(problem), event="Failed")
                except VolumeProblem as problem:
                    self._show_waiting("ContainerCreating", str(problem), event="FailedMount")
                except NoFreePort as problem:
                    self._show_waiting("CreateContainerError", str(problem), event="Failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._poked.wait()
            delay = min(delay * 2, RETRY_LAST)

    def _show_unknown_image(self) -> None:
        image = text(self.spec, "image")
        message = (
            f"image '{image}' cannot run here: the local cluster starts programs of this machine and has no container "
            "engine, and no rule of its image map fits this image. Use an image that has a rule, add a rule for this "
            "one, or apply this manifest to a cluster with a container engine"
        )
        first = text(self.state, "waiting", "reason") not in ("ErrImagePull", "ImagePullBackOff")
        self._show_waiting("ErrImagePull" if first else "ImagePullBackOff", message, event="Failed" if first else "")

    def _open_log(self) -> LogWriter:
        self._paths.logs.mkdir(parents=True, exist_ok=True)
        for old in self._paths.logs.iterdir():
            number_of_run = old.name.split(".", 1)[0]
            if number_of_run.isdigit() and int(number_of_run) < self.restarts - 1:
                old.unlink(missing_ok=True)
        self._paths.message.parent.mkdir(parents=True, exist_ok=True)
        self._paths.message.write_bytes(b"")
        self.log = LogWriter(self._paths.logs / f"{self.restarts}.log")
        return self.log

    def _start_probes(self, watch: ListeningWatch) -> None:
        self._probes = [
            asyncio.create_task(self._probed(), name=f"probes {self._host.title}/{self.name}"),
            asyncio.create_task(watch.run(lambda: self.ready), name=f"ports {self._host.title}/{self.name}"),
        ]

    def _end_probes(self) -> None:
        for task in self._probes:
            task.cancel()
        self._probes = []

    async def _probed(self) -> None:
        """Run startup probe, then liveness and readiness probes until cancelled."""
        try:
            if not await self._start_hook():
                return self._kill("postStart hook")
            startup = mapping(self.spec, "startupProbe")
            if startup:
                on_failure = self._unhealthy("Startup")
                if not await watch_start(startup, self, on_failure=on_failure):
                    return self._kill("startup probe", grace=startup)
            self.started = True
            self.running.set()
            self._host.changed()
            async with asyncio.TaskGroup() as group:
                self._begin_health(group)
        except Exception:
            logger.exception("probes of %s/%s failed", self._host.title, self.name)

    def _begin_health(self, group: asyncio.TaskGroup) -> None:
        readiness, liveness = mapping(self.spec, "readinessProbe"), mapping(self.spec, "livenessProbe")
        if not readiness:
            self._set_ready(True)
        else:
            group.create_task(
                watch_health(
                    readiness,
                    self,
                    healthy=False,
                    on_change=lambda healthy, _: self._set_ready(healthy),
                    on_failure=self._unhealthy("Readiness"),
                    early=True,
                )
            )
        if liveness:
            group.create_task(
                watch_health(
                    liveness,
                    self,
                    healthy=True,
                    on_change=lambda healthy, _: None if healthy else self._kill("liveness probe", grace=liveness),
                    on_failure=self._unhealthy("Liveness"),
                    early=False,
                )
            )

    def _unhealthy(self, kind: str) -> Callable[[Outcome], None]:
        def told(outcome: Outcome) -> None:
            message = f"{kind} probe failed: {outcome.message}"
            self._host.event("Unhealthy", message, warning=True, container=self.name)

        return told

    def _set_ready(self, ready: bool) -> None:
        if not self._stopping and ready != self.ready:
            self.ready = ready
            self._host.changed()

    def _kill(self, failed: str, *, grace: JsonObject | None = None, why: str = "") -> None:
        """End the run because a probe or hook says so (or for another reason, which ``why`` tells).

        The restart policy decides about the next run. ``grace`` is the probe, which may have a grace period of its own.
        """
        process = self.process
        if process is None or self._stopping:
            return
        message = why or f"Container {self.name} failed {failed}, will be restarted"
        self._host.event("Killing", message, container=self.name)
        self.ready = False
        self._host.changed()
        seconds = at(grace or {}, "terminationGracePeriodSeconds")
        ending = asyncio.create_task(process.end(float(seconds) if isinstance(seconds, int) else self._grace))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _hook(self, name: str, limit: float) -> Outcome | None:
        action = mapping(self.spec, "lifecycle", name)
        if not action or limit <= 0:
            return None
        if "sleep" in action:
            await asyncio.sleep(min(number(action, "sleep", "seconds"), limit))
            return Outcome(True)
        return await attempt({**action, "timeoutSeconds": max(1, math.ceil(limit))}, self)

    async def _stop_hook(self, grace: float) -> None:
        outcome = await self._hook("preStop", grace)
        if outcome is not None and not outcome.ok:
            self._host.event("FailedPreStopHook", outcome.message, warning=True, container=self.name)

    async def _start_hook(self) -> bool:
        outcome = await self._hook("postStart", self._grace)
        if outcome is None or outcome.ok:
            return True
        self._host.event("FailedPostStartHook", outcome.message, warning=True, container=self.name)
        return False

    async def _wait_before_restart(self, ran: float) -> None:
        delay = self._backoff.after_run(ran)
        self._remember(self.state)
        if delay > 0:
            what = f"back-off {delay:g}s restarting failed container={self.name} pod={self._host.title}"
            self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": what}}
            self._host.changed()
            message = f"Back-off restarting failed container {self.name} in pod {self._host.title}"
            self._host.event("BackOff", message, warning=True, container=self.name)
            await asyncio.sleep(delay)

    def _restarts_after(self, code: int) -> bool:
        return self._restart == "Always" or (self._restart == "OnFailure" and code != 0)

    def keep(self, ended: JsonObject) -> None:
        """Leave the container as it ended under an earlier process of the local cluster; it runs no more."""
        self.last_state = {}
        self.state = {"terminated": ended}
        self.finished.set()

    def _remember(self, state: JsonObject) -> None:
        """Make an ended run the last one."""
        if "terminated" in state:
            self.last_state = {"terminated": state["terminated"]}
        elif "running" in state:
            begun = text(state, "running", "startedAt", default=BEGINNING)
            ended = {"exitCode": UNKNOWN_EXIT, "reason": "Unknown", "startedAt": begun, "finishedAt": now()}
            self.last_state = {"terminated": ended}

    def _show_waiting(self, reason: str, message: str, *, event: str = "") -> None:
        state: JsonObject = {"waiting": {"reason": reason, "message": message}}
        if state == self.state:
            return
        self.state = state
        self._host.changed()
        if event:
            shown = message if event == "FailedMount" else f"Error: {message}"
            self._host.event(event, shown, warning=True, container=self.name)

    def _show_running(self) -> None:
        self.state = {"running": {"startedAt": now()}}
        self._host.event("Started", "Container started", container=self.name)
        self._host.changed()

    def _show_ended(self, code: int, reason: str, message: str) -> None:
        begun = text(self.state, "running", "startedAt", default=BEGINNING)
        ended: JsonObject = {"exitCode": code, "reason": reason, "startedAt": begun, "finishedAt": now()}
        if self.identity:
            ended["containerID"] = self.identity
        if message:
            ended["message"] = message
        self.state = {"terminated": ended}
        self._host.changed()

    def _count_run(self) -> None:
        self.restarts += bool(self.last_state)

    def _fail_to_start(self, error: Exception, *, counted: bool = False) -> float:
        """Report a program that could not be started, as a run of no time."""
        if not counted:
            self._count_run()
        self._show_ended(START_ERROR, "StartError", str(error))
        self._host.event("Failed", f"Error: {error}", warning=True, container=self.name)
        return 0.0

    def _message(self, code: int, log: Path, hint: str) -> str:
        """Return the termination message; a failed program that left none is quoted by its last log lines.

        FallbackToLogsOnError is the rule for everybody here: the fixed path of the message file cannot be served
        without root, so most programs cannot write one.
        """
        with contextlib.suppress(OSError):
            written = self._paths.message.read_bytes()[-MESSAGE_LIMIT:].decode(errors="replace")
            if written:
                return written
        quoted = last_lines(log, LOG_MESSAGE_LINES, LOG_MESSAGE_LIMIT) if code else ""
        return f"{hint}\n{quoted}".strip() if hint else quoted
