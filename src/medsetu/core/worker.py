# SPDX-License-Identifier: Apache-2.0
"""Much work in several processes: batches in no fixed order, and an item that kills its process is named while the rest goes on."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext
from typing import TypeVar

BATCH = 8  # items per message to a worker: small enough to share the work evenly, large enough to hide the message
IN_FLIGHT = 4  # batches per worker that are waiting or running
FEWEST = 32  # below this many items a process pool costs more than it saves

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Work = Callable[[list[_Item]], list[_Result]]


def cores() -> int:
    """Count the cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(usable(0)) if usable else os.cpu_count() or 1


def run_batches(
    items: Sequence[_Item], work: _Work[_Item, _Result], *, lost: Callable[[_Item], _Result], workers: int
) -> Iterator[list[_Result]]:
    """Work through items, in this process or in several.

    Args:
        items: What is to be done; asked for a few at a time.
        work: A function at the top of a module that does a batch.
        lost: Result of an item that killed its process; asked in this one.
        workers: Number of processes; 0 and 1 stay in this one.

    Yields:
        Results in batches, in no fixed order.

    Example:
        >>> list(run_batches([1, 2], lambda batch: [2 * item for item in batch], lost=lambda item: 0, workers=1))
        [[2, 4]]
    """
    batches = (list(items[start : start + BATCH]) for start in range(0, len(items), BATCH))
    if workers < 2 or len(items) < FEWEST:
        yield from (work(batch) for batch in batches)
        return
    with one_thread_each():
        while True:
            suspects: list[_Item] = []
            yield from _in_parallel(batches, work, suspects, workers=workers)
            if not suspects:
                return
            yield from _one_by_one(suspects, work, lost)


def _in_parallel(
    batches: Iterator[list[_Item]], work: _Work[_Item, _Result], suspects: list[_Item], *, workers: int
) -> Iterator[list[_Result]]:
    """Take batches until there is none; when a worker dies, hand over what was being done and stop."""
    running: dict[Future[list[_Result]], list[_Item]] = {}
    with _pool(workers, work) as pool:
        while True:
            batch: list[_Item] | None = None
            try:
                while len(running) < IN_FLIGHT * workers and (batch := next(batches, None)) is not None:
                    running[pool.submit(work, batch)] = batch
                    batch = None
                if not running:
                    return
                done = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
                results = done.result()
            except BrokenProcessPool:
                suspects += [item for under_way in running.values() for item in under_way] + (batch or [])
                return
            del running[done]
            yield results


def _one_by_one(items: Sequence[_Item], work: _Work[_Item, _Result], lost: Callable[[_Item], _Result]) -> Iterator[list[_Result]]:
    """Do the suspects alone, so that the one that kills its process is known."""
    pending = deque(items)
    while pending:
        with _pool(1, work) as pool:
            while pending:
                item = pending.popleft()
                try:
                    yield pool.submit(work, [item]).result()
                except BrokenProcessPool:
                    yield [lost(item)]
                    break


def _pool(workers: int, work: _Work[_Item, _Result]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=_context(work.__module__), initializer=_begin_worker)


def _context(module: str) -> BaseContext:
    """Start workers without a copy of this process; where the system can, the decoders are imported once for all of them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
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
def one_thread_each() -> Iterator[None]:
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
