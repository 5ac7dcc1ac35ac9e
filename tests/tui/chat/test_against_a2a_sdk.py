"""Our wire against a2a-sdk's own server over real sockets, in both versions."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from a2a.helpers import new_data_part, new_task_from_user_message, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandlerV2
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface
from starlette.applications import Starlette

from kagent_api.errors import ObjectRef
from kagent_tui.chat.conversation import CancelOutcome, Conversation
from kagent_tui.chat.events import ChatEvent, Done, TextDelta, ToolCall, TurnState, UserMessage
from kagent_tui.chat.target import ChatTarget, url_target
from kagent_tui.chat.transcript import AnswerEntry, Transcript


class Scripted(AgentExecutor):
    """Streams words; 'wait' goes on for ever, 'ask' pauses, and the reply to that ends it."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        text = context.get_user_input()
        if context.current_task is None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        assert context.task_id is not None
        assert context.context_id is not None
        task = TaskUpdater(event_queue, context.task_id, context.context_id)
        await task.start_work()
        if text == "ask":
            await task.requires_input(task.new_agent_message([new_text_part("Which city?")]))
            return
        call = new_data_part({"id": "c1", "name": "lookup", "args": {"count": 3, "share": 0.5}})
        call.metadata.update({"adk_type": "function_call"})
        await task.add_artifact([call], last_chunk=True)
        for index, word in enumerate(("東京 ", "is ", "fine.")):
            await task.add_artifact([new_text_part(word)], artifact_id="answer", append=index > 0)
        if text == "wait":
            await asyncio.Event().wait()
        await task.add_artifact([new_text_part("東京 is fine.")], artifact_id="answer", append=False, last_chunk=True)
        await task.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        assert context.context_id is not None
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


@asynccontextmanager
async def served(*versions: str) -> AsyncGenerator[str]:
    """Serve the agent with a card that lists these versions."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    interfaces = [AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=each) for each in versions]
    card = AgentCard(
        name="scripted", version="1", supported_interfaces=interfaces, capabilities=AgentCapabilities(streaming=True)
    )
    handler = DefaultRequestHandlerV2(Scripted(), InMemoryTaskStore(), card)
    routes = [*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/", enable_v0_3_compat=True)]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield url
    finally:
        server.should_exit = True
        # A waiting stream would hold the server's end up.
        server.force_exit = True
        await serving


@pytest.fixture(params=["1.0", "0.3"])
async def chat(request: pytest.FixtureRequest) -> AsyncGenerator[Conversation]:
    async with asyncio.timeout(30), served(request.param) as url:
        conversation = Conversation(await url_target(url, "", "scripted"))
        yield conversation
        await conversation.aclose()


async def collect(events: AsyncGenerator[ChatEvent]) -> list[ChatEvent]:
    return [event async for event in events]


def shown(events: list[ChatEvent]) -> str:
    transcript = Transcript()
    for event in events:
        transcript.apply(event)
    return "|".join(entry.text for entry in transcript.entries if isinstance(entry, AnswerEntry))


async def test_a_turn_streams_and_ends(chat: Conversation) -> None:
    events = await collect(chat.send("hello"))
    assert shown(events) == "東京 is fine."
    [call] = [event for event in events if isinstance(event, ToolCall)]
    assert call.arguments == {"count": 3, "share": 0.5}
    assert events[-1] == Done(TurnState.COMPLETED)
    assert sum(isinstance(event, TextDelta) for event in events) == 3


async def test_a_question_in_plain_words_is_answered_in_the_same_task(chat: Conversation) -> None:
    events = await collect(chat.send("ask"))
    assert shown(events) == "Which city?"
    assert events[-1] == Done(TurnState.INPUT_REQUIRED)
    task, session = chat.task_id, chat.session_id
    assert (await collect(chat.send("Tokyo")))[-1] == Done(TurnState.COMPLETED)
    assert (chat.task_id, chat.session_id) == (task, session)


async def test_a_running_turn_is_stopped(chat: Conversation) -> None:
    events: list[ChatEvent] = []
    async for event in chat.send("wait"):
        events.append(event)
        if isinstance(event, TextDelta) and event.text == "fine.":
            assert await chat.cancel() is CancelOutcome.CANCELED
    assert events[-1] == Done(TurnState.CANCELED)


async def test_a_second_look_at_a_running_task_shows_it_from_where_it_is() -> None:
    async with asyncio.timeout(30), served("1.0") as url:
        chat = Conversation(await url_target(url, "", "scripted"))
        turn = chat.send("wait")
        async for event in turn:
            if isinstance(event, TextDelta) and event.text == "fine.":
                break
        await turn.aclose()
        async with httpx.AsyncClient() as http:
            target = ChatTarget(ObjectRef("Agent", "", "scripted"), url, http, "url")
            other = Conversation(target, session_id=chat.session_id)
            told = await other.history()
            assert [event.text for event in told if isinstance(event, UserMessage)] == ["wait"]
            assert shown(told) == "東京 is fine."
            async for event in other.rejoin():
                told.append(event)
                if other.state is TurnState.WORKING and not chat.state.ended:
                    await chat.cancel()
            assert shown(told) == "東京 is fine."
            assert told[-1] == Done(TurnState.CANCELED)
        await chat.aclose()
