"""Unpacks other people's archives: nothing lands outside of the folder, nothing is special, the size is bounded."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Final

from kagent_engine.skills_init.plan import SkillNotFetched

__all__ = ["unpack_tar", "unpack_zip"]

_MOST_BYTES: Final = 1024 * 1024 * 1024
_MOST_FILES: Final = 100_000
_WHITEOUT: Final = ".wh."
# The decompressors' own faults are no OSErrors.
_DAMAGED: Final = (OSError, EOFError, zlib.error, lzma.LZMAError)


def unpack_tar(file: Path, folder: Path, *, layer: bool = False) -> None:
    """Unpack a tar file, plain or compressed; ``layer`` honours the deletions of an image's layer.

    Raises:
        SkillNotFetched: it is damaged, too large or leads outside.
    """
    total = count = 0
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                total, count = total + member.size, count + 1
                _bounded(total, count)
                if layer and Path(member.name).name.startswith(_WHITEOUT):
                    _delete(folder, Path(member.name))
                    continue
                # "data" refuses devices, absolute names and links that lead outside (PEP 706).
                archive.extract(member, folder, filter="data")
    except (tarfile.TarError, *_DAMAGED) as error:
        raise SkillNotFetched(f"the archive cannot be unpacked: {error}") from error


def unpack_zip(file: Path, folder: Path) -> None:
    """Unpack a zip file.

    Raises:
        SkillNotFetched: it is damaged, too large or leads outside.
    """
    total = count = 0
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                total, count = total + member.file_size, count + 1
                _bounded(total, count)
                if member.filename.startswith("/") or ".." in Path(member.filename).parts:
                    raise SkillNotFetched(f"the archive holds '{member.filename}', which leads outside of it")
                archive.extract(member, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, *_DAMAGED) as error:
        raise SkillNotFetched(f"the archive cannot be unpacked: {error}") from error


def _bounded(total: int, count: int) -> None:
    if total > _MOST_BYTES or count > _MOST_FILES:
        raise SkillNotFetched("it unpacks to more than 1 GiB or 100,000 files, which no skill should hold")


def _delete(folder: Path, mark: Path) -> None:
    name = mark.name.removeprefix(_WHITEOUT)
    target = (folder / mark.parent / name).resolve()
    if name in {"", ".", "..", "opq"} or not target.is_relative_to(folder.resolve()) or target == folder.resolve():
        return
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
