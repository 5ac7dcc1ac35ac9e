"""Sessions and tasks in SQLite, in PostgreSQL and behind the controller's REST routes: the same promises from all."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kagent_engine.errors import ConfigError, StoreUnavailable
from kagent_engine.sessions import Session, Store, session_name
from kagent_engine.settings import Settings
from kagent_engine.store_controller import ControllerStore
from kagent_engine.store_postgres import PostgresStore
from kagent_engine.store_sqlite import SqliteStore, database_path

Json = dict[str, Any]


class Controller:
    """The routes of upstream's controller that an agent of 0.10 calls, in memory."""

    def __init__(self) -> None:
        self.sessions: dict[str, Json] = {}
        self.events: dict[str, list[Json]] = {}
        self.tasks: dict[str, Json] = {}
        self.headers: list[dict[str, str]] = []
        self.app = Starlette(
            routes=[
                Route("/api/sessions", self.create, methods=["POST"]),
                Route("/api/sessions", self.all, methods=["GET"]),
                Route("/api/sessions/{id}", self.get, methods=["GET"]),
                Route("/api/sessions/{id}/tasks", self.session_tasks, methods=["GET"]),
                Route("/api/sessions/{id}/events", self.add, methods=["POST"]),
                Route("/api/tasks", self.save, methods=["POST"]),
                Route("/api/tasks/{id}", self.task, methods=["GET", "DELETE"]),
            ]
        )

    async def create(self, request: Request) -> Response:
        body = await request.json()
        self.headers.append(dict(request.headers))
        self.sessions[body["id"]] = body
        return _ok(body, 201)

    async def all(self, request: Request) -> Response:
        user = request.query_params["user_id"]
        rows = [row | {"agent_id": row["agent_ref"]} for row in self.sessions.values() if row["user_id"] == user]
        return _ok(rows)

    async def get(self, request: Request) -> Response:
        key = request.path_params["id"]
        assert request.query_params["order"] == "asc"
        assert request.query_params["limit"] == "-1"
        if key not in self.sessions or self.sessions[key]["user_id"] != request.headers["x-user-id"]:
            return JSONResponse({"error": "session not found"}, 404)
        return _ok({"session": self.sessions[key], "events": self.events.get(key, [])})

    async def add(self, request: Request) -> Response:
        body = await request.json()
        assert isinstance(json.loads(body["data"]), dict)
        self.events.setdefault(request.path_params["id"], []).append(body)
        return _ok(body, 201)

    async def save(self, request: Request) -> Response:
        body = await request.json()
        self.tasks[body["id"]] = body | {"owner": request.headers["x-user-id"]}
        return _ok(body, 201)

    async def task(self, request: Request) -> Response:
        found = self.tasks.get(request.path_params["id"])
        if found is None or found["owner"] != request.headers["x-user-id"]:
            return JSONResponse({"error": "not found"}, 404)
        if request.method == "DELETE":
            del self.tasks[found["id"]]
            return Response(status_code=204)
        return _ok({key: item for key, item in found.items() if key != "owner"})

    async def session_tasks(self, request: Request) -> Response:
        return _ok([task for task in self.tasks.values() if task["contextId"] == request.path_params["id"]])


def _ok(data: Any, status: int = 200) -> Response:
    return JSONResponse({"error": False, "data": data, "message": "ok"}, status)


@pytest.fixture(params=["sqlite", "controller", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, serve: Any) -> AsyncGenerator[Store]:
    @asynccontextmanager
    async def opened() -> AsyncGenerator[Store]:
        if request.param == "sqlite":
            yield SqliteStore(tmp_path / "s.db")
            return
        if request.param == "postgres":
            yield PostgresStore(request.getfixturevalue("postgresql"), f"agent-{uuid.uuid4()}")
            return
        async with serve(Controller().app) as url:
            yield ControllerStore(Settings(controller_url=url))

    async with opened() as made:
        yield made
        await made.aclose()


def task(task_id: str, state: str, context: str = "s") -> Json:
    return {"id": task_id, "kind": "task", "contextId": context, "status": {"state": state}}


async def test_a_persons_tasks_are_listed_over_all_sessions_with_this_agent(store: Store) -> None:
    for session, user in (("s", "alice"), ("t", "alice"), ("u", "bob")):
        await store.create(session, user, name="", source="")
        await store.save_task(task(f"task-{session}", "completed", session), user)

    assert {item["id"] for item in await store.list_tasks("alice", "")} == {"task-s", "task-t"}


async def test_a_controllers_sessions_with_other_agents_are_left_out(serve: Any) -> None:
    controller = Controller()
    async with serve(controller.app) as url:
        for name, session in (("one", "s"), ("two", "t")):
            store = ControllerStore(Settings(name=name, controller_url=url))
            await store.create(session, "alice", name="", source="")
            await store.save_task(task(f"task-{session}", "completed", session), "alice")
            await store.aclose()
        store = ControllerStore(Settings(name="one", controller_url=url))
        assert [item["id"] for item in await store.list_tasks("alice", "")] == ["task-s"]
        assert await store.list_tasks("", "") == []
        await store.aclose()


async def test_a_session_comes_back_with_its_events_in_order(store: Store) -> None:
    session = await store.create("s", "alice", name="hello", source="")
    await store.append(session, [{"id": "1", "text": "ä"}, {"id": "2"}])
    await store.append(session, [{"id": "3"}])

    loaded = await store.load("s", "alice")

    assert loaded == session == Session("s", "alice", [{"id": "1", "text": "ä"}, {"id": "2"}, {"id": "3"}])


async def test_a_session_that_is_not_there_is_none_and_so_is_another_users(store: Store) -> None:
    await store.create("s", "alice", name="", source="")

    assert await store.load("other", "alice") is None
    assert await store.load("s", "bob") is None


async def test_a_task_is_saved_replaced_listed_and_deleted(store: Store) -> None:
    await store.save_task(task("t1", "working"), "alice")
    await store.save_task(task("t1", "completed"), "alice")
    await store.save_task(task("t2", "completed", "other"), "alice")

    found = await store.get_task("t1", "alice")
    assert found is not None
    assert found["status"] == {"state": "completed"}
    assert await store.get_task("t1", "bob") is None
    assert [item["id"] for item in await store.list_tasks("alice", "s")] == ["t1"]

    await store.delete_task("t1", "alice")
    assert await store.get_task("t1", "alice") is None


async def test_a_session_longer_than_is_read_in_the_loop_comes_back_whole(store: Store) -> None:
    session = await store.create("s", "alice", name="nul\0", source="")
    await store.append(session, [{"id": str(number), "text": "\0"} for number in range(250)])

    loaded = await store.load("s", "alice")

    assert loaded == session
    assert len(session.events) == 250


async def test_a_starting_replica_closes_what_a_dead_one_left_and_not_what_a_living_one_does(postgresql: str) -> None:
    agent = f"agent-{uuid.uuid4()}"
    dead, living = PostgresStore(postgresql, agent), PostgresStore(postgresql, agent)
    await dead.save_task(task("left", "working"), "alice")
    await dead.save_task(task("waits", "input-required"), "alice")
    await living.save_task(task("running", "working"), "bob")
    await dead.aclose()

    started = PostgresStore(postgresql, agent)
    left = await started.unfinished_tasks()

    assert [(item["id"], user) for item, user in left] == [("left", "alice")]
    await living.aclose()
    assert {item["id"] for item, _ in await started.unfinished_tasks()} == {"left", "running"}
    await started.aclose()


async def test_a_database_that_is_away_says_so_and_keeps_its_password(tmp_path: Path) -> None:
    store = PostgresStore("postgresql://kagent:hunter2@127.0.0.1:1/kagent", "a")

    with pytest.raises(StoreUnavailable, match="PostgreSQL") as caught:
        await store.load("s", "alice")

    assert "hunter2" not in str(caught.value)


async def test_sqlite_names_the_tasks_that_a_dead_process_left(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "s.db")
    await first.save_task(task("busy", "working"), "alice")
    await first.save_task(task("waits", "input-required"), "alice")
    await first.aclose()

    second = SqliteStore(tmp_path / "s.db")
    left = await second.unfinished_tasks()
    await second.aclose()

    assert [(item["id"], user) for item, user in left] == [("busy", "alice")]


async def test_the_store_file_is_private_and_one_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = SqliteStore(path)
    await store.create("s", "alice", name="", source="")
    store._now(lambda db: db.execute("PRAGMA user_version = 99"))  # pyright: ignore[reportPrivateUsage]
    await store.aclose()

    assert path.stat().st_mode & 0o077 == 0
    newer = SqliteStore(path)
    with pytest.raises(ConfigError, match="newer kagent-engine"):
        await newer.load("s", "alice")
    await newer.aclose()


def test_the_store_lies_under_the_state_directory_or_where_the_configuration_says(tmp_path: Path) -> None:
    settings = Settings(name="my-agent", namespace="ns", state_dir=tmp_path)

    assert database_path(settings) == tmp_path / "engine" / "ns__NS__my_agent.db"
    assert database_path(settings, "sqlite:////data/s.db") == Path("/data/s.db")
    with pytest.raises(ConfigError, match="session_db_url"):
        database_path(settings, "mysql://x")


def test_without_a_directory_that_can_be_written_sessions_are_kept_in_memory_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    assert database_path(Settings(state_dir=tmp_path / "file")) is None
    assert "KAGENT_TUI_STATE" in caplog.text


async def test_the_controller_is_told_who_calls_for_whom_with_the_projected_token(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token\n")
    controller = Controller()
    async with serve(controller.app) as url:
        settings = Settings(name="my-agent", namespace="ns", controller_url=url, token_path=str(tmp_path / "token"))
        store = ControllerStore(settings)
        await store.create("s", "alice", name="hi", source="agent")
        await store.aclose()

    (headers,) = controller.headers
    assert headers["x-agent-name"] == "ns__NS__my_agent"
    assert headers["x-user-id"] == "alice"
    assert headers["authorization"] == "Bearer secret-token"
    assert controller.sessions["s"] == {
        "user_id": "alice", "agent_ref": "ns__NS__my_agent", "id": "s", "name": "hi", "source": "agent",
    }  # fmt: skip


async def test_a_controller_that_is_away_or_refuses_is_said_in_words(serve: Any) -> None:
    store = ControllerStore(Settings(controller_url="http://127.0.0.1:9"))
    with pytest.raises(StoreUnavailable, match="KAGENT_URL"):
        await store.load("s", "alice")
    await store.aclose()

    async def refuse(_: Request) -> Response:
        return JSONResponse({"error": "you may not"}, 403)

    async with serve(Starlette(routes=[Route("/{rest:path}", refuse)])) as url:
        store = ControllerStore(Settings(controller_url=url))
        with pytest.raises(StoreUnavailable, match="403: you may not"):
            await store.load("s", "alice")
        await store.aclose()


def test_a_session_is_named_after_its_first_words() -> None:
    assert session_name("short one") == "short one"
    assert session_name("a rather  long\nfirst message") == "a rather long first ..."
