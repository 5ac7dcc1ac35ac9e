"""Fetches a skill with the ``git`` program: one commit, without its history, hooks or links to other places."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kagent_engine.skills_init.plan import GitSource, SkillNotFetched

__all__ = ["fetch_git", "git_environment"]

_SECONDS: Final = 300.0
_PROTOCOLS: Final = "https:http:ssh:git"
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]+@")


def git_environment(auth_folder: Path | None, scratch: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return git's environment: nobody is asked, no config of the machine is read, and credentials stay in files.

    ``auth_folder`` holds ``token`` (for https) or ``ssh-privatekey``, as Kubernetes Secrets name them.

    Raises:
        SkillNotFetched: it holds neither.
    """
    env = dict(environ) | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ALLOW_PROTOCOL": environ.get("GIT_ALLOW_PROTOCOL", _PROTOCOLS),
        "HOME": str(scratch),
    }
    if auth_folder is None:
        return env
    token, key = auth_folder / "token", auth_folder / "ssh-privatekey"
    if token.is_file():
        helper = f'!f() {{ echo username=x-access-token; echo "password=$(cat {shlex.quote(str(token))})"; }}; f'
        return env | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": helper}
    if key.is_file():
        copy = scratch / "ssh-key"  # ssh refuses a key that others may read, as mounted Secrets are
        copy.touch(mode=0o600)
        copy.write_bytes(key.read_bytes().rstrip() + b"\n")
        hosts = shlex.quote(str(scratch / "known_hosts"))
        # Without known_hosts in the Secret the first answer is trusted, as ssh-keyscan at each start would.
        checking = "accept-new"
        if (auth_folder / "known_hosts").is_file():
            (scratch / "known_hosts").write_bytes((auth_folder / "known_hosts").read_bytes())
            checking = "yes"
        command = f"ssh -i {shlex.quote(str(copy))} -o IdentitiesOnly=yes -o BatchMode=yes"
        return env | {"GIT_SSH_COMMAND": f"{command} -o StrictHostKeyChecking={checking} -o UserKnownHostsFile={hosts}"}
    raise SkillNotFetched(
        f"{auth_folder} holds neither 'token' nor 'ssh-privatekey'; the Secret of gitAuthSecretRef needs one of them"
    )


def fetch_git(source: GitSource, dest: Path, env: Mapping[str, str]) -> None:
    """Put the files of one commit (or of a folder in it) into ``dest``.

    Raises:
        SkillNotFetched: git is missing, refuses, or the folder is not in the repository.
    """
    with tempfile.TemporaryDirectory(prefix="skill-") as scratch:
        folder = Path(scratch) / "repository"
        folder.mkdir()
        _git(source, folder, env, "init", "--quiet")
        if source.full:
            # A commit by its hash: most servers hand it out alone, the others need all branches and tags.
            try:
                _git(source, folder, env, "fetch", "--quiet", "--depth", "1", "--", source.url, source.ref)
            except SkillNotFetched:
                every = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
                _git(source, folder, env, "fetch", "--quiet", "--", source.url, *every)
            _git(source, folder, env, "checkout", "--quiet", "--detach", source.ref)
        else:
            _git(source, folder, env, "fetch", "--quiet", "--depth", "1", "--", source.url, source.ref)
            _git(source, folder, env, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        shutil.rmtree(folder / ".git")
        wanted = (folder / source.sub_path).resolve()
        if not wanted.is_dir() or not wanted.is_relative_to(folder.resolve()):
            raise SkillNotFetched(f"there is no folder '{source.sub_path}' at {source.ref}")
        shutil.copytree(wanted, dest, symlinks=True, dirs_exist_ok=True)


def _git(source: GitSource, folder: Path, env: Mapping[str, str], *arguments: str) -> None:
    options = ("-c", "core.symlinks=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")
    try:
        ended = subprocess.run(
            ["git", *options, *arguments],
            cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise SkillNotFetched("the program 'git' is not there; use an image that has it") from error
    except subprocess.TimeoutExpired as error:
        raise SkillNotFetched(f"git did not end within {_SECONDS:.0f} s") from error
    if ended.returncode:
        said = _USER_INFO.sub("", ended.stderr.decode("utf-8", "replace")).strip().splitlines()
        raise SkillNotFetched(f"git: {said[-1] if said else f'exit code {ended.returncode}'} (ref '{source.ref}')")
