# SPDX-License-Identifier: Apache-2.0
"""What a repair wins on the same test films: paired differences, patients resampled together, positive means better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medsetu.core.errors import ConfigError
from medsetu.evaluation.bootstrap import patient_weights, percentile, widen
from medsetu.evaluation.calibration import recalibration
from medsetu.evaluation.decision import Fitted, Rule, established_note, fit_all
from medsetu.evaluation.delong import claim_note, paired_difference
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes
from medsetu.evaluation.kernel import seed_weights
from medsetu.evaluation.metric import auroc_value, brier, log_loss, ratio
from medsetu.evaluation.score import ScoreMatrix, pair

AUROC = "auroc"
Loss = Callable[[Floats, Floats, Floats], Floats]
LOSSES: dict[str, Loss] = {
    "brier": brier,
    "log_loss": log_loss,
    "calibration_intercept": lambda label, score, weight: np.abs(recalibration(label, score, weight)["calibration_intercept"]),
    "calibration_slope": lambda label, score, weight: np.abs(recalibration(label, score, weight)["calibration_slope"] - 1),
}
"""What a repair of scores should make smaller; calibration as the distance from 0 and from 1."""


@dataclass(frozen=True)
class Gain:
    """A metric before and after a repair, and the difference in the direction that is better.

    Attributes:
        before: Metric of the arm as it was.
        after: Metric after the repair.
        estimate: The gain with its interval; positive is better.
    """

    before: float
    after: float
    estimate: Estimate


def value_of(metric: str, label: Floats, *, score: Floats) -> float:
    """A metric of one score column, larger is better: AUROC, or a loss with its sign turned.

    Raises:
        ConfigError: The metric is unknown.

    Example:
        >>> value_of("brier", np.array([1.0, 0.0]), score=np.array([0.5, 0.5]))
        -0.25
    """
    if metric == AUROC:
        return auroc_value(label, score)
    if metric not in LOSSES:
        raise ConfigError(what=f"The metric '{metric}' is unknown", where="Repair table", value=metric, allowed=(AUROC, *LOSSES))
    return -float(LOSSES[metric](label, score, np.ones((1, label.size)))[0]) if label.size else NAN


def paired_gain(metric: str, base: ScoreMatrix, *, repaired: ScoreMatrix, replicates: int, seed: int, level: float = 0.95) -> Gain:
    """Gain of a repair on the films that both scored.

    AUROC: MOVER with the DeLong correlation by patient. Losses: both arms on the same resamples of patients, percentile, widened by seeds.

    Args:
        metric: ``auroc`` or a name of ``LOSSES``.
        base: Scores before, one row per seed.
        repaired: Scores after, the same seeds.
        replicates: Resamples of patients.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        The gain; NaN with its reason where a metric is undefined.
    """
    a, b, left = pair(base, repaired)
    shares = seed_weights(a.seed.size, seed=a.seed)
    sign = 1 if metric == AUROC else -1
    values = [np.array([value_of(metric, one.label, score=row) for row in one.scores]) for one in (a, b)]
    before, after = (sign * float(shares @ one) for one in values)
    lost = f"{left} films not scored by both" if left else ""
    if metric == AUROC:
        found = paired_difference(b.label, b.scores, scores_b=a.scores, cluster=b.cluster, seeds=(b.seed, a.seed), level=level)
        return Gain(before, after, Estimate(**{**found.__dict__, "note": join_notes(found.note, lost)}))
    loss, drawn = LOSSES[metric], [np.zeros(0)]
    if a.label.size:
        for weight in patient_weights(a.cluster, replicates=replicates, seed=seed):
            both = [shares @ np.stack([loss(one.label, row, weight) for row in one.scores]) for one in (a, b)]
            drawn.append(both[0] - both[1])
    single = values[1] - values[0]
    return Gain(before, after, _resampled(single, np.concatenate(drawn), matrix=a, shares=shares, seed=seed, level=level, note=lost))


def threshold_gain(
    rule: Rule,
    test: ScoreMatrix,
    *,
    transported: pd.DataFrame,
    refitted: pd.DataFrame,
    replicates: int,
    seed: int,
    level: float = 0.95,
) -> Mapping[str, Gain]:
    """What sensitivity and specificity win when the global threshold is replaced by a local one; validation and test are both resampled.

    Args:
        rule: What both thresholds must reach on their validation films.
        test: Local test films; ``fold`` names the model's fold.
        transported: Predictions on val/global: seed, fold, sample_id, patient_id, label, score.
        refitted: Predictions on val/local, a fold for each fold of the test.
        replicates: Resamples of patients.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        ``sensitivity`` and ``specificity``: transported before, refitted after; one often pays for the other.
    """
    fitted = []
    for number, (rows, kind, origin) in enumerate(((transported, "transported", "val/global"), (refitted, "refitted", "val/local"))):
        fitted += fit_all(rows, rules=(rule,), kind=kind, origin=origin, replicates=replicates, seed=seed + number)
    missing = "no validation films" if len(fitted) < 2 else ""
    unknown = Estimate(NAN, NAN, NAN, *test.counts, "", missing or "one class only in the test films")
    if missing or not 0 < test.label.sum() < test.label.size:
        return {name: Gain(NAN, NAN, unknown) for name in ("sensitivity", "specificity")}
    shares = seed_weights(test.seed.size, seed=test.seed)
    ones = np.ones((1, test.label.size))
    single = [_shares(test, ones, threshold=_thresholds(test, one, slice(None), replicate=False)) for one in fitted]
    drawn: list[list[Floats]] = [[], []]
    start = 0
    for weight in patient_weights(test.cluster, replicates=replicates, seed=seed + 2):
        block = slice(start, start + len(weight))
        both = [_shares(test, weight, threshold=_thresholds(test, one, block, replicate=True)) for one in fitted]
        for column in (0, 1):
            drawn[column].append(shares @ (both[1][column] - both[0][column]))
        start += len(weight)
    note = join_notes("threshold from val/local", established_note(fitted[1].counts[2]))
    gains = {}
    for column, name in enumerate(("sensitivity", "specificity")):
        before, after = (one[column][:, 0] for one in single)
        replicate = np.concatenate([np.zeros(0), *drawn[column]])
        estimate = _resampled(after - before, replicate, matrix=test, shares=shares, seed=seed, level=level, note=note)
        gains[name] = Gain(float(shares @ before), float(shares @ after), estimate)
    return gains


def _resampled(single: Floats, replicate: Floats, *, matrix: ScoreMatrix, shares: Floats, seed: int, level: float, note: str) -> Estimate:
    """Percentile interval of a difference, its seeds widened in."""
    widened = widen(replicate, single, seed=matrix.seed, rng=np.random.default_rng([seed, 1]))
    value = float(shares @ single)
    ends, remark = percentile(widened, level=level)
    if not np.isfinite(value):
        ends, remark = (NAN, NAN), "undefined: a class is absent, or the classes are separated"
    method = f"paired patient bootstrap, percentile, {replicate.size} replicates" if np.isfinite(ends[0]) else ""
    return Estimate(value, *ends, *matrix.counts, method, join_notes(claim_note(matrix.n_seeds), remark, note))


def _thresholds(test: ScoreMatrix, fitted: Fitted, rows: slice, *, replicate: bool) -> list[Floats]:
    """For each model (b, n) thresholds of its films; a model of all folds stands for each of them."""
    table = []
    for seed, folds in zip(test.seed, test.fold, strict=True):
        found = np.full((len(range(*rows.indices(next(iter(fitted.replicate.values())).size))) if replicate else 1, folds.size), NAN)
        for fold in np.unique(folds):
            model = (int(seed), int(fold)) if (int(seed), int(fold)) in fitted.value else (int(seed), -1)
            if model in fitted.value:
                values = fitted.replicate[model][rows] if replicate else np.array([fitted.value[model]])
                found[:, folds == fold] = values[:, None]
        table.append(found)
    return table


def _shares(test: ScoreMatrix, weight: Floats, *, threshold: list[Floats]) -> tuple[Floats, Floats]:
    """(M, b) sensitivity and specificity of each model; NaN where a threshold is missing."""
    found: tuple[list[Floats], list[Floats]] = ([], [])
    for score, limit in zip(test.scores, threshold, strict=True):
        called = np.where(np.isnan(limit), NAN, score >= limit)
        for column, (truth, right) in enumerate(((test.label, called), (1 - test.label, 1 - called))):
            mass = weight * truth
            found[column].append(ratio((mass * np.nan_to_num(right)).sum(axis=1), mass.sum(axis=1)) + 0 * right.sum(axis=1))
    return np.stack(found[0]), np.stack(found[1])
