# SPDX-License-Identifier: Apache-2.0
"""Two contestants on the same patients: the difference of their AUROC, how sure it is, and whether they are equal within a margin.

The interval is MOVER on the logit scale with the DeLong correlation, seeds included (``medsetu.evaluation.delong``); the p-values are read
off the same interval, so that a test never contradicts what is printed. DeLong's own test stands beside it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from medsetu.contest.contestant import Contestant
from medsetu.contest.plan import ContestPlan
from medsetu.evaluation.delong import SeedSpread, claim_note, delong_test, difference_from, estimate_from, seed_covariance, seed_spread
from medsetu.evaluation.interval import NAN, Estimate, auroc_interval, critical, hanley_mcneil, mover
from medsetu.evaluation.kernel import KernelParts
from medsetu.evaluation.score import Ints
from medsetu.shift.power import detection_power, interval_error, noninferiority_power

_LEAST = 1e-12  # tail below which no p-value is told apart
MOST = 1_000_000  # films per class beyond which nobody plans


@dataclass(frozen=True)
class Duel:
    """A difference of one metric, first minus second.

    Attributes:
        first: Name of the first contestant.
        second: Name of the second.
        metric: What is compared.
        value: The difference; NaN where it is undefined, and then ``note`` says why.
        low: Lower end of the interval; NaN without one.
        high: Upper end.
        p: Two-sided p-value of no difference; NaN where nothing was tested.
        p_equivalent: p-value of a difference at least as large as the margin (TOST, the larger of two one-sided ones); AUROC only.
        power: Probability that a study like this finds the smallest difference of interest; AUROC only.
        power_equal: Probability that it shows non-inferiority at the margin where both are truly equal; AUROC only.
        n_per_class: Independent films per class that find the smallest difference of interest with the wanted power; NaN: no number does,
            with so few seeds, or nothing can be planned; AUROC only.
        correlation: Correlation of the two estimates over patients; AUROC only.
        seed_variance: Variance that the training seeds add to the difference; AUROC only.
        widening: Variance that the interval stands for, over what patients and seeds make it by formula, at least 1; AUROC only.
        test_value: Statistic of the test named in ``test``: DeLong's chi-square for the AUROC of single models, McNemar's statistic for
            decisions of single models; NaN for several seeds.
        test_p: Its p-value.
        test: Its name.
        test_low: Lower end of the interval that belongs to that test, where it has one.
        test_high: Upper end.
        seeds: Training seeds behind the contestant with fewer.
        claim: What the number may claim.
        n_patients: Patients.
        n_samples: Films.
        n_positive: Positive films.
        method: Estimator of the interval.
        note: Remarks.
    """

    first: str
    second: str
    metric: str
    value: float = NAN
    low: float = NAN
    high: float = NAN
    p: float = NAN
    p_equivalent: float = NAN
    power: float = NAN
    power_equal: float = NAN
    n_per_class: float = NAN
    correlation: float = NAN
    seed_variance: float = NAN
    widening: float = NAN
    test_value: float = NAN
    test_p: float = NAN
    test: str = ""
    test_low: float = NAN
    test_high: float = NAN
    seeds: int = 0
    claim: str = ""
    n_patients: int = 0
    n_samples: int = 0
    n_positive: int = 0
    method: str = ""
    note: str = ""


def unmeasured(first: Contestant, second: Contestant, *, metric: str = "") -> Duel:
    """A pair with its counts and its claim, before anything is compared."""
    seeds = min(first.seeds, second.seeds)
    patients, samples, positive = first.matrix.counts
    return Duel(
        first.name,
        second.name,
        metric,
        seeds=seeds,
        claim=claim_note(seeds).removeprefix("claim: "),
        n_patients=patients,
        n_samples=samples,
        n_positive=positive,
    )


@dataclass(frozen=True)
class Confidence:
    """The interval of a difference of two AUROCs at any level.

    Attributes:
        value: The two AUROCs.
        variance: Their patient variances.
        freedom: Degrees of freedom of those.
        spread: What the training seeds add to each.
        correlation: Correlation of the two estimates.
        classes: Positive and negative patients.
    """

    value: tuple[float, float]
    variance: tuple[float, float]
    freedom: tuple[float, float]
    spread: tuple[SeedSpread, SeedSpread]
    correlation: float
    classes: tuple[int, int]

    def interval(self, level: float) -> tuple[float, float]:
        """Lower and upper end at a level, as ``difference_from`` gives them."""
        single = [
            auroc_interval(value, variance, df=df, classes=self.classes, spread=(seeds.variance, seeds.count - 1), level=level)
            for value, variance, df, seeds in zip(self.value, self.variance, self.freedom, self.spread, strict=True)
        ]
        low, high = mover(self.value[0], single[0], value_b=self.value[1], interval_b=single[1], correlation=self.correlation)
        return float(low), float(high)

    def tail(self, bound: float) -> float:
        """Two-sided p-value of a true difference of ``bound``: one minus the largest level whose interval leaves it out."""
        value = self.value[0] - self.value[1]
        if value == bound:
            return 1.0
        end = 0 if value > bound else 1

        def beyond(exponent: float) -> float:
            return self.interval(1 - 10.0**exponent)[end] - bound

        least, most = math.log10(_LEAST), math.log10(1 - 1e-9)
        if (beyond(least) > 0) == (value > bound):
            return _LEAST
        if (beyond(most) > 0) != (value > bound):  # a difference of rounding alone
            return 1.0
        return float(10 ** brentq(beyond, least, most, xtol=1e-9))

    def equivalence(self, margin: float) -> float:
        """p-value of TOST: the larger of the two one-sided p-values of a difference at minus and at plus the margin."""
        value = self.value[0] - self.value[1]
        below, above = self.tail(-margin) / 2, self.tail(margin) / 2
        return max(below if value > -margin else 1 - below, above if value < margin else 1 - above)


def auroc_duel(first: Contestant, second: Contestant, plan: ContestPlan) -> Duel:
    """Compare the AUROC of two contestants on the same films.

    Args:
        first: A contestant.
        second: Another, on the same films in the same order.
        plan: Margin, smallest difference of interest, level and power.

    Returns:
        The difference; without interval below 10 patients of a class.
    """
    a, b = first.parts, second.parts
    seeds = (first.matrix.seed, second.matrix.seed)
    found = difference_from(a, b, paired=True, seeds=seeds, level=plan.level)
    duel = replace(
        unmeasured(first, second, metric="auroc"),
        value=found.value,
        low=found.low,
        high=found.high,
        method=found.method,
        note="; ".join(part for part in found.note.split("; ") if not part.startswith("claim")),
    )
    if math.isnan(found.low):
        return duel
    error = interval_error(found, level=plan.level)
    duel = replace(
        _with_delong(duel, a.averaged(seeds[0]), b.averaged(seeds[1]), level=plan.level),
        power=detection_power(plan.smallest, standard_error=error, level=plan.level),
        power_equal=noninferiority_power(plan.margin, standard_error=error, level=plan.level),
    )
    if found.low == found.high == 0.0:  # identical curves
        return replace(duel, p=1.0, p_equivalent=0.0, correlation=1.0, seed_variance=0.0, widening=1.0)
    confidence = _confidence(a, b, seeds=seeds)
    patients, extra = _patient_correlation(a.averaged(seeds[0]), b.averaged(seeds[1])), _seed_variance(*confidence.spread)
    middle = (confidence.value[0] + confidence.value[1]) / 2
    widening = _widening(
        error**2, extra + _patient_variance(middle, patients, positive=confidence.classes[0], negative=confidence.classes[1])
    )
    return replace(
        duel,
        p=confidence.tail(0.0),
        p_equivalent=confidence.equivalence(plan.margin),
        correlation=patients,
        seed_variance=extra,
        widening=widening,
        n_per_class=films_needed(plan, auroc=middle, correlation=patients, extra=extra, widening=widening),
    )


def films_needed(
    plan: ContestPlan, *, auroc: float, correlation: float, extra: float = 0.0, widening: float = 1.0, level: float | None = None
) -> float:
    """Independent films per class that find the smallest difference of interest with the wanted power.

    Hanley and McNeil's standard errors for the expected AUROC, the correlation that was measured, and what the training seeds add, which
    no film takes away. Never for the difference that was observed.

    Args:
        plan: Smallest difference of interest, power, level.
        auroc: Expected AUROC of both, in [0, 1].
        correlation: Correlation of the two estimates over patients.
        extra: Variance that the seeds add to the difference.
        widening: How much wider, as a variance, the interval is than both make it: few degrees of freedom, and the logit scale, whose
            interval ends of two nearly equal contestants do not cancel.
        level: Confidence level, where it is not that of the plan.

    Returns:
        Positives, and as many negatives; NaN where the seeds alone forbid it, the AUROC is 0 or 1, or the number passes a million.

    Example:
        >>> films_needed(ContestPlan(finding="tuberculosis"), auroc=0.91, correlation=0.7)
        88.0
    """
    level = plan.level if level is None else level
    if not 0 < auroc < 1:
        return NAN

    def reached(count: int) -> float:
        patients = _patient_variance(auroc, correlation, positive=count, negative=count)
        return detection_power(plan.smallest, standard_error=math.sqrt(widening * (patients + extra)), level=level)

    low, high = 0, 1
    while reached(high) < plan.power:
        low, high = high, high * 2
        if high > MOST:
            return NAN
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= plan.power else (middle, high)
    return float(high)


def seeds_needed(plan: ContestPlan, *, variance: float, level: float | None = None) -> int:
    """Training seeds that leave half of the room for error to the films, when the smallest difference of interest is to be found.

    Args:
        plan: Smallest difference of interest, power, level.
        variance: Variance that one pair of seeds gives the difference.
        level: Confidence level, where it is not that of the plan.

    Returns:
        Seeds of each contestant, at least 1.

    Example:
        >>> seeds_needed(ContestPlan(finding="tuberculosis"), variance=0.001)
        7
    """
    reach = float(critical(plan.level if level is None else level)) + float(ndtri(plan.power))
    return max(1, math.ceil(2 * variance * (reach / plan.smallest) ** 2))


def joint_delong(contestants: list[Contestant]) -> tuple[float, int, float]:
    """Joint test that all contestants have one AUROC, over patients (DeLong 1988), on the mean over seeds of each.

    Returns:
        Chi-square, degrees of freedom and p.
    """
    parts = _stacked([one.parts.averaged(one.matrix.seed) for one in contestants])
    contrasts = np.hstack([np.ones((len(contestants) - 1, 1)), -np.eye(len(contestants) - 1)])
    return delong_test(parts, contrasts=contrasts)


def _with_delong(duel: Duel, a: KernelParts, b: KernelParts, *, level: float) -> Duel:
    """Add DeLong's test and normal interval where single models are compared; for recipes the seeds are missing from it."""
    if duel.seeds > 1:
        return duel
    chi2, rank, p = delong_test(_stacked([a, b]), contrasts=[1.0, -1.0])
    half = abs(duel.value) / math.sqrt(chi2) * float(critical(level)) if chi2 > 0 else _half(a, b, level=level)
    name = "DeLong 1988" if a.n_patients == a.n_samples else "DeLong 1988, by patient (Obuchowski 1997)"
    return replace(duel, test_value=chi2 if rank else 0.0, test_p=p, test=name, test_low=duel.value - half, test_high=duel.value + half)


def _half(a: KernelParts, b: KernelParts, *, level: float) -> float:
    variance = float(a.variance()[0] + b.variance()[0] - 2 * a.row_covariance(b)[0])
    return float(critical(level)) * math.sqrt(max(variance, 0.0))


def _stacked(parts: list[KernelParts]) -> KernelParts:
    return replace(
        parts[0],
        auroc=np.concatenate([one.auroc for one in parts]),
        positive=np.vstack([one.positive for one in parts]),
        negative=np.vstack([one.negative for one in parts]),
    )


def _confidence(a: KernelParts, b: KernelParts, *, seeds: tuple[Ints, Ints]) -> Confidence:
    means = [parts.averaged(seed) for parts, seed in zip((a, b), seeds, strict=True)]
    spreads = [seed_spread(parts.auroc, seed=seed) for parts, seed in zip((a, b), seeds, strict=True)]
    variances = [float(mean.variance()[0]) for mean in means]
    covariance = float(means[0].row_covariance(means[1])[0]) + seed_covariance(*spreads)
    scale = math.sqrt(math.prod(variance + spread.variance for variance, spread in zip(variances, spreads, strict=True)))
    return Confidence(
        (float(means[0].auroc[0]), float(means[1].auroc[0])),
        (variances[0], variances[1]),
        (float(means[0].degrees()[0]), float(means[1].degrees()[0])),
        (spreads[0], spreads[1]),
        float(np.clip(covariance / scale, -1.0, 1.0)) if scale > 0 else 0.0,
        (a.positive_patients, a.negative_patients),
    )


def _seed_variance(a: SeedSpread, b: SeedSpread) -> float:
    return max(a.variance + b.variance - 2 * seed_covariance(a, b), 0.0)


def _patient_variance(auroc: float, correlation: float, *, positive: int, negative: int) -> float:
    """Variance of a paired difference that independent patients would give, by Hanley and McNeil."""
    return 2 * (1 - min(correlation, 1.0)) * float(hanley_mcneil(auroc, positive, negatives=negative))


def _widening(measured: float, planned: float) -> float:
    return max(1.0, measured / planned) if planned > 0 else 1.0


def _patient_correlation(a: KernelParts, b: KernelParts) -> float:
    scale = math.sqrt(float(a.variance()[0] * b.variance()[0]))
    return float(np.clip(a.row_covariance(b)[0] / scale, -1.0, 1.0)) if scale > 0 else 0.0


def auroc_of(contestant: Contestant, plan: ContestPlan) -> Estimate:
    """AUROC of a contestant with patients and seeds in its interval."""
    return estimate_from(contestant.parts, seed=contestant.matrix.seed, level=plan.level)
