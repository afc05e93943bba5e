# SPDX-License-Identifier: Apache-2.0
"""Open every file once, in several processes: SHA-256, facts, perceptual hash and thumbnail, or the reason why it cannot be read."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medsetu.core.errors import DataError
from medsetu.core.worker import cores as cores
from medsetu.core.worker import run_batches
from medsetu.manifest.similarity import hash_text, perceptual_hash, thumbnail
from medsetu.reader.sample import read_shown, sample_digest

CRASHED = "the decoder crashed on this file"
CONSTANT = "all pixels are equal"

# What decoders raise on broken bytes: one bad file among many thousands is quarantined, and too many of them still refuse the whole run
_FAULTS = (OSError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class Task:
    """One sample to open.

    Attributes:
        key: Name of the result in the store; empty when it is not to be kept.
        path: The file, folder of slices, or member of a file.
        sample_id: Its sample.
        row: Its row in the table of samples.
    """

    key: str
    path: Path
    sample_id: str
    row: int = 0


@dataclass(frozen=True)
class Record:
    """What is known after a file was opened.

    Attributes:
        key: Key of the task.
        sample_id: The sample.
        reason: Why the file cannot be used; empty when it can.
        sha256: Of the bytes; empty when the file cannot be used.
        phash: 64-bit perceptual hash, hexadecimal.
        thumbnail: (32, 32) float16, as bytes; of a volume that of four slices.
        facts: What the reader says of the file.
        cpu_seconds: Work it took, in whatever process.
        row: Row of the task; it is not kept in the store.
    """

    key: str
    sample_id: str
    reason: str = ""
    sha256: str = ""
    phash: str = ""
    thumbnail: bytes = b""
    facts: dict[str, Any] | None = None
    cpu_seconds: float = 0.0
    row: int = 0


def inspect(task: Task) -> Record:
    """Open one file.

    Args:
        task: The file.

    Returns:
        Its record; with a reason and without facts when the file cannot be read. A reason never quotes the file.
    """
    begun = time.process_time()
    record = _inspect(task)
    return replace(record, cpu_seconds=time.process_time() - begun, row=task.row)


def _inspect(task: Task) -> Record:
    try:
        picture = read_shown(task.path, sample_id=task.sample_id)
        digest = sample_digest(task.path)
    except DataError as error:
        return Record(task.key, task.sample_id, reason=error.what)
    except _FAULTS as error:
        return Record(task.key, task.sample_id, reason=f"the file cannot be read ({type(error).__name__})")
    if picture.pixels.min() == picture.pixels.max():
        return Record(task.key, task.sample_id, reason=CONSTANT)
    small = thumbnail(picture.pixels)
    facts = {name: value for name, value in asdict(picture.facts).items() if name != "steps"}
    return Record(task.key, task.sample_id, "", digest, hash_text(perceptual_hash(small)), small.tobytes(), facts)


def read_files(tasks: Sequence[Task], *, workers: int) -> Iterator[list[Record]]:
    """Open files, in this process or in several; a file that kills its process is named, and the rest goes on.

    Args:
        tasks: Files to open.
        workers: Number of processes; 0 and 1 stay in this one.

    Yields:
        Records in batches, in no fixed order.
    """
    yield from run_batches(tasks, inspect_batch, lost=_crashed, workers=workers)


def inspect_batch(tasks: Sequence[Task]) -> list[Record]:
    """Open several files in a worker."""
    return [inspect(task) for task in tasks]


def _crashed(task: Task) -> Record:
    return Record(task.key, task.sample_id, reason=CRASHED, row=task.row)
