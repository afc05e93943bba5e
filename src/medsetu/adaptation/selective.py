# SPDX-License-Identifier: Apache-2.0
"""Selective prediction: let the model stay silent on the films it is least sure of, and see how the errors fall.

Sureness is the distance of a score from the decision threshold on the logit scale. What is read off the test curve here (area, coverage at
a stated risk) is a summary; ``Selective.fit`` makes an operating point, on validation.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from medsetu.core.errors import ConfigError
from medsetu.evaluation.bootstrap import SHARE, bootstrap
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes
from medsetu.evaluation.metric import CLIP, Statistics, ratio, short
from medsetu.evaluation.proportion import clustered_ratio, ratio_estimate
from medsetu.evaluation.score import ScoreMatrix, check_probability, check_scores

_ROUNDING = 1e-9  # a risk of 0.05 is met by 1 of 20


@dataclass(frozen=True)
class RiskCurve:
    """Error among the films answered, from the surest film on.

    Attributes:
        sureness: (U,) distinct sureness, descending.
        coverage: (B, U) share of films answered, in (0, 1].
        risk: (B, U) share of them answered wrongly; NaN where none is answered.
        area: (B,) mean risk over all numbers of answered films (AURC, Geifman and El-Yaniv 2017); ties in random order.
    """

    sureness: Floats
    coverage: Floats
    risk: Floats
    area: Floats


def sureness(score: ArrayLike, *, threshold: float = 0.5) -> Floats:
    """Distance from the decision threshold on the logit scale.

    Example:
        >>> sureness([0.5, 0.9, 0.1]).round(3).tolist()
        [0.0, 2.197, 2.197]
    """
    inside = np.clip([check_probability(score), np.full(np.shape(score), threshold)], CLIP, 1 - CLIP)
    return np.asarray(np.abs(special.logit(inside[0]) - special.logit(inside[1])).round(12))


def risk_curve(label: ArrayLike, score: ArrayLike, *, threshold: float = 0.5, weight: ArrayLike | None = None) -> RiskCurve:
    """Sweep the share of films that are answered.

    Args:
        label: (n,) 1 or 0.
        score: (n,) probabilities; ``score >= threshold`` is positive.
        threshold: Decision threshold, in [0, 1].
        weight: (B, n) sample weights; None: one row of ones.

    Returns:
        The curve.

    Example:
        >>> risk_curve([1, 0, 1, 0], [0.9, 0.2, 0.6, 0.55]).area.round(4).tolist()
        [0.0625]
    """
    truth, values = np.asarray(label, dtype=np.float64), np.asarray(score, dtype=np.float64)
    sure = sureness(values, threshold=threshold)
    order = np.argsort(-sure, kind="stable")
    last = np.flatnonzero(np.diff(-sure[order], append=np.inf))
    rows = np.ones((1, truth.size)) if weight is None else np.asarray(weight, dtype=np.float64)
    ordered = rows[:, order]
    wrong = ((values >= threshold) != (truth == 1))[order]
    answered = np.cumsum(ordered, axis=1)[:, last]
    errors = np.cumsum(ordered * wrong, axis=1)[:, last]
    total = rows.sum(axis=1, keepdims=True)
    return RiskCurve(sure[order][last], ratio(answered, total), ratio(errors, answered), _area(answered, errors, total[:, 0]))


def selective(
    matrix: ScoreMatrix,
    *,
    threshold: float = 0.5,
    risks: tuple[float, ...] = (0.05,),
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """AURC, error without silence, excess of AURC over a perfect order, and coverage at stated risks, resampled by patient.

    Args:
        matrix: Test labels and probabilities.
        threshold: Decision threshold, fixed before.
        risks: Risks in (0, 1).
        replicates: Resamples of patients.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        ``aurc``, ``error``, ``excess_aurc`` and ``coverage_at_risk_<r>`` (summaries of the test curve; 0 where no share is sure enough).
    """
    statistic = partial(_statistics, threshold=threshold, risks=risks)
    ranges = {"aurc": SHARE, "error": SHARE, "coverage": SHARE}
    return bootstrap(matrix, statistic, replicates=replicates, seed=seed, level=level, ranges=ranges)


@dataclass(frozen=True)
class Silence:
    """Films below a sureness stay unanswered.

    Attributes:
        sureness: Least sureness that is answered; infinite where no share of the validation films was sure enough.
        threshold: Decision threshold.
        origin: Split it was chosen on.
        risk: Risk it was chosen for.
    """

    sureness: float
    threshold: float
    origin: str
    risk: float

    def measured(self, label: ArrayLike, score: ArrayLike, *, cluster: ArrayLike | None = None, level: float = 0.95) -> dict[str, Estimate]:
        """Coverage and risk of this operating point on other films, with Wilson intervals at the effective size by patient."""
        truth, table, codes = check_scores(label, score, cluster=cluster)
        patients = np.arange(truth.size, dtype=np.int64) if codes is None else codes
        answered = (sureness(table[0], threshold=self.threshold) >= self.sureness).astype(np.float64)
        wrong = answered * ((table[0] >= self.threshold) != (truth == 1))
        counts = (int(np.unique(patients).size), truth.size, int(truth.sum()))
        found = {}
        for name, above, below in (("coverage", answered, np.ones(truth.size)), ("risk", wrong, answered)):
            one = clustered_ratio(above, below, cluster=patients, level=level)
            plain = ratio_estimate(one, name=name, counts=counts, level=level)
            note = join_notes(plain.note, f"silence chosen on {self.origin} for a risk of {self.risk:g}: no guarantee under shift")
            found[name] = Estimate(**{**plain.__dict__, "note": note})
        return found


@dataclass(frozen=True)
class Selective:
    """Choose on validation how sure is sure enough.

    Attributes:
        risk: Highest share of wrong answers among those given, in (0, 1).
        threshold: Decision threshold, in [0, 1].

    Raises:
        ConfigError: The risk is outside (0, 1).
    """

    risk: float = 0.05
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.risk < 1.0:
            raise ConfigError(what=f"A risk of {self.risk} is impossible", where="adaptation.risk", remedy="Give a share in (0, 1)")

    def fit(self, label: ArrayLike, score: ArrayLike, *, origin: str) -> Silence:
        """Answer as many validation films as the risk allows.

        Raises:
            ConfigError: The origin is a test split.

        Example:
            >>> round(Selective(0.1).fit([1, 0, 0], [0.9, 0.2, 0.6], origin="val/local").sureness, 3)
            1.386
        """
        if origin.split("/")[0] == "test":
            raise ConfigError(what="Silence may not be chosen on test films", where=origin, remedy="Give validation films")
        truth, table, _ = check_scores(label, score)
        if truth.size == 0:
            return Silence(np.inf, self.threshold, origin, self.risk)
        found = risk_curve(truth, table[0], threshold=self.threshold)
        allowed = np.flatnonzero(found.risk[0] <= self.risk + _ROUNDING)
        return Silence(float(found.sureness[allowed[-1]]) if allowed.size else np.inf, self.threshold, origin, self.risk)


def _statistics(label: Floats, score: Floats, weight: Floats, *, threshold: float, risks: tuple[float, ...]) -> Statistics:
    found = risk_curve(label, score, threshold=threshold, weight=weight)
    error = found.risk[:, -1] if label.size else np.full(weight.shape[0], NAN)
    result = {"aurc": found.area, "error": error, "excess_aurc": found.area - _best_area(error)}
    for risk in risks:
        allowed = np.where(found.risk <= risk + _ROUNDING, found.coverage, 0.0)
        result[f"coverage_at_risk_{short(risk)}"] = allowed.max(axis=1, initial=0.0)
    return result


def _best_area(error: Floats) -> Floats:
    """Area of the order that answers every right film first, for many films (Geifman et al. 2019)."""
    right = 1 - error
    return np.asarray(error + special.xlogy(right, right))


def _area(answered: Floats, errors: Floats, total: Floats) -> Floats:
    """Mean over 1..N answered films of the expected risk; weights are copies, and ties fall in random order, so errors rise evenly."""
    before = np.concatenate([np.zeros((answered.shape[0], 1)), answered[:, :-1]], axis=1)
    fallen = np.concatenate([np.zeros((errors.shape[0], 1)), errors[:, :-1]], axis=1)
    rate = np.nan_to_num(ratio(errors - fallen, answered - before))
    harmonic = special.digamma(answered + 1) - special.digamma(before + 1)  # sum of 1 / k over the group
    parts = (fallen - rate * before) * harmonic + rate * (answered - before)
    return ratio(parts.sum(axis=1), total)
