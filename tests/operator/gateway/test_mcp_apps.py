"""MCP Apps through the gateway, from a real MCP server on loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from mcp.server import Server
from mcp_types import (
    CallToolResult,
    ListToolsResult,
    ReadResourceResult,
    TextContent,
    TextResourceContents,
    Tool,
)
from starlette.types import ASGIApp

from kagent_operator.gateway import create_app
from kagent_operator.reconcile.discovery import Target, ToolServerSession, connected
from kagent_operator.store import Store

if TYPE_CHECKING:
    from .conftest import Cluster

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
UI = {"ui": {"resourceUri": "ui://weather/map"}}
HTML = "text/html;profile=mcp-app"


def weather() -> ASGIApp:
    async def list_tools(_: Any, params: Any) -> ListToolsResult:
        if not (params and params.cursor):
            tool = Tool(name="map", description="a map", input_schema=SCHEMA, _meta=UI)
            return ListToolsResult(tools=[tool], next_cursor="2")
        hidden = Tool(name="forecast", input_schema=SCHEMA, _meta={"ui": {"visibility": ["model"]}})
        return ListToolsResult(tools=[hidden])

    async def call_tool(_: Any, params: Any) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=f"{params.name} of {params.arguments['city']}")])

    async def read(_: Any, params: Any) -> ReadResourceResult:
        kind = HTML if params.uri == "ui://weather/map" else "text/plain"
        return ReadResourceResult(contents=[TextResourceContents(uri=params.uri, mime_type=kind, text="<p>map</p>")])

    server: Server[Any] = Server("weather", on_list_tools=list_tools, on_call_tool=call_tool, on_read_resource=read)
    return server.streamable_http_app()


class Access:
    """One server, whatever it is called."""

    def __init__(self, url: str) -> None:
        self._url = url

    def open(self, kind: str, namespace: str, name: str) -> AbstractAsyncContextManager[ToolServerSession]:
        assert (kind, namespace, name) == ("RemoteMCPServer", "kagent", "weather")
        return connected(Target(url=self._url, timeout=10), apps=True)


@pytest.fixture
async def client(
    cluster: Cluster, store: Store, serve: Callable[[ASGIApp], Awaitable[str]]
) -> AsyncGenerator[httpx.AsyncClient]:
    cluster.others["RemoteMCPServer"] = [
        {"kind": "RemoteMCPServer", "metadata": {"namespace": "kagent", "name": "weather"}, "spec": {}}
    ]
    app = create_app(agents=cluster, store=store, tool_servers=Access(f"{await serve(weather())}/mcp"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/api/mcp-apps/kagent/") as opened:
        yield opened


async def test_tools_of_every_page_are_listed_with_their_apps(client: httpx.AsyncClient) -> None:
    listed = (await client.get("weather/tools")).json()["data"]
    assert listed[0] == {
        "name": "map", "description": "a map", "inputSchema": SCHEMA, "_meta": UI, "uiResourceUri": "ui://weather/map",
    }  # fmt: skip
    assert [tool["name"] for tool in listed] == ["map", "forecast"]


async def test_an_app_calls_a_tool_that_it_may_see(client: httpx.AsyncClient) -> None:
    answer = await client.post("weather/tools/map/call", json={"arguments": {"city": "Oslo"}})
    assert answer.json()["data"]["content"][0]["text"] == "map of Oslo"
    assert (await client.post("weather/tools/forecast/call", json={"arguments": {}})).status_code == 403
    assert (await client.post("weather/tools/nope/call")).status_code == 404
    assert (await client.post("weather/tools/map/call", json={"arguments": []})).status_code == 400


async def test_only_apps_are_read(client: httpx.AsyncClient) -> None:
    found = (await client.get("weather/resources", params={"uri": "ui://weather/map"})).json()["data"]
    assert found["contents"][0]["text"] == "<p>map</p>"
    assert (await client.get("weather/resources", params={"uri": "ui://weather/other"})).status_code == 422
    for query in ({}, {"uri": "file:///etc/passwd"}):
        assert (await client.get("weather/resources", params=query)).status_code == 400


async def test_a_server_that_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    assert (await client.get("other/tools")).status_code == 404
