# SPDX-License-Identifier: Apache-2.0
"""Thresholds, chosen on validation only, with the resamples that say how sure they are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from medsetu.core.errors import ConfigError
from medsetu.evaluation.bootstrap import patient_strata, patient_weights
from medsetu.evaluation.curve import Curve, curve
from medsetu.evaluation.interval import NAN, Floats
from medsetu.evaluation.metric import short
from medsetu.evaluation.score import check_scores

RULES = ("sensitivity", "specificity", "youden")
ESTABLISHED = 50  # validation positives from which a threshold may be called established
_ROUNDING = 1e-9  # a target of 0.9 is met by 9 of 10

Model = tuple[int, int]
"""Seed and fold of a trained model."""


@dataclass(frozen=True)
class Rule:
    """How a threshold is chosen on validation.

    Attributes:
        kind: ``sensitivity`` or ``specificity`` (at least ``target``, and then as much of the other as possible), or ``youden``.
        target: What must be reached, in [0, 1]; not read by ``youden``.
    """

    kind: str
    target: float = 0.0

    def __post_init__(self) -> None:
        """Refuse unknown rules and impossible targets."""
        if self.kind not in RULES:
            raise ConfigError(what=f"The threshold rule '{self.kind}' is unknown", where="threshold rule", value=self.kind, allowed=RULES)
        if not 0.0 <= self.target <= 1.0:
            raise ConfigError(
                what=f"A target of {self.target} is impossible", where=f"threshold rule {self.kind}", remedy="Give a number in [0, 1]"
            )

    @property
    def name(self) -> str:
        """Short name, such as ``sensitivity_0.90``."""
        return self.kind if self.kind == "youden" else f"{self.kind}_{short(self.target)}"


@dataclass(frozen=True)
class Threshold:
    """A threshold and where it comes from; ``score >= value`` is positive.

    Attributes:
        value: The threshold; NaN where validation lacks the class the rule needs.
        rule: How it was chosen.
        origin: Split it was chosen on, such as ``val/global``.
        n_positive: Validation positives behind it.
        note: "threshold not established" with few positives, or the reason of a NaN.
    """

    value: float
    rule: Rule
    origin: str
    n_positive: int
    note: str


def fit_threshold(label: ArrayLike, score: ArrayLike, *, rule: Rule, origin: str) -> Threshold:
    """Choose a threshold on validation samples.

    Args:
        label: (n,) validation labels: 1, 0, NaN for unknown (left out).
        score: (n,) their scores.
        rule: What it must reach.
        origin: Split the samples belong to; recorded.

    Returns:
        The threshold.

    Raises:
        ConfigError: The origin is a test split.

    Example:
        >>> fit_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], rule=Rule("sensitivity", 0.9), origin="val/local").value
        0.35
    """
    if origin.split("/")[0] == "test":
        raise ConfigError(what="A threshold may not be chosen on test samples", where=origin, remedy="Give validation samples")
    truth, table, _ = check_scores(label, score)
    value = float(read_threshold(curve(truth, table[0]), rule=rule)[0])
    positives = int(truth.sum())
    note = established_note(positives) if np.isfinite(value) else f"validation lacks a class that the rule {rule.name} needs"
    return Threshold(value, rule, origin, positives, note)


def read_threshold(roc: Curve, *, rule: Rule) -> Floats:
    """(B,) threshold of a rule on each weighting of a curve; just above the highest score where nothing may be called.

    Args:
        roc: Validation curve.
        rule: What the threshold must reach.

    Returns:
        Thresholds; NaN where the curve lacks a class the rule needs.
    """
    if roc.threshold.size == 0:
        return np.full(roc.true_positive.shape[0], NAN)
    steps = np.concatenate([[np.nextafter(roc.threshold[0], np.inf)], roc.threshold])
    sensitivity, fpr = roc.sensitivity(), roc.false_positive_rate()
    if rule.kind == "sensitivity":
        at, needed = np.argmax(sensitivity >= rule.target - _ROUNDING, axis=1), sensitivity
    elif rule.kind == "specificity":
        at, needed = (fpr <= 1 - rule.target + _ROUNDING).sum(axis=1) - 1, fpr
    else:
        index = sensitivity - fpr
        at, needed = np.argmax(np.nan_to_num(index, nan=-1.0), axis=1), index
    return np.where(np.isfinite(needed[:, 0]), steps[at], NAN)


@dataclass(frozen=True)
class Fitted:
    """The thresholds of one rule for all models of an arm, with their resamples.

    Attributes:
        kind: ``transported`` (val/global) or ``refitted`` (val/local).
        rule: How they were chosen.
        origin: Split they were chosen on.
        value: Threshold of each model.
        replicate: (B,) thresholds of each model on the same resamples of validation patients.
        counts: Fewest validation patients, samples and positives behind one model's threshold.
    """

    kind: str
    rule: Rule
    origin: str
    value: Mapping[Model, float]
    replicate: Mapping[Model, Floats]
    counts: tuple[int, int, int]


def fit_all(validation: pd.DataFrame, *, rules: tuple[Rule, ...], kind: str, origin: str, replicates: int, seed: int) -> list[Fitted]:
    """Choose the thresholds of every model of an arm on its own validation samples, and resample the patients.

    Args:
        validation: Predictions of one arm, finding and domain, split val: seed, fold, sample_id, patient_id, label, score.
        rules: Rules to fit.
        kind: ``transported`` or ``refitted``.
        origin: Split the rows belong to.
        replicates: Resamples of validation patients; those with a positive image and those without are drawn apart.
        seed: Seed of the resamples.

    Returns:
        One entry per rule; empty when there are no known labels.
    """
    known = validation[validation["label"].notna()]
    if known.empty:
        return []
    patient = known["patient_id"].where(known["patient_id"].notna(), "image:" + known["sample_id"])
    codes = np.unique(patient.to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)
    strata = patient_strata(known["label"].to_numpy(dtype=np.float64), codes)
    everyone = np.arange(strata.size)
    value: dict[Rule, dict[Model, float]] = {rule: {} for rule in rules}
    replicate: dict[Rule, dict[Model, Floats]] = {rule: {} for rule in rules}
    counts = []
    for _, rows in known.assign(code=codes).groupby(["seed", "fold"]):
        model = (int(rows["seed"].iloc[0]), int(rows["fold"].iloc[0]))
        label, score, code = (rows[name].to_numpy() for name in ("label", "score", "code"))
        roc = curve(label, score)
        drawn: dict[Rule, list[Floats]] = {rule: [np.zeros(0)] for rule in rules}
        for block in patient_weights(everyone, replicates=replicates, seed=seed, strata=strata):  # the same for every model
            resampled = curve(label, score, weight=block[:, code])
            for rule in rules:
                drawn[rule].append(read_threshold(resampled, rule=rule))
        counts.append((int(np.unique(code).size), label.size, int(label.sum())))
        for rule in rules:
            value[rule][model] = float(read_threshold(roc, rule=rule)[0])
            replicate[rule][model] = np.concatenate(drawn[rule])
    least = min(counts, key=lambda count: count[2])
    return [Fitted(kind, rule, origin, value[rule], replicate[rule], least) for rule in rules]


def established_note(positives: int) -> str:
    """Say so when too few validation positives stand behind a threshold.

    Example:
        >>> established_note(10), established_note(50)
        ('threshold not established: 10 validation positives', '')
    """
    return "" if positives >= ESTABLISHED else f"threshold not established: {positives} validation positives"
