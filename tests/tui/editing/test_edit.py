"""From a text to the cluster, with everything that can come between."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import pytest

from kagent_api.errors import ObjectRef
from kagent_api.kube import Conflict, Invalid
from kagent_api.kube.errors import Cause
from kagent_tui.cluster.cluster import Cluster
from kagent_tui.cluster.errors import ReadOnly
from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.editing.edit import Conflicting, Edit, Rejected, Reviewed, Unchanged, Vanished, rebase, review, write
from kagent_tui.editing.templates import TEMPLATES, fill

if TYPE_CHECKING:
    from ..conftest import MemoryKube

TIME = ObjectRef("Agent", "kagent", "time")


@pytest.fixture
async def cluster(kube: MemoryKube) -> AsyncGenerator[Cluster]:
    made = Cluster(kube, namespaces=("kagent",))
    async with made.running():
        yield made


async def begin(cluster: Cluster, old: str = "", new: str = "") -> Edit:
    edit = Edit(await cluster.read(TIME), "")
    return Edit(edit.base, edit.base_text.replace(old, new) if old else edit.base_text)


async def test_a_change_is_shown_as_a_difference_and_then_stored(cluster: Cluster, kube: MemoryKube) -> None:
    outcome = await review(cluster, await begin(cluster, "You help.", "You tell the time."))
    assert isinstance(outcome, Reviewed)
    assert [(one.sign, one.text.strip()) for one in outcome.changes if one.sign in ("add", "remove")] == [
        ("remove", "You help."),
        ("add", "You tell the time."),
    ]
    assert kube.peek("Agent", "kagent", "time")["spec"]["declarative"]["systemMessage"] == "You help.\n"
    stored = await write(cluster, outcome)
    assert stored["metadata"]["generation"] == 2
    assert kube.peek("Agent", "kagent", "time")["spec"]["declarative"]["systemMessage"] == "You tell the time.\n"
    assert kube.peek("Agent", "kagent", "time")["status"]["conditions"]


async def test_nothing_changed_is_said(cluster: Cluster) -> None:
    assert isinstance(await review(cluster, await begin(cluster)), Unchanged)


async def test_broken_yaml_is_rejected_with_its_line(cluster: Cluster) -> None:
    outcome = await review(cluster, await begin(cluster, "  type: Declarative", "  type: [Declarative"))
    assert isinstance(outcome, Rejected)
    assert outcome.problems[0].line > 1


async def test_what_the_server_refuses_is_told_by_field_and_line(cluster: Cluster, kube: MemoryKube) -> None:
    def refuse(obj: JsonObject) -> None:
        causes = (Cause("spec.type", "Unsupported value", "FieldValueNotSupported"),)
        raise Invalid('strict decoding error: unknown field "spec.declarative.stystem"', status=422, causes=causes)

    kube.refuse = refuse
    outcome = await review(cluster, await begin(cluster, "systemMessage:", "stystem:"))
    assert isinstance(outcome, Rejected)
    text = (await begin(cluster, "systemMessage:", "stystem:")).text.splitlines()
    found = {one.field: text[one.line - 1].strip() for one in outcome.problems}
    assert found["spec.type"] == "type: Declarative"
    assert found["spec.declarative.stystem"].startswith("stystem:")


async def test_renaming_is_refused_with_what_to_do(cluster: Cluster) -> None:
    outcome = await review(cluster, await begin(cluster, "  name: time", "  name: other"))
    assert isinstance(outcome, Rejected)
    assert "make a new object" in outcome.problems[0].message


async def test_a_new_status_is_no_conflict(cluster: Cluster, kube: MemoryKube) -> None:
    edit = await begin(cluster, "You help.", "Changed.")
    kube.put({**kube.peek("Agent", "kagent", "time"), "status": {"conditions": []}})
    outcome = await review(cluster, edit)
    assert isinstance(outcome, Reviewed)
    kube.put({**kube.peek("Agent", "kagent", "time"), "status": {}})
    assert (await write(cluster, outcome))["spec"]["declarative"]["systemMessage"] == "Changed.\n"


async def test_a_change_of_somebody_else_is_joined_where_it_touches_other_fields(
    cluster: Cluster, kube: MemoryKube
) -> None:
    edit = await begin(cluster, "You help.", "Mine.")
    theirs = kube.peek("Agent", "kagent", "time")
    kube.put({**theirs, "spec": {**theirs["spec"], "description": "Theirs."}})
    outcome = await review(cluster, edit)
    assert isinstance(outcome, Conflicting)
    assert outcome.clashes == ()
    assert "Theirs." in "".join(one.text for one in outcome.changes)
    again = await review(cluster, rebase(edit, outcome, prefer_mine=True))
    assert isinstance(again, Reviewed)
    stored = await write(cluster, again)
    assert stored["spec"]["description"] == "Theirs."
    assert stored["spec"]["declarative"]["systemMessage"] == "Mine.\n"


async def test_a_clash_is_decided_by_the_person(cluster: Cluster, kube: MemoryKube) -> None:
    edit = await begin(cluster, "The agent time.", "Mine.")
    theirs = kube.peek("Agent", "kagent", "time")
    kube.put({**theirs, "spec": {**theirs["spec"], "description": "Theirs."}})
    outcome = await review(cluster, edit)
    assert isinstance(outcome, Conflicting)
    assert [one.path for one in outcome.clashes] == ["spec.description"]
    assert "description: Theirs." in rebase(edit, outcome, prefer_mine=False).text
    assert "description: Mine." in rebase(edit, outcome, prefer_mine=True).text


async def test_a_change_between_review_and_write_is_not_overwritten(cluster: Cluster, kube: MemoryKube) -> None:
    outcome = await review(cluster, await begin(cluster, "You help.", "Mine."))
    assert isinstance(outcome, Reviewed)
    theirs = kube.peek("Agent", "kagent", "time")
    kube.put({**theirs, "spec": {**theirs["spec"], "description": "Theirs."}})
    with pytest.raises(Conflict):
        await write(cluster, outcome)
    assert kube.peek("Agent", "kagent", "time")["spec"]["description"] == "Theirs."


async def test_a_deleted_object_is_told(cluster: Cluster, kube: MemoryKube) -> None:
    edit = await begin(cluster, "You help.", "Mine.")
    kube.drop("Agent", "kagent", "time")
    assert await review(cluster, edit) == Vanished(TIME)


@pytest.mark.parametrize("name", list(TEMPLATES))
async def test_every_template_can_be_created(cluster: Cluster, name: str) -> None:
    outcome = await review(cluster, Edit(None, fill(TEMPLATES[name], "kagent")))
    assert isinstance(outcome, Reviewed)
    assert outcome.creates
    assert (await write(cluster, outcome))["metadata"]["namespace"] == "kagent"


async def test_read_only_refuses_in_one_place(cluster: Cluster, kube: MemoryKube) -> None:
    edit = await begin(cluster, "You help.", "Mine.")
    cluster.readonly = True
    with pytest.raises(ReadOnly, match="F2"):
        await review(cluster, edit)
    with pytest.raises(ReadOnly):
        await cluster.delete(TIME)
    assert not [call for call in kube.calls if call.split()[0] in ("update", "delete", "create", "dry-run")]
