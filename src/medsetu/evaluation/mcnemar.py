# SPDX-License-Identifier: Apache-2.0
"""Do two models decide right equally often on the same samples: McNemar 1947, and by patient Obuchowski 1998."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.interval import NAN, Floats, check_level, join_notes, mover
from medsetu.evaluation.proportion import clustered_ratio
from medsetu.evaluation.score import BY_IMAGE, Ints

AUTO, EXACT, UNCORRECTED, CORRECTED = "auto", "exact", "uncorrected", "corrected"
METHODS = (AUTO, EXACT, UNCORRECTED, CORRECTED)
FEW_DISCORDANT = 25  # patients that count for one model more than for the other, below which "auto" is exact


@dataclass(frozen=True)
class McNemar:
    """Two models compared on the same samples.

    Attributes:
        statistic: Chi-square on one degree of freedom; for the exact test ``first_only - second_only``; NaN where undefined.
        p: Two-sided p-value in [0, 1]; NaN without samples.
        both: Samples that both decide right.
        first_only: Discordant samples that only the first decides right.
        second_only: Discordant samples that only the second decides right.
        neither: Samples that neither decides right.
        difference: Share right of the first minus that of the second, in [-1, 1]; NaN without samples.
        low: Lower end of its interval.
        high: Upper end of its interval.
        n_patients: Patients, or samples where no patients are given.
        n_samples: Samples.
        method: Test and interval.
        note: Reason of a NaN, grouping, what was left out; parts joined by "; ".
    """

    statistic: float
    p: float
    both: int
    first_only: int
    second_only: int
    neither: int
    difference: float
    low: float
    high: float
    n_patients: int
    n_samples: int
    method: str
    note: str = ""


def mcnemar(first: ArrayLike, second: ArrayLike, *, cluster: ArrayLike | None = None, method: str = AUTO, level: float = 0.95) -> McNemar:
    """Test whether two models are right equally often on the same samples.

    One sample per patient: chi-square (b - c)² / (b + c) of the discordant counts b and c, ``corrected`` (|b - c| - 1)² / (b + c), or the
    exact binomial test. Where patients repeat, the same with the difference of each patient in the place of a sample: chi-square of
    Obuchowski 1998, and the exact test that exchanges the models within patients. ``auto`` is exact below 25 discordant patients and
    uncorrected otherwise (Fagerland, Lydersen and Laake 2013 find the correction needlessly conservative). The interval of the difference
    is square-and-add from Wilson's (Newcombe 1998, method 10), with effective sizes and the correlation by patient where patients repeat.

    Args:
        first: (n,) True or 1 where the first model is right, False or 0 where it is wrong, NaN where it was not asked.
        second: (n,) the same of the second model; a sample that either lacks leaves both and is counted.
        cluster: (n,) patient of each sample, numbers or text; None: each sample stands alone.
        method: One of ``METHODS``.
        level: Confidence level in (0, 1).

    Returns:
        Test, counts and difference; NaN with the reason without samples. Models that never disagree have p = 1.

    Raises:
        ConfigError: The method is unknown, or ``corrected`` is asked for where patients repeat.
        DataError: A value is not 0, 1 or NaN, or lengths differ.

    Example:
        >>> found = mcnemar([1] * 10 + [0] * 2 + [1] * 5, [1] * 10 + [1] * 2 + [0] * 5)
        >>> found.first_only, found.second_only, round(found.p, 4), round(found.difference, 4)
        (5, 2, 0.4531, 0.1765)
    """
    check_level(level)
    if method not in METHODS:
        raise ConfigError(what=f"The method '{method}' is unknown", where="mcnemar", value=method, allowed=METHODS)
    right, codes, left = _checked(first, second, cluster)
    counts = _counts(right)
    notes = (BY_IMAGE if cluster is None else "", f"{left} samples left out: not decided by both" if left else "")
    patients = int(codes.max(initial=-1)) + 1
    if not patients:
        return McNemar(NAN, NAN, *counts, NAN, NAN, NAN, 0, 0, "", join_notes("no samples decided by both", *notes))
    by_patient: Floats = np.bincount(codes, weights=right[0] - right[1]).astype(np.float64)
    repeated = patients < codes.size
    if repeated and method == CORRECTED:
        raise ConfigError(
            what="The corrected statistic is not defined where patients repeat",
            where="mcnemar",
            remedy="Choose exact or uncorrected, or keep one sample per patient",
        )
    statistic, p, test = _tested(by_patient, method=method, repeated=repeated)
    low, high = _interval(right, codes, repeated=repeated, level=level)
    silent = "" if counts[1] + counts[2] else "the two never disagree"
    interval = "square-and-add, patients" if repeated else "newcombe-10"
    difference = float(np.mean(right[0]) - np.mean(right[1]))
    return McNemar(statistic, p, *counts, difference, low, high, patients, codes.size, f"{test}; {interval}", join_notes(silent, *notes))


def exact_sign_test(difference: ArrayLike) -> float:
    """Two-sided p of a sum of differences when each could as well have the other sign; by counting all signs.

    With differences of 1 and -1 this is the exact binomial test of McNemar.

    Args:
        difference: (P,) whole numbers; zeros say nothing and leave.

    Returns:
        p in (0, 1]; 1 without a difference.

    Example:
        >>> exact_sign_test([1, 1, 1, 1, 1, -1, -1]), exact_sign_test([2, 3])
        (0.453125, 0.5)
    """
    steps = np.abs(np.rint(np.asarray(difference, dtype=np.float64))).astype(np.int64)
    reach = int(steps.sum())
    seen = abs(int(np.rint(np.sum(difference))))
    mass = np.zeros(2 * reach + 1)
    mass[reach] = 1.0  # position reach + s holds the probability of the sum s
    for step in steps[steps > 0].tolist():
        moved = np.zeros_like(mass)
        moved[step:] += 0.5 * mass[:-step]
        moved[:-step] += 0.5 * mass[step:]
        mass = moved
    sums = np.abs(np.arange(-reach, reach + 1))
    return min(1.0, float(mass[sums >= seen].sum()))


def _tested(by_patient: Floats, *, method: str, repeated: bool) -> tuple[float, float, str]:
    """Statistic, p and name of the test."""
    total, patients = float(by_patient.sum()), by_patient.size
    discordant = int(np.count_nonzero(by_patient))
    if method == EXACT or (method == AUTO and discordant < FEW_DISCORDANT):
        return total, exact_sign_test(by_patient), "exact, models exchanged within patients" if repeated else "exact McNemar"
    squares = float((by_patient**2).sum())
    if squares == 0:
        return NAN, 1.0, "no discordant patient"
    distance = max(abs(total) - 1.0, 0.0) if method == CORRECTED else abs(total)
    share = (patients - 1) / patients if repeated else 1.0  # variance between patients with P - 1
    statistic = distance**2 / squares * share
    name = "obuchowski-1998" if repeated else f"mcnemar, {CORRECTED if method == CORRECTED else UNCORRECTED}"
    return statistic, float(special.chdtrc(1, statistic)), name


def _interval(right: Floats, codes: Ints, *, repeated: bool, level: float) -> tuple[float, float]:
    """Square-and-add of two Wilson intervals with the correlation of the patients' shares."""
    ratios = [clustered_ratio(one, np.ones_like(one), cluster=codes, level=level) for one in right]
    rest = [np.bincount(codes, weights=one - ratio.value) for one, ratio in zip(right, ratios, strict=True)]
    scale = float(np.sqrt((rest[0] ** 2).sum() * (rest[1] ** 2).sum()))
    product = float((rest[0] * rest[1]).sum())
    if not repeated and product > 0:
        product = max(product - 0.5, 0.0)  # continuity correction of phi, n / 2 on the scale of the counts' determinant
    rho = float(np.clip(product / scale, -1.0, 1.0)) if scale > 0 else 0.0
    first, second = (ratio.interval(level=level) for ratio in ratios)
    low, high = mover(ratios[0].value, first, value_b=ratios[1].value, interval_b=second, correlation=rho)
    return max(float(low), -1.0), min(float(high), 1.0)


def _counts(right: Floats) -> tuple[int, int, int, int]:
    one, other = right.astype(bool)
    return int((one & other).sum()), int((one & ~other).sum()), int((~one & other).sum()), int((~one & ~other).sum())


def _checked(first: ArrayLike, second: ArrayLike, cluster: ArrayLike | None) -> tuple[Floats, Ints, int]:
    """(2, n') decisions both made, patient codes, and how many samples left."""
    one, other = (np.asarray(part, dtype=np.float64) for part in (first, second))
    names = np.arange(one.size) if cluster is None else np.asarray(cluster)
    if one.ndim != 1 or one.shape != other.shape or names.shape != one.shape:
        raise DataError(
            what="The decisions of two models differ in length",
            where=f"First {one.shape}, second {other.shape}, patients {names.shape}",
            remedy="Give (n,) of each, on the same samples in one order",
        )
    right = np.stack([one, other])
    known = ~np.isnan(right).any(axis=0)
    if not np.isin(right[:, known], (0.0, 1.0)).all():
        raise DataError(what="A decision is neither right nor wrong", where="mcnemar", remedy="Write 1 right, 0 wrong, NaN not asked")
    codes = np.unique(names[known], return_inverse=True)[1].astype(np.int64)
    return right[:, known], codes, int((~known).sum())
