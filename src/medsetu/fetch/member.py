# SPDX-License-Identifier: Apache-2.0
"""The members of a zip or tar file, one after another, with nothing taken on trust."""

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

FILE, FOLDER = "file", "folder"
LONGEST_HEADER = 1 << 22  # bytes that a tar file may ask to be read at once: names and comments, never data
_PADDING = 1 << 26  # bytes after the last member that are read to reach the checksum of the packing
_ENCRYPTED = 0x1
_OPENERS: dict[str, Callable[[IO[bytes], Literal["rb"]], Any]] = {"gz": gzip.open, "tgz": gzip.open, "bz2": bz2.open, "xz": lzma.open}


class Unsafe(Exception):  # noqa: N818  (a verdict, turned into a DataError by ``unpack``)
    """The archive is refused.

    Args:
        why: In words.
    """

    def __init__(self, *, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Open(Protocol):
    def __call__(self) -> contextlib.AbstractContextManager[IO[bytes]]: ...


@dataclass(frozen=True)
class Member:
    """One member.

    Attributes:
        name: As the archive writes it.
        kind: ``file``, ``folder``, or what else it is, in words.
        size: Bytes it says to unpack to.
        open: Opens its content; only before the next member is asked for.
    """

    name: str
    kind: str
    size: int
    open: _Open


def members(path: Path) -> Iterator[Member]:
    """Go through an archive, by the ending of its name.

    Args:
        path: A file that ends in .zip, .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz.

    Yields:
        Its members, in order.

    Raises:
        Unsafe: A member is encrypted, or a header is larger than any honest one.
        OSError: It cannot be read, or is broken; also ``zipfile.BadZipFile``, ``tarfile.TarError``, ``EOFError`` and the errors of zlib
            and lzma.
    """
    return _zipped(path) if path.suffix.lower() == ".zip" else _tarred(path)


def declared(path: Path) -> int | None:
    """Add up what a zip file says to unpack to; None for a tar file, whose members are known only on the way."""
    if path.suffix.lower() != ".zip":
        return None
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def kind_of(entry: zipfile.ZipInfo) -> str:
    """Say what a member of a zip file is: ``file``, ``folder``, or what else, in words.

    Example:
        >>> kind_of(zipfile.ZipInfo("a/")), kind_of(zipfile.ZipInfo("a/b.png"))
        ('folder', 'file')
    """
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind in (0, stat.S_IFREG, stat.S_IFDIR):
        return FOLDER if entry.is_dir() else FILE
    return {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe"}.get(kind, "a device")


def _zipped(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.flag_bits & _ENCRYPTED:
                raise Unsafe(why="it is encrypted: its publisher gives a password, which medsetu does not ask for")
            yield Member(entry.filename, kind_of(entry), entry.file_size, functools.partial(archive.open, entry))


def _tarred(path: Path) -> Iterator[Member]:
    ending = path.suffix.lower().lstrip(".")
    with contextlib.ExitStack() as stack:
        raw: IO[bytes] = stack.enter_context(path.open("rb"))
        if ending in _OPENERS:
            raw = stack.enter_context(_OPENERS[ending](raw, "rb"))
        watched = _Watched(raw)
        archive = stack.enter_context(tarfile.open(fileobj=watched, mode="r:"))
        while (entry := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # or a million members would stay in memory
            what = FOLDER if entry.isdir() else FILE if entry.isreg() else _special_tar(entry)
            yield Member(entry.name, what, entry.size, functools.partial(_content, archive, entry))
        _to_the_end(watched)


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> contextlib.AbstractContextManager[IO[bytes]]:
    stream = archive.extractfile(entry)
    return stream if stream is not None else io.BytesIO()


def _special_tar(entry: tarfile.TarInfo) -> str:
    return "a link" if entry.issym() or entry.islnk() else "a pipe" if entry.isfifo() else "a device or of an unknown kind"


def _to_the_end(stream: "_Watched") -> None:
    """Read what follows the last member: a packed file checks itself at its very end."""
    left = _PADDING
    while left > 0 and (block := stream.read(min(left, 1 << 20))):
        left -= len(block)
    if not left:
        raise Unsafe(why=f"more than {_PADDING >> 20} MiB follow its last member")


class _Watched(io.RawIOBase):
    """A stream for ``tarfile`` that refuses to be read in large pieces: those are headers that lie about their length."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw

    def read(self, size: int = -1, /) -> Any:  # noqa: ANN401 - bytes; RawIOBase says bytes or None
        if size < 0 or size > LONGEST_HEADER:
            raise Unsafe(why=f"one of its headers is longer than {LONGEST_HEADER >> 20} MiB")
        return self._raw.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
