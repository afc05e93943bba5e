# SPDX-License-Identifier: Apache-2.0
"""AUROC of many findings under thousands of resamples of patients: scores are sorted once, a resample costs one pass over integers."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medsetu.core.errors import DataError
from medsetu.evaluation.bootstrap import SHARE, patient_counts, percentile
from medsetu.evaluation.interval import NAN, Estimate, Floats
from medsetu.evaluation.metric import ratio
from medsetu.evaluation.score import Ints, check_scores

_BLOCK = 3_000_000  # draws of patients held at once: 24 MB while they are drawn, a third once packed


@dataclass(frozen=True)
class Ranking:
    """What the AUROC of one score column needs under any weights of its patients.

    Attributes:
        negative: (N,) patient of each negative, in ascending order of score.
        positive: (M,) patient of each positive.
        below: (M,) negatives with a lower score than each positive.
        through: (M,) negatives with a lower or the same score.
    """

    negative: Ints
    positive: Ints
    below: Ints
    through: Ints

    def auroc(self, times: Ints, *, lanes: int = 1, bits: int = 62) -> Floats:
        """AUROC when patients count several times, ties one half; computed in integers, hence exact but for one division.

        Args:
            times: (P,) how often each patient was drawn; ``pack`` puts several resamples into one integer.
            lanes: Resamples in each integer.
            bits: Bits of each resample: no sum over samples may need more.

        Returns:
            (lanes,) AUROC in [0, 1]; NaN where a class was not drawn.
        """
        up_to = np.zeros(self.negative.size + 1, dtype=np.int64)
        np.cumsum(times.take(self.negative, mode="clip"), out=up_to[1:])  # all resamples of an integer at once: no sum overflows its bits
        shift, mask = bits * np.arange(lanes)[:, None], (1 << bits) - 1
        below, through, total = ((up_to[place] >> shift) & mask for place in (self.below, self.through, [-1]))
        weight = (times.take(self.positive) >> shift) & mask
        won = (weight * (below + through)).sum(axis=1)  # twice, so that a tie is one
        return ratio(won, 2 * weight.sum(axis=1) * total[:, 0])


def pack(counts: ArrayLike, *, bits: int) -> tuple[Ints, int]:
    """Put as many resamples as fit into each 64-bit integer, so that one sum adds them all.

    Args:
        counts: (B, P) how often each patient was drawn.
        bits: Bits of each resample, at most 62.

    Returns:
        (ceil(B / lanes), P) integers, and the number of lanes; missing resamples are all zero.

    Example:
        >>> pack([[1, 2], [3, 0]], bits=31)
        (array([[6442450945,          2]]), 2)
    """
    table, lanes = np.asarray(counts).astype(np.int64), 62 // bits
    full = np.zeros((-(-len(table) // lanes) * lanes, table.shape[1]), dtype=np.int64)
    full[: len(table)] = table
    shift = (bits * np.arange(lanes))[:, None]
    return np.asarray((full.reshape(-1, lanes, table.shape[1]) << shift).sum(axis=1)), lanes


def rank(label: ArrayLike, score: ArrayLike, *, cluster: ArrayLike) -> Ranking:
    """Sort one score column.

    Args:
        label: (n,) 1, 0, NaN for unknown (left out).
        score: (n,) finite scores on any monotone scale.
        cluster: (n,) patient of each sample as codes 0 to P - 1.

    Returns:
        The order of the samples.

    Raises:
        DataError: Scores are NaN or infinite, labels impossible, or lengths differ.

    Example:
        >>> rank([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], cluster=[0, 1, 2, 3]).auroc(np.array([1, 2, 1, 1])).round(4).tolist()
        [0.6667]
    """
    truth, table, _ = check_scores(label, score)
    codes = np.asarray(cluster, dtype=np.intp)[~np.isnan(np.asarray(label, dtype=np.float64))]
    values = table[0]
    order = np.argsort(values, kind="stable")
    falls, rises = order[truth[order] == 0], order[truth[order] == 1]
    below, through = (np.searchsorted(values[falls], values[rises], side=side) for side in ("left", "right"))
    return Ranking(codes[falls], codes[rises], below, through)


def auroc_replicates(
    label: ArrayLike, score: ArrayLike, *, cluster: ArrayLike, replicates: int = 2000, seed: int = 0, threads: int = 2
) -> Floats:
    """AUROC of several findings on the same resamples of patients, those that ``bootstrap`` draws with this seed.

    Each finding is sorted once. A resample gathers how often the patient of each negative was drawn, sums along the order, and reads the
    sums at the positives: numpy works outside the interpreter's lock, so threads help. Memory does not grow with the replicates.

    Args:
        label: (F, n) 1, 0, NaN for unknown (left out of that finding).
        score: (F, n) finite scores.
        cluster: (n,) patient of each sample, numbers or text.
        replicates: Number of resamples B.
        seed: Seed of the draws.
        threads: Threads to use; the result does not depend on them.

    Returns:
        (F, B) AUROC; NaN where a resample holds one class only.

    Raises:
        DataError: Scores are NaN or infinite, labels impossible, or lengths differ.

    Example:
        >>> auroc_replicates([[0, 0, 1, 1]], [[0.1, 0.4, 0.35, 0.8]], cluster=[0, 1, 2, 3], replicates=3).shape
        (1, 3)
    """
    truth, table = (np.atleast_2d(np.asarray(part, dtype=np.float64)) for part in (label, score))
    names, codes = np.unique(np.asarray(cluster), return_inverse=True)
    if truth.shape != table.shape or truth.shape[1] != codes.size:
        raise DataError(
            what="Labels, scores and patients differ in length",
            where=f"Labels {truth.shape}, scores {table.shape}, {codes.size} patients of samples",
            remedy="Give (findings, samples) labels and scores, and one patient per sample",
        )
    rankings = [rank(row, values, cluster=codes) for row, values in zip(truth, table, strict=True)]
    found = np.full((len(rankings), replicates), NAN)
    if codes.size == 0:
        return found

    def fill(place: int, rows: slice, block: Ints, *, lanes: int, bits: int) -> None:
        each = np.concatenate([rankings[place].auroc(times, lanes=lanes, bits=bits) for times in block])
        found[place, rows] = each[: rows.stop - rows.start]

    rows, waiting = slice(0, 0), list[Future[None]]()
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for counts in patient_counts(names.size, replicates=replicates, seed=seed, rows=max(1, _BLOCK // names.size)):
            bits = int(counts.max() * codes.size).bit_length()
            block, lanes = pack(counts, bits=bits)
            rows = slice(rows.stop, rows.stop + len(counts))
            begun = [pool.submit(fill, place, rows, block, lanes=lanes, bits=bits) for place in range(len(rankings))]
            _finish(waiting)  # the next block is drawn while this one is worked on, never more
            waiting = begun
        _finish(waiting)
    return found


def auroc_intervals(
    label: ArrayLike,
    score: ArrayLike,
    *,
    cluster: ArrayLike,
    replicates: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    threads: int = 2,
) -> list[Estimate]:
    """Percentile intervals of the AUROC of several findings, by patient.

    For one AUROC the formula of ``delong`` covers better in small sets; this serves large tables, and joint statements over findings.

    Args:
        label: (F, n) 1, 0, NaN for unknown (left out of that finding).
        score: (F, n) finite scores.
        cluster: (n,) patient of each sample, numbers or text.
        replicates: Number of resamples.
        seed: Seed of the draws.
        level: Confidence level in (0, 1).
        threads: Threads to use.

    Returns:
        One estimate per finding; NaN with the reason where a class is absent.

    Example:
        >>> auroc_intervals([[1, 1]], [[0.5, 0.7]], cluster=["a", "b"], replicates=10)[0].note
        'undefined: a class is absent'
    """
    truth, table = (np.atleast_2d(np.asarray(part, dtype=np.float64)) for part in (label, score))
    names, codes = np.unique(np.asarray(cluster), return_inverse=True)
    draws = auroc_replicates(truth, table, cluster=codes, replicates=replicates, seed=seed, threads=threads)
    once = np.ones(names.size, dtype=np.int64)
    found = []
    for row, values, replicate in zip(truth, table, draws, strict=True):
        known = ~np.isnan(row)
        counts = (int(np.unique(codes[known]).size), int(known.sum()), int(np.nansum(row)))
        value = float(rank(row, values, cluster=codes).auroc(once)[0])
        ends, note = percentile(replicate, level=level, limits=SHARE)
        if not np.isfinite(value):
            ends, note = (NAN, NAN), "undefined: a class is absent"
        method = f"patient bootstrap, percentile, {replicates} replicates" if np.isfinite(ends[0]) else ""
        found.append(Estimate(value, *ends, *counts, method, note))
    return found


def _finish(jobs: list["Future[None]"]) -> None:
    for job in jobs:
        job.result()
