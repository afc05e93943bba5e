# SPDX-License-Identifier: Apache-2.0
"""What a recipe fixes before the test opens: primary finding, margin, operating points, groups, resamples."""

from collections.abc import Sequence
from dataclasses import dataclass

from medsetu.core.errors import ConfigError

SCORE_KINDS = ("raw", "calibrated", "rescaled")
VIEWS = ("flip", "up", "down", "left", "right")


@dataclass(frozen=True)
class EvaluationPlan:
    """Settings of the evaluation; every numeric setting accepts its zero where a zero has a meaning.

    Attributes:
        primary: The one finding of the primary contrast.
        margin: Non-inferiority and equivalence margin in AUROC, in [0, 1).
        level: Confidence level in (0, 1).
        prevalences: Prevalences in [0, 1] at which PPV and NPV are stated.
        sensitivity_targets: Sensitivities in [0, 1] a threshold must reach on validation.
        specificity_targets: Specificities in [0, 1] a threshold must reach on validation.
        youden: Also choose the threshold of the largest Youden index.
        decision_thresholds: Probabilities in [0, 1) at which the net benefit is read.
        partial_fpr: Largest false-positive rate of the partial AUROC, in (0, 1].
        groups: Columns of the predictions by which results are repeated; ``age_years`` is cut into bands at ``age_bands``.
        age_bands: Ascending cuts in years: (18, 40, 60) gives 0-17, 18-39, 40-59, 60+.
        minimum_group: Patients below which a group is suppressed; 0 suppresses none.
        macro: Findings of the macro mean, frozen in the recipe; empty for none.
        bins: Bins of the expected calibration error.
        bootstrap: Replicates of every resampled interval; 0 gives no resampled interval.
        stratified: Resample patients with and without a positive image apart.
        seed: Seed of the resamples.
        score_kind: What the scores are: raw, calibrated or rescaled (an operating point moved to 0.5).
        views: Test-time augmentation: further views (``VIEWS``) of each film whose probabilities are averaged with its own; empty for none.
    """

    primary: str
    margin: float = 0.05
    level: float = 0.95
    prevalences: Sequence[float] = (0.01, 0.02, 0.05, 0.10)
    sensitivity_targets: Sequence[float] = (0.90,)
    specificity_targets: Sequence[float] = (0.70, 0.95)
    youden: bool = False
    decision_thresholds: Sequence[float] = (0.05, 0.10, 0.20)
    partial_fpr: float = 0.10
    groups: Sequence[str] = ("sex", "age_years", "view", "site", "release")
    age_bands: Sequence[float] = (18.0, 40.0, 60.0)
    minimum_group: int = 10
    macro: Sequence[str] = ()
    bins: int = 10
    bootstrap: int = 2000
    stratified: bool = False
    seed: int = 0
    score_kind: str = "raw"
    views: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse values outside their range before anything is computed."""
        if not self.primary:
            _refuse("primary", self.primary, "Name the primary finding")
        _within("margin", [self.margin], low=0, high=1, open_high=True)
        _within("level", [self.level], low=0, high=1, open_low=True, open_high=True)
        _within("prevalences", self.prevalences, low=0, high=1)
        _within("sensitivity_targets", self.sensitivity_targets, low=0, high=1)
        _within("specificity_targets", self.specificity_targets, low=0, high=1)
        _within("decision_thresholds", self.decision_thresholds, low=0, high=1, open_high=True)
        _within("partial_fpr", [self.partial_fpr], low=0, high=1, open_low=True)
        _within("age_bands", self.age_bands, low=0, high=150, open_low=True)
        _within("minimum_group", [self.minimum_group], low=0, high=float("inf"))
        _within("bins", [self.bins], low=1, high=1000)
        _within("bootstrap", [self.bootstrap], low=0, high=1_000_000)
        _within("seed", [self.seed], low=0, high=2**63)
        if list(self.age_bands) != sorted(set(self.age_bands)):
            _refuse("age_bands", self.age_bands, "Give ascending, different ages")
        if not set(self.views) <= set(VIEWS) or len(set(self.views)) < len(self.views):
            _refuse("views", self.views, f"Give different ones of {', '.join(VIEWS)}")
        if self.score_kind not in SCORE_KINDS:
            raise ConfigError(
                what=f"The score kind '{self.score_kind}' is unknown",
                where="evaluation.score_kind",
                value=self.score_kind,
                allowed=SCORE_KINDS,
            )


def _within(key: str, values: Sequence[float], *, low: float, high: float, open_low: bool = False, open_high: bool = False) -> None:
    for value in values:
        above = value > low if open_low else value >= low
        below = value < high if open_high else value <= high
        if not (above and below):  # NaN fails both
            _refuse(key, value, f"Give values in {'(' if open_low else '['}{low}, {high}{')' if open_high else ']'}")


def _refuse(key: str, value: object, remedy: str) -> None:
    raise ConfigError(what=f"The value {value!r} is outside its range", where=f"evaluation.{key}", remedy=remedy)
