"""What people thought of answers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kagent_api.kube.resources import JsonObject
from kagent_operator.gateway.context import gateway_of, json_body, person, text_field
from kagent_operator.gateway.errors import BadRequest
from kagent_operator.gateway.replies import ok
from kagent_operator.store.database import rfc3339
from kagent_operator.store.feedback import Feedback

__all__ = ["ROUTES"]

_ISSUES = ("instructions", "factual", "incomplete", "tool", "other")


async def add_feedback(request: Request) -> Response:
    user = (await person(request)).user_id
    body = await json_body(request)
    positive = body.get("is_positive")
    if not isinstance(positive, bool):
        raise BadRequest("is_positive must be true or false")
    issue = text_field(body, "issue_type")
    if issue and issue not in _ISSUES:
        raise BadRequest(f"issue_type must be one of {', '.join(_ISSUES)}, not {issue!r}")
    message_id = body.get("message_id")
    await gateway_of(request).store.feedback.add(
        user,
        is_positive=positive,
        feedback_text=text_field(body, "feedback_text", required=True),
        issue_type=issue or None,
        message_id=None if message_id is None else str(message_id),
    )
    return ok({}, "Feedback submitted successfully")


async def list_feedback(request: Request) -> Response:
    items = await gateway_of(request).store.feedback.of_user((await person(request)).user_id)
    return ok([_feedback(item) for item in items], "Successfully listed feedback")


def _feedback(item: Feedback) -> JsonObject:
    written: JsonObject = {
        "id": item.id,
        "user_id": item.user_id,
        "is_positive": item.is_positive,
        "feedback_text": item.feedback_text,
        "created_at": rfc3339(item.created_at),
    }
    for name, value in (("issue_type", item.issue_type), ("message_id", item.message_id)):
        if value is not None:
            written[name] = value
    return written


ROUTES = (
    Route("/api/feedback", add_feedback, methods=["POST"]),
    Route("/api/feedback", list_feedback, methods=["GET"]),
)
