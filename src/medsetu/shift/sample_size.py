# SPDX-License-Identifier: Apache-2.0
"""How many cases it takes to prove a share, to miss nobody, and to measure a gap.

A proportion counts as proved when the lower end of its two-sided 95 % Wilson interval reaches the target. Power is that of the exact
binomial law, and the sample size is the first from which the power holds for good: it saws up and down with n.
"""

import math

import numpy as np
from scipy.stats import binom, norm

from medsetu.core.errors import ConfigError
from medsetu.evaluation.interval import Floats, check_level, critical, hanley_mcneil, wilson
from medsetu.evaluation.score import Ints

_MOST = 1_000_000  # cases: beyond it nobody plans
_ROUNDING = 1e-12


def proved(positive: int, total: int, *, target: float, level: float = 0.95) -> bool:
    """Whether a share is proved to reach a target: the lower Wilson end does.

    Args:
        positive: Cases found.
        total: Cases.
        target: Share to reach, in (0, 1).
        level: Level of the two-sided interval.

    Returns:
        The verdict.

    Example:
        >>> proved(95, 100, target=0.9), proved(133, 140, target=0.9)
        (False, True)
    """
    return total > 0 and float(wilson(positive, total, level=level)[0]) >= target - _ROUNDING


def proof_power(total: int, *, target: float, truth: float, level: float = 0.95) -> float:
    """Probability that a test with so many cases proves a share, exact binomial.

    Args:
        total: Cases of the test.
        target: Share to prove, in (0, 1).
        truth: True share, in (0, 1).
        level: Level of the two-sided interval.

    Returns:
        Power in [0, 1].

    Example:
        >>> round(proof_power(254, target=0.90, truth=0.95), 3)
        0.862
    """
    return float(_power(np.array([total]), target=target, truth=truth, level=level)[0])


def _power(total: Ints, *, target: float, truth: float, level: float) -> Floats:
    """Power for each number of cases; the lower Wilson end reaches p0 when the share found is at least p0 + z sqrt(p0 q0 / n)."""
    share = target + float(critical(level)) * np.sqrt(target * (1 - target) / total)
    return np.asarray(binom.sf(np.ceil(total * (share - _ROUNDING)) - 1, total, truth), dtype=np.float64)


def cases_to_prove(target: float, *, truth: float, power: float = 0.8, level: float = 0.95) -> int:
    """Cases that a test needs to prove a sensitivity (or non-cases, a specificity).

    Args:
        target: Share to prove, in (0, 1).
        truth: True share that is assumed, above the target and below 1.
        power: Wanted power.
        level: Level of the two-sided interval.

    Returns:
        The number from which on the power is never below the wanted one.

    Raises:
        ConfigError: The truth does not lie above the target, the power is outside (0, 1), or nobody could collect so many.

    Example:
        >>> cases_to_prove(0.90, truth=0.95), cases_to_prove(0.90, truth=0.93), cases_to_prove(0.70, truth=0.80)
        (254, 740, 158)
    """
    if not (0 < target < truth < 1 and 0 < power < 1):
        raise ConfigError(
            what=f"No test proves {target:g} with power {power:g} when the truth is {truth:g}",
            where="shift.sample_size.cases_to_prove",
            remedy="Assume a truth above the target and below 1, and a power between 0 and 1",
        )
    z, quantile = float(critical(level)), float(norm.ppf(power))
    rough = ((z * math.sqrt(target * (1 - target)) + max(quantile, 0.0) * math.sqrt(truth * (1 - truth))) / (truth - target)) ** 2
    if rough > _MOST:
        raise ConfigError(
            what=f"Proving {target:g} takes more than {_MOST:,} cases when the truth is {truth:g}",
            where="shift.sample_size.cases_to_prove",
            remedy="Assume a truth further above the target",
        )
    sizes = np.arange(1, int(2 * rough) + 200)
    short = np.flatnonzero(_power(sizes, target=target, truth=truth, level=level) < power)
    return int(sizes[short[-1]] + 1) if short.size else 1


def cases_without_miss(recall: float, *, level: float = 0.95) -> int:
    """Cases in a row, none of them missed, that put the one-sided lower bound of recall at a target.

    Args:
        recall: Target in (0, 1).
        level: One-sided confidence level (Clopper and Pearson).

    Returns:
        The number of cases.

    Raises:
        ConfigError: The target is outside (0, 1).

    Example:
        >>> cases_without_miss(0.98), cases_without_miss(0.99)
        (149, 299)
    """
    if not 0 < recall < 1:
        raise ConfigError(
            what=f"A recall of {recall:g} cannot be proved", where="Recall target", remedy="Give a number below 1, such as 0.98"
        )
    return math.ceil(math.log(1 - check_level(level)) / math.log(recall) - 1e-9)


def cases_for_gap(half_width: float, *, aurocs: tuple[float, float], global_error: float | None = None, level: float = 0.95) -> int | None:
    """Positives, and as many negatives, of each side that tell a gap to plus or minus ``half_width``.

    Standard errors come from the expected values (Hanley and McNeil 1982); one film per patient.

    Args:
        half_width: Half the width of the interval, above 0, in AUROC.
        aurocs: Expected AUROC on the global and on the local side, in (0, 1).
        global_error: Standard error of the global AUROC where that side is as it is; None: both sides are as large.
        level: Confidence level.

    Returns:
        Films per class; None when the global side as it is makes the gap wider than that, however many local films there are.

    Raises:
        ConfigError: The half width is not positive, or an AUROC is outside (0, 1).

    Example:
        >>> cases_for_gap(0.05, aurocs=(0.9, 0.85))
        195
        >>> cases_for_gap(0.05, aurocs=(0.9, 0.85), global_error=0.03) is None
        True
    """
    if not (half_width > 0 and all(0 < value < 1 for value in aurocs)):
        raise ConfigError(
            what=f"A gap between AUROCs of {aurocs[0]:g} and {aurocs[1]:g} cannot be planned to within {half_width:g}",
            where="shift.sample_size.cases_for_gap",
            remedy="Expect AUROCs between 0 and 1, and ask for a half width above 0 such as 0.05",
        )
    sizes = np.arange(1, 20_001)
    local = hanley_mcneil(aurocs[1], sizes, negatives=sizes)
    known = hanley_mcneil(aurocs[0], sizes, negatives=sizes) if global_error is None else global_error**2
    reached = np.flatnonzero(float(critical(level)) * np.sqrt(local + known) <= half_width)
    return int(sizes[reached[0]]) if reached.size else None
