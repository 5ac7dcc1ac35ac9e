"""What a chat's status line says: what the agent is doing right now, for how long, and what it cost. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kagent_tui.chat.blocks import seconds_text
from kagent_tui.chat.events import TurnState
from kagent_tui.chat.metrics import TurnClock, TurnFigures, figures_text
from kagent_tui.chat.transcript import AnswerEntry, ThoughtEntry, Transcript
from kagent_tui.render.text import Span, Tone, span

__all__ = ["Activity", "activity_of", "status_spans", "token_spans"]

# "No event for so long" is worth saying: upstream's users take such a silence for a hang (kagent #869, #934).
STALL_SECONDS: Final = 30.0


class Activity(StrEnum):
    """What a pane is busy with."""

    IDLE = "ready"
    CONNECTING = "connecting"
    SENDING = "sending"
    THINKING = "thinking"
    ANSWERING = "answering"
    TOOL = "tool"
    WAITING = "waits for you"
    LOST = "connection lost"
    STOPPING = "stopping"


def activity_of(transcript: Transcript, *, busy: bool, waiting: bool, stopping: bool) -> Activity:
    """Return what the agent is doing."""
    if waiting and not busy:
        return Activity.WAITING
    if not busy:
        return Activity.IDLE
    if stopping:
        return Activity.STOPPING
    if transcript.link_attempt:
        return Activity.LOST
    if transcript.running_tool is not None:
        return Activity.TOOL
    last = transcript.entries[-1] if transcript.entries else None
    if isinstance(last, AnswerEntry) and not last.done:
        return Activity.ANSWERING
    if isinstance(last, ThoughtEntry) or transcript.state is TurnState.WORKING:
        return Activity.THINKING
    return Activity.SENDING


def status_spans(
    transcript: Transcript, activity: Activity, clock: TurnClock, now: float, *, queued: int = 0, trouble: bool = False,
    figures: TurnFigures | None = None,
) -> list[Span]:  # fmt: skip
    """Return the left part of a status line; ``trouble`` means that the agent may not answer. ``figures`` are those of
    the last turn."""
    if activity is Activity.IDLE:
        if trouble:
            return [Span("!! the agent is not ready", Tone.BAD)]
        ended = transcript.state if transcript.entries else TurnState.UNKNOWN
        if ended is TurnState.FAILED:
            return [Span("✖ failed", Tone.BAD)]
        told = figures_text(figures) if figures is not None else ""
        return [Span("● ready", Tone.OK), *([Span(f"  {told}", Tone.DIM)] if told else [])]
    if activity is Activity.WAITING:
        return [Span("? waits for your decision", Tone.WARN)]
    spent = seconds_text(now - clock.started) if clock.started else ""
    spans = [Span(f"◌ {activity}", Tone.WARN)]
    if activity is Activity.TOOL and (tool := transcript.running_tool) is not None:
        spans = [Span("◌ tool ", Tone.WARN), span(tool.name, Tone.HEAD)]
        if tool.started is not None:
            spans.append(Span(f" for {seconds_text(now - tool.started)}", Tone.WARN))
    elif activity is Activity.LOST:
        spans = [Span(f"! connection lost, try {transcript.link_attempt} to rejoin", Tone.BAD)]
    if spent:
        spans.append(Span(f"  {spent}", Tone.DIM))
    silent = now - clock.last_event if clock.last_event else 0.0
    if silent >= STALL_SECONDS and activity is not Activity.LOST:
        spans.append(Span(f"  no event for {seconds_text(silent)}", Tone.BAD))
    if queued:
        spans.append(Span(f"  {queued} queued", Tone.DIM))
    return spans


def token_spans(transcript: Transcript) -> list[Span]:
    """Return the session's token counts."""
    tokens = transcript.tokens
    if not tokens.total:
        return []
    return [Span(f"{tokens.prompt:,} in {tokens.completion:,} out ", Tone.DIM)]
