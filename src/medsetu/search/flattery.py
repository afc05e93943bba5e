# SPDX-License-Identifier: Apache-2.0
"""How much the best trial of a search is flattered on the validation films that chose it (estimands.md, section 2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import ArrayLike

from medsetu.contest.optimism import flattery_of_best
from medsetu.evaluation.bootstrap import patient_weights
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.metric import auroc_value
from medsetu.evaluation.resample import auroc_replicates
from medsetu.evaluation.score import Ints


@dataclass(frozen=True)
class Flattered:
    """The optimism of a winner, in the units of the monitor; positive means that it looks better than it is.

    Attributes:
        optimism: What was gained by having been looked for; NaN where it could not be said.
        equal: The same if all trials were truly equal: the most it can be.
        trials: Finished trials it was chosen from.
        patients: Patients (or films, where patients are unknown) of the validation.
        films: Films of the validation.
        resamples: Resamples that were usable.
        note: Why there is no number; empty otherwise.
    """

    optimism: float = nan
    equal: float = nan
    trials: int = 0
    patients: int = 0
    films: int = 0
    resamples: int = 0
    note: str = ""


def flattery(
    label: ArrayLike, logits: Sequence[ArrayLike], *, patient: ArrayLike, monitor: str, resamples: int, seed: int = 0
) -> Flattered:
    """Bootstrap the choice of the best trial over the patients of its validation.

    Args:
        label: (n, L) labels, NaN unknown.
        logits: One (n, L) table per finished trial, on the same films.
        patient: (n,) patient of each film.
        monitor: ``loss`` (unweighted binary cross-entropy over known labels) or ``auroc`` (mean over findings that have both classes).
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        How much the best of them is flattered. What choosing an epoch within each trial adds is not counted.

    Example:
        >>> flattery([[1.0], [0.0]], [[[2.0], [-2.0]]], patient=[0, 1], monitor="loss", resamples=10).note
        'one trial has finished, so there was no choice'
    """
    truth, table = np.asarray(label, np.float64), np.asarray(logits, np.float64)
    _, codes = np.unique(np.asarray(patient), return_inverse=True)
    nothing = Flattered(trials=len(table), patients=int(codes.max(initial=-1)) + 1, films=len(truth))
    if len(table) < 2:
        return replace(nothing, note="one trial has finished, so there was no choice")
    measure = _losses if monitor == "loss" else _aurocs
    values, drawn = measure(truth, table, codes, resamples=resamples, seed=seed)
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
    if not np.isfinite(values).all() or not drawn.shape[1]:
        return replace(nothing, note="no resample of the validation could be measured")
    found = flattery_of_best(values, drawn)
    return replace(nothing, optimism=found.gained, equal=found.equal, resamples=drawn.shape[1])


def _losses(truth: Floats, table: Floats, codes: Ints, *, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """(m,) and (m, B) negative mean loss over the known labels."""
    known = ~np.isnan(truth)
    target = np.where(known, truth, 0.0)
    loss = np.where(known, np.logaddexp(0.0, table) - target * table, 0.0).sum(axis=2)  # (m, n)
    count = known.sum(axis=1).astype(np.float64)
    blocks = [weights @ np.vstack([loss, count]).T for weights in patient_weights(codes, replicates=resamples, seed=seed)]
    sums = np.concatenate(blocks) if blocks else np.zeros((0, len(loss) + 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return -loss.sum(axis=1) / count.sum(), -(sums[:, :-1] / sums[:, -1:]).T


def _aurocs(truth: Floats, table: Floats, codes: Ints, *, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """(m,) and (m, B) mean AUROC over the findings that have both classes."""
    usable = [column for column in range(truth.shape[1]) if {0.0, 1.0} <= set(truth[:, column])]
    if not usable:
        return np.full(len(table), nan), np.full((len(table), 0), nan)
    values, drawn = [], []
    for column in usable:
        known = ~np.isnan(truth[:, column])
        values.append([auroc_value(truth[known, column], logit[known, column]) for logit in table])
        same = np.broadcast_to(truth[:, column], table.shape[:2])
        drawn.append(auroc_replicates(same, table[:, :, column], cluster=codes, replicates=resamples, seed=seed))
    return np.mean(values, axis=0), np.mean(drawn, axis=0)
