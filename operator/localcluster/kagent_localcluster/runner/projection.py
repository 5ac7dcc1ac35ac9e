"""Files of a Secret, ConfigMap or projected volume, replaced all at once.

As a kubelet does it: the files lie in a hidden directory of their own, ``..data`` points at it, and every visible name
is a link through ``..data``. A reader sees the old set or the new one, never a mixture.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

__all__ = ["ProjectedFile", "UnsafePath", "project", "safe_relative"]

DATA_LINK = "..data"


class UnsafePath(ValueError):
    """A path of a volume leaves the volume."""


class ProjectedFile(NamedTuple):
    """One file: its bytes and permissions."""

    data: bytes
    mode: int = 0o644


def safe_relative(path: str) -> str:
    """Return a relative path that stays inside its volume.

    Raises:
        UnsafePath: it is absolute, empty or goes up.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise UnsafePath(f"'{path}' leaves the volume; use a relative path without '..'")
    return str(PurePosixPath(path))


def project(directory: Path, files: Mapping[str, ProjectedFile]) -> bool:
    """Make ``directory`` show exactly these files; returns False where it already does."""
    if _shows(directory, files):
        return False
    directory.mkdir(parents=True, exist_ok=True)
    link = directory / DATA_LINK
    old = os.readlink(link) if link.is_symlink() else ""
    fresh = _fresh_name(directory, old)
    for path, file in files.items():
        target = directory / fresh / safe_relative(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.data)
        target.chmod(file.mode)
    (directory / fresh).mkdir(exist_ok=True)
    swap = directory / "..data_tmp"
    swap.unlink(missing_ok=True)
    swap.symlink_to(fresh)
    swap.replace(link)
    _link_visible(directory, {PurePosixPath(path).parts[0] for path in files})
    if old:
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def _shows(directory: Path, files: Mapping[str, ProjectedFile]) -> bool:
    root = directory / DATA_LINK
    if not root.is_dir():
        return False
    present = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    return present.keys() == {safe_relative(path) for path in files} and all(
        present[safe_relative(path)].read_bytes() == file.data
        and present[safe_relative(path)].stat().st_mode & 0o777 == file.mode
        for path, file in files.items()
    )


def _fresh_name(directory: Path, old: str) -> str:
    number = int(old.rsplit("_", 1)[-1]) + 1 if old.rsplit("_", 1)[-1].isdigit() else 1
    while (directory / f"..files_{number}").exists():
        number += 1
    return f"..files_{number}"


def _link_visible(directory: Path, names: set[str]) -> None:
    for entry in directory.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA_LINK}/{name}")
