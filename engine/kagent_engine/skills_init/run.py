"""Fetches everything of a plan in upstream's order: git, OCI, S3. The first failure ends it, and says which skill."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kagent_engine.settings import PathMap
from kagent_engine.skills_init.git import fetch_git, git_environment
from kagent_engine.skills_init.oci import docker_credentials, fetch_oci
from kagent_engine.skills_init.plan import OciSource, Plan, SkillNotFetched, read_plan
from kagent_engine.skills_init.s3 import fetch_s3

__all__ = ["DEFAULT_FILE", "run_skills_init"]

logger = logging.getLogger(__name__)

DEFAULT_FILE: Final = Path("/etc/kagent/skills-init/config.json")
_DOCKER_SECRETS: Final = "/docker-secrets"


def run_skills_init(file: Path, paths: PathMap) -> int:
    """Fetch what the plan names and return the exit code; 1 with one line that names the skill that failed.

    Raises:
        ConfigError: the plan cannot be used.
    """
    plan = read_plan(paths.resolve(str(file)))
    try:
        with tempfile.TemporaryDirectory(prefix="skills-init-") as scratch:
            _fetch_all(plan, paths, Path(scratch))
    except SkillNotFetched as error:
        logger.error("%s", error)
        return 1
    return 0


def _fetch_all(plan: Plan, paths: PathMap, scratch: Path) -> None:
    files = [
        paths.resolve(f"{_DOCKER_SECRETS}/{secret}/{name}")
        for secret in plan.pull_secrets
        for name in (".dockerconfigjson", "config.json")
    ]
    credentials = docker_credentials([file for file in files if file.is_file()])
    if plan.git:
        auth = paths.resolve(plan.auth_folder) if plan.auth_folder else None
        env = git_environment(auth, scratch, os.environ)
        for source in plan.git:
            _into(source.dest, source.url, paths, lambda dest, source=source: fetch_git(source, dest, env))
    for image in plan.oci:

        def pull(dest: Path, image: OciSource = image) -> None:
            asyncio.run(fetch_oci(image, dest, credentials, insecure=plan.insecure_oci))

        _into(image.dest, image.image, paths, pull)
    for thing in plan.s3:
        _into(thing.dest, thing.uri, paths, lambda dest, thing=thing: asyncio.run(fetch_s3(thing, dest)))


def _into(dest: str, source: str, paths: PathMap, fetch: Callable[[Path], None]) -> None:
    """Fetch beside the skill's folder and move it there whole: a restarted init container finds no half of it."""
    place = paths.resolve(dest)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=_existing(place.parent)) as folder:
        fresh = Path(folder) / place.name
        fresh.mkdir()
        try:
            fetch(fresh)
            if place.exists():
                shutil.rmtree(place)
            fresh.rename(place)
        except (SkillNotFetched, OSError) as error:
            raise SkillNotFetched(f"skill '{place.name}' from {source}: {error}") from error
    logger.info("skill '%s' fetched from %s", place.name, source)


def _existing(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SkillNotFetched(f"{folder} cannot be made: {error.strerror}") from error
    return folder
