# SPDX-License-Identifier: Apache-2.0
"""What the files of a study say, row by row, in bounded memory: facts in columns, and thumbnails in a file without a name."""

import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.core.errors import ResourceError
from medsetu.manifest.scan import Record
from medsetu.manifest.similarity import THUMBNAIL

FACTS = {  # of the reader, and the type of their column
    "file_format": "str",
    "color_mode": "str",
    "height": "int64",
    "width": "int64",
    "bits": "int64",
    "spacing_mm": "float64",
    "file_bytes": "int64",
    "modality": "str",
    "view": "str",
    "laterality": "str",
    "sex": "str",
    "age_years": "float64",
    "device": "str",
}
PART = 8192  # records that wait before they become columns
_TEXT = pd.StringDtype(na_value=float("nan"))
_WAY = {"row": "int64", "place": "int64", "reason": "str", "sha256": "str", "phash": "str", **FACTS}


class Pictures(Protocol):
    """Thumbnails that are given when they are asked for; an array is one."""

    def __len__(self) -> int:
        """Number of thumbnails."""
        ...

    def __getitem__(self, rows: NDArray[np.intp], /) -> NDArray[np.float16]:
        """Give the thumbnails of some rows, (n, 32, 32)."""
        ...


class Spool:
    """Takes in records in any order.

    Args:
        folder: Where the file of the thumbnails lies as long as the spool is used, 2 KiB a sample; None takes that for temporary files.

    Raises:
        ResourceError: The folder cannot be written.
    """

    def __init__(self, folder: Path | None) -> None:
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the spool
        except OSError as error:
            raise _full(error) from error
        weakref.finalize(self, self._file.close)
        self._waiting: list[dict[str, object]] = []
        self._parts: list[pd.DataFrame] = []
        self._written = 0

    def add(self, rows: Sequence[int], records: Sequence[Record]) -> None:
        """Take records in.

        Args:
            rows: Row of each record.
            records: What the files say.

        Raises:
            ResourceError: The disk is full.
        """
        for row, record in zip(rows, records, strict=True):
            told = record.facts or {}
            facts = {name: told.get(name, _UNKNOWN[kind]) for name, kind in FACTS.items()}
            place = self._keep(record.thumbnail) if not record.reason else -1
            self._waiting.append(
                {"row": row, "place": place, "reason": record.reason, "sha256": record.sha256, "phash": record.phash, **facts}
            )
        if len(self._waiting) >= PART:
            self._pack()

    def table(self) -> pd.DataFrame:
        """Give what was taken in, in the order of rows.

        Returns:
            ``reason`` (empty where the file can be used), ``sha256``, ``phash`` and the ``FACTS``; index 0 to n - 1.

        Raises:
            ResourceError: The disk is full.
        """
        self._pack()
        try:
            self._file.flush()
        except OSError as error:
            raise _full(error) from error
        empty = pd.DataFrame({name: pd.Series(dtype=_TEXT if kind == "str" else kind) for name, kind in _WAY.items()})
        table = pd.concat(self._parts or [empty], ignore_index=True).sort_values("row", ignore_index=True)
        self._parts = [table]
        return table.drop(columns=["row", "place"])

    def pictures(self) -> "Spooled":
        """Give the thumbnails of the rows that can be used; call it after ``table``."""
        places = self._parts[0]["place"].to_numpy()
        self._parts = []
        return Spooled(self, places[places >= 0].astype(np.intp))

    def read(self, places: NDArray[np.intp]) -> NDArray[np.float16]:
        """Give the thumbnails of some places, (n, 32, 32)."""
        if not len(places):
            return np.empty((0, THUMBNAIL, THUMBNAIL), dtype=np.float16)
        # mapped anew each time: pages that stay mapped would count as memory in use
        mapped = np.memmap(self._file, dtype=np.float16, mode="r", shape=(self._written, THUMBNAIL, THUMBNAIL))
        return np.asarray(mapped[places])

    def _keep(self, thumbnail: bytes) -> int:
        try:
            self._file.write(thumbnail)
        except OSError as error:
            raise _full(error) from error
        self._written += 1
        return self._written - 1

    def _pack(self) -> None:
        if self._waiting:
            part = pd.DataFrame(self._waiting, columns=list(_WAY))
            self._parts.append(part.astype({name: _TEXT if kind == "str" else kind for name, kind in _WAY.items()}))
            self._waiting = []


@dataclass(frozen=True)
class Spooled:
    """Thumbnails in a file, of which a part is read when it is asked for, and forgotten again.

    Attributes:
        spool: Holds the file.
        places: (n,) place of each thumbnail in it.
    """

    spool: Spool
    places: NDArray[np.intp]

    def __len__(self) -> int:
        """Number of thumbnails."""
        return len(self.places)

    def __getitem__(self, rows: NDArray[np.intp], /) -> NDArray[np.float16]:
        """Give the thumbnails of some rows.

        Args:
            rows: (n,) rows.

        Returns:
            (n, 32, 32).
        """
        return self.spool.read(self.places[rows])


_UNKNOWN: dict[str, object] = {"str": "", "int64": 0, "float64": float("nan")}


def _full(error: OSError) -> ResourceError:
    return ResourceError(
        what=f"Thumbnails could not be kept ({error.strerror or type(error).__name__})",
        where=str(error.filename or "Folder of the scan results, or the folder for temporary files"),
        remedy="Free 2 KiB a sample of disk space or correct the permissions, then start again: finished work is kept",
    )
