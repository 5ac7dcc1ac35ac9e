"""Routes about the gateway itself: health, version, who am I, namespaces."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import AGENTS, JsonObject
from kagent_operator.gateway.context import caller, gateway_of, person
from kagent_operator.gateway.directory import field, meta
from kagent_operator.gateway.replies import as_json, ok
from kagent_operator.gateway.rights import Right

__all__ = ["ROUTES"]


async def health(_: Request) -> Response:
    return ok({"status": "OK"}, "OK")


async def version(request: Request) -> Response:
    settings = gateway_of(request).settings
    return as_json(
        {
            "kagent_version": settings.version,
            "git_commit": settings.git_commit,
            "build_date": settings.build_date,
        }
    )


async def me(request: Request) -> Response:
    principal = await caller(request)
    return as_json(principal.claims if principal.claims is not None else {"sub": principal.user_id})


async def namespaces(request: Request) -> Response:
    """The watched list where there is one; else what can be seen, which without rights is where agents are."""
    gateway = gateway_of(request)
    principal = await person(request)
    seen = {meta(obj).get("name", ""): obj for obj in gateway.agents.resources("Namespace")}
    names = list(gateway.settings.watch_namespaces) or sorted(seen)
    if not names:
        names = sorted({meta(agent).get("namespace", "") for agent in gateway.agents.list()})
    shown = [name for name in names if await gateway.rights.allow(principal, Right.to("list", AGENTS, name))]
    return ok([_namespace(name, seen.get(name)) for name in shown], "Successfully listed namespaces")


def _namespace(name: str, obj: JsonObject | None) -> JsonObject:
    return {"name": name, "status": (field(obj, "status", "phase") or "") if obj else ""}


ROUTES = (
    Route("/health", health, methods=["GET"]),
    Route("/version", version, methods=["GET"]),
    Route("/api/me", me, methods=["GET"]),
    Route("/api/namespaces", namespaces, methods=["GET"]),
)
