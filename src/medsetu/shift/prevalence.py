# SPDX-License-Identifier: Apache-2.0
"""Local prevalence without local labels, from the scores alone: true only as long as positives and negatives look as they do globally."""

from collections.abc import Iterator
from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from medsetu.core.errors import DataError
from medsetu.evaluation.bootstrap import SHARE, expanded_level, patient_strata, patient_weights, percentile
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes
from medsetu.evaluation.metric import CLIP, ratio
from medsetu.evaluation.score import Ints, check_probability, check_scores
from medsetu.shift.label_shift import bbse_weights, em_prevalence, rlls_weights, temperature_bias

BBSE, EM, RLLS = "BBSE", "EM", "RLLS"
METHODS = {
    BBSE: "confusion matrix solved (Lipton 2018)",
    EM: "EM after bias-corrected temperature scaling (Saerens 2002; Alexandari 2020)",
    RLLS: "regularised confusion matrix (Azizzadenesheli 2019, ridge form)",
}
LEAST_CLASS = 10  # validation patients per class below which there is no estimate, local patients below which it has no interval
_BLOCK = 1_000_000  # weights of one block of resamples


def prevalence_estimates(
    label: ArrayLike,
    scores: ArrayLike,
    *,
    cluster: ArrayLike,
    local_scores: ArrayLike,
    local_cluster: ArrayLike,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Local prevalence by BBSE, EM and RLLS, with intervals that resample validation patients and local patients.

    Each resample fits calibration and confusion matrix anew. Several seeds are several readings of one prevalence: they are averaged.

    Args:
        label: (n,) labels of global validation: 1, 0, NaN for unknown (left out).
        scores: (M, n) their probabilities, one row per seed.
        cluster: (n,) their patients.
        local_scores: (M, m) probabilities of the local films by the same models.
        local_cluster: (m,) their patients.
        replicates: Resamples; 0 gives values without intervals.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        One estimate per method: local patients and films, validation positives. NaN with the reason where validation holds fewer than
        ``LEAST_CLASS`` patients of a class, or the scores do not tell the classes apart or separate them wholly (EM).

    Raises:
        DataError: Scores are no probabilities, or the two sides were not scored by the same models.
    """
    truth, table, codes = check_scores(label, check_probability(scores), cluster=cluster)
    here = np.atleast_2d(check_probability(local_scores))
    if table.shape[0] != here.shape[0]:
        raise DataError(
            what=f"{table.shape[0]} models scored validation, {here.shape[0]} the local films",
            where="Prevalence of the local side",
            remedy="Give the scores of the same models on both",
        )
    clusters = (cast(Ints, codes), np.unique(np.asarray(local_cluster), return_inverse=True)[1].astype(np.int64))
    counts = (int(clusters[1].max(initial=-1)) + 1, here.shape[1], int(truth.sum()))
    few = _too_few(truth, clusters[0]) or ("" if here.size else "no local films that the models of validation scored")
    if few:
        return {name: Estimate(NAN, NAN, NAN, *counts, "", few) for name in METHODS}
    smallest = min(counts[0], *(int(np.unique(clusters[0][truth == value]).size) for value in (0.0, 1.0)))
    size = int(np.unique(clusters[0]).size)
    point = _readings(truth, table, here, weights=(np.ones((1, truth.size)), np.ones((1, here.shape[1]))), patients=size)
    enough = counts[0] >= LEAST_CLASS
    drawn = _resamples(truth, clusters, replicates=replicates if enough else 0, seed=seed)
    blocks = [_readings(truth, table, here, weights=pair, patients=size) for pair in drawn]
    wide = expanded_level(level, patients=smallest) if enough else level
    return {name: _estimate(name, float(point[name][0]), [block[name] for block in blocks], counts=counts, level=wide) for name in METHODS}


def _too_few(truth: Floats, cluster: Ints) -> str:
    for name, value in (("positive", 1.0), ("negative", 0.0)):
        patients = int(np.unique(cluster[truth == value]).size)
        if patients < LEAST_CLASS:
            return f"validation has {patients} {name} patients, and at least {LEAST_CLASS} are needed"
    return ""


def _resamples(truth: Floats, clusters: tuple[Ints, Ints], *, replicates: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    size = max(1, _BLOCK // max(clusters[0].size, clusters[1].size))
    starts = range(0, replicates, size)
    seeds = np.random.SeedSequence(seed).generate_state(2 * len(starts)).tolist()
    for place, start in enumerate(starts):
        rows = min(size, replicates - start)
        strata = patient_strata(truth, clusters[0])
        yield (
            np.concatenate(list(patient_weights(clusters[0], replicates=rows, seed=seeds[2 * place], strata=strata))),
            np.concatenate(list(patient_weights(clusters[1], replicates=rows, seed=seeds[2 * place + 1]))),
        )


def _readings(truth: Floats, table: Floats, here: Floats, *, weights: tuple[Floats, Floats], patients: int) -> dict[str, Floats]:
    """(B,) mean over seeds of each method under pairs of weights."""
    each = [_reading(truth, score, local, weights=weights, patients=patients) for score, local in zip(table, here, strict=True)]
    return {name: np.mean([one[name] for one in each], axis=0) for name in METHODS}


def _reading(truth: Floats, score: Floats, local: Floats, *, weights: tuple[Floats, Floats], patients: int) -> dict[str, Floats]:
    weight, drawn = weights
    prior = ratio(weight @ truth, weight.sum(axis=1))
    slope, bias = temperature_bias(truth, score, weight=weight)
    x = special.logit(np.clip(local, CLIP, 1 - CLIP))
    posterior = special.expit(bias[:, None] + slope[:, None] * x)
    cut = (np.median(score[truth == 1]) + np.median(score[truth == 0])) / 2  # not chosen to look good on validation
    called = np.stack([score < cut, score >= cut]).astype(np.float64)
    joint = np.stack([weight @ (called * share).T for share in (1 - truth, truth)], axis=-1) / weight.sum(axis=1)[:, None, None]
    marginal = (drawn @ np.stack([local < cut, local >= cut]).astype(np.float64).T) / drawn.sum(axis=1)[:, None]
    penalty = (1 - (joint**2).sum(axis=(1, 2))) / patients  # squared error of a multinomial matrix
    solved = {BBSE: bbse_weights(joint, marginal), RLLS: rlls_weights(joint, marginal, penalty=penalty)}
    shares = {name: found * joint.sum(axis=1) for name, found in solved.items()}
    return {name: ratio(share[:, 1], share.sum(axis=1)) for name, share in shares.items()} | {
        EM: em_prevalence(posterior, prior, weight=drawn)
    }


def _estimate(name: str, value: float, blocks: list[Floats], *, counts: tuple[int, int, int], level: float) -> Estimate:
    if not np.isfinite(value):
        reason = "validation classes are separated, no calibration" if name == EM else "the calls do not tell the classes apart"
        return Estimate(NAN, NAN, NAN, *counts, "", reason)
    ends, remark = percentile(np.concatenate(blocks) if blocks else np.zeros(0), level=level, limits=SHARE)
    width = f"width {ends[1] - ends[0]:.2f}" if np.isfinite(ends[0]) else ""
    return Estimate(value, *ends, *counts, f"{METHODS[name]}, patient bootstrap of both sides", join_notes(width, remark))
