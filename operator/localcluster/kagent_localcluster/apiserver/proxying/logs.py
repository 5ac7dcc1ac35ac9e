"""``pods/NAME/log``: which container is meant, and its bytes as they come."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator

from kagent_localcluster.apiserver.jsonvalue import dig, objects_at
from kagent_localcluster.apiserver.meta import parse_time
from kagent_localcluster.apiserver.web.messages import Query, Request, send_stream
from kagent_localcluster.errors import BadRequest, Cause, Invalid, MethodNotAllowed, ServiceUnavailable
from kagent_localcluster.seams import JsonObject, LogOptions, PodBackend

__all__ = ["NO_NODE", "serve_log"]

NO_NODE = "no node is running in this local cluster: it serves the API only"


async def serve_log(request: Request, backend: PodBackend | None, pod: JsonObject) -> None:
    """Answer a log request for a Pod.

    Raises:
        BadRequest: no such container, several and none named, or one that has not started yet.
        Invalid: an option makes no sense.
        MethodNotAllowed: anything but GET.
        ServiceUnavailable: there is no runner.
    """
    if request.method != "GET":
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    metadata = pod["metadata"]
    options = _options(request.query, pod)
    if backend is None:
        raise ServiceUnavailable(NO_NODE)
    if not options.previous:
        _refuse_waiting(pod, options.container)
    chunks = backend.logs(metadata["namespace"], metadata["name"], options)
    limit = request.query.number("limitBytes")
    await send_stream(request, chunks if limit is None else _first_bytes(chunks, limit), "text/plain")


def _options(query: Query, pod: JsonObject) -> LogOptions:
    name = pod["metadata"]["name"]
    tail, since = query.number("tailLines"), query.number("sinceSeconds")
    text = query.get("sinceTime")
    moment = parse_time(text) if text else None
    if text and moment is None:
        raise BadRequest(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')
    _check(name, tail, since, query.number("limitBytes"), both=since is not None and moment is not None)
    if moment is not None:
        since = max(0, int((datetime.datetime.now(datetime.UTC) - moment).total_seconds()))
    container = _container(query.get("container"), pod)
    return LogOptions(
        container=container,
        follow=query.flag("follow"),
        previous=query.flag("previous"),
        tail_lines=tail,
        since_seconds=since,
        timestamps=query.flag("timestamps"),
    )


def _check(name: str, tail: int | None, since: int | None, limit: int | None, *, both: bool) -> None:
    """Refuse options as Kubernetes' ValidatePodLogOptions does."""
    causes = [
        Cause(field, f"Invalid value: {value}: must be {words}")
        for field, value, least, words in (
            ("tailLines", tail, 0, "greater than or equal to 0"),
            ("limitBytes", limit, 1, "greater than 0"),
            ("sinceSeconds", since, 1, "greater than 0"),
        )
        if value is not None and value < least
    ]
    if both:
        message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("[]", message, "FieldValueForbidden"))
    if causes:
        listed = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
        text = f"[{listed}]" if len(causes) > 1 else listed
        raise Invalid(
            f'PodLogOptions "{name}" is invalid: {text}', kind="PodLogOptions", name=name, causes=tuple(causes)
        )


def _container(wanted: str, pod: JsonObject) -> str:
    """Return the container that is meant: without a name the only one, whatever init containers there are."""
    name = pod["metadata"]["name"]
    regular, first, extra = (
        [container["name"] for container in objects_at(pod, "spec", field)]
        for field in ("containers", "initContainers", "ephemeralContainers")
    )
    if not wanted and len(regular) == 1:
        return regular[0]
    if not wanted:
        also = f" or one of the init containers: [{' '.join(first)}]" if first else ""
        raise BadRequest(
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(regular)}]{also}"
        )
    if wanted not in (*regular, *first, *extra):
        raise BadRequest(f"container {wanted} is not valid for pod {name}")
    return wanted


def _refuse_waiting(pod: JsonObject, container: str) -> None:
    states = [
        *(objects_at(pod, "status", "containerStatuses")),
        *(objects_at(pod, "status", "initContainerStatuses")),
    ]
    state = next((item for item in states if item.get("name") == container), None)
    waiting = dig(state, "state", "waiting")
    # After a crash the last run's log is still there to read.
    if waiting is not None and dig(state, "lastState", "terminated") is None:
        reason = waiting.get("reason") or "ContainerCreating"
        raise BadRequest(
            f'container "{container}" in pod "{pod["metadata"]["name"]}" is waiting to start: '
            f"{waiting.get('message') or reason}"
        )


async def _first_bytes(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        if len(chunk) >= limit:
            yield chunk[:limit]
            return
        limit -= len(chunk)
        yield chunk
