"""What may be done is asked of the server; nobody pays for a server that cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kagent_api.errors import KagentError
from kagent_api.kube import Unreachable
from kagent_tui.cluster.permissions import Permissions

if TYPE_CHECKING:
    import pytest

    from ..conftest import Samples


async def test_a_refused_verb_is_named_with_its_permission(samples: type[Samples]) -> None:
    kube = samples.kube()
    kube.forbidden = {("delete", "agents")}
    told: list[str] = []
    permissions = Permissions(kube, lambda: told.append("told"))
    await permissions.ask("Agent", "kagent")
    assert permissions.missing("delete", "Agent", "kagent") == (
        "you may not delete agents.kagent.dev in namespace kagent"
    )
    assert permissions.missing("edit", "Agent", "kagent") == ""
    assert told == ["told"]


async def test_an_answer_that_fails_in_any_way_forbids_nothing(
    samples: type[Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    for fault in (KagentError("no"), Unreachable("no route"), RuntimeError("a broken plugin"), KeyError("status")):
        kube = samples.kube()

        async def fail(*_: object, fault: Exception = fault, **__: object) -> dict[str, object]:
            raise fault

        monkeypatch.setattr(kube, "create", fail)
        permissions = Permissions(kube, lambda: None)
        await permissions.ask("Agent", "kagent")
        assert permissions.missing("delete", "Agent", "kagent") == ""
