# SPDX-License-Identifier: Apache-2.0
"""Batches from prepared images, and a training loader that resumes in the middle of an epoch."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NotRequired, TypedDict

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from medsetu.core.sample import DOMAINS
from medsetu.data.augment import Augmentation, sample_number
from medsetu.data.cache import Images
from medsetu.data.pipeline import InputSpec
from medsetu.data.sampler import EpochBatches, Request
from medsetu.data.target import Target, encode


class Batch(TypedDict):
    """All that data and training share: no path, no header, no patient.

    ``image`` (B, C, H, W) or (B, C, D, H, W) float32 normalised to the InputSpec,
    ``label`` (B, L) float32 with 1 / 0 / NaN unknown, ``sample_id`` B strings,
    ``domain`` (B,) int64, the position in ``medsetu.core.sample.DOMAINS``; while training ``group`` (B,) int64, a number for the site, and
    where the stage has auxiliary heads ``auxiliary`` (B, K) float32, facts as ``medsetu.data.target`` writes them, NaN unknown.
    """

    image: Tensor
    label: Tensor
    sample_id: list[str]
    domain: Tensor
    group: NotRequired[Tensor]
    auxiliary: NotRequired[Tensor]


@dataclass(frozen=True)
class Rows:
    """What a batch says beside its images, one entry per row.

    Attributes:
        sample_id: Names.
        label: (N, L) float32, NaN unknown.
        domain: (N,) int64.
        group: (N,) int64, a number for the site of each row, counted from 0 in the order of their names; -1 unknown. None: not asked.
        auxiliary: (N, K) float32, facts to predict beside the findings, NaN unknown. None: there are none.
    """

    sample_id: tuple[str, ...]
    label: Tensor
    domain: Tensor
    group: Tensor | None = None
    auxiliary: Tensor | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame, findings: Sequence[str], targets: Sequence[Target] = ()) -> "Rows":
        """Take from manifest rows what a batch may hold; a finding without a column is unknown."""
        labels = frame.reindex(columns=list(findings)).to_numpy(dtype=np.float32)
        domains = frame["domain"].map({name: number for number, name in enumerate(DOMAINS)}).to_numpy(dtype=np.int64)
        sites = pd.factorize(frame.reindex(columns=["site"])["site"].replace("", np.nan), sort=True)[0].astype(np.int64)
        names = tuple(frame["sample_id"].astype(str))
        facts = torch.from_numpy(encode(frame, targets)) if targets else None
        return cls(names, torch.from_numpy(labels.copy()), torch.from_numpy(domains.copy()), torch.from_numpy(sites), facts)


class _Batches(Dataset[Batch]):
    """Whole batches from prepared images.

    Args:
        images: Prepared images, in the order of ``rows``.
        rows: Labels, names and domains.
        spec: What the network wants to see.
    """

    def __init__(self, images: Images, rows: Rows, *, spec: InputSpec) -> None:
        self.images = images
        self.rows = rows
        self.spec = spec

    def __len__(self) -> int:
        return len(self.images)

    def _load(self, rows: NDArray[np.int64]) -> Tensor:
        stored = torch.from_numpy(self.images.take(rows))
        return stored.to(torch.float32).mul_(self.images.scale)[:, None]

    def _finish(self, images: Tensor, rows: NDArray[np.int64]) -> Batch:
        return {
            "image": normalise(images, self.spec),
            "label": self.rows.label[rows],
            "sample_id": [self.rows.sample_id[row] for row in rows],
            "domain": self.rows.domain[rows],
        }


class PlainBatches(_Batches):
    """Batches without random changes, for validation and prediction."""

    def __getitem__(self, rows: NDArray[np.int64]) -> Batch:
        """Load the batch of some rows."""
        return self._finish(self._load(rows), rows)


class RandomBatches(_Batches):
    """Batches changed at random; the numbers depend on seed, epoch, sample and repeat alone.

    Args:
        images: Prepared images, in the order of ``rows``.
        rows: Labels, names and domains.
        spec: What the network wants to see.
        augment: Random changes.
        seed: Seed of the run.
    """

    def __init__(self, images: Images, rows: Rows, *, spec: InputSpec, augment: Augmentation | None, seed: int) -> None:
        super().__init__(images, rows, spec=spec)
        self.augment = augment
        self.seed = seed
        self._numbers = np.array([sample_number(name) for name in rows.sample_id], dtype=np.uint64)

    def __getitem__(self, request: Request) -> Batch:
        """Load the batch of a request."""
        images = self._load(request.rows)
        if self.augment is not None:
            samples = self._numbers[request.rows]
            images = self.augment.apply(images, self.augment.draw(samples, seed=self.seed, epoch=request.epoch, repeats=request.repeats))
        batch = self._finish(images, request.rows)
        if self.rows.group is not None:
            batch["group"] = self.rows.group[request.rows]
        if self.rows.auxiliary is not None:
            batch["auxiliary"] = self.rows.auxiliary[request.rows]
        return batch


class ResumableLoader(DataLoader[Batch]):
    """Training loader whose place in the epoch is part of a checkpoint.

    Lightning saves ``state_dict`` and restores it by itself. Batches are counted when they are handed out, not when a worker prefetches
    them, and iteration begins lazily, so that a restored place or a new epoch always counts.

    Args:
        dataset: Loads a request.
        sampler: Requests of an epoch.
        workers: Loader processes.
        pin_memory: Page-locked batches.
    """

    def __init__(self, dataset: RandomBatches, sampler: EpochBatches, *, workers: int, pin_memory: bool = False) -> None:
        self.batches = sampler
        super().__init__(dataset, sampler=sampler, **_loader_options(workers=workers, pin_memory=pin_memory))

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Hand out the remaining batches of the epoch, then move on to the next epoch."""
        self.batches.done = self.batches.offset
        for batch in super().__iter__():
            self.batches.done += 1
            yield batch
        self.batches.move_to(self.batches.epoch + 1, done=0)

    def state_dict(self) -> dict[str, int]:
        """Say where the next batch would come from."""
        finished = self.batches.done >= len(self.batches)
        return {"epoch": self.batches.epoch + int(finished), "done": 0 if finished else self.batches.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where ``state_dict`` was taken."""
        self.batches.move_to(int(state["epoch"]), done=int(state["done"]))


def plain_loader(dataset: PlainBatches, *, batch_size: int, workers: int, pin_memory: bool = False) -> DataLoader[Batch]:
    """Load all rows once, in order."""
    rows = np.arange(len(dataset), dtype=np.int64)
    cuts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return DataLoader(dataset, sampler=cuts, **_loader_options(workers=workers, pin_memory=pin_memory))


def normalise(images: Tensor, spec: InputSpec) -> Tensor:
    """Turn (B, 1, H, W) intensities in [0, 1] into (B, C, H, W) at a network's input contract; (B, 1, D, H, W) into (B, C, D, H, W).

    Example:
        >>> from types import SimpleNamespace
        >>> spec = SimpleNamespace(size=(1, 1), channels=3, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.5))
        >>> normalise(torch.ones(1, 1, 1, 1), spec).flatten().tolist()
        [1.0, 1.0, 0.0]
    """
    mean, std = (torch.tensor(values, dtype=images.dtype, device=images.device) for values in (spec.mean, spec.std))
    channels = (1, -1, *[1] * (images.ndim - 2))
    return (images - mean.view(channels)).div_(std.view(channels))


def _loader_options(*, workers: int, pin_memory: bool) -> dict[str, Any]:
    return {
        "batch_size": None,  # the dataset loads whole batches: one gather and one pass of each operation
        "num_workers": workers,
        "pin_memory": pin_memory,
        "collate_fn": _as_it_is,
        "worker_init_fn": partial(_leave_orphaned, os.getpid()),
        "generator": torch.Generator(),  # else each iteration takes a number from the global generator
    }


def _leave_orphaned(parent: int, worker: int) -> None:
    """End a worker whose training process was killed before torch's own watch over it began: it would wait for ever."""
    if os.getppid() != parent:
        os._exit(1)


def _as_it_is(batch: Batch) -> Batch:
    return batch
