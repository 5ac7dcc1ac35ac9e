"""``kagent-engine skills-init``: fetches an agent's skills before it starts, from git, OCI registries and S3."""

from __future__ import annotations

from kagent_engine.skills_init.run import DEFAULT_FILE, run_skills_init

__all__ = ["DEFAULT_FILE", "run_skills_init"]
