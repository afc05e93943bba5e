# SPDX-License-Identifier: Apache-2.0
"""Which images an epoch shows, and in which order: a pure function of (seed, epoch), so that a killed run finds its place again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch.utils.data import Sampler

from medsetu.core.errors import DataError

SAMPLERS = ("natural", "class", "site", "patient")


@dataclass(frozen=True)
class Request:
    """One batch to load; it carries all that its random numbers depend on.

    Attributes:
        epoch: Number of the epoch.
        rows: (B,) rows of the training table.
        repeats: (B,) how many times each row was already shown in this epoch.
    """

    epoch: int
    rows: NDArray[np.int64]
    repeats: NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The order of the images of each epoch.

    Attributes:
        seed: Seed of the run, at least 0.
        count: Number of images, N.
        weights: (N,) share of each image of an epoch, summing to 1; None shows each image once.
        groups: (N,) group of each image, of which one image is shown per epoch; None shows each image once.
    """

    seed: int
    count: int
    weights: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return self.count if self.groups is None else len(np.unique(self.groups))

    def epoch(self, number: int) -> NDArray[np.int64]:
        """List the rows of one epoch, in order.

        Args:
            number: The epoch, at least 0.

        Returns:
            (len(self),) rows.

        Example:
            >>> order = Order(seed=0, count=5)
            >>> sorted(order.epoch(1).tolist()), bool((order.epoch(1) == order.epoch(1)).all())
            ([0, 1, 2, 3, 4], True)
        """
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, number])))
        shuffled = generator.permutation(self.count)
        if self.groups is not None:
            _, first = np.unique(self.groups[shuffled], return_index=True)
            return shuffled[np.sort(first)]
        if self.weights is None:
            return shuffled
        # systematic resampling (Kitagawa 1996): each image is shown floor or ceil of its share times, never more unequal by luck
        edges = np.cumsum(self.weights[shuffled])
        points = (np.arange(self.count) + generator.random()) / self.count * edges[-1]
        chosen = shuffled[np.minimum(np.searchsorted(edges, points, side="right"), self.count - 1)]
        return generator.permutation(chosen)


class EpochBatches(Sampler[Request]):
    """Batches of an epoch; stands as the ``sampler`` of a loader without automatic batching.

    ``epoch`` and ``offset`` say where the next iteration begins; ``done`` counts the batches handed out in the epoch. Lightning calls
    ``set_epoch`` before each epoch; a plain loop need not, because a finished epoch moves on by itself.

    Where several processes train together, each takes its part of every batch: all have the same number of batches, their parts differ by
    at most one image, and together they show the epoch that one process would show.

    Args:
        order: Order of the images.
        batch_size: Images per batch and process; a last batch with fewer than two images for each joins the batch before it, as batch
            normalisation needs two.
        part: Number of this process, from 0.
        parts: How many processes train together.

    Raises:
        DataError: There are too few images for all processes.
    """

    def __init__(self, order: Order, *, batch_size: int, part: int = 0, parts: int = 1) -> None:
        self.order = order
        self.batch_size = batch_size
        self.part, self.parts = part, parts
        self._least = parts * min(2, batch_size)
        if parts > 1 and len(order) < self._least:
            raise DataError(
                what=f"{len(order)} training images are too few for {parts} devices", where="trainer.devices", remedy="Use fewer devices"
            )
        self.epoch = 0
        self.offset = 0
        self.done = 0

    def __len__(self) -> int:
        return len(self._cuts()) - 1

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch at its first batch; naming the present epoch changes nothing."""
        if epoch != self.epoch:
            self.move_to(epoch, done=0)

    def move_to(self, epoch: int, *, done: int) -> None:
        """Let the next iteration begin after some batches of an epoch."""
        self.epoch, self.offset, self.done = epoch, done, done

    def __iter__(self) -> Iterator[Request]:
        first, self.offset = self.offset, 0
        rows = self.order.epoch(self.epoch)
        repeats = pd.Series(rows).groupby(rows).cumcount().to_numpy().astype(np.int64)
        cuts = self._cuts()
        for start, stop in zip(cuts[first:-1], cuts[first + 1 :], strict=True):
            own = slice(*(start + (stop - start) * edge // self.parts for edge in (self.part, self.part + 1)))
            yield Request(self.epoch, rows[own], repeats[own])

    def _cuts(self) -> list[int]:
        count = len(self.order)
        cuts = [*range(0, count, self.batch_size * self.parts), count]
        if len(cuts) > 2 and cuts[-1] - cuts[-2] < self._least:
            del cuts[-2]
        return cuts


def make_order(name: str, rows: pd.DataFrame, *, findings: Sequence[str], seed: int) -> Order:
    """Order training rows by the name of a sampler.

    Args:
        name: One of ``SAMPLERS``.
        rows: Manifest rows, in the order of the training table.
        findings: Findings whose classes ``class`` balances; of several, each counts alike.
        seed: Seed of the run.

    Returns:
        The order.

    Raises:
        DataError: ``site`` is asked for, and a row has no site; or ``class``, and there is no finding.
    """
    if name == "class" and not findings:
        raise DataError(
            what="A stage without labels cannot balance classes", where="Key data.sampler", remedy="Use natural, site or patient"
        )
    if name == "class":
        return Order(seed, len(rows), weights=class_weights(rows[list(findings)].to_numpy(dtype=np.float64)))
    if name == "site":
        if rows["site"].isna().any() or (rows["site"] == "").any():
            raise DataError(what="Rows without a site cannot be balanced by site", where="Key data.sampler", remedy="Use another sampler")
        site = rows["site"]
        return Order(seed, len(rows), weights=1.0 / (site.map(site.value_counts()) * site.nunique()).to_numpy(dtype=np.float64))
    if name == "patient":
        # without patient ids an image stands for its patient
        patient = np.where(rows["patient_id"].isna(), rows["sample_id"], rows["patient_id"])
        return Order(seed, len(rows), groups=pd.factorize(patient)[0].astype(np.int64))
    return Order(seed, len(rows))


def class_weights(labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each image when the classes of every finding shall weigh alike.

    Args:
        labels: (N, L) labels, NaN unknown; every row has a known label.

    Returns:
        (N,) shares summing to 1: within a finding each class has half, each image an equal part of its class; findings are averaged over
        those known of each image.

    Example:
        >>> class_weights(np.array([[1.0], [0.0], [0.0]])).tolist()
        [0.5, 0.25, 0.25]
    """
    parts = np.full(labels.shape, np.nan)
    for value in (0.0, 1.0):
        match = ~np.isnan(labels) & ((labels > 0.5) == value)  # a soft label belongs to the class it is nearer to
        parts = np.where(match, 0.5 / np.maximum(match.sum(axis=0), 1), parts)
    weights = np.nanmean(parts, axis=1)
    return np.asarray(weights / weights.sum())
