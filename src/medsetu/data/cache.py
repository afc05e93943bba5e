# SPDX-License-Identifier: Apache-2.0
"""Prepared images on disk, once: keyed by content and pipeline, verified when opened, prepared again when anything is wrong."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsetu.core.errors import DataError, ResourceError
from medsetu.core.lock import locked
from medsetu.core.run import write_json
from medsetu.data.pipeline import Pipeline
from medsetu.data.prepare import Source, prepared
from medsetu.data.shard import SUFFIX, DamagedShardError, Shard, read_shard, write_shard

SHARD_BYTES = 32 * 2**20
_GIB = 2**30
_Entry = tuple[Shard, int]  # a file and the row of an image in it
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counts:
    """What opening a cache found.

    Attributes:
        asked: Distinct images asked for.
        found: Found and sound.
        built: Prepared now.
        damaged: Images or whole files that were not what had been written.
    """

    asked: int
    found: int
    built: int
    damaged: int


class Images:
    """Prepared images of a list of samples, in memory or mapped from disk.

    Args:
        blocks: (n, H, W) arrays of one dtype.
        block: (N,) block of each sample.
        row: (N,) row within its block of each sample.
        scale: Factor that turns a stored value into an intensity.
        counts: What opening found.
    """

    def __init__(
        self, blocks: Sequence[NDArray[Any]], *, block: NDArray[np.int64], row: NDArray[np.int64], scale: float, counts: Counts
    ) -> None:
        self.blocks = list(blocks)
        self.scale = scale
        self.counts = counts
        self._block = block
        self._row = row

    def __len__(self) -> int:
        return len(self._row)

    @property
    def in_memory(self) -> bool:
        """Whether the images lie in memory rather than on disk."""
        return not any(isinstance(block, np.memmap) for block in self.blocks)

    def subset(self, samples: NDArray[np.int64]) -> "Images":
        """Select samples without copying images."""
        return Images(self.blocks, block=self._block[samples], row=self._row[samples], scale=self.scale, counts=self.counts)

    def take(self, samples: NDArray[np.int64]) -> NDArray[Any]:
        """Copy out images.

        Args:
            samples: (B,) positions in the list of samples.

        Returns:
            (B, H, W) stored values.
        """
        if len(self.blocks) == 1:
            return np.asarray(self.blocks[0][self._row[samples]])
        return np.stack([self.blocks[block][row] for block, row in zip(self._block[samples], self._row[samples], strict=True)])


def open_images(
    sources: Sequence[Source], pipeline: Pipeline, *, folder: Path, workers: int, memory_limit_gib: float, progress: bool = True
) -> Images:
    """Open the prepared images of some samples, preparing those that are missing or damaged.

    Args:
        sources: One per sample, in the order wanted; equal files are stored once.
        pipeline: Deterministic steps.
        folder: Cache folder, shared by all pipelines and runs; processes that build at the same time wait for each other.
        workers: Processes that prepare; 0 prepares in this process.
        memory_limit_gib: Images are held in memory when they need at most this many GiB, and mapped from disk otherwise; 0 always maps.
        progress: Show a progress bar when the output is a terminal.

    Returns:
        The images, each compared with its SHA-256.

    Raises:
        DataError: No sample is given, or a source is unreadable or not the file of the manifest.
        ResourceError: The disk is full; what was prepared before is kept.
    """
    if not sources:
        raise DataError(what="No image is asked for", where="Opening the image cache", remedy="Select at least one sample")
    place = _place(folder, pipeline)
    wanted = list(dict.fromkeys(source.sha256 for source in sources))
    with _alone(place):
        shards, damaged = _shards(place, pipeline)
        index, rotten = _sound(shards, set(wanted))
        found = len(index)
        missing = {source.sha256: source for source in sources if source.sha256 not in index}
        if missing:
            _build(list(missing.values()), pipeline, place=place, workers=workers, progress=progress)
            index, _ = _sound(_shards(place, pipeline)[0], set(wanted))
    if damaged + rotten:
        _LOG.warning("%d damaged cache entries in %s were prepared again", damaged + rotten, place)
    if len(index) < len(wanted):
        raise DataError(
            what="Cache files are damaged as soon as they are written",
            where=str(place),
            remedy="Check the disk, or give another data.cache",
        )
    counts = Counts(asked=len(wanted), found=found, built=len(missing), damaged=damaged + rotten)
    limit = memory_limit_gib * _GIB
    return _pack([index[source.sha256] for source in sources], scale=pipeline.scale, counts=counts, limit_bytes=limit)


def verify(folder: Path, pipeline: Pipeline) -> Counts:
    """Compare every image of a pipeline's cache with its SHA-256, and drop what is damaged.

    Args:
        folder: Cache folder.
        pipeline: Deterministic steps.

    Returns:
        ``asked`` and ``found`` count images, ``damaged`` images or whole files; the next use prepares them again.
    """
    place = _place(folder, pipeline)
    with _alone(place):
        shards, damaged = _shards(place, pipeline)
        keys = {key for shard in shards for key in shard.keys}
        index, rotten = _sound(shards, keys)
    return Counts(asked=len(keys), found=len(index), built=0, damaged=damaged + rotten)


def _place(folder: Path, pipeline: Pipeline) -> Path:
    return folder / pipeline.key


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let one process at a time build in a folder; the lock dies with its process."""
    try:
        stream = locked(place / ".lock")
    except OSError as error:
        raise ResourceError(
            what=f"The cache folder cannot be written ({error.strerror})",
            where=str(place),
            remedy="Correct the permissions, or give another data.cache",
        ) from error
    with stream:
        yield


def _shards(place: Path, pipeline: Pipeline) -> tuple[list[Shard], int]:
    """Map all readable files; remove and count the unreadable ones."""
    shards: list[Shard] = []
    damaged = 0
    for path in sorted(place.glob(f"*{SUFFIX}")):
        try:
            shards.append(read_shard(path, pipeline))
        except DamagedShardError:
            damaged += 1
            path.unlink(missing_ok=True)
    return shards, damaged


def _sound(shards: Sequence[Shard], wanted: set[str]) -> tuple[dict[str, _Entry], int]:
    """Find the wanted images that match their hash; files with one that does not are written again without it."""
    index: dict[str, _Entry] = {}
    damaged = 0
    for shard in shards:
        rows = [row for row, key in enumerate(shard.keys) if key in wanted]
        bad = {row for row in rows if not shard.is_sound(row)}
        damaged += len(bad)
        kept = _without(shard, bad) if bad else shard
        if kept is not None:
            index |= {key: (kept, row) for row, key in enumerate(kept.keys) if key in wanted}
    return index, damaged


def _without(shard: Shard, bad: set[int]) -> Shard | None:
    """Write a file again without some of its images."""
    rows = [row for row in range(len(shard.keys)) if row not in bad and shard.is_sound(row)]
    if rows:
        images = [np.array(shard.images[row]) for row in rows]
        write_shard(shard.path.parent, [shard.keys[row] for row in rows], images)
        kept = Shard(shard.path, tuple(shard.keys[row] for row in rows), tuple(shard.hashes[row] for row in rows), np.stack(images))
    shard.path.unlink(missing_ok=True)
    return kept if rows else None


def _build(sources: Sequence[Source], pipeline: Pipeline, *, place: Path, workers: int, progress: bool) -> None:
    """Prepare images and write them in files of about ``SHARD_BYTES``; an interruption keeps all that was prepared."""
    write_json(place / "pipeline.json", pipeline.describe())
    per_file = max(1, SHARD_BYTES // (int(np.prod(pipeline.size)) * np.dtype(pipeline.storage).itemsize))
    keys: list[str] = []
    images: list[NDArray[Any]] = []
    try:
        for key, image in prepared(sources, pipeline, workers=workers, progress=progress):
            keys.append(key)
            images.append(image)
            if len(keys) == per_file:
                write_shard(place, keys, images)
                keys, images = [], []
    finally:
        if keys:
            write_shard(place, keys, images)


def _pack(entries: Sequence[_Entry], *, scale: float, counts: Counts, limit_bytes: float) -> Images:
    """Gather the entries in memory when they fit, else map them."""
    first = entries[0][0].images
    if counts.asked * first[0].nbytes > limit_bytes:
        shards = list({id(shard): shard for shard, _ in entries}.values())
        number = {id(shard): position for position, shard in enumerate(shards)}
        block = np.array([number[id(shard)] for shard, _ in entries], dtype=np.int64)
        row = np.array([row for _, row in entries], dtype=np.int64)
        return Images([shard.images for shard in shards], block=block, row=row, scale=scale, counts=counts)
    position: dict[tuple[int, int], int] = {}
    row = np.array([position.setdefault((id(shard), row), len(position)) for shard, row in entries], dtype=np.int64)
    images = np.empty((len(position), *first.shape[1:]), dtype=first.dtype)
    for (shard, source_row), target in zip(entries, row, strict=True):
        images[target] = shard.images[source_row]
    return Images([images], block=np.zeros_like(row), row=row, scale=scale, counts=counts)
