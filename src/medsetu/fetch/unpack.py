# SPDX-License-Identifier: Apache-2.0
"""Unpack an archive that nobody vouches for: into a folder of its own, within limits, and into place only when it is whole."""

import contextlib
import errno
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from medsetu.core.errors import DataError, ResourceError
from medsetu.core.inside import alike, inner, strays
from medsetu.core.run import sha256_file
from medsetu.fetch.member import FILE, FOLDER, Member, Unsafe, declared, members
from medsetu.fetch.part import is_full

UNPACKING, UNPACKED = ".unpacking", ".unpacked"
_FLOOR = 1 << 26  # bytes that any archive may unpack to, whatever its ratio
_BLOCK = 1 << 20
_FAULTS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,  # also: a way of packing that Python does not know
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
)
_OF_A_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)  # no disk could hold it


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to.

    Attributes:
        bytes: In all.
        ratio: Times its own length; archives up to 64 MiB unpacked may have any.
        members: Number of files and folders.
    """

    bytes: int = 2**41
    ratio: float = 100.0
    members: int = 5_000_000


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked.

    Attributes:
        files: Relative path, with forward slashes -> bytes.
        left_out: Members that are no part of a release: resource forks of macOS.
    """

    files: dict[str, int]
    left_out: int


def unpack(path: Path, folder: Path, *, limits: Limits, prefix: str = "", advance: Callable[[int], None] = lambda _: None) -> Unpacked:
    """Unpack into ``NAME.unpacked`` beside the archive, which has that name only when all of it is there.

    Archives inside are left as they are. Rights, owners and dates of the archive are not taken over.

    Args:
        path: The archive.
        folder: Where ``NAME.unpacking`` and ``NAME.unpacked`` go.
        limits: What is too much.
        prefix: Folder of the archive whose content is wanted, and which is left out of the names; empty for all.
        advance: Told of every number of bytes written.

    Returns:
        What was unpacked.

    Raises:
        DataError: The archive is broken, encrypted, a bomb, or one of its names leaves the folder, is a link, or meets another one.
        ResourceError: The disk is full.
    """
    aside, whole = folder / (path.name + UNPACKING), folder / (path.name + UNPACKED)
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(whole, ignore_errors=True)
    job = _Job(aside, limits=limits, packed=path.stat().st_size, prefix=inner(prefix), advance=advance)
    try:
        aside.mkdir(parents=True)
        job.expect(declared(path))
        for member in members(path):
            job.take(member)
        if prefix and not job.files:
            raise Unsafe(why=f"it has no folder '{prefix}'")
        aside.rename(whole)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, (Unsafe, *_FAULTS)):
            _tell(error, path)
        raise
    return Unpacked(job.files, job.left_out)


def settle(source: Path, target: Path) -> None:
    """Move what was unpacked into place, by renaming; can be done again after a kill in the middle.

    Args:
        source: Folder or file; gone afterwards.
        target: Where it goes; folders that are there take in what comes.

    Raises:
        DataError: A file of another content is there.
        ResourceError: It cannot be moved.
    """
    try:
        if not target.exists() and not target.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        elif source.is_dir() and target.is_dir():
            for child in sorted(source.iterdir()):
                settle(child, target / child.name)
            source.rmdir()
        elif source.is_file() and target.is_file() and sha256_file(source) == sha256_file(target):
            source.unlink()
        else:
            raise DataError(
                what="A file of the release would replace another one that is already there",
                where=str(target),
                remedy="Move the one that is there elsewhere, or choose another folder, and start the same command again",
            )
    except OSError as error:
        raise ResourceError(
            what=f"A file could not be moved into place ({error.strerror or type(error).__name__})",
            where=str(target),
            remedy="Correct the permissions, then start the same command again: what was unpacked is kept",
        ) from error


class _Job:
    """Takes members one by one, and counts."""

    def __init__(self, folder: Path, *, limits: Limits, packed: int, prefix: str, advance: Callable[[int], None]) -> None:
        self._folder, self._limits, self._prefix, self._advance = folder, limits, prefix, advance
        self._most = min(limits.bytes, max(_FLOOR, int(limits.ratio * packed)))
        self._names: dict[str, str] = {}
        self._bytes = self._members = 0
        self.files: dict[str, int] = {}
        self.left_out = 0

    def expect(self, size: int | None) -> None:
        """Refuse what says beforehand that it is too much, or more than the disk holds."""
        if size is not None and size > self._most:
            raise Unsafe(why=f"it would unpack to {size:,} bytes, more than {self._most:,} (see max_ratio and max_gb)")
        free = shutil.disk_usage(self._folder).free
        if size is not None and size > free:
            raise ResourceError(
                what=f"What is to be unpacked needs {size / 2**30:.1f} GiB, the disk has {free / 2**30:.1f} GiB free",
                where=str(self._folder.parent),
                remedy="Free disk space, then start the same command again: the archive is kept",
            )

    def take(self, member: Member) -> None:
        """Write one member, after every question that its header can answer."""
        self._members += 1
        if self._members > self._limits.members:
            raise Unsafe(why=f"it has more than {self._limits.members:,} members")
        if member.kind not in (FILE, FOLDER):
            raise Unsafe(why=f"one of its members is {member.kind}")
        if not inner(member.name) and member.kind == FOLDER:
            return  # the folder itself, as ./
        if why := strays(member.name):
            raise Unsafe(why=f"the name of a member would leave its folder, or is none: {why}")
        name = self._wanted(inner(member.name))
        if not name:
            self.left_out += member.kind == FILE
        elif member.kind == FOLDER:
            self._claim(name, FOLDER)
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        else:
            self._write(member, name)

    def _wanted(self, name: str) -> str:
        """Name below the folder; empty for what is left out."""
        parts = name.split("/")
        if parts[0] == "__MACOSX" or parts[-1].startswith("._") or parts[-1] == ".DS_Store":
            return ""
        if not self._prefix:
            return name
        return name.removeprefix(self._prefix + "/") if name.startswith(self._prefix + "/") else ""

    def _write(self, member: Member, name: str) -> None:
        self._claim(name, FILE)
        if self._bytes + member.size > self._most:
            raise Unsafe(why=f"it unpacks to more than {self._most:,} bytes (see max_ratio and max_gb)")
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with member.open() as stream, path.open("xb") as target:  # x: a name is written once
            while block := stream.read(_BLOCK):
                written += len(block)
                if written > member.size:
                    raise Unsafe(why="a member is longer than its header says")
                target.write(block)
                self._advance(len(block))
        if written != member.size:
            raise Unsafe(why="a member is shorter than its header says")
        self._bytes += written
        self.files[name] = written

    def _claim(self, name: str, kind: str) -> None:
        """Refuse a second file of a name, a file where a folder is, and names that differ by case or by the form of a letter alone."""
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            what = kind if depth == len(parts) else FOLDER
            before = self._names.setdefault(alike(part), f"{what} {part}")
            if before != f"{what} {part}" or (what == FILE and part in self.files):
                raise Unsafe(why="two of its members bear one name, or names that some disks take for one")


def _tell(error: BaseException, path: Path) -> NoReturn:
    """Say why an archive was not unpacked."""
    if isinstance(error, OSError) and error.errno is not None and error.errno not in _OF_A_NAME:
        raise ResourceError(
            what="The disk is full" if is_full(error) else f"The folder cannot be written ({error.strerror})",
            where=str(path.parent),
            remedy="Free disk space or correct the permissions, then start the same command again: the archive is kept",
        ) from None
    why = error.why if isinstance(error, Unsafe) else f"it is broken ({type(error).__name__})"
    with contextlib.suppress(OSError):
        path.replace(path.with_name(path.name + ".refused"))
    raise DataError(
        what=f"The archive is not unpacked: {why}",
        where=f"{path}.refused",
        remedy="Start the same command again to fetch it anew; when it is refused again, tell its publisher, or look into it by hand",
    ) from None
