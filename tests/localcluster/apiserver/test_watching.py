"""Watches: what they begin with, what they show, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import orjson

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.apiserver.kinds import Kind, builtin_kinds
from kagent_localcluster.seams import JsonObject, Resource

CONFIGMAPS = Resource("", "v1", "configmaps")
PATH = "/api/v1/namespaces/default/configmaps"

Served = tuple[ApiServer, httpx.AsyncClient]


def config(name: str, value: str = "1", **labels: str) -> JsonObject:
    return {"metadata": {"name": name, "labels": labels}, "data": {"v": value}}


async def events(client: httpx.AsyncClient, path: str = PATH, **query: str) -> AsyncIterator[JsonObject]:
    async with client.stream("GET", path, params={"watch": "true", **query}, timeout=10) as answer:
        async for line in answer.aiter_lines():
            yield orjson.loads(line)


async def take(stream: AsyncIterator[JsonObject], count: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(10):
        async for event in stream:
            found.append((event["type"], event["object"]["metadata"].get("name", "")))
            if len(found) == count:
                return found
    return found


async def test_a_watch_goes_on_from_a_list(served: Served) -> None:
    api, client = served
    version = (await client.get(PATH)).json()["metadata"]["resourceVersion"]
    made = api.objects.create(CONFIGMAPS, "default", config("a"))
    stream = events(client, resourceVersion=version)
    assert await take(stream, 1) == [("ADDED", "a")]
    api.objects.update(CONFIGMAPS, "default", "a", {**made, "data": {"v": "2"}})
    api.objects.delete(CONFIGMAPS, "default", "a")
    assert await take(stream, 2) == [("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_without_a_version_begins_with_what_is_there(served: Served) -> None:
    api, client = served
    api.objects.create(CONFIGMAPS, "default", config("a"))
    assert await take(events(client), 2) == [("ADDED", "a"), ("ADDED", "kube-root-ca.crt")]


async def test_objects_come_into_a_selection_and_leave_it(served: Served) -> None:
    api, client = served
    stream = events(client, labelSelector="in=yes")
    made = api.objects.create(CONFIGMAPS, "default", config("a"))
    inside = api.objects.update(CONFIGMAPS, "default", "a", {**made, **config("a", "2", **{"in": "yes"})})
    assert await take(stream, 1) == [("ADDED", "a")]
    api.objects.update(CONFIGMAPS, "default", "a", {**inside, "metadata": {**inside["metadata"], "labels": {}}})
    assert await take(stream, 1) == [("DELETED", "a")]


async def test_a_streaming_list_ends_with_a_marked_bookmark(served: Served) -> None:
    _, client = served
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    found: list[JsonObject] = []
    async with asyncio.timeout(10):
        async for event in events(client, **query):
            found.append(event)
            if event["type"] == "BOOKMARK":
                break
    assert [event["type"] for event in found] == ["ADDED", "BOOKMARK"]
    assert found[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_bookmark_is_a_table_s_row_of_every_kind(served: Served) -> None:
    _, client = served
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true",
             "watch": "true", "timeoutSeconds": "1", "fieldSelector": "metadata.name=none"}  # fmt: skip
    accept = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
    paths = [path_of(kind) for kind in builtin_kinds() if kind.stored]
    assert len(paths) > 20
    answers = await asyncio.gather(*(client.get(path, params=query, headers=accept) for path in paths))
    for path, answer in zip(paths, answers, strict=True):
        (event,) = [orjson.loads(line) for line in answer.text.splitlines()]
        (row,) = event["object"]["rows"]
        assert (event["type"], len(row["cells"])) == ("BOOKMARK", len(event["object"]["columnDefinitions"])), path


def path_of(kind: Kind) -> str:
    root = f"/apis/{kind.group}" if kind.group else "/api"
    return f"{root}/{kind.version}/{kind.plural}"


async def test_a_watch_ends_in_time_with_a_bookmark(served: Served) -> None:
    _, client = served
    version = (await client.get(PATH)).json()["metadata"]["resourceVersion"]
    stream = events(client, resourceVersion=version, timeoutSeconds="3", allowWatchBookmarks="true")
    assert await take(stream, 2) == [("BOOKMARK", "")]


async def test_a_watch_too_short_for_a_bookmark_has_none(served: Served) -> None:
    _, client = served
    assert await take(events(client, resourceVersion="0", timeoutSeconds="1", allowWatchBookmarks="true"), 9) == [
        ("ADDED", "kube-root-ca.crt")
    ]


async def test_a_version_that_was_compacted_is_gone(served: Served) -> None:
    api, client = served
    made = api.objects.create(CONFIGMAPS, "default", config("a", "0"))
    for number in range(1_100):
        made["data"] = {"v": f"n{number}"}
        made = api.objects.update(CONFIGMAPS, "default", "a", made)
    async with asyncio.timeout(10):
        async for event in events(client, resourceVersion="2"):
            assert event["type"] == "ERROR"
            assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_watches_end_when_the_server_stops(served: Served) -> None:
    api, client = served
    stream = events(client)
    await take(stream, 1)
    api.begin_shutdown()
    async with asyncio.timeout(5):
        assert [event async for event in stream] == []


async def test_a_table_watch_tells_its_columns_once(served: Served) -> None:
    api, client = served
    api.objects.create(CONFIGMAPS, "default", config("a"))
    client.headers["accept"] = "application/json;as=Table;v=v1;g=meta.k8s.io"
    tables: list[JsonObject] = []
    async with asyncio.timeout(10):
        async for event in events(client):
            tables.append(event["object"])
            if len(tables) == 2:
                break
    assert [bool(table["columnDefinitions"]) for table in tables] == [True, False]
    assert tables[0]["rows"][0]["cells"][:2] == ["a", 1]


async def test_a_hundred_watchers_each_see_every_change_in_order(served: Served) -> None:
    api, _ = served
    resource = Resource("", "v1", "configmaps")
    seen: list[list[str]] = [[] for _ in range(100)]

    async def follow(index: int) -> None:
        async for event in api.objects.watch(resource, "default"):
            if event.object["metadata"]["name"] == "a":
                seen[index].append(event.object["data"]["v"])
                if event.object["data"]["v"] == "last":
                    return

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for index in range(100):
            group.create_task(follow(index))
        await asyncio.sleep(0)
        made = api.objects.create(CONFIGMAPS, "default", config("a", "0"))
        for value in ("1", "2", "3", "last"):
            made = api.objects.update(CONFIGMAPS, "default", "a", {**made, "data": {"v": value}})
            await asyncio.sleep(0)
    assert all(values == ["0", "1", "2", "3", "last"] for values in seen)
