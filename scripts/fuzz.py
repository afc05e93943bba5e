# SPDX-License-Identifier: Apache-2.0
"""Feed the readers and the audit damaged files: each is read or refused by a named error, in bounded time and memory, and none kills.

Run from the root: ``python -m scripts.fuzz --count 20000 --first 0``. File number N is the same at every run, so a long run can be cut into
pieces (``--first``), whose results go on in the file named by ``--tally``. What escapes, hangs or kills is printed with its number.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from scripts.damage import damage, lie
from scripts.sound import sound

from medsetu.core.errors import MedsetuError
from medsetu.privacy.audit import Job, audit_file
from medsetu.privacy.plan import AuditPlan
from medsetu.reader.annotation import read_json
from medsetu.reader.archive import array_shapes
from medsetu.reader.bids import read_device
from medsetu.reader.coco import read_coco
from medsetu.reader.guard import guarded
from medsetu.reader.mask import read_codes
from medsetu.reader.nifti import read_label_map
from medsetu.reader.rle import decode_pairs
from medsetu.reader.sample import read_shown
from medsetu.reader.segmentation import read_segmentation
from medsetu.reader.series import read_series
from medsetu.reader.sheet import read_cells, read_sheet
from medsetu.reader.voc import read_voc
from medsetu.release.table import Table

SECONDS = 60  # processor time of one file on a busy machine
PATIENCE = 240  # seconds of the clock after which a file counts as hung
BYTES = 4 << 30  # address space of a worker
BATCH = 500
LIES = 0.25  # share of files that are well-formed and say what can not be
SUFFIX = {"csv": ".csv", "csv gz": ".csv.gz", "xlsx": ".xlsx", "zip of arrays": ".npz", "rle": ".txt"}
AUDITED = {"csv utf-16": ".csv", "csv table": ".csv", "xml voc": ".xml", "json": ".json", "json coco": ".json", "json sidecar": ".json"}


@dataclass
class Tally:
    """What became of the files of one format.

    Attributes:
        files: How many were made.
        refused: How many a named error refused.
        read: How many were read.
        seconds: Longest processor time of a file.
        mebibytes: Highest memory of a worker, with Python and all libraries.
        bad: What escaped, hung or killed, with its number.
    """

    files: int = 0
    refused: int = 0
    read: int = 0
    seconds: float = 0.0
    mebibytes: float = 0.0
    bad: list[str] = field(default_factory=list)

    def add(self, number: int, fate: str, seconds: float, mebibytes: float) -> None:
        """Count one file."""
        self.files += 1
        self.refused += fate == "refused"
        self.read += fate == "read"
        self.seconds, self.mebibytes = max(self.seconds, seconds), max(self.mebibytes, mebibytes)
        if fate not in ("refused", "read"):
            self.bad.append(f"{number}: {fate}")


@guarded("run lengths")
def _runs(data: bytes, *, sample_id: str = "") -> None:
    del sample_id
    decode_pairs(data.decode(), height=9, width=9, relative=False)


def _table(path: Path) -> None:
    (path.parent / "film-1").write_bytes(b"x")
    Table(path.parent, path.name, {"mass": {"column": "finding", "positive": ["*"]}}, columns={"image": "id", "device": "note"}).index()


_BY_BYTES: dict[str, Callable[[bytes], object]] = {
    "json coco": read_coco,
    "json": lambda data: read_json(data, keys={"image": "image", "box": "box"}, form="corner"),
    "xml voc": read_voc,
    "mask": read_codes,
    "dicom seg": read_segmentation,
    "nifti labels": read_label_map,
    "rle": _runs,
}
_BY_PATH: dict[str, Callable[[Path], object]] = {
    "csv": lambda path: read_sheet(path, columns=["id", "finding"], optional=["note"]),
    "csv gz": lambda path: read_sheet(path, columns=["id", "finding"], optional=["note"]),
    "csv utf-16": read_cells,
    "csv table": _table,
    "xlsx": lambda path: read_sheet(path, columns=["id", "finding"]),
    "zip of arrays": lambda path: (array_shapes(path), read_shown(path / "images" / "1")),
    "dicom series": lambda path: read_series(path.parent),
    "json sidecar": lambda path: read_device(path.with_suffix(".nii")),
}


def read(kind: str, data: bytes, folder: Path) -> None:
    """Read a file of a kind by its reader, then audit it.

    Raises:
        MedsetuError: The reader refuses it.
    """
    from fakes.series import head, slice_file

    path = folder / f"sample{SUFFIX.get(kind, AUDITED.get(kind, ''))}"
    path.write_bytes(data)
    if kind == "dicom series":
        for depth in (0, 1, 3):
            (folder / f"{depth}.dcm").write_bytes(slice_file(head()[depth], z=10 + 2.5 * depth))
    audited = audit_file(Job(path, Path(path.name), AuditPlan()))
    if "MemoryError" in audited.reason:
        raise RuntimeError(audited.reason)
    if kind in _BY_BYTES:
        _BY_BYTES[kind](data)
    else:
        _BY_PATH.get(kind, read_shown)(path)


def make(number: int) -> tuple[str, bytes]:
    """Make file number N: its kind and its bytes."""
    rng = np.random.default_rng(number)
    kind = list(sound())[number % len(sound())]
    data = sound()[kind]
    return kind, lie(kind, data, rng) if rng.random() < LIES else damage(data, rng)


def feed(number: int) -> tuple[str, str, float, float]:
    """Make one file and read it.

    Returns:
        Kind; ``read``, ``refused``, or what escaped; processor seconds; highest memory in MiB.
    """
    kind, data = make(number)
    with tempfile.TemporaryDirectory() as folder:
        _forget_peak()
        begun = time.process_time()
        fate = "read"
        try:
            read(kind, data, Path(folder))
        except MedsetuError:
            fate = "refused"
        except BaseException as error:  # noqa: BLE001  (what escapes is what this script looks for)
            fate = f"escaped: {type(error).__name__}"
        seconds = time.process_time() - begun
    return kind, fate if seconds < SECONDS else f"took {seconds:.0f} s", seconds, _peak()


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak resident set size


def _peak() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _work(first: int, last: int, pipe: "Connection[object, object]") -> None:
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    for number in range(first, last):
        pipe.send((number, *feed(number)))


def _batch(first: int, last: int, tally: dict[str, Tally]) -> int:
    """Feed files to one worker, until it is through, dies or hangs.

    Returns:
        The next number.
    """
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_work, args=(first, last, theirs))
    worker.start()
    theirs.close()
    number, fate = first, ""
    while not fate and number < last:
        try:
            if mine.poll(PATIENCE):
                _, kind, *told = mine.recv()
                tally.setdefault(kind, Tally()).add(number, *told)
                number += 1
            else:
                fate = "hung"
        except EOFError:
            worker.join()
            fate = f"ended its process with {worker.exitcode}"
    worker.kill()
    worker.join()
    if fate:
        tally.setdefault(make(number)[0], Tally()).add(number, fate, 0.0, 0.0)
        number += 1
    return number


def _tell(tally: dict[str, Tally]) -> None:
    print("| format | files | refused | read | slowest s | peak MiB |\n|---|---:|---:|---:|---:|---:|")
    for kind, row in sorted(tally.items()):
        print(f"| {kind} | {row.files} | {row.refused} | {row.read} | {row.seconds:.1f} | {row.mebibytes:.0f} |")
    rows = tally.values()
    total = [sum(getattr(row, name) for row in rows) for name in ("files", "refused", "read")]
    print(f"| all | {' | '.join(map(str, total))} | {max(row.seconds for row in rows):.1f} | {max(row.mebibytes for row in rows):.0f} |")
    for kind, row in sorted(tally.items()):
        for bad in row.bad:
            print(f"{kind}: {bad}")


def main() -> int:
    """Make, read and audit files; exit 1 when one escaped, hung or killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--tally", type=Path, help="JSON that holds the results of earlier pieces, and of this one afterwards")
    options = parser.parse_args()
    before = json.loads(options.tally.read_text(encoding="utf-8")) if options.tally and options.tally.is_file() else {}
    tally = {kind: Tally(**row) for kind, row in before.items()}
    number, last = options.first, options.first + options.count
    while number < last:
        number = _batch(number, min(number + BATCH, last), tally)
        if options.tally:
            options.tally.write_text(json.dumps({kind: asdict(row) for kind, row in tally.items()}), encoding="utf-8")
    _tell(tally)
    return int(any(row.bad for row in tally.values()))


if __name__ == "__main__":
    sys.exit(main())
