# SPDX-License-Identifier: Apache-2.0
"""Metrics without a formula (average precision, calibration): all contestants on the same resamples of patients, seeds added."""

from dataclasses import dataclass, field

import numpy as np

from medsetu.contest.contestant import Contestant
from medsetu.contest.mean import same_seeds
from medsetu.contest.plan import ContestPlan
from medsetu.evaluation.bootstrap import SHARE, patient_weights, percentile, widen
from medsetu.evaluation.calibration import recalibration
from medsetu.evaluation.curve import average_precision, curve
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes
from medsetu.evaluation.kernel import seed_weights
from medsetu.evaluation.metric import Statistics, observed_expected
from medsetu.shift.difference import crossing

CALIBRATION = ("calibration_intercept", "calibration_slope", "observed_expected")
_RANGES = {"auprc": SHARE, "observed_expected": (0.0, np.inf)}


@dataclass(frozen=True)
class Draws:
    """Resampled metrics of one contestant.

    Attributes:
        by_model: Metric -> (M,) value of each model.
        replicate: Metric -> (B,) mean over models under each resample of patients.
    """

    by_model: dict[str, Floats]
    replicate: dict[str, Floats] = field(repr=False)


def draw(contestant: Contestant, plan: ContestPlan) -> Draws:
    """Resample the patients of a contestant; draw b of two contestants stands on the same patients.

    Args:
        contestant: The contestant.
        plan: Resamples, seed, kind of scores (rescaled ones have no calibration).

    Returns:
        The draws.
    """
    matrix, shares = contestant.matrix, seed_weights(contestant.matrix.seed.size, seed=contestant.matrix.seed)
    ones = np.ones((1, matrix.label.size))
    single = [_statistics(matrix.label, row, ones, plan=plan) for row in matrix.scores]
    found: dict[str, list[Floats]] = {name: [np.zeros(0)] for name in single[0]}
    for weight in patient_weights(matrix.cluster, replicates=plan.bootstrap, seed=plan.seed):
        each = [_statistics(matrix.label, row, weight, plan=plan) for row in matrix.scores]
        for name in found:
            found[name].append(shares @ np.stack([one[name] for one in each]))
    return Draws(
        {name: np.array([float(one[name][0]) for one in single]) for name in found},
        {name: np.concatenate(parts) for name, parts in found.items()},
    )


def estimates_of(contestant: Contestant, draws: Draws, plan: ContestPlan) -> dict[str, Estimate]:
    """Percentile intervals of the metrics of one contestant, by patient, seeds added.

    Args:
        contestant: The contestant.
        draws: Its draws.
        plan: Level and seed.

    Returns:
        One estimate per metric.
    """
    shares = seed_weights(contestant.matrix.seed.size, seed=contestant.matrix.seed)
    found = {}
    for name, replicate in draws.replicate.items():
        limits = _RANGES.get(name)
        rng = np.random.default_rng([plan.seed, 21])
        widened = widen(replicate, draws.by_model[name], seed=contestant.matrix.seed, rng=rng, limits=limits)
        ends, remark = percentile(widened, level=plan.level, limits=limits)
        value = float(shares @ draws.by_model[name])
        if not np.isfinite(value):
            ends, remark = (NAN, NAN), "undefined on these films"
        method = f"patient bootstrap, percentile, {plan.bootstrap} replicates" if np.isfinite(ends[0]) else ""
        found[name] = Estimate(value, *ends, *contestant.matrix.counts, method, remark)
    return found


def difference(pair: tuple[Contestant, Contestant], draws: tuple[Draws, Draws], *, metric: str, plan: ContestPlan) -> Estimate:
    """Difference of a resampled metric, first minus second, on the same resamples.

    Args:
        pair: Two contestants.
        draws: Their draws.
        metric: Name of the metric.
        plan: Level and seed.

    Returns:
        The difference; its p-value is that of ``difference_p``.
    """
    value, widened = _widened(pair, draws, metric=metric, plan=plan)
    ends, remark = percentile(widened, level=plan.level)
    note = join_notes(remark) if np.isfinite(value) else "undefined on these films"
    ends = ends if np.isfinite(value) else (NAN, NAN)
    method = f"paired patient bootstrap, percentile, {plan.bootstrap} replicates" if np.isfinite(ends[0]) else ""
    return Estimate(value, *ends, *pair[0].matrix.counts, method, note)


def difference_p(pair: tuple[Contestant, Contestant], draws: tuple[Draws, Draws], *, metric: str, plan: ContestPlan) -> float:
    """Two-sided p-value from the draws of a difference; NaN without draws."""
    return crossing(_widened(pair, draws, metric=metric, plan=plan)[1])


def _widened(pair: tuple[Contestant, Contestant], draws: tuple[Draws, Draws], *, metric: str, plan: ContestPlan) -> tuple[float, Floats]:
    rng = np.random.default_rng([plan.seed, 22])
    left, right = (one.by_seed(part.by_model[metric][:, None])[:, 0] for one, part in zip(pair, draws, strict=True))
    found = draws[0].replicate[metric] - draws[1].replicate[metric]
    value = float(left.mean() - right.mean())
    if same_seeds(*pair):
        return value, widen(found, left - right, seed=np.arange(left.size), rng=rng)
    for by_seed in (left, right):
        found = widen(found, by_seed, seed=np.arange(by_seed.size), rng=rng)
    return value, found


def _statistics(label: Floats, score: Floats, weight: Floats, *, plan: ContestPlan) -> Statistics:
    found = {"auprc": average_precision(curve(label, score, weight=weight))}
    if plan.score_kind == "rescaled":
        return found
    return found | recalibration(label, score, weight) | {"observed_expected": observed_expected(label, score, weight)}
