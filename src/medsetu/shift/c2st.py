# SPDX-License-Identifier: Apache-2.0
"""Classifier two-sample test: can a logistic regression tell the sides apart on patients it has never met?

Lopez-Paz and Oquab, ICLR 2017. Half of the patients of each side train it, once; the other half tests it, once. Its decisions are then
fixed, so permuting the held-out patients is exact, also where patients have several films. Folds are never pooled: that has size 10.5 %.
"""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medsetu.core.errors import DataError
from medsetu.evaluation.interval import check_level, mover
from medsetu.evaluation.proportion import clustered_ratio
from medsetu.shift.relabel import Bools, Pooled, TwoSample, permutation_p, pool, relabelings

LEAST_PATIENTS = 4  # per side: two to train, two to test


def proxy_a_distance(error: float) -> float:
    """Turn the error of a classifier of the sides into a distance, 2 (1 - 2 error) (Ben-David et al., Mach Learn 2010, 79:151-175).

    Args:
        error: Balanced error on held-out patients, in [0, 1].

    Returns:
        0 for sides that cannot be told apart, 2 for sides that never overlap; below 0 by chance only.

    Raises:
        DataError: The error is outside [0, 1].

    Example:
        >>> proxy_a_distance(0.25)
        1.0
    """
    if not 0 <= error <= 1:
        raise DataError(what=f"An error of {error} is impossible", where="Proxy A-distance", remedy="Give a share between 0 and 1")
    return 2 * (1 - 2 * error)


def c2st(
    x: ArrayLike,
    y: ArrayLike,
    *,
    cluster: tuple[ArrayLike, ArrayLike] | None = None,
    permutations: int = 999,
    level: float = 0.95,
    seed: int = 0,
) -> TwoSample:
    """Test whether a classifier tells the sides apart on patients it has never met.

    Columns are standardised on the training half; the ridge penalty is the number of columns, which keeps the logits of pure noise near
    unit variance; sides weigh alike, whatever their sizes.

    Args:
        x: (n, d) features of the global side, at least four patients.
        y: (m, d) features of the local side, at least four patients.
        cluster: Patient of each row; None where every row is a patient of its own.
        permutations: Relabelings of held-out patients.
        level: Confidence level of the interval.
        seed: Seed of the split and of the relabelings.

    Returns:
        Balanced accuracy in [0, 1] (0.5 is chance) with p (permutation) and interval (Wilson at the effective size, joined by MOVER);
        patients are those held out.

    Raises:
        DataError: The samples cannot be compared, or a side has fewer than four patients.

    Example:
        >>> x = np.arange(40.0)
        >>> c2st(x, x + 100).value
        1.0
    """
    check_level(level)
    both = pool(x, y, cluster=cluster)
    if min(both.n_global, both.n_local) < LEAST_PATIENTS:
        raise DataError(
            what=f"A side has {min(both.n_global, both.n_local)} patients",
            where="Classifier two-sample test",
            remedy=f"Give at least {LEAST_PATIENTS} per side: half of them train, half of them test",
        )
    held = _held_out(both, seed=seed)
    called = _decide(both, held[both.cluster])
    return _judge(both, held, called=called, permutations=permutations, level=level, seed=seed)


def _held_out(both: Pooled, *, seed: int) -> Bools:
    """(P,) True for the half of each side's patients that tests; the odd one tests too."""
    rng = np.random.default_rng(seed)
    halves = [rng.permutation(count) >= count // 2 for count in (both.n_global, both.n_local)]
    return np.concatenate(halves)


def _decide(both: Pooled, tested: Bools) -> Bools:
    """Whether each tested film is called local."""
    if not np.ptp(both.values, axis=0).any():
        return np.zeros(int(tested.sum()), dtype=bool)
    strength = 1.0 / both.values.shape[1]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=5000))
    model.fit(both.values[~tested], both.local[~tested])
    return np.asarray(model.predict(both.values[tested]), dtype=bool)


def _judge(both: Pooled, held: Bools, *, called: Bools, permutations: int, level: float, seed: int) -> TwoSample:
    codes = np.unique(both.cluster[held[both.cluster]], return_inverse=True)[1]
    local = both.local[held[both.cluster]]
    n_local = int(held[both.n_global :].sum())
    n_global = int(held.sum()) - n_local
    hits, size = (np.bincount(codes, weights=weights) for weights in (called.astype(np.float64), np.ones(codes.size)))
    blocks = relabelings(n_global, n_local, permutations=permutations, seed=seed)
    found = np.concatenate([0.5 + (block @ hits / (block @ size) - ~block @ hits / (~block @ size)) / 2 for block in blocks])
    shares = [clustered_ratio(called[side], np.ones(side.sum()), cluster=codes[side], level=level) for side in (local, ~local)]
    ends = [share.interval(level=level) for share in shares]
    low, high = mover(shares[0].value, ends[0], value_b=shares[1].value, interval_b=ends[1])
    method = "logistic regression, half of the patients held out once, permutation by held-out patient (Lopez-Paz and Oquab 2017)"
    ends_of = max(0.0, 0.5 + float(low) / 2), min(1.0, 0.5 + float(high) / 2)
    return TwoSample(float(found[0]), float(permutation_p(found)), n_global, n_local, method, *ends_of)
