"""X-ray: the tree of what an object needs, and the tree of what uses it, each link with its state. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kagent_api.errors import ObjectRef
from kagent_tui.render.conditions import MARK_BAD
from kagent_tui.render.row import World
from kagent_tui.render.text import BLANK, Line, Span, Tone, head, line, note, span
from kagent_tui.render.why import Facts, chain, own_state, tree_lines

__all__ = ["used_by_lines", "xray_lines"]

_DEEPEST = 6
UsersOf = Callable[[ObjectRef], Sequence[ObjectRef]]


def xray_lines(ref: ObjectRef, world: World, facts: Facts, users_of: UsersOf) -> list[Line]:
    """Return both trees."""
    needs = tree_lines(chain(ref, world, facts))
    return [head("What it needs"), *needs, BLANK, *used_by_lines(ref, world, users_of)]


def used_by_lines(ref: ObjectRef, world: World, users_of: UsersOf) -> list[Line]:
    """Return the tree of what uses an object, directly and by way of others."""
    found = list(_users(ref, world, users_of, (ref,), "  "))
    return [head(f"What uses {ref.kind} {ref.namespace}/{ref.name}"), *(found or [note("nothing")])]


def _users(ref: ObjectRef, world: World, users_of: UsersOf, above: tuple[ObjectRef, ...], lead: str) -> Iterator[Line]:
    users = users_of(ref) if len(above) <= _DEEPEST else ()
    for index, user in enumerate(users):
        last = index == len(users) - 1
        state, tone = own_state(world.find(user))
        if user in above:
            state, tone = f"{MARK_BAD} refers back to itself", Tone.BAD
        yield line(
            Span(f"{lead}{'└─ ' if last else '├─ '}", Tone.DIM),
            span(f"{user.kind} {user.namespace}/{user.name}", Tone.LINK),
            Span("  "),
            span(state, tone),
            indent=len(lead) + 4,
            target=user,
        )
        if user not in above:
            yield from _users(user, world, users_of, (*above, user), f"{lead}{'   ' if last else '│  '}")
