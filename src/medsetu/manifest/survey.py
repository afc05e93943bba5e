# SPDX-License-Identifier: Apache-2.0
"""Open every file of a study that is not known from before, and lay down what the files say, in bounded memory."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.manifest.progress import progress
from medsetu.manifest.scan import Record, Task, cores, read_files
from medsetu.manifest.spool import Spool, Spooled
from medsetu.manifest.store import ScanStore

STEP = 1000  # files asked for their state between two steps of the progress bar


def survey(samples: pd.DataFrame, *, workers: int, cache: Path | None) -> tuple[pd.DataFrame, Spooled, dict[str, Any]]:
    """Learn what the files of all samples say.

    Args:
        samples: Rows with ``sample_id``, ``root`` and ``path``, index 0 to n - 1.
        workers: Processes that open files.
        cache: Where results per file are kept; None keeps nothing.

    Returns:
        The table of ``Spool.table`` in row order, the thumbnails of the rows that can be used, and how fast the files were read.

    Raises:
        ResourceError: Results cannot be kept.
    """
    store, spool = ScanStore(cache), Spool(cache)
    tasks = _Tasks(samples, _keys(samples, store))
    known = np.zeros(len(samples), dtype=bool)
    order = np.argsort(tasks.keys, kind="stable")
    wanted = tasks.keys[order]
    for records in store.kept(wanted):
        for rows, record in _asked(records, wanted, order):
            new = rows[~known[rows]]
            spool.add(new.tolist(), [record] * len(new))
            known[rows] = True
    fresh = tasks.only(np.flatnonzero(~known))
    seconds, busy = _read(fresh, store, spool, workers=workers)
    speed = {
        "files_read": len(fresh),
        "files_known": len(tasks) - len(fresh),
        "read_seconds": round(seconds, 3),
        "images_per_s": round(len(fresh) / seconds, 1) if len(fresh) else float("nan"),
        "cores_used_share": round(busy / seconds / cores(), 3) if len(fresh) else float("nan"),
        "cores": cores(),
    }
    return spool.table(), spool.pictures(), speed


class _Tasks(Sequence[Task]):
    """Files to open, each made when it is asked for: a million paths held as objects would take a gigabyte."""

    def __init__(self, samples: pd.DataFrame, keys: NDArray[np.bytes_], rows: NDArray[np.intp] | None = None) -> None:
        self._samples, self.keys = samples, keys
        self.rows = np.arange(len(samples)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Task: ...
    @overload
    def __getitem__(self, place: slice) -> list[Task]: ...
    def __getitem__(self, place: int | slice) -> Task | list[Task]:
        if isinstance(place, int):
            return self[place : place + 1][0]
        rows = self.rows[place]
        table = self._samples.iloc[rows]
        told = zip(rows, table["root"], table["path"], table["sample_id"], strict=True)
        return [Task(self.keys[row].decode(), Path(root) / path, name, int(row)) for row, root, path, name in told]

    def only(self, rows: NDArray[np.intp]) -> "_Tasks":
        return _Tasks(self._samples, self.keys, rows)


def _keys(samples: pd.DataFrame, store: ScanStore) -> NDArray[np.bytes_]:
    """Key of each file: 32 bytes, empty where it cannot be asked for its state."""
    keys = np.zeros(len(samples), dtype="S32")
    with progress(len(samples), label="Looking at files") as advance:
        for start in range(0, len(samples), STEP):
            part = samples.iloc[start : start + STEP]
            keys[start : start + STEP] = [store.key(Path(root) / path) for root, path in zip(part["root"], part["path"], strict=True)]
            advance(len(part))
    return keys


def _asked(records: Sequence[Record], wanted: NDArray[np.bytes_], order: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], Record]]:
    """Rows that ask for each record: more than one where two releases hold one file."""
    keys = np.array([record.key for record in records], dtype="S32")
    first, last = (np.searchsorted(wanted, keys, side=side) for side in ("left", "right"))
    for record, begin, end in zip(records, first, last, strict=True):
        yield order[begin:end], record


def _read(fresh: _Tasks, store: ScanStore, spool: Spool, *, workers: int) -> tuple[float, float]:
    """Open files and keep what they say; give seconds that passed, and seconds of work."""
    begun, busy = time.monotonic(), 0.0
    try:
        with progress(len(fresh), label="Reading images") as advance:
            for records in read_files(fresh, workers=workers):
                spool.add([record.row for record in records], records)
                store.add(records)
                busy += sum(record.cpu_seconds for record in records)
                advance(len(records))
    finally:
        store.flush()
    return max(time.monotonic() - begun, 1e-9), busy
