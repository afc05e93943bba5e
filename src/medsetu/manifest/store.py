# SPDX-License-Identifier: Apache-2.0
"""What was read before: results per file, so that a second prepare is quick and a killed one goes on where it stopped."""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.core.errors import DataError
from medsetu.core.run import content_key
from medsetu.core.table import read_table, write_table
from medsetu.manifest.scan import Record
from medsetu.reader.sample import sample_state

SCHEMA = 1
READERS = ("medsetu", "numpy", "pillow", "pydicom", "python-gdcm", "pylibjpeg-openjpeg")
SHARD = 512  # records per file
SHARD_SECONDS = 20.0  # at most this much work is lost by a power cut

_log = logging.getLogger(__name__)


class ScanStore:
    """Records of readable files in checksummed shards; a damaged shard is counted and its files are read again.

    Unreadable files are not kept: the fault may have been the disk's, and is asked again each time.

    Args:
        folder: Where the shards lie; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._fresh: list[Record] = []
        self._saved_at = time.monotonic()
        self._environment = [SCHEMA, *(f"{name} {_version(name)}" for name in READERS)]

    def key(self, path: Path) -> str:
        """Name the result of a file by its place, size, modification time and the versions of the readers.

        Args:
            path: The file.

        Returns:
            The key; empty when the file cannot be asked.
        """
        try:
            state = sample_state(path)
        except OSError:
            return ""
        return content_key([self._environment, *state], length=32)

    def kept(self, wanted: NDArray[np.bytes_] | None = None) -> Iterator[list[Record]]:
        """Read what was kept so far, a shard at a time.

        Args:
            wanted: Sorted keys; records of others are left out. None gives all.

        Yields:
            Records of one shard.
        """
        for shard in sorted(self._folder.glob("*.parquet")) if self._folder else []:
            yield _read_shard(shard, wanted)

    def add(self, records: Iterable[Record]) -> None:
        """Take records in; every 512 records or 20 seconds they are written.

        Raises:
            ResourceError: The disk is full or the folder cannot be written.
        """
        self._fresh += [record for record in records if record.key and not record.reason]
        if len(self._fresh) >= SHARD or time.monotonic() - self._saved_at > SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written yet.

        Raises:
            ResourceError: The disk is full or the folder cannot be written.
        """
        self._saved_at = time.monotonic()
        if self._folder is None or not self._fresh:
            return
        frame = pd.DataFrame([vars(record) | {"facts": json.dumps(record.facts)} for record in self._fresh]).drop(columns="row")
        write_table(frame, self._folder / f"{content_key(sorted(record.key for record in self._fresh))}.parquet")
        self._fresh = []


def _read_shard(shard: Path, wanted: NDArray[np.bytes_] | None) -> list[Record]:
    try:
        frame = read_table(shard)
        if wanted is not None:
            keys = frame["key"].to_numpy().astype("S")
            place = np.searchsorted(wanted, keys)
            frame = frame[wanted[np.minimum(place, len(wanted) - 1)] == keys] if len(wanted) else frame.head(0)
        rows = frame.to_dict("records")
        return [Record(**{str(name): value for name, value in row.items()} | {"facts": json.loads(row["facts"])}) for row in rows]
    except (DataError, TypeError, KeyError, ValueError):
        _log.warning("A shard of earlier results is damaged; its files are read again: %s", shard.name)
        return []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
