# SPDX-License-Identifier: Apache-2.0
"""What was fetched, from where, and what it was checked against: ``medsetu-fetch.json`` beside the data."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsetu import __version__
from medsetu.catalog.file import RemoteFile
from medsetu.core.errors import DataError
from medsetu.core.run import atomic_write, write_json

NAME = "medsetu-fetch.json"
WORK = ".medsetu-fetch"  # folder, below that of the release, for what is on its way
_MEMBERS = ".members"


class Record:
    """The record of one folder.

    Args:
        folder: Of the release.
        release: Its name.

    Raises:
        DataError: The record there is of another release, or cannot be read.
    """

    def __init__(self, folder: Path, *, release: str) -> None:
        self.folder, self.release = folder, release
        self.work = folder / WORK
        self._files = _read(folder / NAME, release)

    def entry(self, file: RemoteFile) -> dict[str, Any]:
        """What is on record of a file; empty when nothing is, or when the card names another address or digest by now."""
        entry = self._files.get(file.name, {})
        return dict(entry) if (entry.get("url"), entry.get("digest")) == (file.url, file.digest) else {}

    def note(self, file: RemoteFile, facts: Mapping[str, Any]) -> None:
        """Add facts of a file, and write the record.

        Raises:
            ResourceError: The folder cannot be written.
        """
        entry = self.entry(file) or {"url": file.url, "digest": file.digest}
        self._files[file.name] = {**entry, **facts}
        write_json(self.folder / NAME, {"release": self.release, "fetched_with": f"medsetu {__version__}", "files": self._files})

    def is_placed(self, file: RemoteFile) -> bool:
        """Say whether a file, or all that was unpacked from it, is where it belongs, of the length it had; nothing is read."""
        entry = self.entry(file)
        if not entry.get("placed"):
            return False
        place = self.folder / file.into
        members = self.members(file) if file.unpack else {file.name: int(entry["bytes"])}
        return bool(members) and all(_size(place / name) == size for name, size in members.items())

    def list_members(self, file: RemoteFile, members: Mapping[str, int]) -> None:
        """Keep the list of what was unpacked, to see later whether it is still all there.

        Raises:
            ResourceError: The folder cannot be written.
        """
        text = "".join(f"{size}\t{name}\n" for name, size in members.items())
        atomic_write(self.work / (file.name + _MEMBERS), text.encode("utf-8", "surrogateescape"))

    def members(self, file: RemoteFile) -> dict[str, int]:
        """Read the list of what was unpacked; empty when there is none."""
        try:
            text = (self.work / (file.name + _MEMBERS)).read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            return {}
        lines = (line.partition("\t") for line in text.split("\n") if line)
        return {name: int(size) for size, _, name in lines}


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - called once per image; pathlib's takes twice as long
    except OSError:
        return -1


def _read(path: Path, release: str) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        whose, files = found["release"], dict(found["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            what="The record of what was fetched cannot be read", where=str(path), remedy="Remove it, and start the same command again"
        ) from error
    if whose != release:
        raise DataError(
            what=f"The folder holds another release: '{whose}'", where=str(path), remedy="Choose another folder with folder=..."
        )
    return files
