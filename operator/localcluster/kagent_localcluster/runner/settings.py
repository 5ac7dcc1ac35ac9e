"""What a run of the runner is told at start; everything here is fixed until it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kagent_localcluster.runner.backoff import BackoffRules

__all__ = ["NODE_NAME", "RunnerSettings"]

NODE_NAME = "local"


@dataclass(frozen=True)
class RunnerSettings:
    """``environment`` is this machine's, from which an allow-listed part reaches the Pods; ``marks`` all of it.

    ``settle`` is how long a Pod that left its Services still gets requests that were on their way; ``drain`` how long
    it may finish them before it is asked to end. ``last_grace`` caps every grace period when the cluster itself ends.
    """

    data_dir: Path
    environment: Mapping[str, str]
    node: Literal["process", "hollow"] = "process"
    marks: Mapping[str, str] = field(default_factory=dict[str, str])
    backoff: BackoffRules = field(default_factory=BackoffRules)
    settle: float = 0.1
    drain: float = 2.0
    last_grace: float = 3.0

    @property
    def pods_dir(self) -> Path:
        return self.data_dir / "pods"
