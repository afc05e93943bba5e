# SPDX-License-Identifier: Apache-2.0
"""Does the planner keep its word on curves whose truth is known? `python -m scripts.gate_plan [--draws 400] [--jobs 16]`.

Points of a learning curve are drawn around a true law: test films shared by all points (Hanley-McNeil, correlated) and a training redraw
for each point. Replicates are drawn around the points with the same covariance, which is what resampling patients and seeds gives.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scripts.spread import parser, spread

from medsetu.evaluation.interval import hanley_mcneil
from medsetu.shift.exchange import exchange_rates
from medsetu.shift.learning_curve import LearningCurve, patients_needed
from medsetu.shift.sample_size import cases_to_prove, proof_power

Floats = NDArray[np.float64]
SIZES = np.array([8.0, 13.0, 20.0, 32.0, 52.0])
CORRELATION = 0.7  # of two points on the same test films
REDRAW = 0.015  # sd that a training redraw adds to a point, seeds averaged


@dataclass(frozen=True)
class Law:
    """A true learning curve a - b n^-c, a target, and the films it is tested on."""

    name: str
    a: float
    b: float
    c: float
    target: float
    per_class: int = 52

    def at(self, n: Floats) -> Floats:
        """True skill."""
        return self.a - self.b * n**-self.c

    @property
    def need(self) -> float:
        """True number of local patients."""
        return (self.b / (self.a - self.target)) ** (1 / self.c) if self.a > self.target else math.inf


@dataclass(frozen=True)
class Kept:
    """What the planner said over many cohorts.

    Attributes:
        name: The law.
        need: True need, or true exchange rate.
        coverage: Share of intervals that hold it; a censored end holds whatever lies beyond it.
        told: Share of cohorts with a bounded interval; the others are told "cannot tell" or "never".
        wrong: Share of cohorts told a bounded interval, or "never", that is wrong.
        never: Mean share of replicates that never reach the target.
        cannot_say: Mean share of replicates that reach it beyond twice the largest n.
    """

    name: str
    need: float
    coverage: float
    told: float
    wrong: float
    never: float = math.nan
    cannot_say: float = math.nan


LAWS = (
    Law("reached inside", 0.95, 0.80, 0.70, 0.86),
    Law("reached at twice", 0.95, 0.80, 0.70, 0.914),
    Law("225, far outside", 0.95, 0.60, 0.60, 0.92675),
    Law("225, 400 films", 0.95, 0.60, 0.60, 0.92675, per_class=200),
    Law("never", 0.88, 0.60, 0.80, 0.92),
    Law("never, 400 films", 0.88, 0.60, 0.80, 0.92, per_class=200),
)


def noise(values: Floats, *, per_class: int) -> Floats:
    """(P, P) covariance of points tested on the same films."""
    sd = np.sqrt(hanley_mcneil(values, per_class, negatives=per_class))
    shared = CORRELATION + (1 - CORRELATION) * np.eye(values.size)
    covariance: Floats = shared * np.outer(sd, sd) + REDRAW**2 * np.eye(values.size)
    return covariance


def drawn(values: Floats, *, per_class: int, draws: int, seed: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Points of one cohort and their replicates."""
    rng = np.random.default_rng([*seed, per_class])
    root = np.linalg.cholesky(noise(values, per_class=per_class))
    points = values + root @ rng.standard_normal(values.size)
    replicates = points + rng.standard_normal((draws, values.size)) @ root.T
    return np.clip(points, 0, 1), np.clip(replicates, 0, 1)


def told_need(number: int, *, law: Law, draws: int, seed: int) -> tuple[float, ...]:
    """What one cohort is told of the local patients needed: covers, bounded, wrong, never, beyond."""
    points, replicates = drawn(law.at(SIZES), per_class=law.per_class, draws=draws, seed=(seed, number))
    need = patients_needed(LearningCurve("transfer", "auroc", SIZES, points, replicates), target=law.target)
    inside = need.low <= max(law.need, need.smallest) <= need.high
    bounded = not need.verdict.startswith(("cannot tell", "never"))
    wrong = not inside and (bounded or (need.verdict.startswith("never") and math.isfinite(law.need)))
    return inside, bounded, wrong, need.never, need.cannot_say


def keeps_need(law: Law, *, cohorts: int, draws: int, seed: int, jobs: int = 1) -> Kept:
    """Coverage and honesty of the local patients needed."""
    found = spread(partial(told_need, law=law, draws=draws, seed=seed), range(cohorts), jobs=jobs)
    return Kept(law.name, law.need, *np.mean(found, axis=0).tolist())


def told_rate(number: int, *, worth: float, at: float, draws: int, seed: int) -> tuple[bool, bool]:
    """Whether the label exchange rate of one cohort holds the truth, and whether it is bounded."""
    law = Law("", 0.95, 0.80, 0.70, 0.9)
    values = np.concatenate([law.at(SIZES), law.at(np.array([at + worth]))])
    points, replicates = drawn(values, per_class=law.per_class, draws=draws, seed=(seed, number))
    local = LearningCurve("local-only", "auroc", SIZES, points[:-1], replicates[:, :-1])
    transfer = LearningCurve("transfer", "auroc", np.array([at]), points[-1:], replicates[:, -1:])
    (rate,) = exchange_rates(local, transfer)
    truth = worth if rate.least <= worth <= rate.most else rate.least - 1 if worth < rate.least else rate.most + 1  # censored
    low, high = (np.clip(end, rate.least - 1, rate.most + 1) for end in (rate.low, rate.high))
    return bool(low <= truth <= high), math.isfinite(rate.low) and math.isfinite(rate.high)


def keeps_rate(worth: float, *, at: float, cohorts: int, draws: int, seed: int, jobs: int = 1) -> Kept:
    """Coverage of the label exchange rate where transfer with n patients is as good as local-only with n + worth."""
    found = spread(partial(told_rate, worth=worth, at=at, draws=draws, seed=seed), range(cohorts), jobs=jobs)
    coverage, told = np.mean(found, axis=0).tolist()
    return Kept(f"exchange {worth:+.0f} at {at:.0f}", worth, coverage, told, 1 - coverage)


def main() -> None:
    """Print the tables."""
    asked = parser(__doc__)
    asked.add_argument("--draws", type=int, default=400)
    options = asked.parse_args()
    sizes = {"cohorts": options.cohorts, "draws": options.draws, "seed": options.seed, "jobs": options.jobs}
    print(f"{options.cohorts} cohorts, {options.draws} replicates, points at {SIZES.astype(int).tolist()} local patients")
    print(f"{'law':<20}{'truth':>8}{'covers':>8}{'bounded':>9}{'wrong':>7}{'never':>7}{'beyond':>8}")
    for found in [keeps_need(law, **sizes) for law in LAWS] + [
        keeps_rate(worth, at=at, **sizes) for worth, at in ((0.0, 20.0), (12.0, 8.0), (24.0, 8.0), (44.0, 20.0), (-10.0, 13.0))
    ]:
        shares = "".join(f"{share:>8.1%}" for share in (found.coverage, found.told, found.wrong, found.never, found.cannot_say))
        print(f"{found.name:<20}{found.need:>8.0f}{shares}")
    for target, truth in ((0.90, 0.95), (0.90, 0.93), (0.70, 0.80)):
        n = cases_to_prove(target, truth=truth)
        power = " ".join(f"{proof_power(size, target=target, truth=truth):.3f}" for size in (n - 1, n))
        print(f"prove {target:.2f} when the truth is {truth:.2f}: {n} cases, exact power one below and there: {power}")


if __name__ == "__main__":
    main()
