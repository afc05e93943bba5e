# SPDX-License-Identifier: Apache-2.0
"""Validation thresholds carried to the test: sensitivity, specificity, PPV and NPV with the uncertainty of both."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from medsetu.evaluation.bootstrap import SHARE, percentile, widen
from medsetu.evaluation.decision import Fitted, Model, established_note
from medsetu.evaluation.delong import claim_note
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes, wilson_bound
from medsetu.evaluation.kernel import seed_weights
from medsetu.evaluation.metric import predictive_values, ratio, short
from medsetu.evaluation.proportion import MEASURES, Ratio, decision_ratios, wilson_name
from medsetu.evaluation.score import ScoreMatrix


def decide(matrix: ScoreMatrix, fitted: Fitted, *, prevalences: tuple[float, ...], level: float, seed: int) -> dict[str, Estimate]:
    """Sensitivity, specificity, PPV and NPV of carried thresholds, and PPV and NPV at stated prevalences.

    The interval resamples validation and test: each resample of validation patients moves the thresholds, and the resulting share is drawn
    from Wilson's confidence distribution at the effective size of the test; several seeds widen it as in ``bootstrap``. Without
    validation resamples only the test varies (plain Wilson).

    Args:
        matrix: Test labels and scores; ``fold`` names the model that scored each sample.
        fitted: Thresholds of the same models.
        prevalences: Prevalences in [0, 1].
        level: Confidence level in (0, 1).
        seed: Seed of the draws.

    Returns:
        Estimates named ``<measure>_at_<kind>_<rule>`` (and ``..._prevalence_<p>``), with the threshold itself.
    """
    rule = f"{fitted.kind}_{fitted.rule.name}"
    counts = matrix.counts
    found = {f"threshold_at_{rule}": _threshold_estimate(fitted, level=level)}
    missing = missing_threshold(matrix, fitted)
    if missing:
        names = [*MEASURES, *(f"{name}_prevalence_{short(p)}" for p in prevalences for name in ("ppv", "npv"))]
        return found | {_metric(name, rule): Estimate(NAN, NAN, NAN, *counts, "", missing) for name in names}
    draws = Draws.make(matrix, fitted, level=level, seed=seed)
    note = join_notes(claim_note(matrix.n_seeds), f"threshold from {fitted.origin}", established_note(fitted.counts[2]))
    for name in MEASURES:
        found[_metric(name, rule)] = draws.estimate(name, counts=counts, level=level, note=note)
    for prevalence in prevalences:
        point = predictive_values(draws.ratios["sensitivity"].value, draws.ratios["specificity"].value, prevalence=prevalence)
        spread = predictive_values(draws.replicate["sensitivity"], draws.replicate["specificity"], prevalence=prevalence)
        for name, value, replicate in zip(("ppv", "npv"), point, spread, strict=True):
            found[_metric(f"{name}_prevalence_{short(prevalence)}", rule)] = _estimate(
                float(value), replicate, counts=counts, level=level, method="confidence draws of sensitivity and specificity", note=note
            )
    return found


@dataclass(frozen=True)
class Draws:
    """Sensitivity, specificity, PPV and NPV of carried thresholds, and draws from their joint confidence distribution.

    Draw r of two sets of test samples stands on the same resample of validation, so that differences between sides cancel what they share.

    Attributes:
        ratios: Each measure on the test samples.
        replicate: (B,) draws of each measure; NaN where it is undefined.
        patients: (B,) the same without what the training seeds add.
        by_model: (M,) each measure under each model.
        resampled: Whether validation patients or training seeds vary, besides the test samples.
    """

    ratios: dict[str, Ratio]
    replicate: dict[str, Floats]
    patients: dict[str, Floats]
    by_model: dict[str, Floats]
    resampled: bool

    @classmethod
    def make(cls, matrix: ScoreMatrix, fitted: Fitted, *, level: float, seed: int) -> "Draws":
        """Carry thresholds to test samples.

        Args:
            matrix: Test labels and scores; ``fold`` names the model that scored each sample.
            fitted: Thresholds of the same models.
            level: Confidence level in (0, 1), for the effective size.
            seed: Seed of the draws; two sets of test samples need two seeds.

        Returns:
            The draws.
        """
        shares = seed_weights(matrix.seed.size, seed=matrix.seed)
        called = shares @ (matrix.scores >= thresholds_of(matrix, fitted.value))
        ratios = decision_ratios(matrix.label, called, cluster=matrix.cluster, level=level)
        rng = np.random.default_rng(seed)
        size = next(iter(fitted.replicate.values())).size
        moved = moved_ratios(matrix, fitted, shares) if size else None
        single = _by_model(matrix, fitted)
        replicate, patients = {}, {}
        for name, one in ratios.items():
            values, totals = moved[name] if moved else (np.full(4000, one.value), np.full(4000, one.total))
            effective = totals * (one.effective / one.total if one.total else NAN)
            deviate = rng.permutation(special.ndtri((np.arange(values.size) + 0.5) / values.size))
            patients[name] = wilson_bound(np.clip(centred(values, one.value), 0.0, 1.0) * effective, effective, z=deviate)
            replicate[name] = widen(patients[name], single[name], seed=matrix.seed, rng=rng, limits=SHARE)
        return cls(ratios, replicate, patients, single, resampled=moved is not None or matrix.n_seeds > 1)

    def estimate(self, name: str, *, counts: tuple[int, int, int], level: float, note: str) -> Estimate:
        """Write one measure as an estimate; NaN with the reason where its denominator is empty."""
        one = self.ratios[name]
        if not np.isfinite(one.value):
            return Estimate(NAN, NAN, NAN, *counts, "", join_notes(note, f"no samples in the denominator of {name}"))
        if not self.resampled:
            return Estimate(one.value, *one.interval(level=level), *counts, wilson_name(one), note)
        method = f"{wilson_name(one)}, over resampled validation"
        return _estimate(one.value, self.replicate[name], counts=counts, level=level, method=method, note=note)


def centred(replicate: Floats, value: float) -> Floats:
    """Move replicates so that their mean is the estimate: resampled validation sets choose systematically milder thresholds.

    Example:
        >>> centred(np.array([1.0, 3.0]), 5.0).tolist()
        [4.0, 6.0]
    """
    return replicate - np.nanmean(replicate) + value if np.isfinite(replicate).any() else replicate


def _estimate(value: float, replicate: Floats, *, counts: tuple[int, int, int], level: float, method: str, note: str) -> Estimate:
    if not np.isfinite(value):
        return Estimate(NAN, NAN, NAN, *counts, "", join_notes(note, "undefined: a class is absent or nobody is called"))
    ends, remark = percentile(replicate, level=level)
    return Estimate(value, *ends, *counts, method, join_notes(note, remark))


def moved_ratios(matrix: ScoreMatrix, fitted: Fitted, shares: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Each measure and its denominator under every resample of the thresholds, the test samples as they are.

    Args:
        matrix: Test labels and scores.
        fitted: Thresholds with their resamples.
        shares: (M,) weight of each model.

    Returns:
        Measure -> (B,) values and (B,) denominators.
    """
    size = next(iter(fitted.replicate.values())).size
    hits, alarms = np.zeros(size), np.zeros(size)
    for share, seed, score, fold in zip(shares, matrix.seed, matrix.scores, matrix.fold, strict=True):
        for name in np.unique(fold):
            moved = fitted.replicate[(int(seed), int(name))]
            for total, truth in ((hits, 1.0), (alarms, 0.0)):
                pool = np.sort(score[(fold == name) & (matrix.label == truth)])
                total += share * np.where(np.isnan(moved), NAN, pool.size - np.searchsorted(pool, moved, side="left"))
    positives, negatives = float(matrix.label.sum()), float((1 - matrix.label).sum())
    missed, cleared = positives - hits, negatives - alarms
    parts = {
        "sensitivity": (hits, hits + missed),
        "specificity": (cleared, cleared + alarms),
        "ppv": (hits, hits + alarms),
        "npv": (cleared, cleared + missed),
    }
    return {name: (ratio(above, below), below) for name, (above, below) in parts.items()}


def _by_model(matrix: ScoreMatrix, fitted: Fitted) -> dict[str, Floats]:
    called = (matrix.scores >= thresholds_of(matrix, fitted.value)).astype(np.float64)
    hits, alarms = called @ matrix.label, called @ (1 - matrix.label)
    positives, negatives = matrix.label.sum(), (1 - matrix.label).sum()
    return {
        "sensitivity": ratio(hits, positives),
        "specificity": ratio(negatives - alarms, negatives),
        "ppv": ratio(hits, hits + alarms),
        "npv": ratio(negatives - alarms, negatives - alarms + positives - hits),
    }


def thresholds_of(matrix: ScoreMatrix, value: Mapping[Model, float]) -> Floats:
    """(M, n) threshold that applies to each score: that of the model that gave it."""
    lookup = np.vectorize(lambda seed, fold: value[(int(seed), int(fold))], otypes=[np.float64])
    table: Floats = lookup(matrix.seed[:, None], matrix.fold) if matrix.fold.size else np.zeros(matrix.scores.shape)
    return table


def missing_threshold(matrix: ScoreMatrix, fitted: Fitted) -> str:
    """Say why thresholds cannot be carried to these samples; "" when they can."""
    if matrix.label.size == 0:
        return "no samples"
    models = {(int(seed), int(fold)) for seed, row in zip(matrix.seed, matrix.fold, strict=True) for fold in np.unique(row)}
    if any(model not in fitted.value for model in models):
        return f"a model has no scores on {fitted.origin}"
    if any(np.isnan(fitted.value[model]) for model in models):
        return f"no threshold: {fitted.origin} lacks a class that the rule {fitted.rule.name} needs"
    return ""


def _threshold_estimate(fitted: Fitted, *, level: float) -> Estimate:
    values = np.array(list(fitted.value.values()))
    mean = centred(np.mean(list(fitted.replicate.values()), axis=0), float(values.mean()))
    ends, remark = percentile(mean, level=level)
    note = join_notes(f"chosen on {fitted.origin}", established_note(fitted.counts[2]), remark)
    return Estimate(float(values.mean()), *ends, *fitted.counts, "patient bootstrap of validation" if np.isfinite(ends[0]) else "", note)


def _metric(name: str, rule: str) -> str:
    measure, _, prevalence = name.partition("_prevalence_")
    return f"{measure}_at_{rule}" + (f"_prevalence_{prevalence}" if prevalence else "")
