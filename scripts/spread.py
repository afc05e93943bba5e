# SPDX-License-Identifier: Apache-2.0
"""Cohorts of a simulation over processes, for the gates; run them from the repository root: `python -m scripts.gate_gap --jobs 16`.

What a cohort draws follows from its own number and the seed, so that a table does not depend on the number of processes.
"""

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

from medsetu.manifest.progress import progress

Item = TypeVar("Item")
Found = TypeVar("Found")
PARTS = 16  # portions of work per process: the last ones end nearly together


def parser(text: str | None) -> argparse.ArgumentParser:
    """Arguments that all gates share.

    Args:
        text: Docstring of the script.

    Returns:
        A parser with ``--cohorts``, ``--seed`` and ``--jobs``.
    """
    asked = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--cohorts", type=int, default=4000, help="cohorts per cell")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--jobs", type=int, default=1, help="processes")
    return asked


def spread(task: Callable[[Item], Found], items: Sequence[Item], *, jobs: int = 1, label: str = "cohorts") -> list[Found]:
    """Do a task with every item, in this process or in several.

    Args:
        task: Function of a module (or a partial of one) that draws from nothing but its item.
        items: What it is given.
        jobs: Processes; 1 stays in this one.
        label: Name on the progress bar.

    Returns:
        One answer per item, in the order of the items.
    """
    found: list[Found] = []
    with progress(len(items), label=label) as advance:
        if jobs < 2:
            for item in items:
                found.append(task(item))
                advance(1)
            return found
        server = "forkserver" in multiprocessing.get_all_start_methods()  # a fork of a process with threads may hang
        context = multiprocessing.get_context("forkserver" if server else "spawn")
        with ProcessPoolExecutor(min(jobs, len(items)), mp_context=context, initializer=_one_thread) as workers:
            for answer in workers.map(task, items, chunksize=max(1, len(items) // (PARTS * jobs))):
                found.append(answer)
                advance(1)
    return found


def _one_thread() -> None:
    threadpool_limits(1)
