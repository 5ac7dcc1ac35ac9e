"""Tools from several sources under names of their own, and what the model reads of their results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kagent_engine.events import Ask, Warned
from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.tools.base import Answer, CallContext, Decision, Tool, ToolResult, text_result
from kagent_engine.tools.results import model_text
from kagent_engine.tools.toolbox import collect

CONTEXT = CallContext("u", "s")


class Named:
    def __init__(self, name: str, says: str = "") -> None:
        self.spec = ToolSpec(name, "", {"type": "object"})
        self.says = says

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        return text_result(f"{self.says}{call.name} {call.arguments}")


class Source:
    def __init__(self, *tools: Tool, warning: str = "") -> None:
        self._tools = tools
        self._warnings = [Warned("down", warning, warning)] if warning else []

    async def tools(self, context: CallContext) -> tuple[Sequence[Tool], Sequence[Warned]]:
        return self._tools, self._warnings

    async def aclose(self) -> None: ...


async def called(box: Any, name: str, answer: Answer | None = None) -> Any:
    tool = box.find(name)
    assert tool is not None
    return await tool.call(ToolCall("c", name, {"a": 1}), CONTEXT, answer)


async def test_a_name_that_is_taken_gets_a_number_and_its_server_still_hears_its_own() -> None:
    box = await collect([Source(Named("search", "A ")), Source(Named("search", "B "), Named("other"))], CONTEXT)

    assert [spec.name for spec in box.specs] == ["search", "search_2", "other"]
    assert (await called(box, "search")).content == "A search {'a': 1}"
    assert (await called(box, "search_2")).content == "B search {'a': 1}"


async def test_names_that_models_refuse_are_made_acceptable() -> None:
    box = await collect([Source(Named("files/read file.v2"), Named("x" * 80))], CONTEXT)

    assert [spec.name for spec in box.specs] == ["files_read_file_v2", "x" * 64]
    assert (await called(box, "files_read_file_v2")).content.startswith("files/read file.v2")


async def test_what_is_missing_comes_back_as_warnings() -> None:
    box = await collect([Source(warning="gone"), Source(Named("here"))], CONTEXT)

    assert [item.source for item in box.warnings] == ["gone"]
    assert list(box.by_name) == ["here"]


async def test_approval_is_by_the_servers_name_and_edits_reach_the_tool() -> None:
    box = await collect(
        [Source(Named("drop")), Source(Named("drop"), Named("read"))], CONTEXT, require_approval=["drop"]
    )

    asked = await called(box, "drop_2")
    assert isinstance(asked, Ask)
    assert isinstance(await called(box, "read"), ToolResult)
    edited = Answer(asked, Decision(True, arguments={"a": 2}))
    assert (await called(box, "drop_2", edited)).content == "drop {'a': 2}"
    refused = await called(box, "drop", Answer(asked, Decision(False, "because")))
    assert "because" in refused.content


def test_a_long_result_is_cut_in_the_middle_and_kept_whole_elsewhere() -> None:
    text, cut = model_text({"result": "a" * 50 + "b" * 50}, limit=30)

    assert cut
    assert text.startswith("a" * 20)
    assert text.endswith("b" * 10)
    assert "70 characters" in text
    result = text_result("x" * 200_000)
    assert result.truncated
    assert len(result.content) < 101_000
    assert len(result.response["result"]) == 200_000


def test_mcp_content_becomes_text_and_binary_is_only_named() -> None:
    content = [
        {"type": "text", "text": "one"},
        {"type": "image", "mimeType": "image/png", "data": "QUJD" * 10},
        {"type": "resource", "resource": {"uri": "file:///x", "text": "inside"}},
        {"type": "resource_link", "uri": "http://x/y"},
    ]

    assert model_text({"content": content})[0].splitlines() == [
        "one", "[image: image/png, 30 bytes]", "inside", "[resource_link: http://x/y]",
    ]  # fmt: skip
    assert model_text({"content": [], "structuredContent": {"n": 1}})[0] == '{"n": 1}'
    assert model_text({"status": "ok"})[0] == '{"status": "ok"}'
