# SPDX-License-Identifier: Apache-2.0
"""Is the file that came the one on the card, and is there room for it?"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medsetu.catalog.file import RemoteFile
from medsetu.core.errors import DataError, ResourceError

NOT_VERIFIED = "not verified: no digest is known"
REFUSED = ".refused"
_BLOCK = 1 << 20
_GIB = 2**30


@dataclass(frozen=True)
class Seen:
    """What came.

    Attributes:
        bytes: Length.
        sha256: Digest, 64 hexadecimal digits.
        verified: Against what it was checked, in words.
    """

    bytes: int
    sha256: str
    verified: str


def check(path: Path, file: RemoteFile, *, advance: Callable[[int], None] = lambda _: None) -> Seen:
    """Compare a file with its card; one that differs is set aside as ``NAME.refused``, and never unpacked.

    Args:
        path: The file.
        file: What the card says.
        advance: Told of every number of bytes read.

    Returns:
        What was seen.

    Raises:
        DataError: It is of another length or digest.
    """
    kind, _, promised = (file.digest or "").partition(":")
    digests = {"sha256": hashlib.sha256()}
    if kind == "md5":
        digests["md5"] = hashlib.md5(usedforsecurity=False)  # what the publisher gives; it finds broken transfers, no forgeries
    size = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            for digest in digests.values():
                digest.update(block)
            size += len(block)
            advance(len(block))
    found = digests[kind].hexdigest() if kind else ""
    if found != promised or (file.bytes is not None and size != file.bytes):
        path.replace(path.with_name(path.name + REFUSED))
        difference = f"its {kind} is {found[:12]}..., the card says {promised[:12]}..." if found != promised else f"it has {size:,} bytes"
        raise DataError(
            what=f"The file '{file.name}' is not the one on the card: {difference}",
            where=f"{path}{REFUSED}",
            remedy="Start the same command again to fetch it anew; when it differs again, its publisher may have changed it",
        )
    verified = f"{kind} of the card" if kind else NOT_VERIFIED
    return Seen(size, digests["sha256"].hexdigest(), verified)


def require_room(folder: Path, need: int, *, what: str) -> None:
    """Refuse before the first byte when the disk has no room.

    Args:
        folder: Where it goes, or the first of its parents that is there.
        need: Bytes.
        what: For what, in words.

    Raises:
        ResourceError: There is less free.
    """
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < need:
        raise ResourceError(
            what=f"The disk has {free / _GIB:.1f} GiB free, {what} needs about {need / _GIB:.1f} GiB",
            where=str(folder),
            remedy="Free disk space or choose another disk with folder=...; `only=[...]` fetches some of the files",
        )
