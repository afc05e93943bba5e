# SPDX-License-Identifier: Apache-2.0
"""Coverage of the explained gap in worlds of known truth: `python scripts/gate_explain.py [--cohorts 4000] [--bootstrap 200] [--seed 0]`.

Binormal scores whose separation depends on a measured age, on an unmeasured-by-facts appearance, and on the side. Each knob moves one
mechanism from global to local, so the worth of every coalition of changes, and with it every Shapley part, is known to any digit.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from medsetu.evaluation.curve import auroc, curve
from medsetu.shift.auroc_waterfall import APPEARANCE, CASE_MIX, UNEXPLAINED, auroc_waterfall
from medsetu.shift.casemix import matched_gap
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.decision_waterfall import LOG_LOSS, NET_BENEFIT, Cut, decision_waterfall
from medsetu.shift.disde import split_loss
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.waterfall import Coalition, Waterfall, play

Floats = NDArray[np.float64]
PLAYERS = (CASE_MIX, APPEARANCE, UNEXPLAINED)
PREVALENCES = (0.5, 0.35)


@dataclass(frozen=True)
class World:
    """How far each mechanism moves from global to local.

    Attributes:
        age: Rise of the mean age of positives, in decades; older films are harder.
        look: Rise of the mean appearance, in standard deviations; a high value is harder.
        skill: Loss of separation that nothing measures.
        prevalence: Local prevalence; 0.5 on the global side.
        offset: Shift of the logit of every local score (calibration).
        features: Number of features behind the appearance.
    """

    name: str
    age: float = 0.0
    look: float = 0.0
    skill: float = 0.0
    prevalence: float = 0.5
    offset: float = 0.0
    features: int = 3

    def films(self, side: str, patients: int, *, rng: np.random.Generator, changed: Coalition | None = None, each: int = 1) -> Films:
        """Draw a side; ``changed`` names the mechanisms that are local, all or none of them by default."""
        local = side == "local"
        moved = frozenset(PLAYERS) if local else frozenset()
        moved = moved if changed is None else changed
        label = (np.arange(patients) < round(patients * (self.prevalence if local else 0.5))).astype(np.float64)
        age = rng.normal(size=patients) + self.age * label * (CASE_MIX in moved)
        look = rng.normal(size=patients) + self.look * (APPEARANCE in moved)
        skill = 1.8 - self.skill * (UNEXPLAINED in moved)
        cluster = np.repeat(np.arange(patients), each)
        shared = rng.normal(size=patients)[cluster] * np.sqrt(0.6 * (each > 1))
        noise = shared + rng.normal(size=cluster.size) * np.sqrt(0.4 if each > 1 else 1.0)
        logit = noise + (label * (skill - 0.4 * age - 0.4 * look))[cluster] - 0.5
        facts = pd.DataFrame({"age_years": 50 + 10 * age[cluster]})
        features = np.column_stack([look[cluster][:, None], rng.normal(size=(cluster.size, self.features - 1))]).astype(np.float32)
        names = np.array([f"{side}-{number}" for number in cluster])
        ids = np.array([f"{side}-{number}" for number in range(cluster.size)])
        scores = expit(1.8 * logit + self.offset * local)[None]
        return Films(side, side, "by patient", ids, names, label[cluster], scores, np.zeros(1, dtype=np.int64), facts, features)

    def cohort(self, sizes: tuple[int, int], *, rng: np.random.Generator, each: int = 1) -> Cohort:
        """Draw both sides."""
        sides = [self.films(side, size, rng=rng, each=each) for side, size in zip(("global", "local"), sizes, strict=True)]
        return Cohort("finding", "global-only", sides[0], sides[1])

    def truth(self, *, patients: int = 400_000, seed: int = 7) -> Floats:
        """Parts of the gap in AUROC: case mix, appearance, unexplained."""

        def worth(coalition: Coalition) -> Floats:
            films = replace(self, prevalence=0.5).films("global", patients, rng=np.random.default_rng(seed), changed=coalition)
            return np.asarray(auroc(curve(films.label, films.scores[0])))

        return play(PLAYERS, worth)[:, 0]


WORLDS = (
    World("nothing moves"),
    World("prevalence", prevalence=0.3),
    World("case mix", age=0.8),
    World("appearance", look=0.8),
    World("unexplained", skill=0.6),
    World("all of them", age=0.6, look=0.6, skill=0.4, prevalence=0.35, offset=0.5),
)
FIXED = Cut(np.array([0.5]), np.zeros((1, 0)), 0.3, "fixed")


def fixed_cut(bootstrap: int) -> Cut:
    """A threshold that is known, so that only test patients vary."""
    return replace(FIXED, replicate=np.full((1, bootstrap), 0.5))


def covers(waterfall: Waterfall, truth: Floats) -> tuple[bool, bool]:
    """Whether the interval of the total holds the truth, and those of all parts together."""
    known = [part for part in waterfall.parts if not part.verdict]
    total = float(truth.sum())
    inside = all(part.low - 1e-12 <= one <= part.high + 1e-12 for part, one in zip(known, truth, strict=True))
    return waterfall.total.low <= total <= waterfall.total.high, inside


@dataclass(frozen=True)
class Tally:
    """Shares over cohorts of one design."""

    design: str
    measure: str
    total: float
    parts: float
    refused: float


def gate(
    world: World, sizes: tuple[int, int], *, cohorts: int, bootstrap: int, seed: int, each: int = 1, patients: int = 60_000
) -> Iterator[Tally]:
    """Count how often intervals hold the truth, itself read off sides of ``patients`` patients."""
    design = f"{world.name}, {sizes[0]} and {sizes[1]} patients{f', {each} films each' if each > 1 else ''}"
    truth = world.truth(patients=6 * patients)
    large = world.cohort((patients, patients), rng=np.random.default_rng(11), each=each)
    plan = ShiftPlan(bootstrap=bootstrap, seed=seed)
    quiet = replace(plan, bootstrap=0)
    cut = fixed_cut(bootstrap)
    wanted = {
        scale: np.array([part.value for part in decision_waterfall(large, quiet, scale=scale, cut=fixed_cut(0)).parts if not part.verdict])
        for scale in (LOG_LOSS, NET_BENEFIT)
    }
    terms = split_loss(large, quiet).terms
    matched = world_matched(world, patients=6 * patients)
    found: dict[str, list[tuple[bool, bool] | None]] = {name: [] for name in ("AUROC", "matched gap", LOG_LOSS, NET_BENEFIT, "DISDE")}
    for number in range(cohorts):
        cohort = world.cohort(sizes, rng=np.random.default_rng([seed, number]), each=each)
        waterfall = auroc_waterfall(cohort, plan)
        found["AUROC"].append(None if waterfall.parts[-1].verdict else covers(waterfall, truth))
        gap = matched_gap(cohort, plan)
        inside = gap.estimate.low <= matched <= gap.estimate.high
        found["matched gap"].append(None if gap.verdict != "matched" else (inside, inside))
        for scale, value in wanted.items():
            found[scale].append(covers(decision_waterfall(cohort, plan, scale=scale, cut=cut), value))
        split = split_loss(cohort, plan)
        all_in = bool(((split.low <= terms) & (terms <= split.high)).all())
        found["DISDE"].append(None if split.verdict else (split.ends[0] <= terms.sum() <= split.ends[1], all_in))
    for measure, outcomes in found.items():
        given = [one for one in outcomes if one is not None]
        shares = np.mean(given, axis=0) if given else np.full(2, np.nan)
        yield Tally(design, measure, float(shares[0]), float(shares[1]), 1 - len(given) / cohorts)


def world_matched(world: World, *, patients: int = 400_000) -> float:
    """Gap that is left when the global side has the local ages."""
    found = []
    for coalition in (frozenset({CASE_MIX}), frozenset(PLAYERS)):
        films = replace(world, prevalence=0.5).films("global", patients, rng=np.random.default_rng(7), changed=coalition)
        found.append(float(auroc(curve(films.label, films.scores[0]))[0]))
    return found[0] - found[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=4000)
    parser.add_argument("--bootstrap", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    error = 100 * np.sqrt(0.05 * 0.95 / chosen.cohorts)
    print(f"nominal 95 %, {chosen.cohorts} cohorts, {chosen.bootstrap} resamples each, Monte-Carlo error {error:.1f} points\n")
    print("| world | measure | total holds % | all parts hold % | refused % |\n|---|---|---|---|---|")
    designs = [(world, (300, 200), 1) for world in WORLDS] + [(WORLDS[-1], (200, 100), 1), (WORLDS[-1], (200, 150), 3)]
    for world, sizes, each in designs:
        for tally in gate(world, sizes, cohorts=chosen.cohorts, bootstrap=chosen.bootstrap, seed=chosen.seed, each=each):
            numbers = " | ".join(f"{100 * share:.1f}" for share in (tally.total, tally.parts, tally.refused))
            print(f"| {tally.design} | {tally.measure} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
