# SPDX-License-Identifier: Apache-2.0
"""A file that arrives in pieces: its bytes in ``NAME.part``, what has arrived in ``NAME.part.json``, so that any kill can be resumed."""

import contextlib
import errno
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from medsetu.core.errors import ResourceError
from medsetu.core.run import write_json

SAVE_EVERY_S = 1.0  # seconds between two times that what has arrived is put on record
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would change line ends
_FULL = (errno.ENOSPC, errno.EDQUOT)
Spans = list[tuple[int, int]]


def join(spans: Sequence[tuple[int, int]]) -> Spans:
    """Join spans of bytes that touch or overlap.

    Args:
        spans: First byte and the byte after the last, in any order.

    Returns:
        The same bytes as the fewest spans, in order.

    Example:
        >>> join([(4, 6), (0, 2), (2, 3), (5, 9)])
        [(0, 3), (4, 9)]
    """
    joined: Spans = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def gaps(spans: Sequence[tuple[int, int]], total: int) -> Spans:
    """Find what is missing between joined spans.

    Example:
        >>> gaps([(0, 3), (4, 9)], 12)
        [(3, 4), (9, 12)]
    """
    edges = [0, *[edge for span in spans for edge in span], total]
    return [(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop]


class Part:
    """The part of one file that has arrived; several threads may write to it.

    What is on record is on the disk: the bytes are synced before the record names them, so that not even a power cut makes it lie.

    Args:
        path: The file as it will be named when it is whole.
        identity: What tells this file from another one under the same address; a part of another identity is thrown away.
        keep: Whether a part from an earlier time may be used; not when nothing would tell that the server's file has changed.

    Raises:
        ResourceError: The folder cannot be written.
    """

    def __init__(self, path: Path, *, identity: Mapping[str, object], keep: bool) -> None:
        self.path = path.with_name(path.name + ".part")
        self._whole, self._record, self._identity = path, path.with_name(path.name + ".part.json"), dict(identity)
        self._lock, self._saving = threading.Lock(), threading.Lock()
        self._spans: Spans = self._recorded() if keep else []
        self._saved_at, self._open = time.monotonic(), True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._spans:
                self._record.unlink(missing_ok=True)
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | _BINARY | (0 if self._spans else os.O_TRUNC), 0o644)
        except OSError as error:
            raise _lost(error, self.path) from error

    @property
    def arrived(self) -> int:
        """Bytes that are here."""
        with self._lock:
            return sum(stop - start for start, stop in self._spans)

    def missing(self, total: int) -> Spans:
        """Spans that are not here yet."""
        with self._lock:
            return gaps(self._spans, total)

    def write(self, offset: int, block: bytes) -> None:
        """Write a block where it belongs; nothing is written to a part that was closed.

        Raises:
            ResourceError: The disk is full or cannot be written; what arrived before stays.
        """
        with self._lock:  # also against a thread that comes late, when the number of the file may be that of another one
            if not self._open:
                return
            try:
                written = 0
                while written < len(block):
                    written += _write_at(self._handle, memoryview(block)[written:], offset + written)
            except OSError as error:
                raise _lost(error, self.path) from error
            self._spans = join([*self._spans, (offset, offset + len(block))])
        if time.monotonic() - self._saved_at > SAVE_EVERY_S and self._saving.acquire(blocking=False):
            try:
                self.save()
            finally:
                self._saving.release()

    def restart(self) -> int:
        """Throw away what is here, for a server that cannot send a part; return how many bytes that were."""
        with self._lock:
            lost, self._spans = sum(stop - start for start, stop in self._spans), []
        self._record.unlink(missing_ok=True)
        os.ftruncate(self._handle, 0)
        return lost

    def save(self) -> None:
        """Put on record what has arrived.

        Raises:
            ResourceError: The disk is full; the record before stays.
        """
        with self._lock:
            spans = list(self._spans)
            self._saved_at = time.monotonic()
        try:
            _sync(self._handle)
        except OSError as error:
            raise _lost(error, self.path) from error
        write_json(self._record, {"identity": self._identity, "spans": spans})

    def close(self) -> None:
        """Put on record what has arrived, as far as the disk allows, and let go of the file."""
        with self._saving:
            if not self._open:
                return
            with contextlib.suppress(ResourceError):  # the record before stays, and is true
                self.save()
            with self._lock:
                self._open = False
                os.close(self._handle)

    def finish(self) -> Path:
        """Give the whole file its name.

        Raises:
            ResourceError: The disk is full.
        """
        with self._saving, self._lock:
            self._open = False
            try:
                os.fsync(self._handle)
                os.close(self._handle)
                self.path.replace(self._whole)
                self._record.unlink(missing_ok=True)
            except OSError as error:
                raise _lost(error, self.path) from error
        return self._whole

    def _recorded(self) -> Spans:
        """Read the record; nothing when there is none, it is damaged, of another file, or tells of more bytes than there are."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            spans = join([(int(start), int(stop)) for start, stop in record["spans"]])
            size = self.path.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return []
        same = record.get("identity") == self._identity
        return spans if same and all(0 <= start < stop <= size for start, stop in spans) else []


def _write_at(handle: int, block: memoryview, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(handle, block, offset)
    os.lseek(handle, offset, os.SEEK_SET)  # Windows; the lock of the part is held
    return os.write(handle, block)


def _sync(handle: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(handle)
    else:  # macOS and Windows have none
        os.fsync(handle)


def is_full(error: OSError) -> bool:
    """Say whether an error is that of a full disk, or of a quota.

    Example:
        >>> is_full(OSError(errno.ENOSPC, "full")), is_full(OSError(errno.EPERM, "forbidden"))
        (True, False)
    """
    return error.errno in _FULL


def _lost(error: OSError, path: Path) -> ResourceError:
    full = is_full(error)
    return ResourceError(
        what="The disk is full" if full else f"A file could not be written ({error.strerror or type(error).__name__})",
        where=str(path),
        remedy="Free disk space or correct the permissions, then start the same command again: what has arrived is kept",
    )
