"""A rollout under way is waited for; only a fault is shown as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kagent_tui.render.conditions import STUCK_SECONDS, ready_cell
from kagent_tui.render.rollouts import rollout
from kagent_tui.render.text import Tone

if TYPE_CHECKING:
    from ..conftest import Samples

SINCE = 1_800_000_000.0 - 1800  # what the sample conditions say


def agent(samples: type[Samples], message: str, reason: str = "DeploymentNotReady") -> dict[str, Any]:
    made = samples.agent("a")
    made["status"]["conditions"] = [samples.condition("Ready", "False", reason, message)]
    return made


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Deployment is not ready, 0/1 pods are ready", "○ 0/1 starting"),
        ("Deployment is rolling out generation 2, 1/1 pods are ready", "○ 1/1 starting"),
        ("Deployment is rolling out, 1/2 pods are ready: 1 new and 1 old pods", "○ 1/2 starting"),
        ("the Deployment is not there yet", "○ starting"),
        (
            "Deployment is not ready, 0/1 pods are ready: pod a-1: container x: CrashLoopBackOff: Error, exit code 1",
            "✖ CrashLoopBackOff",
        ),
        ("Deployment is not ready, 0/1 pods are ready: pod a-1: container kagent: ErrImagePull", "✖ ErrImagePull"),
        (
            "Deployment is rolling out, 1/1 pods are ready: pod a-1: container x: started again after Error, exit 3",
            "✖ Error",
        ),
        ("Deployment is not ready, 0/1 pods are ready: pod a-1 cannot be scheduled: no node", "✖ unschedulable"),
        ("Deployment is not ready, 0/1 pods are ready: pod a-1 failed: Evicted", "✖ failed"),
    ],
)
def test_only_a_fault_is_a_fault(samples: type[Samples], message: str, shown: str) -> None:
    reason = "DeploymentNotFound" if "not there" in message else "DeploymentNotReady"
    cell = ready_cell(agent(samples, message, reason), SINCE + 5)
    assert cell.text == shown
    assert cell.tone is (Tone.BAD if shown.startswith("✖") else Tone.WARN)


def test_what_starts_for_too_long_is_a_fault(samples: type[Samples]) -> None:
    obj = agent(samples, "Deployment is not ready, 0/1 pods are ready")
    assert ready_cell(obj, SINCE + STUCK_SECONDS - 1).tone is Tone.WARN
    assert ready_cell(obj, SINCE + STUCK_SECONDS + 1).text == "✖ 0/1 not ready"


def test_other_reasons_are_shown_as_they_are(samples: type[Samples]) -> None:
    assert rollout("ScaledToZero", "Deployment is scaled to 0 replicas") is None
    assert ready_cell(agent(samples, "", "ScaledToZero"), SINCE).text == "✖ ScaledToZero"
