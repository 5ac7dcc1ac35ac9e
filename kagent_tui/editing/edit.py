"""One edit from the text to the cluster: parse, compare with what is there now, ask the server, then write what was
shown.

Nothing is overwritten that was not seen: what others changed meanwhile is found by comparing the editable parts (a new
status is no conflict), merged where the changes do not touch, and told where they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as a_field
from typing import TypeAlias

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import JsonObject, ref_of
from kagent_tui.cluster.references import mapping
from kagent_tui.editing.diffing import DiffLine, diff
from kagent_tui.editing.document import Parsed, editable, parse, to_yaml, with_server_fields
from kagent_tui.editing.masking import Typed, masked, unmasked
from kagent_tui.editing.merge import Clash, Preference, merge
from kagent_tui.editing.owners import Owner, changed_paths, owners
from kagent_tui.editing.problems import Problem, problems_of
from kagent_tui.editing.transplant import transplant

__all__ = [
    "Conflicting",
    "Edit",
    "Outcome",
    "Rejected",
    "Reviewed",
    "Unchanged",
    "Vanished",
    "propose",
    "rebase",
    "resume",
    "review",
    "write",
]

# A status is written about once a second while a rollout runs; each bumps the version that an update must name.
_WRITE_TRIES = 6


@dataclass(frozen=True, slots=True)
class Edit:
    """What is being edited: the object it began from (None for a new one), the text, and values typed behind it."""

    base: JsonObject | None
    text: str
    typed: Typed = a_field(default_factory=dict[tuple[str, str], str], repr=False)

    @property
    def base_text(self) -> str:
        """The YAML the text began from."""
        return "" if self.base is None else to_yaml(masked(editable(self.base)))


@dataclass(frozen=True, slots=True)
class Rejected:
    """The draft cannot be stored as it stands."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The draft says what the cluster already has."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """The object was deleted meanwhile."""

    ref: ObjectRef


@dataclass(frozen=True, slots=True)
class Conflicting:
    """Somebody else changed the object since it was read.

    ``before`` is what the edit began from and ``mine`` what it would store (values of Secrets and all); ``changes`` is
    what the other did.
    """

    live: JsonObject
    before: JsonObject
    mine: JsonObject
    clashes: tuple[Clash, ...]
    changes: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The server would take it: what to send, what would change, and who else looks after the fields that change."""

    ref: ObjectRef
    object: JsonObject
    live: JsonObject | None
    changes: tuple[DiffLine, ...]
    others: tuple[Owner, ...] = ()

    @property
    def creates(self) -> bool:
        return self.live is None


Outcome: TypeAlias = Rejected | Unchanged | Vanished | Conflicting | Reviewed


async def review(cluster: Cluster, edit: Edit) -> Outcome:
    """Find out what applying an edit would do. Raises KagentError where the cluster cannot be asked."""
    parsed: Parsed | None = None
    try:
        parsed = parse(edit.text)
        mine = _outgoing(parsed.object, edit)
    except InvalidSpec as error:
        return Rejected(tuple(problems_of(error, parsed)))
    return await propose(cluster, edit.base, mine, parsed)


async def propose(
    cluster: Cluster, base: JsonObject | None, mine: JsonObject, parsed: Parsed | None = None
) -> Outcome:  # fmt: skip
    """Find out what storing ``mine`` would do, which began from ``base`` (None: a new object). As ``review``."""
    from kagent_api.kube import AlreadyExists, Conflict, Forbidden, Invalid, NotFound

    live: JsonObject | None = None
    if base is not None:
        try:
            live = await cluster.read(ref_of(base))
        except NotFound:
            return Vanished(ref_of(base))
        before, now = editable(base), editable(live)
        if now != before:
            return _conflict(before, mine, now, live)
        if mine == now:
            return Unchanged()
    try:
        outgoing = mine if live is None else with_server_fields(mine, live)
        stored = await cluster.check(outgoing, create=live is None)
    except (Invalid, AlreadyExists, Forbidden) as error:
        return Rejected(tuple(problems_of(error, parsed)))
    except Conflict:
        # A status came between reading and asking; the next look is at the newer object.
        return await propose(cluster, base, mine, parsed)
    before_text = "" if live is None else to_yaml(masked(editable(live)))
    changes = diff(before_text, to_yaml(masked(editable(stored))))
    others = () if live is None else tuple(owners(live, changed_paths(editable(live), editable(stored))))
    return Reviewed(ref_of(outgoing), outgoing, live, tuple(changes), others)


def resume(live: JsonObject | None, text: str, base_text: str) -> Edit:
    """Return the edit that a draft holds: on top of what it began from, so that later changes of others are found.

    The values of a Secret are not in the draft; those of the cluster stand for them.
    """
    if live is None or not base_text or Edit(live, "").base_text == base_text:
        return Edit(live, text)
    try:
        before = unmasked(parse(base_text).object, live)
    except InvalidSpec:
        # Keys that are gone from the cluster, or a damaged file: what is there now is the best ground there is.
        return Edit(live, text)
    return Edit(with_server_fields(before, live), text)


async def write(cluster: Cluster, reviewed: Reviewed) -> JsonObject:
    """Store what was reviewed; return the stored object.

    Raises:
        Conflict: somebody else changed it since the review; review again.
        KagentError: the cluster refused or could not be asked.
    """
    from kagent_api.kube import Conflict

    if reviewed.live is None:
        return await cluster.write(reviewed.object, create=True)
    outgoing = reviewed.object
    for attempt in range(_WRITE_TRIES):
        try:
            return await cluster.write(outgoing, create=False)
        except Conflict:
            live = await cluster.read(reviewed.ref)
            if attempt == _WRITE_TRIES - 1 or editable(live) != editable(reviewed.live):
                raise
            outgoing = with_server_fields(editable(reviewed.object), live)
    raise AssertionError("the loop either returns or raises")


def rebase(edit: Edit, conflict: Conflicting, *, prefer_mine: bool | Preference) -> Edit:
    """Return the edit joined with what others did, on top of the object as it is now; comments stay."""
    joined = merge(conflict.before, conflict.mine, editable(conflict.live), prefer_mine=prefer_mine)
    decide: Preference = prefer_mine if callable(prefer_mine) else lambda path: bool(prefer_mine)
    given_up = {clash.path for clash in joined.clashes if not decide(clash.path)}
    typed = {place: value for place, value in edit.typed.items() if ".".join(place) not in given_up}
    return Edit(conflict.live, transplant(edit.text, masked(joined.object)), typed)


def _outgoing(obj: JsonObject, edit: Edit) -> JsonObject:
    """Check what only we can check, and put hidden values back."""
    ref = ref_of(obj)
    for field, value in (("apiVersion", obj.get("apiVersion")), ("kind", ref.kind), ("metadata.name", ref.name)):
        if not value:
            raise InvalidSpec("is missing", field=field, remedy="every object has one")
    if not mapping(obj.get("metadata")).get("namespace"):
        raise InvalidSpec("is missing", field="metadata.namespace", remedy="say where it is to live")
    if edit.base is not None:
        was = ref_of(edit.base)
        for field, old, new in (
            ("kind", was.kind, ref.kind),
            ("metadata.namespace", was.namespace, ref.namespace),
            ("metadata.name", was.name, ref.name),
        ):
            if old != new:
                raise InvalidSpec(
                    f"cannot change from {old!r} to {new!r}", field=field, remedy="make a new object of that name (N)"
                )
    return unmasked(editable(obj), edit.base, edit.typed)


def _conflict(before: JsonObject, mine: JsonObject, now: JsonObject, live: JsonObject) -> Conflicting:
    changes = diff(to_yaml(masked(before)), to_yaml(masked(now)))
    return Conflicting(live, before, mine, merge(before, mine, now).clashes, tuple(changes))
