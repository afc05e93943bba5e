# SPDX-License-Identifier: Apache-2.0
"""Coverage of the explained gap in worlds of known truth: `python -m scripts.gate_explain [--jobs 16]`.

Binormal scores whose separation depends on a measured age, on an unmeasured-by-facts appearance, and on the side. Each knob moves one
mechanism from global to local, so the worth of every coalition of changes, and with it every Shapley part, is known to any digit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scripts.spread import parser, spread

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


def joined(waterfall: Waterfall, truth: Floats) -> Floats:
    """Parts that are true, those that are not identified counted as unexplained."""
    verdict = {part.name: part.verdict for part in waterfall.parts}
    told = [name for name in PLAYERS if not verdict[name]]
    by_name = dict(zip(PLAYERS, truth, strict=True))
    hidden = sum(float(by_name[name]) for name in PLAYERS if verdict[name])
    return np.array([by_name[name] + (hidden if name == UNEXPLAINED else 0.0) for name in told])


def covers(waterfall: Waterfall, truth: Floats) -> tuple[bool, bool]:
    """Whether the interval of the total holds the truth, and those of all parts together."""
    known = [part for part in waterfall.parts if not part.verdict]
    total = float(truth.sum())
    inside = all(part.low - 1e-12 <= one <= part.high + 1e-12 for part, one in zip(known, truth, strict=True))
    return bool(waterfall.total.low <= total <= waterfall.total.high), bool(inside)


@dataclass(frozen=True)
class Tally:
    """Shares over cohorts of one design."""

    design: str
    measure: str
    total: float
    parts: float
    refused: float


@dataclass(frozen=True)
class Design:
    """A world, and how many patients are seen of it with how many films each."""

    world: World
    sizes: tuple[int, int]
    each: int = 1

    @property
    def name(self) -> str:
        """World, patients and films."""
        return f"{self.world.name}, {self.sizes[0]} and {self.sizes[1]} patients{f', {self.each} films each' if self.each > 1 else ''}"


@dataclass(frozen=True)
class Truth:
    """What is true of a design: parts of the AUROC and of each decision waterfall, DISDE terms, matched gap."""

    parts: Floats
    losses: tuple[Floats, ...]
    terms: Floats
    matched: float


Held = tuple[bool, bool] | None
SCALES = (LOG_LOSS, NET_BENEFIT)
MEASURES = ("AUROC", "matched gap", *SCALES, "DISDE")


def known(design: Design, *, patients: int) -> Truth:
    """Read the truth off sides of ``patients`` patients."""
    world, quiet = design.world, ShiftPlan(bootstrap=0)
    large = world.cohort((patients, patients), rng=np.random.default_rng(11), each=design.each)
    found = [decision_waterfall(large, quiet, scale=scale, cut=fixed_cut(0)) for scale in SCALES]
    return Truth(
        parts=world.truth(patients=6 * patients),
        losses=tuple(np.array([part.value for part in one.parts if not part.verdict]) for one in found),
        terms=split_loss(large, quiet).terms,
        matched=world_matched(world, patients=6 * patients),
    )


def held(item: tuple[Design, Truth, int], *, plan: ShiftPlan) -> dict[str, Held]:
    """Whether the intervals of one cohort hold the truth: of the total, and of all parts together; None where refused."""
    design, truth, number = item
    cohort = design.world.cohort(design.sizes, rng=np.random.default_rng([plan.seed, number]), each=design.each)
    plan = replace(plan, seed=number)
    waterfall, gap, split = auroc_waterfall(cohort, plan), matched_gap(cohort, plan), split_loss(cohort, plan)
    inside = bool(gap.estimate.low <= truth.matched <= gap.estimate.high)
    all_in = bool(((split.low <= truth.terms) & (truth.terms <= split.high)).all())
    losses = [decision_waterfall(cohort, plan, scale=scale, cut=fixed_cut(plan.bootstrap)) for scale in SCALES]
    return {
        "AUROC": None if waterfall.parts[-1].verdict else covers(waterfall, joined(waterfall, truth.parts)),
        "matched gap": (inside, inside) if gap.verdict == "matched" else None,
        **{scale: covers(one, parts) for scale, one, parts in zip(SCALES, losses, truth.losses, strict=True)},
        "DISDE": None if split.verdict else (bool(split.ends[0] <= truth.terms.sum() <= split.ends[1]), all_in),
    }


def gate(designs: Sequence[Design], *, cohorts: int, plan: ShiftPlan, patients: int = 60_000, jobs: int = 1) -> Iterator[Tally]:
    """Count how often intervals hold the truth."""
    truths = spread(partial(known, patients=patients), designs, jobs=jobs, label="truths")
    items = [(design, truth, number) for design, truth in zip(designs, truths, strict=True) for number in range(cohorts)]
    found = spread(partial(held, plan=plan), items, jobs=jobs)
    for place, design in enumerate(designs):
        for measure in MEASURES:
            given = [one for cohort in found[place * cohorts : (place + 1) * cohorts] if (one := cohort[measure]) is not None]
            shares = np.mean(given, axis=0) if given else np.full(2, np.nan)
            yield Tally(design.name, measure, float(shares[0]), float(shares[1]), 1 - len(given) / cohorts)


def world_matched(world: World, *, patients: int = 400_000) -> float:
    """Gap that is left when the global side has the local ages."""
    found = []
    for coalition in (frozenset({CASE_MIX}), frozenset(PLAYERS)):
        films = replace(world, prevalence=0.5).films("global", patients, rng=np.random.default_rng(7), changed=coalition)
        found.append(float(auroc(curve(films.label, films.scores[0]))[0]))
    return found[0] - found[1]


def main() -> None:
    """Print the table."""
    asked = parser(__doc__)
    asked.add_argument("--bootstrap", type=int, default=200)
    chosen = asked.parse_args()
    error = 100 * np.sqrt(0.05 * 0.95 / chosen.cohorts)
    print(f"nominal 95 %, {chosen.cohorts} cohorts, {chosen.bootstrap} resamples each, Monte-Carlo error {error:.1f} points\n")
    print("| world | measure | total holds % | all parts hold % | refused % |\n|---|---|---|---|---|")
    designs = [Design(world, (300, 200)) for world in WORLDS] + [Design(WORLDS[-1], (200, 100)), Design(WORLDS[-1], (200, 150), each=3)]
    plan = ShiftPlan(bootstrap=chosen.bootstrap, seed=chosen.seed)
    for tally in gate(designs, cohorts=chosen.cohorts, plan=plan, jobs=chosen.jobs):
        numbers = " | ".join(f"{100 * share:.1f}" for share in (tally.total, tally.parts, tally.refused))
        print(f"| {tally.design} | {tally.measure} | {numbers} |")


if __name__ == "__main__":
    main()
