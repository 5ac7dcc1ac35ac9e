"""``pods/NAME/log``: which container is meant, and its bytes as they come."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator

from kagent_localcluster.apiserver.jsonvalue import dig, objects_at
from kagent_localcluster.apiserver.meta import parse_time
from kagent_localcluster.apiserver.web.messages import Query, Request, send_stream
from kagent_localcluster.errors import BadRequest, MethodNotAllowed
from kagent_localcluster.seams import JsonObject, LogOptions, PodBackend

__all__ = ["serve_log"]


async def serve_log(request: Request, backend: PodBackend, pod: JsonObject) -> None:
    """Answer a log request for a Pod.

    Raises:
        BadRequest: no such container, several and none named, or one that has not started yet.
        MethodNotAllowed: anything but GET.
    """
    if request.method != "GET":
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    metadata = pod["metadata"]
    options = _options(request.query, pod)
    if not options.previous:
        _refuse_waiting(pod, options.container)
    chunks = backend.logs(metadata["namespace"], metadata["name"], options)
    limit = request.query.number("limitBytes")
    await send_stream(request, chunks if limit is None else _first_bytes(chunks, limit), "text/plain")


def _options(query: Query, pod: JsonObject) -> LogOptions:
    name = pod["metadata"]["name"]
    names = [
        container["name"]
        for field in ("containers", "initContainers", "ephemeralContainers")
        for container in objects_at(pod, "spec", field)
    ]
    container = query.get("container")
    if not container:
        regular = [item["name"] for item in objects_at(pod, "spec", "containers")]
        if len(names) > 1:
            raise BadRequest(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")
        container = regular[0]
    if container not in names:
        raise BadRequest(f"container {container} is not valid for pod {name}")
    tail, since = query.number("tailLines"), query.number("sinceSeconds")
    for field, value in (("tailLines", tail), ("sinceSeconds", since), ("limitBytes", query.number("limitBytes"))):
        if value is not None and value < 0:
            raise BadRequest(f"{field}: Invalid value: {value}: must be greater than or equal to 0")
    if text := query.get("sinceTime"):
        moment = parse_time(text)
        if moment is None:
            raise BadRequest(f'sinceTime: Invalid value: "{text}": must be an RFC 3339 time')
        since = max(0, int((datetime.datetime.now(datetime.UTC) - moment).total_seconds()))
    return LogOptions(
        container=container,
        follow=query.flag("follow"),
        previous=query.flag("previous"),
        tail_lines=tail,
        since_seconds=since,
        timestamps=query.flag("timestamps"),
    )


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
