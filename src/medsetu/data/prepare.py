# SPDX-License-Identifier: Apache-2.0
"""Prepare images in parallel processes, in order, with a progress bar."""

import multiprocessing
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from medsetu.core.errors import DataError, ResourceError
from medsetu.data.pipeline import Pipeline
from medsetu.reader.sample import sample_digest

CHUNK = 8  # images per message between processes
AHEAD = 4  # messages waiting per process


@dataclass(frozen=True)
class Source:
    """A picture or volume as the manifest knows it.

    Attributes:
        sample_id: Name of the sample.
        path: The file, folder of slices, or member of a file.
        sha256: As the manifest says.
    """

    sample_id: str
    path: Path
    sha256: str


def prepared(sources: Sequence[Source], pipeline: Pipeline, *, workers: int, progress: bool) -> Iterator[tuple[str, NDArray[Any]]]:
    """Prepare images.

    Args:
        sources: Image files.
        pipeline: Deterministic steps.
        workers: Processes; 0 prepares in this process.
        progress: Show a progress bar when the output is a terminal.

    Yields:
        SHA-256 of the source and its (H, W) or (D, H, W) image, in the order of ``sources``.

    Raises:
        DataError: A source is unreadable, or not the file of the manifest.
        ResourceError: A process was killed, most often for want of memory.
    """
    chunks = [sources[start : start + CHUNK] for start in range(0, len(sources), CHUNK)]
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not (progress and console.is_terminal))
    with bar:
        task = bar.add_task("Preparing images", total=len(sources))
        for chunk, images in zip(chunks, _map(chunks, pipeline, workers=workers), strict=True):
            yield from zip((source.sha256 for source in chunk), images, strict=True)
            bar.advance(task, len(chunk))


def _map(chunks: Sequence[Sequence[Source]], pipeline: Pipeline, *, workers: int) -> Iterator[list[NDArray[Any]]]:
    workers = min(workers, len(chunks))
    if workers < 2:
        for chunk in chunks:
            yield _prepare(chunk, pipeline)
        return
    import medsetu.data.transform  # noqa: F401 - imported before the fork, so that each process need not import MONAI again

    # Fork as torch's own loader does; the processes use one thread each. Elsewhere than on Linux forking is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread)
    try:
        waiting: deque[Future[list[NDArray[Any]]]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(_prepare, chunk, pipeline))
            if len(waiting) > AHEAD * workers:  # bounds the memory of finished images
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise ResourceError(
            what="A process that prepares images was killed",
            where=f"Cache build with {workers} processes",
            remedy="Free memory or lower data.build_workers, then start the same command again: finished work is kept",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _prepare(sources: Sequence[Source], pipeline: Pipeline) -> list[NDArray[Any]]:
    if len(pipeline.size) == 3:
        from medsetu.data.volume import prepare_volume

        for source in sources:
            _check(source)
        return [prepare_volume(pipeline, path=source.path, sample_id=source.sample_id) for source in sources]
    from medsetu.data.transform import compose, prepare_image  # importing MONAI takes seconds: only when something is missing

    steps = compose(pipeline)
    images = []
    for source in sources:
        _check(source)
        images.append(prepare_image(steps, pipeline, path=source.path, sample_id=source.sample_id))
    return images


def _check(source: Source) -> None:
    """Refuse a file that is not the one the manifest was made from."""
    try:
        found = sample_digest(source.path)
    except OSError as error:
        raise DataError(
            what=f"An image file cannot be opened ({error.strerror})",
            where=f"Sample {source.sample_id}",
            remedy="Bring the file back, or run `medsetu prepare` again",
        ) from error
    if found != source.sha256:
        raise DataError(
            what="An image file changed after the manifest was made",
            where=f"Sample {source.sample_id}",
            remedy="Run `medsetu prepare` again",
        )
