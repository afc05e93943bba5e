# SPDX-License-Identifier: Apache-2.0
"""Open every file once, in several processes: SHA-256, facts, perceptual hash and thumbnail, or the reason why it cannot be read."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from medsetu.core.errors import DataError
from medsetu.core.run import sha256_file
from medsetu.manifest.similarity import hash_text, perceptual_hash, thumbnail
from medsetu.reader.image import read_image

BATCH = 8  # files per message to a worker: small enough to share the work evenly, large enough to hide the message
IN_FLIGHT = 4  # batches per worker that are waiting or running
FEWEST = 32  # below this many files a process pool costs more than it saves
CRASHED = "the decoder crashed on this file"
CONSTANT = "all pixels are equal"

# What decoders raise on broken bytes: one bad file among many thousands is quarantined, and too many of them still refuse the whole run
_FAULTS = (OSError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, NotImplementedError, RuntimeError)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")


@dataclass(frozen=True)
class Task:
    """One file to open.

    Attributes:
        key: Name of the result in the store; empty when it is not to be kept.
        path: The file.
        sample_id: Its sample.
    """

    key: str
    path: Path
    sample_id: str


@dataclass(frozen=True)
class Record:
    """What is known after a file was opened.

    Attributes:
        key: Key of the task.
        sample_id: The sample.
        reason: Why the file cannot be used; empty when it can.
        sha256: Of the bytes; empty when the file cannot be used.
        phash: 64-bit perceptual hash, hexadecimal.
        thumbnail: (32, 32) float16, as bytes.
        facts: What the reader says of the file.
        cpu_seconds: Work it took, in whatever process.
    """

    key: str
    sample_id: str
    reason: str = ""
    sha256: str = ""
    phash: str = ""
    thumbnail: bytes = b""
    facts: dict[str, Any] | None = None
    cpu_seconds: float = 0.0


def cores() -> int:
    """Count the cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(usable(0)) if usable else os.cpu_count() or 1


def inspect(task: Task) -> Record:
    """Open one file.

    Args:
        task: The file.

    Returns:
        Its record; with a reason and without facts when the file cannot be read. A reason never quotes the file.
    """
    begun = time.process_time()
    record = _inspect(task)
    return replace(record, cpu_seconds=time.process_time() - begun)


def _inspect(task: Task) -> Record:
    try:
        picture = read_image(task.path, sample_id=task.sample_id)
        digest = sha256_file(task.path)
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
    batches = deque(list(tasks[start : start + BATCH]) for start in range(0, len(tasks), BATCH))
    if workers < 2 or len(tasks) < FEWEST:
        yield from ([inspect(task) for task in batch] for batch in batches)
        return
    with _one_thread_each():
        while batches:
            suspects: list[Task] = []
            yield from _in_parallel(batches, suspects, workers=workers)
            yield from _one_by_one(suspects)


def inspect_batch(tasks: Sequence[Task]) -> list[Record]:
    """Open several files in a worker."""
    return [inspect(task) for task in tasks]


def _in_parallel(batches: deque[list[Task]], suspects: list[Task], *, workers: int) -> Iterator[list[Record]]:
    """Empty the queue; when a worker dies, hand over what was being read and stop."""
    running: dict[Future[list[Record]], list[Task]] = {}
    with _pool(workers) as pool:
        while batches or running:
            try:
                while batches and len(running) < IN_FLIGHT * workers:
                    running[pool.submit(inspect_batch, batches[0])] = batches[0]
                    batches.popleft()
                done = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
                records = done.result()
            except BrokenProcessPool:
                suspects += [task for batch in running.values() for task in batch]
                return
            del running[done]
            yield records


def _one_by_one(tasks: Sequence[Task]) -> Iterator[list[Record]]:
    """Read the suspects alone, so that the one that kills its process is known."""
    pending = deque(tasks)
    while pending:
        with _pool(1) as pool:
            while pending:
                task = pending.popleft()
                try:
                    yield pool.submit(inspect_batch, [task]).result()
                except BrokenProcessPool:
                    yield [Record(task.key, task.sample_id, reason=CRASHED)]
                    break


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=_context(), initializer=_begin_worker)


def _context() -> BaseContext:
    """Start workers without a copy of this process; where the system can, the decoders are imported once for all of them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let workers start with one thread of linear algebra each: they share the cores already."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
