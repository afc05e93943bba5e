# SPDX-License-Identifier: Apache-2.0
"""The general tool for metrics without a formula: resample patients, all models and metrics on the same resamples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from medsetu.evaluation.curve import curve, sensitivity_at_rates
from medsetu.evaluation.delong import claim_note, seed_spread
from medsetu.evaluation.interval import NAN, Estimate, Floats, check_level, critical, join_notes
from medsetu.evaluation.kernel import seed_weights
from medsetu.evaluation.metric import Statistic
from medsetu.evaluation.score import Ints, ScoreMatrix

SHARE = (0.0, 1.0)
_BLOCK = 2_000_000  # weights held at once: 16 MB


def patient_weights(cluster: ArrayLike, *, replicates: int, seed: int, strata: ArrayLike | None = None) -> Iterator[Floats]:
    """Resample patients with replacement: how often each sample is drawn, in blocks of replicates.

    Args:
        cluster: (n,) patient of each sample as codes 0 to P - 1; cluster size 1 is the ordinary bootstrap.
        replicates: Number of resamples.
        seed: Seed of the draws.
        strata: (P,) stratum of each patient; each stratum keeps its number of patients. None: one stratum.

    Yields:
        (b, n) sample weights; the rows of all blocks together number ``replicates``.

    Example:
        >>> next(patient_weights([0, 0, 1], replicates=2, seed=0)).shape
        (2, 3)
    """
    codes = np.asarray(cluster, dtype=np.int64)
    patients = int(codes.max(initial=-1)) + 1
    for drawn in patient_counts(patients, replicates=replicates, seed=seed, rows=max(1, _BLOCK // max(1, codes.size)), strata=strata):
        yield drawn[:, codes]


def patient_counts(patients: int, *, replicates: int, seed: int, rows: int, strata: ArrayLike | None = None) -> Iterator[Floats]:
    """Resample patients with replacement: how often each patient is drawn, in blocks of replicates.

    Args:
        patients: Number of patients P.
        replicates: Number of resamples.
        seed: Seed of the draws; without strata they do not depend on the size of the blocks.
        rows: Replicates per block.
        strata: (P,) stratum of each patient; each stratum keeps its number of patients. None: one stratum.

    Yields:
        (b, P) counts, b at most ``rows``; the rows of all blocks together number ``replicates``.

    Example:
        >>> next(patient_counts(3, replicates=2, seed=0, rows=10)).sum(axis=1).tolist()
        [3.0, 3.0]
    """
    groups = [np.arange(patients)] if strata is None else [np.flatnonzero(np.asarray(strata) == name) for name in np.unique(strata)]
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, rows):
        size = min(rows, replicates - start)
        drawn = np.zeros((size, patients))
        for group in groups:
            picks = rng.integers(0, group.size, (size, group.size)) + np.arange(size)[:, None] * group.size
            drawn[:, group] = np.bincount(picks.ravel(), minlength=size * group.size).reshape(size, group.size)
        yield drawn


def patient_strata(label: Floats, cluster: Ints) -> Ints:
    """Stratum of each patient: 1 with a positive image, 0 without.

    Example:
        >>> patient_strata(np.array([1.0, 0.0, 0.0]), np.array([0, 0, 1])).tolist()
        [1, 0]
    """
    return (np.bincount(cluster, weights=label) > 0).astype(np.int64)


def bootstrap(
    matrix: ScoreMatrix,
    statistic: Statistic,
    *,
    replicates: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    stratified: bool = False,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Estimate]:
    """Percentile intervals of several metrics by resampling patients; the value is the mean over models.

    All models see the same resamples. Several seeds widen each replicate by s_seed / sqrt(K) times a Student's t draw with K - 1 degrees
    of freedom, so that the interval holds patients and seeds.

    Args:
        matrix: Labels, scores, seeds and patients.
        statistic: Metrics of one model under (B, n) weights.
        replicates: Number of resamples; 0 gives values without intervals.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).
        stratified: Resample patients with and without a positive image apart.
        ranges: Possible range of the metrics whose names start so, to which the interval is cut; unbounded where absent.

    Returns:
        One estimate per metric; resamples in which a metric is undefined are left out and counted in the note.
    """
    shares = seed_weights(matrix.seed.size, seed=matrix.seed)
    ones = np.ones((1, matrix.label.size))
    single = [statistic(matrix.label, row, ones) for row in matrix.scores]
    names = list(single[0])
    by_model = {name: np.array([float(found[name][0]) for found in single]) for name in names}
    strata = patient_strata(matrix.label, matrix.cluster) if stratified and matrix.label.size else None
    draws: dict[str, list[Floats]] = {name: [] for name in names}
    if matrix.label.size:
        for weight in patient_weights(matrix.cluster, replicates=replicates, seed=seed, strata=strata):
            found = [statistic(matrix.label, row, weight) for row in matrix.scores]
            for name in names:
                draws[name].append(shares @ np.stack([one[name] for one in found]))
    method = f"{'stratified ' if stratified else ''}patient bootstrap, percentile, {replicates} replicates"
    rng = np.random.default_rng([seed, 1])
    result = {}
    for name in names:
        replicate = np.concatenate(draws[name]) if draws[name] else np.zeros(0)
        limits = next((limits for start, limits in (ranges or {}).items() if name.startswith(start)), None)
        widened = widen(replicate, by_model[name], seed=matrix.seed, rng=rng, limits=limits)
        ends, remark = percentile(widened, level=level, limits=limits)
        value = float(shares @ by_model[name])
        note = join_notes(claim_note(matrix.n_seeds), remark if np.isfinite(value) else "undefined in this sample")
        ends = ends if np.isfinite(value) else (NAN, NAN)
        result[name] = Estimate(value, *ends, *matrix.counts, method if np.isfinite(ends[0]) else "", note)
    return result


@dataclass(frozen=True)
class Band:
    """A ROC curve with its pointwise band.

    Attributes:
        rate: (R,) false-positive rates.
        sensitivity: (R,) mean sensitivity over models.
        low: (R,) lower end; NaN where there is none.
        high: (R,) upper end.
    """

    rate: Floats
    sensitivity: Floats
    low: Floats
    high: Floats


def roc_band(matrix: ScoreMatrix, *, rates: ArrayLike, replicates: int = 500, seed: int = 0, level: float = 0.95) -> Band:
    """ROC curve, mean over models, with a pointwise percentile band by patient; for figures, not for claims.

    Args:
        matrix: Labels, scores and patients.
        rates: (R,) ascending false-positive rates in [0, 1].
        replicates: Number of resamples, patients with and without a positive image apart.
        seed: Seed of the resamples.
        level: Pointwise confidence level in (0, 1).

    Returns:
        The curve; NaN throughout where a class is absent.
    """
    check_level(level)
    grid = np.asarray(rates, dtype=np.float64)
    empty = np.full(grid.size, NAN)
    if not 0 < matrix.label.sum() < matrix.label.size:
        return Band(grid, empty, empty, empty)
    shares = seed_weights(matrix.seed.size, seed=matrix.seed)

    def mean_curve(weight: Floats) -> Floats:
        each = [sensitivity_at_rates(curve(matrix.label, row, weight=weight), rates=grid) for row in matrix.scores]
        return np.tensordot(shares, np.stack(each), axes=1)

    value = mean_curve(np.ones((1, matrix.label.size)))[0]
    strata = patient_strata(matrix.label, matrix.cluster)
    blocks = [mean_curve(weight) for weight in patient_weights(matrix.cluster, replicates=replicates, seed=seed, strata=strata)]
    if not blocks:
        return Band(grid, value, empty, empty)
    low, high = np.nanquantile(np.concatenate(blocks), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Band(grid, value, low, high)


def widen(
    replicate: Floats, values: Floats, *, seed: ArrayLike, rng: np.random.Generator, limits: tuple[float, float] | None = None
) -> Floats:
    """Add what the training seeds contribute to replicates of a mean over seeds.

    Args:
        replicate: (B,) replicates over patients.
        values: (M,) value of each model.
        seed: (M,) seed of each model.
        rng: Source of the Student's t draws.
        limits: Range of the metric; (0, 1) widens on the logit scale, so that no replicate leaves it.

    Returns:
        (B,) replicates over patients and seeds; unchanged for one seed.
    """
    spread = seed_spread(values, seed=seed)
    if spread.count < 2 or not spread.variance > 0:
        return replicate
    noise: Floats = np.sqrt(spread.variance) * rng.standard_t(spread.count - 1, replicate.size)
    mean = float(spread.by_seed.mean())
    if limits != SHARE:
        return replicate + noise
    widened: Floats = special.expit(special.logit(np.clip(replicate, 0.0, 1.0)) + noise / (mean * (1 - mean)))
    return widened


def expanded_level(level: float, *, patients: float) -> float:
    """Level at which a percentile interval of a small sample covers as wide as Student's t (Hesterberg, Am Stat 2015, 69:371).

    Args:
        level: Confidence level in (0, 1).
        patients: Patients of the smallest group that is resampled, or effective ones; at least 2 are counted.

    Returns:
        The level for ``percentile``, at least ``level``.

    Example:
        >>> round(expanded_level(0.95, patients=20), 3), round(expanded_level(0.95, patients=1e6), 3)
        (0.968, 0.95)
    """
    group = max(patients, 2.0)
    reach = np.sqrt(group / (group - 1)) * critical(level, df=group - 1)
    return float(2 * special.ndtr(reach) - 1)


def percentile(replicate: Floats, *, level: float, limits: tuple[float, float] | None = None) -> tuple[tuple[float, float], str]:
    """Percentile interval of the defined replicates, and a remark when some are undefined.

    Example:
        >>> percentile(np.arange(101.0), level=0.5)
        ((25.0, 75.0), '')
    """
    check_level(level)
    defined = replicate[np.isfinite(replicate)]
    if defined.size < max(1, replicate.size / 2):
        return (NAN, NAN), "no interval: most resamples are undefined" if replicate.size else "no interval: no resamples asked for"
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    if limits is not None:
        low, high = np.clip([low, high], *limits)
    missing = 1 - defined.size / replicate.size
    return (float(low), float(high)), f"{missing:.1%} of resamples undefined and left out" if missing else ""
