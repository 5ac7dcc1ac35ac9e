"""Stores a whole object that nobody typed - a roll-back, an undo - on the same road as an edit: compared with what is
there now, checked by the server, shown, and only then written.
"""

from __future__ import annotations

from typing import Any

from textual.app import App

from kagent_api.errors import InvalidSpec
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.kinds import JsonObject, ref_of
from kagent_tui.cluster.workspace import Workspace
from kagent_tui.editing.document import editable
from kagent_tui.editing.edit import Conflicting, Rejected, Reviewed, Unchanged, Vanished, propose, write
from kagent_tui.editing.merge import merge
from kagent_tui.editing.undo import Applied
from kagent_tui.screens.clashes import ClashesScreen
from kagent_tui.screens.review import ReviewScreen

__all__ = ["apply_object"]


async def apply_object(
    app: App[Any], workspace: Workspace, cluster: Cluster, base: JsonObject | None, wanted: JsonObject
) -> Applied | None:
    """Return what was stored in place of what; None when the person left it.

    Raises:
        InvalidSpec: the server refuses it, or there is nothing to change.
        KubeError: the cluster cannot be asked.
    """
    while True:
        outcome = await propose(cluster, base, wanted)
        match outcome:
            case Rejected(problems=problems):
                first = problems[0]
                raise InvalidSpec(first.message, ref=ref_of(wanted), field=first.field)
            case Unchanged():
                raise InvalidSpec("the cluster has exactly this already", ref=ref_of(wanted))
            case Vanished():
                # It was deleted meanwhile: what is to be there has to be made anew.
                base = None
            case Conflicting():
                mine = await app.push_screen_wait(ClashesScreen(workspace, outcome))
                if mine is None:
                    return None
                wanted = _joined(outcome, mine)
                base = outcome.live
            case Reviewed():
                if not await app.push_screen_wait(ReviewScreen(workspace, outcome)):
                    return None
                return Applied(outcome.live, await write(cluster, outcome))


def _joined(conflict: Conflicting, mine: frozenset[str]) -> JsonObject:
    now = editable(conflict.live)
    return merge(conflict.before, conflict.mine, now, prefer_mine=lambda path: path in mine).object
