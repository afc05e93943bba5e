# SPDX-License-Identifier: Apache-2.0
"""A zip file with the same bytes for the same content, and its careful unpacking."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from medsetu.core.errors import DataError
from medsetu.core.inside import alike, strays
from medsetu.core.run import atomic_write, sha256_bytes
from medsetu.fetch.member import FILE, kind_of

LISTING = "MANIFEST.sha256"
_DAY = (1980, 1, 1, 0, 0, 0)  # the first day that a zip file knows
LARGEST = 20 * 2**30  # bytes unpacked
_REMEDY = "Ask for the capsule again"


def pack(files: Mapping[str, bytes], path: Path) -> str:
    """Write files and the list of their hashes as a zip file, atomically; order, dates and rights are fixed.

    Args:
        files: Relative path with forward slashes -> content.
        path: Target, ending in .zip.

    Returns:
        SHA-256 of the zip file.

    Raises:
        ResourceError: The file cannot be written.
    """
    listing = "".join(f"{sha256_bytes(files[name])}  {name}\n" for name in sorted(files))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in [(LISTING, listing.encode()), *sorted(files.items())]:
            entry = zipfile.ZipInfo(name, date_time=_DAY)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, content)
    data = buffer.getvalue()
    atomic_write(path, data)
    return sha256_bytes(data)


def unpack(path: Path, folder: Path) -> None:
    """Unpack what ``pack`` wrote, and nothing else: every name is checked before, every content after.

    Args:
        path: The zip file.
        folder: An empty folder.

    Raises:
        DataError: It is no zip file, a name leaves the folder or stands twice, a file is no plain file, too much would be unpacked, a
            file is missing from the list of hashes, or its content is not the listed one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check(path, entries)
            promised = _listing(archive.read(LISTING).decode())
            names = {entry.filename for entry in entries}
            if set(promised) != names - {LISTING}:
                raise _refused(path, "the list of hashes and the files do not agree")
            for name, digest in promised.items():
                content = archive.read(name)
                if sha256_bytes(content) != digest:
                    raise _refused(path, f"the file {name} is not the one that was packed")
                atomic_write(folder / name, content)
    # zipfile: KeyError no list, ValueError text or stream, RuntimeError encrypted or of an unknown compression
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, RuntimeError) as error:
        raise _refused(path, f"it cannot be read ({type(error).__name__})") from error


def _check(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len({alike(entry.filename) for entry in entries}) < len(entries):
        raise _refused(path, "a name stands in it twice")
    for entry in entries:
        if kind_of(entry) != FILE or strays(entry.filename):
            raise _refused(path, "a name in it leaves its folder, or is no plain file")
    if sum(entry.file_size for entry in entries) > LARGEST:
        raise _refused(path, f"it would unpack to more than {LARGEST // 2**30} GiB")


def _listing(text: str) -> dict[str, str]:
    return {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}


def _refused(path: Path, why: str) -> DataError:
    return DataError(what=f"The capsule is refused: {why}", where=str(path), remedy=_REMEDY)
