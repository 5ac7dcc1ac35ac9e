"""Runs what the API server's objects ask for: Deployments, ReplicaSets, Jobs and Pods as processes of this machine.

It reads and writes objects through ``seams.Objects`` only, starts nothing that no Pod asks for, and ends everything
that it started.
"""

from __future__ import annotations

from kagent_localcluster.runner.access import ApiAccess, TokenIssuer
from kagent_localcluster.runner.images import ImageMap, InvalidImageMap
from kagent_localcluster.runner.proxy.outside import Outside
from kagent_localcluster.runner.runner import Runner
from kagent_localcluster.runner.settings import RunnerSettings

__all__ = ["ApiAccess", "ImageMap", "InvalidImageMap", "Outside", "Runner", "RunnerSettings", "TokenIssuer"]
