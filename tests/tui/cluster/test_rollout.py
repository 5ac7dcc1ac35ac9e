"""How far a change has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kagent_tui.cluster.kinds import JsonObject
from kagent_tui.cluster.rollout import progress

if TYPE_CHECKING:
    from ..conftest import Samples


def deployment(*, generation: int = 2, observed: int = 2, **status: Any) -> JsonObject:
    return {
        "kind": "Deployment",
        "metadata": {"generation": generation},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": observed, **status},
    }


DONE = deployment(updatedReplicas=1, replicas=1, availableReplicas=1)


def test_a_change_waits_for_the_operator_then_for_its_pods(samples: type[Samples]) -> None:
    agent = samples.agent("a")
    assert "waiting for the operator" in progress(agent, DONE, 2).text
    agent["status"]["conditions"] = [
        samples.condition("Accepted", "True", "Reconciled", generation=2),
        samples.condition("Ready", "True", "DeploymentReady", generation=2),
    ]
    assert progress(agent, deployment(observed=1), 2) == ("going", "Agent kagent/a: rollout begins")
    assert "0 of 1 new Pods started" in progress(agent, deployment(replicas=1), 2).text
    old_left = deployment(updatedReplicas=1, replicas=2, availableReplicas=1)
    assert "1 old Pods still running" in progress(agent, old_left, 2).text
    assert progress(agent, DONE, 2) == ("done", "Agent kagent/a: ready")


def test_a_refused_change_fails_with_the_reason(samples: type[Samples]) -> None:
    agent = samples.agent("a")
    agent["status"]["conditions"][0] |= {"status": "False", "message": "ModelConfig x not found"}
    assert progress(agent, None, 1) == ("failed", "Agent kagent/a: not accepted: ModelConfig x not found")


def test_a_model_is_done_once_accepted(samples: type[Samples]) -> None:
    assert progress(samples.model(), None, 1).state == "done"


def test_a_deleted_object_fails() -> None:
    assert progress(None, None, 1).state == "failed"
