# SPDX-License-Identifier: Apache-2.0
"""Results in one growing file of JSON lines, so that long work that was killed goes on where it stopped."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from medsetu.core.errors import ResourceError


class Keyed(Protocol):
    """A dataclass of plain values with a key."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> str:
        """Changes with the input and the settings; empty where the result is not to be kept."""
        ...


_Record = TypeVar("_Record", bound=Keyed)


class LineStore(Generic[_Record]):
    """Keeps records; the last line of killed work may be torn and is left out.

    Args:
        path: The file; None keeps nothing.
        kind: Class of the records.
    """

    def __init__(self, path: Path | None, kind: type[_Record]) -> None:
        self._path, self._kind = path, kind
        self._begun = False

    def load(self) -> dict[str, _Record]:
        """Read what was kept before, by key."""
        if self._path is None or not self._path.is_file():
            return {}
        found = {}
        with self._path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    record = self._kind(**json.loads(line))
                except (ValueError, TypeError):
                    continue
                found[record.key] = record
        return found

    def add(self, records: Iterable[_Record]) -> None:
        """Keep records that have a key.

        Raises:
            ResourceError: The file cannot be written.
        """
        lines = "".join(json.dumps(asdict(record)) + "\n" for record in records if record.key)
        if self._path is None or not lines:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(lines if self._begun else "\n" + lines)  # apart from a line that a kill has torn
        except OSError as error:
            raise ResourceError(
                what=f"Finished results could not be kept ({error.strerror})",
                where=str(self._path),
                remedy="Free disk space or correct the permissions, then start again: finished work is kept",
            ) from error
        self._begun = True

    def forget(self) -> None:
        """Remove the file: the work is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
