from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import pytest

from kagent_api.kube import (
    Access,
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeClient,
    KubeError,
    NotFound,
    ServerBusy,
    Unauthorized,
    Unreachable,
    WatchEvent,
)
from kagent_api.kube.resources import AGENTS, NAMESPACES, PODS, SERVICES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .conftest import FakeApi


def event(kind: str, name: str, version: str, **extra: object) -> bytes:
    obj = {"kind": "Agent", "metadata": {"name": name, "namespace": "ns", "resourceVersion": version}, **extra}
    return json.dumps({"type": kind, "object": obj}, ensure_ascii=False).encode() + b"\n"


async def watched(client: KubeClient, seen: list[WatchEvent] | None = None, **options: Any) -> list[WatchEvent]:
    seen = [] if seen is None else seen
    events = cast("AsyncGenerator[WatchEvent]", client.watch(AGENTS, "ns", **options))
    async with asyncio.timeout(5), aclosing(events):
        async for item in events:
            seen.append(item)
    return seen


async def test_a_list_follows_its_pages_and_names_kind_and_version_of_each_item(
    api: FakeApi, client: KubeClient
) -> None:
    api.reply({"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [{"metadata": {"name": "a"}}]})
    api.reply({"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "b"}}]})
    found = await client.list(AGENTS, "ns", label_selector="app=x", limit=1)
    assert [item["metadata"]["name"] for item in found.items] == ["a", "b"]
    assert {(item["apiVersion"], item["kind"]) for item in found.items} == {("kagent.dev/v1alpha2", "Agent")}
    assert found.resource_version == "7"
    assert api.requests[0].path == "/apis/kagent.dev/v1alpha2/namespaces/ns/agents"
    assert api.requests[1].query == {"labelSelector": "app=x", "limit": "1", "continue": "more"}


async def test_a_continue_token_that_expired_is_answered_by_one_whole_list(api: FakeApi, client: KubeClient) -> None:
    api.reply({"metadata": {"resourceVersion": "7", "continue": "old"}, "items": [{"metadata": {"name": "a"}}]})
    api.refuse(410, "Expired", "continue token expired")
    api.reply(
        {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}
    )
    found = await client.list(AGENTS, "ns")
    assert [item["metadata"]["name"] for item in found.items] == ["a", "b"]
    assert api.requests[2].query == {}


@pytest.mark.parametrize("size", [0, 1, 7])
async def test_watch_events_survive_any_split_of_the_stream(api: FakeApi, client: KubeClient, size: int) -> None:
    data = event("ADDED", "小助手", "1") + event("BOOKMARK", "", "2") + event("DELETED", "小助手", "3")
    api.stream(data, size=size)
    found = await watched(client, resource_version="0")
    assert [item.type for item in found] == ["ADDED", "BOOKMARK", "DELETED"]
    assert found[0].object["metadata"]["name"] == "小助手"
    assert api.requests[0].query == {
        "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": "300", "resourceVersion": "0",
    }  # fmt: skip


async def test_an_object_of_megabytes_in_small_pieces_arrives_whole(api: FakeApi, client: KubeClient) -> None:
    text = "x" * 3_000_000
    api.stream(event("ADDED", "big", "1", spec={"text": text}), size=65_536)
    found = await watched(client)
    assert found[0].object["spec"]["text"] == text


async def test_a_watch_cut_at_any_byte_gives_whole_events_then_unreachable(api: FakeApi, client: KubeClient) -> None:
    data = event("ADDED", "a", "1")
    for length in (*range(0, len(data), 9), len(data)):
        api.stream(data[:length], end="cut")
        seen: list[WatchEvent] = []
        with pytest.raises(Unreachable):
            await watched(client, seen)
        assert len(seen) == (length == len(data)), "an event counts once its newline has come"


async def test_a_stream_that_ends_inside_an_event_is_no_event(api: FakeApi, client: KubeClient) -> None:
    api.stream(event("ADDED", "a", "1") + event("ADDED", "b", "2")[:20])
    seen: list[WatchEvent] = []
    with pytest.raises(Unreachable, match="cut off in the middle"):
        await watched(client, seen)
    assert [item.object["metadata"]["name"] for item in seen] == ["a"]


async def test_a_stale_version_raises_gone_as_status_and_as_event(api: FakeApi, client: KubeClient) -> None:
    api.refuse(410, "Expired", "too old resource version: 1 (9)")
    with pytest.raises(Gone, match="too old"):
        await watched(client, resource_version="1")
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    api.stream(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
    with pytest.raises(Gone):
        await watched(client, resource_version="1")


async def test_a_watch_says_when_it_is_accepted_before_any_event(api: FakeApi, client: KubeClient) -> None:
    opened = asyncio.Event()
    api.stream(b"", end="hold")

    async def follow() -> None:
        async for _ in client.watch(AGENTS, on_open=opened.set):
            pass

    task = asyncio.create_task(follow())
    async with asyncio.timeout(5):
        await opened.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (404, "NotFound", NotFound), (409, "Conflict", Conflict), (409, "AlreadyExists", AlreadyExists),
        (403, "Forbidden", Forbidden), (401, "Unauthorized", Unauthorized), (422, "Invalid", Invalid),
        (400, "BadRequest", Invalid), (410, "Expired", Gone), (503, "ServiceUnavailable", ServerBusy),
        (500, "InternalError", KubeError), (504, "Timeout", KubeError),
    ],
)  # fmt: skip
async def test_a_refusal_is_typed_and_names_the_object(
    api: FakeApi, client: KubeClient, status: int, reason: str, kind: type[KubeError]
) -> None:
    api.refuse(status, reason, "the server's words")
    with pytest.raises(KubeError) as caught:
        await client.get(AGENTS, "bot", "ns")
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert str(caught.value).startswith("Agent ns/bot: the server's words")


async def test_causes_name_the_fields(api: FakeApi, client: KubeClient) -> None:
    causes = [{"field": "spec.type", "message": "Unsupported value", "reason": "FieldValueNotSupported"}]
    api.refuse(422, "Invalid", "bad", causes=causes)
    with pytest.raises(Invalid) as caught:
        await client.create(AGENTS, {"metadata": {"name": "bot", "namespace": "ns"}})
    assert [(cause.field, cause.message) for cause in caught.value.causes] == [("spec.type", "Unsupported value")]


async def test_a_forbidden_call_says_which_right_is_missing(api: FakeApi, client: KubeClient) -> None:
    api.refuse(403, "Forbidden", "no")
    with pytest.raises(Forbidden, match=r"allows list on agents\.kagent\.dev in namespace ns"):
        await client.list(AGENTS, "ns")


async def test_a_page_that_is_no_status_becomes_the_message(api: FakeApi, client: KubeClient) -> None:
    api.reply(b"upstream connect error", status=502)
    with pytest.raises(KubeError, match="upstream connect error"):
        await client.get(AGENTS, "bot", "ns")


async def test_success_that_is_no_object_is_an_error(api: FakeApi, client: KubeClient) -> None:
    api.reply(b"<html>welcome to the portal</html>")
    with pytest.raises(KubeError, match="no Kubernetes object"):
        await client.get(AGENTS, "bot", "ns")


async def test_busy_is_asked_again_as_told_and_then_given_up(api: FakeApi) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with KubeClient(Access(server=api.url), env={}, sleep=sleep) as client:
        api.reply({"reason": "TooManyRequests"}, 429, Retry_After="3")
        api.reply({"kind": "Agent"})
        assert await client.update(AGENTS, {"metadata": {"name": "bot"}}) == {"kind": "Agent"}
        for _ in range(4):
            api.reply({"reason": "TooManyRequests", "message": "later"}, 429, Retry_After="99")
        with pytest.raises(ServerBusy) as caught:
            await client.update(AGENTS, {"metadata": {"name": "bot"}})
    assert caught.value.retry_after == 99
    assert waits == [3, 10, 10, 10]


async def test_a_write_is_not_repeated_when_the_connection_breaks_but_a_read_is(
    api: FakeApi, client: KubeClient
) -> None:
    api.drop()
    with pytest.raises(Unreachable):
        await client.create(AGENTS, {"metadata": {"name": "bot"}})
    assert len(api.requests) == 1
    api.drop()
    api.reply({"kind": "Agent"})
    assert await client.get(AGENTS, "bot") == {"kind": "Agent"}


async def test_nobody_there_is_unreachable_and_names_the_server() -> None:
    async with KubeClient(Access(server="http://127.0.0.1:1"), env={}) as client:
        with pytest.raises(Unreachable, match=r"to http://127\.0\.0\.1:1: Connection refused \(is the cluster running"):
            await client.version()


async def test_writes_carry_path_query_and_content_type(api: FakeApi, client: KubeClient) -> None:
    obj: dict[str, Any] = {
        "metadata": {"name": "bot", "namespace": "ns", "managedFields": [{}]},
        "spec": {"type": "BYO"},
    }
    for _ in range(6):
        api.reply({})
    await client.create(AGENTS, obj, dry_run=True)
    await client.update(AGENTS, obj, subresource="status")
    await client.patch(AGENTS, "bot", {"spec": None}, "ns")
    await client.patch(AGENTS, "bot", [{"op": "remove", "path": "/spec"}], "ns", kind="json")
    await client.apply(AGENTS, obj, field_manager="me", force=True)
    await client.delete(AGENTS, "bot", "ns", uid="u1")
    base = "/apis/kagent.dev/v1alpha2/namespaces/ns/agents"
    seen = [(r.method, r.path, r.query, r.headers["content-type"]) for r in api.requests]
    assert seen == [
        ("POST", base, {"dryRun": "All", "fieldValidation": "Strict"}, "application/json"),
        ("PUT", f"{base}/bot/status", {}, "application/json"),
        ("PATCH", f"{base}/bot", {}, "application/merge-patch+json"),
        ("PATCH", f"{base}/bot", {}, "application/json-patch+json"),
        ("PATCH", f"{base}/bot", {"fieldManager": "me", "force": "true", "fieldValidation": "Strict"},
         "application/apply-patch+yaml"),
        ("DELETE", f"{base}/bot", {}, "application/json"),
    ]  # fmt: skip
    applied = api.requests[4].json
    assert applied["apiVersion"] == "kagent.dev/v1alpha2"
    assert "managedFields" not in applied["metadata"]
    assert "managedFields" in obj["metadata"], "the caller's object is left alone"
    assert api.requests[5].json["preconditions"] == {"uid": "u1"}


async def test_an_object_without_a_namespace_goes_to_the_one_of_the_context(api: FakeApi) -> None:
    async with KubeClient(Access(server=api.url + "/k8s/clusters/c1", namespace="team"), env={}) as client:
        for _ in range(2):
            api.reply({})
        await client.get(PODS, "p")
        await client.get(NAMESPACES, "n")
        url = client.service_url("kagent", "kagent-controller", 8083, "/api/a2a/ns/bot/")
    assert [r.path for r in api.requests] == [
        "/k8s/clusters/c1/api/v1/namespaces/team/pods/p", "/k8s/clusters/c1/api/v1/namespaces/n",
    ]  # fmt: skip
    assert url == (
        f"{api.url}/k8s/clusters/c1/api/v1/namespaces/kagent/services/kagent-controller:8083/proxy/api/a2a/ns/bot/"
    )


async def test_log_lines_come_whole_and_empty_ones_stay(api: FakeApi, client: KubeClient) -> None:
    api.stream("eins\n\n日志\nlast".encode(), size=4)
    lines = [line async for line in client.logs("p", "ns", container="c", follow=True, tail_lines=5)]
    assert lines == ["eins", "", "日志", "last"]
    assert api.requests[0].query == {"container": "c", "follow": "true", "tailLines": "5"}


async def test_served_resources_leave_subresources_out(api: FakeApi, client: KubeClient) -> None:
    api.reply({"resources": [{"name": "agents"}, {"name": "agents/status"}]})
    assert await client.resources("kagent.dev/v1alpha2") == {"agents"}
    api.reply({}, status=404)
    assert await client.resources("kagent.dev/v9") == set()


async def test_many_watches_do_not_block_other_calls(api: FakeApi, client: KubeClient) -> None:
    for _ in range(120):
        api.stream(b"", end="hold")

    async def follow() -> None:
        async for _ in client.watch(SERVICES):
            pass

    tasks = [asyncio.create_task(follow()) for _ in range(120)]
    await api.request(120)
    api.reply({"gitVersion": "v1"})
    async with asyncio.timeout(5):
        assert await client.version() == {"gitVersion": "v1"}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
