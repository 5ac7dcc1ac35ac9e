"""``kagent-tui approvals``: what waits for a person over all agents, decided from a script, and the audit trail.

``approve``, ``reject`` and ``answer`` follow the agent to its next stop and end with the exit codes of ``chat``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from kagent_api.errors import InvalidSpec
from kagent_tui.cli import EXIT_OK, EXIT_OTHER, EXIT_USAGE

if TYPE_CHECKING:
    from kagent_tui.chat.decisions import Answer, Pause
    from kagent_tui.chat.inbox import Inbox, Waiting
    from kagent_tui.cli.talks import Talks
    from kagent_tui.safety.audit import AuditRecord

__all__ = ["add_arguments", "run"]

_ACTIONS = ("list", "approve", "reject", "answer", "audit")
_COLUMNS = ("TIME", "DECISION", "AGENT", "TOOL", "ARGUMENTS", "REASON", "BY", "CONTEXT")
_WIDEST = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("action", nargs="?", choices=_ACTIONS, default="list", help="what to do (default: list)")
    parser.add_argument(
        "targets", nargs="*", metavar="SESSION",
        help="approve, reject: sessions that wait, by id or its beginning; answer: one session, then the answers",
    )  # fmt: skip
    parser.add_argument(
        "--call", action="append", default=[], metavar="ID",
        help="approve, reject: only this call (by its id or tool); the others get the opposite",
    )  # fmt: skip
    parser.add_argument("--reason", default="", metavar="TEXT", help="reject: why; the agent reads it")
    parser.add_argument(
        "--arguments", default="", metavar="JSON",
        help="approve: other arguments for the one call that waits, where the agent takes them",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--user", default="", metavar="ID", help="whose sessions (admin@kagent.dev)")
    parser.add_argument("--agent", default="", metavar="NAME", help="list, audit: only this agent")
    parser.add_argument("--since", default="", metavar="TIME", help="audit: since this RFC 3339 time or day")
    parser.add_argument("--export", metavar="FILE", help="audit: write it as JSON lines to FILE (- is standard output)")


def run(args: argparse.Namespace) -> int:
    """Do one thing and return the exit code."""
    if args.action == "audit":
        return _audit(args)
    if args.action != "list" and not args.targets:
        sys.stderr.write(f"kagent-tui approvals {args.action}: which session? kagent-tui approvals list shows them\n")
        return EXIT_USAGE
    if args.action == "answer" and len(args.targets) < 2:
        sys.stderr.write("kagent-tui approvals answer: give the answers after the session, one for each question\n")
        return EXIT_USAGE
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from kagent_tui.chat.gateway import agent_named
    from kagent_tui.chat.inbox import Inbox
    from kagent_tui.cli.talks import open_talks

    async with open_talks(args) as talks:
        inbox = Inbox(talks.gateway, talks.converse, agent_named, lambda: None)
        await inbox.look()
        if inbox.error is not None:
            raise inbox.error
        if args.action == "list":
            return _list(args, inbox)
        sessions = args.targets[:1] if args.action == "answer" else args.targets
        waiting = [_one(wanted, inbox) for wanted in sessions]
        answers = [_answer(args, each.pause) for each in waiting]
        code = EXIT_OK
        for each, answer in zip(waiting, answers, strict=True):
            code = await _follow(args, talks, each, answer) or code
    return code


def _list(args: argparse.Namespace, inbox: Inbox) -> int:
    from kagent_tui.cli.printout import columns

    found = [one for one in inbox.waiting.values() if args.agent in ("", one.agent.name, _name(one))]
    if args.json:
        for one in found:
            body = {
                "session": one.session.id, "agent": _name(one), "title": one.session.title,
                "since": one.session.updated, "calls": [asdict(call) for call in one.pause.calls],
                "questions": [asdict(question) for question in one.pause.questions],
            }  # fmt: skip
            sys.stdout.write(json.dumps(body, default=str) + "\n")
        return EXIT_OK
    if not found:
        sys.stderr.write("nothing waits for a decision\n")
        return EXIT_OK
    rows = [("SESSION", "AGENT", "SINCE", "CALL", "WANTS")]
    for one in found:
        for call in one.pause.calls:
            wants = f"{call.name} {json.dumps(call.arguments, ensure_ascii=False, default=str)}"
            rows.append((one.session.id, _name(one), one.session.updated, call.call_id, wants))
        for question in one.pause.questions:
            asks = " / ".join(_asked(item.text, item.choices) for item in question.items)
            rows.append((one.session.id, _name(one), one.session.updated, "", f"asks: {asks}"))
    sys.stdout.write(columns(rows, widest=100))
    return EXIT_OK


def _asked(text: str, choices: tuple[str, ...]) -> str:
    return f"{text} ({', '.join(choices)})" if choices else text


def _name(one: Waiting) -> str:
    return f"{one.agent.namespace}/{one.agent.name}"


def _one(wanted: str, inbox: Inbox) -> Waiting:
    found = [one for key, one in inbox.waiting.items() if key == wanted]
    found = found or [one for key, one in inbox.waiting.items() if wanted and key.startswith(wanted)]
    if len(found) != 1:
        what = "no session" if not found else f"{len(found)} sessions"
        raise InvalidSpec(f"{what} waiting with the id {wanted!r}", remedy="kagent-tui approvals list shows them")
    return found[0]


def _answer(args: argparse.Namespace, pause: Pause) -> Answer:
    from kagent_tui.chat.decisions import Answer, Decision

    if args.action == "answer":
        if pause.approvals:
            raise InvalidSpec("this session waits for an approval", remedy="use approvals approve or reject")
        items = [item for question in pause.questions for item in question.items]
        given = args.targets[1:]
        if len(given) != len(items):
            raise InvalidSpec(
                f"{len(items)} questions, {len(given)} answers", remedy="give one answer for each question"
            )
        left = iter(given)
        return Answer({}, {each.request_id: [[next(left)] for _ in each.items] for each in pause.questions})
    if pause.questions:
        raise InvalidSpec("this session waits for an answer", remedy="kagent-tui approvals answer SESSION ANSWER")
    named = {call.call_id for call in pause.calls for wanted in args.call if wanted in (call.call_id, call.name)}
    if args.call and not named:
        raise InvalidSpec(f"no call {', '.join(args.call)} waits", remedy="kagent-tui approvals list shows the calls")
    edited = _edited(args.arguments, pause) if args.arguments and args.action == "approve" else None
    yes = args.action == "approve"
    decisions = {
        call.call_id: Decision(True, arguments=edited)
        if yes == (not args.call or call.call_id in named)
        else Decision(False, args.reason)
        for call in pause.calls
    }
    return Answer(decisions)


def _edited(text: str, pause: Pause) -> dict[str, object]:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise InvalidSpec(f"--arguments is no JSON: {error}", remedy="""write it as '{"name": "value"}'""") from error
    if not isinstance(value, dict) or len(pause.calls) != 1:
        raise InvalidSpec(
            "--arguments needs a JSON object and exactly one call that waits", remedy="edit in the dashboard"
        )
    return {str(key): item for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON


async def _follow(args: argparse.Namespace, talks: Talks, waiting: Waiting, answer: Answer) -> int:
    from kagent_tui.chat.printing import JsonPrinter, PlainPrinter
    from kagent_tui.cli.chat import exit_code, show

    printer = JsonPrinter(sys.stdout) if args.json else PlainPrinter(sys.stdout, sys.stderr)
    await waiting.conversation.connect()
    try:
        await show(waiting.conversation.answer(answer), printer)
    finally:
        printer.finish()
    return exit_code(waiting.conversation.state)


def _audit(args: argparse.Namespace) -> int:
    from kagent_tui.cli.printout import columns
    from kagent_tui.safety.audit import AuditTrail

    records = [record for record in AuditTrail().read() if _wanted(record, args.agent, args.since)]
    if args.export:
        return _export(records, args.export)
    if args.json:
        return _export(records, "-")
    if not records:
        sys.stderr.write("no decisions yet\n" if not (args.agent or args.since) else "no such decisions\n")
        return EXIT_OK
    rows = [
        (
            record.time, record.decision, record.agent, record.tool, record.arguments, record.reason, record.user,
            record.context,
        )
        for record in records
    ]  # fmt: skip
    sys.stdout.write(columns([_COLUMNS, *rows], widest=_WIDEST))
    return EXIT_OK


def _wanted(record: AuditRecord, agent: str, since: str) -> bool:
    return record.time >= since and (not agent or agent in (record.agent, record.agent.partition("/")[2]))


def _export(records: list[AuditRecord], target: str) -> int:
    from kagent_tui.safety import clean

    text = "".join(json.dumps(asdict(record)) + "\n" for record in records)
    if target == "-":
        sys.stdout.write(text)
        return EXIT_OK
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        sys.stderr.write(f"kagent-tui: {clean(target)}: {error.strerror or error}\n")
        return EXIT_OTHER
    sys.stderr.write(f"{len(records)} decisions written to {clean(target)}\n")
    return EXIT_OK
