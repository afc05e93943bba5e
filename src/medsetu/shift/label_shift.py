# SPDX-License-Identifier: Apache-2.0
"""Label shift as arithmetic: what the local classes weigh when only their mixture moved; for many resamples at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from medsetu.evaluation.calibration import recalibration
from medsetu.evaluation.interval import NAN, Floats
from medsetu.evaluation.metric import CLIP, ratio

MOST_CONDITION = 20.0  # of P(called | true): with two classes about a Youden index of 0.1
_STEPS = 60


def rogan_gladen(apparent: ArrayLike, *, sensitivity: ArrayLike, specificity: ArrayLike) -> Floats:
    """True prevalence from the share of positive calls (Rogan and Gladen 1978).

    Args:
        apparent: Share called positive, in [0, 1], any shape.
        sensitivity: Sensitivity of the calls, in [0, 1].
        specificity: Specificity of the calls, in [0, 1].

    Returns:
        Prevalence, cut to [0, 1]; NaN where sensitivity + specificity = 1.

    Example:
        >>> round(float(rogan_gladen(0.35, sensitivity=0.8, specificity=0.9)), 10)
        0.3571428571
    """
    called, hit, cleared = (np.asarray(part, dtype=np.float64) for part in (apparent, sensitivity, specificity))
    return np.clip(ratio(called + cleared - 1, hit + cleared - 1), 0.0, 1.0)


def bbse_weights(confusion: ArrayLike, marginal: ArrayLike) -> Floats:
    """Local over global share of each class by black-box shift estimation (Lipton et al. 2018).

    Args:
        confusion: (..., K, K) joint shares P(called i, truly j) on global validation.
        marginal: (..., K) shares P(called i) on the local side.

    Returns:
        (..., K) weights, at least 0; NaN where the calls say too little about the classes (``MOST_CONDITION``) or a class is absent.

    Example:
        >>> bbse_weights([[0.63, 0.06], [0.07, 0.24]], [0.55, 0.45]).round(7).tolist()
        [0.7142857, 1.6666667]
    """
    joint, called = np.asarray(confusion, dtype=np.float64), np.asarray(marginal, dtype=np.float64)
    usable = _usable(joint)
    safe = np.where(usable[..., None, None], joint, np.eye(joint.shape[-1]))
    weights = np.linalg.solve(safe, called[..., None])[..., 0]
    return np.where(usable[..., None], np.maximum(weights, 0.0), NAN)


def rlls_weights(confusion: ArrayLike, marginal: ArrayLike, *, penalty: ArrayLike) -> Floats:
    """Class weights held towards 1, the more so the less the confusion matrix is known (Azizzadenesheli et al. 2019).

    The paper penalises the norm of w - 1; this is the form with squared norms, which has a closed solution.

    Args:
        confusion: (..., K, K) joint shares P(called i, truly j) on global validation.
        marginal: (..., K) shares P(called i) on the local side.
        penalty: Squared error of the confusion matrix, at least 0, broadcast; 0 is BBSE.

    Returns:
        (..., K) weights, at least 0; NaN as in ``bbse_weights``.

    Example:
        >>> rlls_weights([[0.63, 0.06], [0.07, 0.24]], [0.55, 0.45], penalty=0.01).round(3).tolist()
        [0.736, 1.557]
    """
    joint, called = np.asarray(confusion, dtype=np.float64), np.asarray(marginal, dtype=np.float64)
    usable = _usable(joint)
    safe = np.where(usable[..., None, None], joint, np.eye(joint.shape[-1]))
    turned = np.swapaxes(safe, -1, -2)
    ridge = turned @ safe + np.asarray(penalty, dtype=np.float64)[..., None, None] * np.eye(joint.shape[-1])
    change = np.linalg.solve(ridge, turned @ (called - safe.sum(axis=-1))[..., None])[..., 0]
    return np.where(usable[..., None], np.maximum(1 + change, 0.0), NAN)


def _usable(joint: Floats) -> NDArray[np.bool_]:
    share = joint.sum(axis=-2, keepdims=True)
    present = (share > 0).all(axis=(-1, -2)) & np.isfinite(joint).all(axis=(-1, -2))
    given = np.where(present[..., None, None], joint / np.where(share > 0, share, 1.0), np.ones_like(joint))
    usable = present & (np.linalg.cond(np.nan_to_num(given)) <= MOST_CONDITION)
    return np.asarray(usable)


def em_step(posterior: ArrayLike, prior: float, *, current: float, weight: ArrayLike | None = None) -> float:
    """One step of the EM iteration on the local prevalence (Saerens, Latinne and Decaestecker 2002).

    Args:
        posterior: (n,) calibrated global posteriors of the local films, in [0, 1].
        prior: Global prevalence in (0, 1) to which they belong.
        current: Present guess in (0, 1).
        weight: (n,) weights of the films; None: equal.

    Returns:
        The next guess.

    Example:
        >>> round(em_step([0.7272727, 0.2222222], 0.5, current=0.5, weight=[0.35, 0.65]), 7)
        0.3989899
    """
    chance = np.asarray(posterior, dtype=np.float64)
    up, down = chance * current / prior, (1 - chance) * (1 - current) / (1 - prior)
    return float(np.average(up / (up + down), weights=None if weight is None else np.asarray(weight, dtype=np.float64)))


def em_prevalence(posterior: ArrayLike, prior: ArrayLike, *, weight: ArrayLike) -> Floats:
    """Where the EM iteration ends: the maximum-likelihood local prevalence, found by Newton's method.

    The iteration itself needs hundreds of steps where the scores separate badly; the likelihood has one maximum, so the end is the same.

    Args:
        posterior: (n,) or (B, n) calibrated global posteriors of the local films, in [0, 1].
        prior: Global prevalence in (0, 1), a number or (B,).
        weight: (B, n) weights of the films.

    Returns:
        (B,) prevalence in [0, 1]; NaN where a posterior is.

    Example:
        >>> em_prevalence([8 / 11, 2 / 9], 0.5, weight=[[0.35, 0.65]]).round(10).tolist()
        [0.1]
    """
    drawn, chance = np.asarray(weight, dtype=np.float64), np.asarray(posterior, dtype=np.float64)
    share = np.broadcast_to(np.asarray(prior, dtype=np.float64), drawn.shape[:1])[:, None]
    absent = (1 - chance) / (1 - share)
    excess = chance / share - absent

    def slope_of(at: Floats) -> tuple[Floats, Floats]:
        part = excess / np.maximum(absent + at[:, None] * excess, CLIP)
        return np.einsum("bn,bn->b", drawn, part), -np.einsum("bn,bn,bn->b", drawn, part, part)

    rows = drawn.shape[0]
    return _falling_root(slope_of, np.zeros(rows), np.ones(rows))


def temperature_bias(label: Floats, score: Floats, *, weight: Floats) -> tuple[Floats, Floats]:
    """Bias-corrected temperature scaling of one score (Alexandari, Kundaje and Shrikumar 2020): logit' = logit / T + bias.

    Args:
        label: (n,) 1 or 0.
        score: (n,) probabilities.
        weight: (B, n) sample weights.

    Returns:
        1 / T and bias, (B,) each; NaN where a class is absent or the classes are separated.

    Example:
        >>> slope, bias = temperature_bias(np.array([0, 1, 0, 1.0]), np.array([0.2, 0.2, 0.8, 0.8]), weight=np.ones((1, 4)))
        >>> float(abs(slope[0]).round(6)), float(abs(bias[0]).round(6))
        (0.0, 0.0)
    """
    x = special.logit(np.clip(score, CLIP, 1 - CLIP))
    scale = max(float(x.std()), CLIP)  # standardised: Newton's method starts at slope 1, far off for overconfident scores
    slope = recalibration(label, special.expit((x - x.mean()) / scale), weight)["calibration_slope"] / scale
    positive, middle = weight @ label, slope * float(np.median(x))

    def surplus(at: Floats) -> tuple[Floats, Floats]:
        fitted = special.expit(at[:, None] + slope[:, None] * x)
        mass = weight * fitted
        return positive - mass.sum(axis=1), -(mass * (1 - fitted)).sum(axis=1)

    reach = 30.0 + np.abs(slope) * float(np.ptp(x))
    return slope, _falling_root(surplus, -middle - reach, -middle + reach)


def _falling_root(function: Callable[[Floats], tuple[Floats, Floats]], low: Floats, high: Floats) -> Floats:
    """Zero of a falling function in each row, or the end of the bracket nearest to it: Newton's steps, kept inside a bracket."""
    above, below = function(low)[0] <= 0, function(high)[0] >= 0
    low, high = np.where(below, high, low), np.where(above & ~below, low, high)
    at = (low + high) / 2
    for _ in range(_STEPS):
        value, slope = function(at)
        low, high = np.where(value > 0, np.maximum(low, at), low), np.where(value < 0, np.minimum(high, at), high)
        step = at - ratio(value, slope)
        following = np.where((step >= low) & (step <= high), step, (low + high) / 2)
        moved = np.abs(following - at)
        at = following
        if not (moved > 1e-14 * (1 + np.abs(at))).any():
            break
    return np.where(np.isfinite(value), at, NAN)
