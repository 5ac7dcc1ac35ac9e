"""``kagent-tui chat``: ask an agent from a shell or a script; the answer streams to standard output.

Exit codes: 0 done, 2 the agent waits for a decision, 3 the turn failed, 64 wrong usage, 1 anything else. Ctrl-C stops
the agent's task, not only this program.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from kagent_tui.cli import EXIT_FAILED, EXIT_INPUT_REQUIRED, EXIT_OK, EXIT_OTHER, EXIT_USAGE

if TYPE_CHECKING:
    from kagent_api.kube import KubeClient
    from kagent_tui.chat.attachments import Attachment
    from kagent_tui.chat.conversation import Conversation
    from kagent_tui.chat.decisions import Answer
    from kagent_tui.chat.events import ChatEvent, TurnState
    from kagent_tui.chat.printing import Printer
    from kagent_tui.chat.target import ChatTarget

__all__ = ["add_arguments", "exit_code", "run", "show"]

# An agent that asks this often in one turn is in a loop.
_MAX_DECISIONS = 50
_STOP_SECONDS = 10.0


class _Ask(NamedTuple):
    """What the command line asks for."""

    namespace: str
    name: str
    message: str
    attached: tuple[Attachment, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("agent", metavar="AGENT", help="name of the agent, or NAMESPACE/NAME")
    parser.add_argument("message", nargs="?", metavar="MESSAGE", help="what to say; - reads standard input")
    parser.add_argument("--session", default="", metavar="ID", help="go on with a session")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each event")
    parser.add_argument(
        "--approve",
        choices=("none", "safe", "all"),
        default="none",
        help="tool calls that need approval: leave them waiting (default), approve those that only read, approve all",
    )
    parser.add_argument("--attach", action="append", default=[], metavar="FILE",
                        help="send a file along; - is standard input; may be repeated")  # fmt: skip
    parser.add_argument("--user", default="", metavar="ID", help="user the session belongs to (admin@kagent.dev)")


def run(args: argparse.Namespace) -> int:
    """Hold one turn of a conversation and return the exit code."""
    message = args.message
    if message == "-" and "-" in args.attach:
        sys.stderr.write("kagent-tui chat: standard input is either the message or attached, not both\n")
        return EXIT_USAGE
    if message == "-" or (message is None and not args.session and not sys.stdin.isatty()):
        message = sys.stdin.read()
    if not (message or "").strip() and not (args.session and args.approve != "none"):
        sys.stderr.write("kagent-tui chat: say something: chat AGENT MESSAGE, or - to read standard input\n")
        return EXIT_USAGE
    namespace, _, name = str(args.agent).rpartition("/")
    if not name:
        sys.stderr.write(f"kagent-tui chat: {args.agent!r} names no agent\n")
        return EXIT_USAGE
    try:
        attached = tuple(_attachment(path) for path in args.attach)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        sys.stderr.write(f"kagent-tui chat: {where}{reason}\n")
        return EXIT_USAGE
    ask = _Ask(namespace or args.namespace or "", name, message or "", attached)
    return asyncio.run(_chat(args, ask))


def _attachment(path: str) -> Attachment:
    """Return a file, or standard input for ``-``. Raises OSError and ValueError."""
    from kagent_tui.chat.attachments import Attachment, file_attachment

    if path != "-":
        return file_attachment(path)
    text = sys.stdin.read()
    return Attachment("standard input", text or "(it was empty)")


async def _chat(args: argparse.Namespace, ask: _Ask) -> int:
    from kagent_tui.chat.target import gateway_target, url_target
    from kagent_tui.cli.talks import chosen_user

    user = chosen_user(args)
    if args.url:
        from kagent_api.names import CONTROLLER_NAMESPACE

        target = await url_target(args.url, ask.namespace or CONTROLLER_NAMESPACE, ask.name, user=user)
        return await _talk(args, ask, target, None)
    from kagent_api.kube import KubeClient, load_access

    access = load_access(args.kubeconfig, args.context)
    namespace = ask.namespace or (access.namespace if access.namespace != "default" else "") or "kagent"
    async with KubeClient(access) as client:
        target = await gateway_target(client, namespace, ask.name, user=user)
        return await _talk(args, ask._replace(namespace=namespace), target, client)


async def _talk(args: argparse.Namespace, ask: _Ask, target: ChatTarget, client: KubeClient | None) -> int:
    from kagent_tui.chat.auditing import audited
    from kagent_tui.chat.conversation import Conversation
    from kagent_tui.chat.errors import AgentNotReady
    from kagent_tui.chat.printing import JsonPrinter, PlainPrinter
    from kagent_tui.cli.talks import complain
    from kagent_tui.safety.audit import AuditTrail

    decided = audited(
        AuditTrail(),
        context=client.access.context if client is not None else str(args.url),
        via=lambda: f"command line, --approve {args.approve}",
        complain=complain,
    )
    conversation = Conversation(target, session_id=args.session, decided=decided)
    printer = JsonPrinter(sys.stdout) if args.json else PlainPrinter(sys.stdout, sys.stderr)
    if isinstance(printer, JsonPrinter):
        printer.write({"type": "session", "session_id": conversation.session_id})
    try:
        state = await _turns(args, ask, conversation, printer, client)
    except AgentNotReady as error:
        why = await _why(client, ask) if client is not None else ""
        raise AgentNotReady(why or error.message, ref=error.ref, remedy=error.remedy) from error
    except asyncio.CancelledError:
        # Ctrl-C: asyncio cancels this task once; what follows still has its time.
        sys.stderr.write("\nstopping the agent\n")
        await asyncio.wait_for(conversation.cancel(), _STOP_SECONDS)
        raise
    finally:
        printer.finish()
        await conversation.aclose()
    if conversation.pause.approvals and state.waiting and not args.json:
        where = f"-n {ask.namespace} " if ask.namespace else ""
        sys.stderr.write(
            f"go on with: kagent-tui chat {ask.name} {where}--session {conversation.session_id} --approve all\n"
        )
    return exit_code(state)


async def _turns(
    args: argparse.Namespace, ask: _Ask, conversation: Conversation, printer: Printer, client: KubeClient | None
) -> TurnState:
    safe = await _safe_tools(client, ask) if args.approve == "safe" and client is not None else frozenset[str]()
    if args.session:
        await conversation.history()
        await show(conversation.rejoin(), printer)
    if not ask.message and not conversation.pause and not conversation.task_id:
        from kagent_tui.chat.errors import ChatError

        raise ChatError(
            f"nothing is known of the session {args.session}",
            ref=conversation.target.ref,
            remedy="an agent at a bare URL lists no sessions: go through its controller, or decide in the same run",
        )
    if ask.message and not conversation.pause:
        await show(conversation.send(ask.message, [each.part for each in ask.attached]), printer)
    elif ask.message and (given := _reply(conversation, ask.message)) is not None:
        await show(conversation.answer(given), printer)
    elif ask.message:
        from kagent_tui.chat.errors import DecisionNeeded

        if args.approve == "none":
            raise DecisionNeeded(
                "this session waits for a decision, not for a message",
                ref=conversation.target.ref,
                remedy="decide with --approve or kagent-tui approvals, or begin a new session",
            )
    for _ in range(_MAX_DECISIONS):
        answer = _decide(conversation, args.approve, safe)
        if answer is None:
            break
        await show(conversation.answer(answer), printer)
    return conversation.state


def _reply(conversation: Conversation, message: str) -> Answer | None:
    """Return the message as the answer to the one question that waits; None if that is not what waits."""
    from kagent_tui.chat.decisions import Answer

    pause = conversation.pause
    if pause.approvals or len(pause.questions) != 1 or len(pause.questions[0].items) != 1:
        return None
    return Answer({}, {pause.questions[0].request_id: [[message.strip()]]})


def _decide(conversation: Conversation, approve: str, safe: frozenset[str]) -> Answer | None:
    """Return the answer that ``--approve`` allows, None if it allows none: questions are for a person."""
    from kagent_tui.chat.decisions import Answer, Decision

    pause = conversation.pause
    names = {call.name for request in pause.approvals for call in request.calls}
    if not names or pause.questions or approve == "none" or (approve == "safe" and not names <= safe):
        return None
    return Answer.to_all(pause, Decision(True))


async def show(events: AsyncGenerator[ChatEvent], printer: Printer) -> None:
    """Print a turn's events as they come."""
    async with aclosing(events):
        async for event in events:
            printer.show(event, time.monotonic())


async def _safe_tools(client: KubeClient, ask: _Ask) -> frozenset[str]:
    from kagent_api.kube import KubeError
    from kagent_api.kube.resources import AGENTS
    from kagent_tui.chat.safe_tools import read_safe_tools

    try:
        return await read_safe_tools(client, await client.get(AGENTS, ask.name, ask.namespace))
    except KubeError as error:
        sys.stderr.write(f"kagent-tui: no tool counts as safe: {error.message}\n")
        return frozenset()


async def _why(client: KubeClient, ask: _Ask) -> str:
    """Return what the agent's own conditions say, which is more than a proxy knows."""
    from kagent_api.errors import ObjectRef
    from kagent_api.kube import KubeError
    from kagent_api.kube.resources import AGENTS
    from kagent_tui.chat.subject import subject_of

    try:
        agent = {**await client.get(AGENTS, ask.name, ask.namespace), "kind": "Agent"}
    except KubeError:
        return ""
    ref = ObjectRef("Agent", ask.namespace, ask.name)
    found = subject_of(ref, lambda wanted: agent if wanted == ref else {"kind": wanted.kind})
    return found.trouble


def exit_code(state: TurnState) -> int:
    """Return what a turn's end means to a script."""
    from kagent_tui.chat.events import TurnState

    if state is TurnState.COMPLETED:
        return EXIT_OK
    if state.waiting:
        return EXIT_INPUT_REQUIRED
    return EXIT_FAILED if state.ended else EXIT_OTHER
