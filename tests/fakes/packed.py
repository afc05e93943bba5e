# SPDX-License-Identifier: Apache-2.0
"""Zip and tar files, honest and hostile."""

import io
import tarfile
import zipfile


def zipped(members, *, packing=zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of names (or ``ZipInfo``) and contents, in order; a name may come twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members, *, packing="gz") -> bytes:
    """A tar file of names (or ``TarInfo``) and contents, in order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{packing}") as archive:
        for name, content in members:
            entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A tar member that is no plain file."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def zipped_link(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    """A symbolic link as zip files write it."""
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    return entry, target
