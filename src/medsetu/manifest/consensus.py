# SPDX-License-Identifier: Apache-2.0
"""From the readings of several readers to one label: a rule over votes, or the readers' own errors estimated with it.

A finding that one reader names is not lost because another names none: each finding is fused by itself, and "no finding" follows from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.vote import ANY as ANY
from medsetu.core.vote import MAJORITY as MAJORITY
from medsetu.core.vote import POLICIES as POLICIES
from medsetu.core.vote import UNANIMOUS as UNANIMOUS
from medsetu.core.vote import fuse_votes
from medsetu.core.vote import policy_label as policy_label

Floats = NDArray[np.float64]
LEAST_READERS = 3  # two readers who differ do not tell which of them errs
_STEPS = 10_000
_SETTLED = 1e-12  # change of the log-likelihood per reading at which the iteration ends
_LEAST = 1e-300


def fuse_readers(readings: pd.DataFrame, *, policy: str, normal: str | None = None) -> pd.DataFrame:
    """Fuse one row per sample and reader into one row per sample, finding by finding.

    Args:
        readings: ``sample_id``, ``reader`` and one column per finding: 1 seen, 0 read and not seen, NaN not read; rows in any order.
        policy: One of ``POLICIES``.
        normal: Column in which a reader says that no other finding is there; it is not put to the vote but follows from the others: 0
            where one of them is 1, 1 where all are 0, NaN otherwise.

    Returns:
        One row per sample in the order of the names, index ``sample_id``; 1, 0 or NaN for each finding.

    Raises:
        ConfigError: The policy, or the column ``normal``, is unknown.
        DataError: A reader read a sample twice, or a reading is not 1, 0 or NaN.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["s"] * 3, "reader": ["a", "b", "c"], "mass": [1, 0, 1], "none": [0, 1, 0]})
        >>> fuse_readers(rows, policy="majority", normal="none").loc["s"].tolist()
        [1.0, 0.0]
    """
    findings = [name for name in readings.columns if name not in ("sample_id", "reader")]
    if normal is not None and normal not in findings:
        raise ConfigError(what=f"No column '{normal}' was read", where="Key normal", value=normal, allowed=findings)
    if bool(readings.duplicated(["sample_id", "reader"]).any()):
        raise DataError(what="A reader read a sample twice", where="Table of readings", remedy="Keep one row per sample and reader")
    table = fuse_votes(readings, key="sample_id", findings=findings, policy=policy)
    if normal is not None:
        others = table.drop(columns=normal)
        table[normal] = np.select([(others == 1).any(axis=1), (others == 0).all(axis=1)], [0.0, 1.0], default=np.nan)
    return table


@dataclass(frozen=True)
class Consensus:
    """Labels and the errors of the readers, estimated together.

    Attributes:
        classes: (K,) readings that occur, in their order.
        posterior: (n, K) probability of each class; NaN where nobody read the sample.
        share: (K,) share of each class.
        confusion: (R, K, K) probability that a reader says the column where the row is true; NaN where that never seems to be so.
        readers: (R,) their names.
        log_likelihood: At the end, without the multinomial constant.
        steps: Iterations of EM.
    """

    classes: Floats
    posterior: Floats
    share: Floats
    confusion: Floats
    readers: tuple[str, ...]
    log_likelihood: float
    steps: int

    @property
    def label(self) -> Floats:
        """(n,) most probable class; NaN where nobody read the sample, or two classes are equally probable."""
        ranked = np.sort(self.posterior, axis=1)
        known = ~np.isnan(self.posterior).any(axis=1)
        clear = known & ((ranked[:, -1] - ranked[:, -2] > 1e-9) if self.classes.size > 1 else known)
        best = self.classes[np.argmax(np.nan_to_num(self.posterior), axis=1)]
        return np.where(clear, best, np.nan)


def dawid_skene(votes: ArrayLike, *, reader: Sequence[str] | None = None) -> Consensus:
    """Estimate the true class of each sample and how each reader errs (Dawid and Skene, Appl Stat 1979, 28:20), by EM from the votes.

    Readers are taken to err independently given the truth: what all of them overlook, it cannot see.

    Args:
        votes: (n, C) readings as numbers; NaN is no reading.
        reader: (C,) reader of each column; a reader of several columns has one confusion matrix. None: every column is a reader.

    Returns:
        The consensus.

    Raises:
        DataError: Fewer than three readers, or fewer than two classes were read.

    Example:
        >>> found = dawid_skene([[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]])
        >>> found.label.tolist()
        [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    """
    table = np.asarray(votes, dtype=np.float64)
    columns = [str(place) for place in range(table.shape[-1])] if reader is None else [str(name) for name in reader]
    names = tuple(dict.fromkeys(columns))
    if table.ndim != 2 or len(columns) != table.shape[1] or len(names) < LEAST_READERS:
        _refuse(f"Readings {table.shape} of {len(names)} readers", f"Give a table of at least {LEAST_READERS} readers, or choose a policy")
    classes = np.unique(table[~np.isnan(table)])
    if classes.size < 2:
        _refuse(f"{classes.size} classes were read", "Give readings that differ: there is nothing to estimate")
    said = (table[:, :, None] == classes).astype(np.float64)
    counts = np.stack([said[:, [name == column for column in columns]].sum(axis=1) for name in names])  # (R, n, K)
    read = counts.sum(axis=(0, 2)) > 0
    counts = counts[:, read]
    belief = counts.sum(axis=0) / counts.sum(axis=(0, 2))[:, None]
    before, steps = -np.inf, 0
    while True:
        share = belief.mean(axis=0)
        heard = np.einsum("nk,rnj->rkj", belief, counts)
        total = heard.sum(axis=2, keepdims=True)
        confusion = np.divide(heard, total, out=np.full(heard.shape, np.nan), where=total > 0)
        joint = np.log(np.maximum(share, _LEAST)) + np.einsum("rnj,rkj->nk", counts, np.log(np.maximum(np.nan_to_num(confusion), _LEAST)))
        peak = joint.max(axis=1, keepdims=True)
        evidence = peak + np.log(np.exp(joint - peak).sum(axis=1, keepdims=True))
        belief, now, steps = np.exp(joint - evidence), float(evidence.sum()), steps + 1
        if now - before <= _SETTLED * counts.sum() or steps == _STEPS:
            break
        before = now
    posterior = np.full((read.size, classes.size), np.nan)
    posterior[read] = belief
    return Consensus(classes, posterior, share, confusion, names, now, steps)


@dataclass(frozen=True)
class Staple:
    """A consensus mask and how well each reader draws it.

    Attributes:
        probability: Probability that a pixel belongs to the object, shape of a mask, in [0, 1].
        sensitivity: (R,) of each reader; NaN where no pixel belongs to the object.
        specificity: (R,) of each reader; NaN where every pixel does.
        steps: Iterations of EM.
    """

    probability: Floats
    sensitivity: Floats
    specificity: Floats
    steps: int


def staple(masks: ArrayLike) -> Staple:
    """Fuse the masks of several readers, each weighed by how well it agrees (Warfield, Zou and Wells, IEEE TMI 2004, 23:903).

    Pixels that the same readers drew are one case with a weight, so that the time does not grow with the mask.

    Args:
        masks: (R, ...) masks of 1 and 0 of at least two readers, all shapes alike. The share of the object is that over all masks.

    Returns:
        The consensus; identical masks give that mask.

    Raises:
        DataError: Fewer than two masks, no pixel, or a value that is neither 0 nor 1.

    Example:
        >>> found = staple([[1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0]])
        >>> found.probability.round().astype(int).tolist(), found.sensitivity.round(2).tolist()
        ([1, 1, 1, 1, 0, 0, 0, 0], [1.0, 0.75, 1.0])
    """
    table = np.asarray(masks, dtype=np.float64)
    drawn = table.reshape(len(table), -1) if table.ndim > 1 else table[:, None]
    if drawn.shape[0] < 2 or drawn.shape[1] == 0:
        _refuse(f"Masks of shape {table.shape}", "Give (R, ...) masks of at least two readers")
    if not np.isin(drawn, (0.0, 1.0)).all():
        _refuse("A mask holds values other than 0 and 1", "Give binary masks")
    prior = float(drawn.mean())
    hit = cleared = np.full(len(drawn), 1 - 1e-5)  # readers are taken to be good at first, as in the paper
    belief, steps = drawn.mean(axis=0), 0
    if prior in (0.0, 1.0):
        ones, unknown = np.ones(len(drawn)), np.full(len(drawn), np.nan)
        sensitivity, specificity = (unknown, ones) if prior == 0 else (ones, unknown)
        return Staple(belief.reshape(table.shape[1:]), sensitivity, specificity, 0)
    _, first, place, weight = np.unique(
        np.packbits(drawn.astype(bool), axis=0), axis=1, return_index=True, return_inverse=True, return_counts=True
    )
    drawn = drawn[:, first]
    while True:
        inside = _log(prior) + drawn.T @ _log(hit) + (1 - drawn).T @ _log(1 - hit)
        outside = _log(1 - prior) + drawn.T @ _log(1 - cleared) + (1 - drawn).T @ _log(cleared)
        belief = 1 / (1 + np.exp(np.clip(outside - inside, -700, 700)))
        held, left = weight * belief, weight * (1 - belief)
        hits, clears = drawn @ held / held.sum(), (1 - drawn) @ left / left.sum()
        moved, steps = max(np.abs(hits - hit).max(), np.abs(clears - cleared).max()), steps + 1
        hit, cleared = hits, clears
        if moved <= _SETTLED or steps == _STEPS:
            return Staple(belief[place.reshape(-1)].reshape(table.shape[1:]), hit, cleared, steps)


def _log(value: ArrayLike) -> Floats:
    return np.asarray(np.log(np.maximum(value, _LEAST)))


def _refuse(what: str, remedy: str) -> None:
    raise DataError(what=what, where="Consensus of readers", remedy=remedy)
