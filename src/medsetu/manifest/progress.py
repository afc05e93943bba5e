# SPDX-License-Identifier: Apache-2.0
"""A progress bar that shows itself after two seconds, and only on a terminal; for work without countable steps a line that moves."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

PATIENCE = 2.0  # seconds before a bar is worth showing


@contextlib.contextmanager
def progress(total: int, *, label: str, in_bytes: bool = False) -> Iterator[Callable[[int], None]]:
    """Count work that may take long.

    Args:
        total: Number of steps.
        label: What is being done.
        in_bytes: Steps are bytes: show lengths and speed.

    Yields:
        A function that takes the number of steps just done.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    counted: tuple[ProgressColumn, ...] = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else (MofNCompleteColumn(),)
    bar = Progress(TextColumn(label), BarColumn(), *counted, TimeRemainingColumn(), console=console, transient=True)
    task = bar.add_task(label, total=total)
    begun = time.monotonic()

    def advance(steps: int) -> None:
        bar.advance(task, steps)
        if time.monotonic() - begun > PATIENCE:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()


@contextlib.contextmanager
def working(label: str) -> Iterator[None]:
    """Say what is being done while work without countable steps takes long.

    Args:
        label: What is being done.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    status = console.status(label)
    timer = threading.Timer(PATIENCE, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()
