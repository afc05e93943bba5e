# SPDX-License-Identifier: Apache-2.0
"""Coverage of the local prevalence, and which shift is named for which: `python -m scripts.gate_prevalence [--jobs 16]`.

Binormal scores; features are eight normal numbers of which one carries the finding. Gates: estimands of medsetu, coverage of intervals and
naming of causes. Knobs are set to where the test of that cause alone, told all else, finds it in about 90 % of cohorts ("oracle"), at the
level that Holm leaves it beside the other cause, 2.5 %: with 90 % at 5 % a name could be right in 84 % at most.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scripts.spread import parser, spread

from medsetu.shift.cause import at_prevalence, gather
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.identify import BOTH, CANNOT_TELL, COVARIATE, LABEL_NOISE, NO_SHIFT, PREVALENCE, SEVERAL, name_shift
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.prevalence import METHODS, prevalence_estimates
from medsetu.shift.relabel import mean_difference
from medsetu.shift.two_sample import mmd_test

Floats = NDArray[np.float64]
COLUMNS = 8
NAMES = (NO_SHIFT, PREVALENCE, COVARIATE, BOTH, LABEL_NOISE, SEVERAL, CANNOT_TELL)
CAUSES = 2  # that are tested where no votes exist: Holm tests the smaller p at alpha / 2
SCORES, LABELS = "scores and features", "local labels too"


@dataclass(frozen=True)
class World:
    """A pair of sides: what the local films differ in, and whether local labels are known.

    Attributes:
        truth: Name that would be right.
        known: What is known of the local side.
        prevalence: Local prevalence; the global one is 0.5.
        beside: Shift of the films across the finding, in standard deviations.
        along: Shift along the finding: films that look more ill.
        identifiable: Whether what is known can tell this cause from the others.
    """

    truth: str
    known: str
    prevalence: float = 0.5
    beside: float = 0.0
    along: float = 0.0
    identifiable: bool = True


WORLDS = (
    World(NO_SHIFT, SCORES),
    World(PREVALENCE, SCORES, prevalence=0.25),
    World(COVARIATE, SCORES, beside=0.57),
    World(COVARIATE, SCORES, along=0.63, identifiable=False),
    World(BOTH, SCORES, prevalence=0.24, beside=0.60, identifiable=False),
    World(NO_SHIFT, LABELS),
    World(PREVALENCE, LABELS, prevalence=0.32),
    World(COVARIATE, LABELS, beside=0.57),
    World(COVARIATE, LABELS, along=0.63),
    World(BOTH, LABELS, prevalence=0.31, beside=0.60),
)


def films(label: Floats, rng: np.random.Generator, *, world: World | None = None, side: str, separation: float = 2.0) -> Films:
    """Films of one side, one per patient."""
    values = rng.normal(size=(label.size, COLUMNS))
    values[:, 0] += separation * (label - 0.5) + (world.along if world else 0.0)
    values[:, 1] += world.beside if world else 0.0
    score = expit(separation * values[:, 0])
    names = np.array([f"{side} {place:06d}" for place in range(label.size)])
    facts = pd.DataFrame(index=range(label.size))
    return Films(side, side, "by patient", names, names, label, score[None], np.zeros(1, np.int64), facts, values.astype(np.float32))


def cohort(world: World, rng: np.random.Generator, *, per_class: int = 100, local: int = 150) -> Cohort:
    """Balanced global test and validation films, and local films of the world."""
    balanced = np.r_[np.ones(per_class), np.zeros(per_class)]
    there, validation = (films(balanced, rng, side=side) for side in ("global", "val"))
    label = (rng.random(local) < world.prevalence).astype(np.float64)
    return Cohort("finding", "global-only", there, films(label, rng, world=world, side="local"), validation)


def oracle(world: World, drawn: Cohort, *, plan: ShiftPlan) -> bool:
    """Whether the test of the one cause, told the true prevalence, rejects; for both causes, whether each does."""
    there, here = drawn.global_films, drawn.local_films
    settings = {"permutations": plan.permutations, "seed": plan.seed}
    found = []
    if world.truth in (PREVALENCE, BOTH):
        pair = (there.label, here.label) if world.known == LABELS else (there.score, here.score)
        found.append(mean_difference(*pair, **settings).p)
    if world.truth in (COVARIATE, BOTH):
        kept = at_prevalence(there.label, world.prevalence, seed=plan.seed)
        found.append(mmd_test(there.take(kept).features, here.features, **settings).p)
    return all(p <= plan.alpha for p in found)


def name_of(item: tuple[World, int], *, seed: int) -> tuple[str, bool]:
    """Name that one cohort is given, and whether the oracle finds its cause."""
    world, number = item
    drawn = cohort(world, np.random.default_rng([seed, WORLDS.index(world), number]))
    plan = ShiftPlan(permutations=199, seed=number)
    seen = oracle(world, drawn, plan=replace(plan, alpha=plan.alpha / CAUSES))
    if world.known == SCORES:
        drawn = replace(drawn, local_films=replace(drawn.local_films, label=np.full(len(drawn.local_films), np.nan)))
    return name_shift(gather(drawn, plan), alpha=plan.alpha)[0], seen


def named(world: World, *, cohorts: int, seed: int, jobs: int = 1) -> tuple[dict[str, float], float]:
    """Share of cohorts with each name, and power of the oracle."""
    found = spread(partial(name_of, seed=seed), [(world, number) for number in range(cohorts)], jobs=jobs)
    names = [name for name, _ in found]
    return {name: names.count(name) / cohorts for name in NAMES}, float(np.mean([seen for _, seen in found]))


def wrong_names(world: World) -> set[str]:
    """Names that claim what is not there; less than the whole truth is not wrong."""
    right = {BOTH: {PREVALENCE, COVARIATE, BOTH}}.get(world.truth, {world.truth})
    return set(NAMES) - right - {NO_SHIFT, CANNOT_TELL}


Cell = tuple[int, int, float, int]
CELLS: tuple[Cell, ...] = (  # validation patients per class, local patients, local prevalence, films per patient
    *((size, size, prevalence, 1) for size in (100, 50, 25) for prevalence in (0.5, 0.2, 0.1)),
    (100, 400, 0.05, 1),
    (50, 50, 0.3, 3),
)


def holds(number: int, *, cell: Cell, seed: int, replicates: int) -> dict[str, tuple[bool, float]]:
    """Whether each method's interval holds the truth in one cohort, and its width."""
    per_class, local, prevalence, each = cell
    rng = np.random.default_rng([seed, per_class, local, round(100 * prevalence), each, number])
    here = (rng.random(local) < prevalence).astype(np.float64)
    sides = []
    for label in (np.r_[np.ones(per_class), np.zeros(per_class)], here):
        shared = rng.normal(size=label.size) * np.sqrt(0.6 if each > 1 else 0.0)
        own = rng.normal(size=(each, label.size)) * np.sqrt(0.4 if each > 1 else 1.0)
        sides.append(((2.0 * (label - 0.5) + shared + own).ravel(), np.tile(label, each), np.tile(np.arange(label.size), each)))
    found = prevalence_estimates(
        sides[0][1],
        expit(1 + 4 * sides[0][0]),
        cluster=sides[0][2],
        local_scores=expit(1 + 4 * sides[1][0]),
        local_cluster=sides[1][2],
        replicates=replicates,
        seed=number,
    )
    return {name: (one.low <= prevalence <= one.high, one.high - one.low) for name, one in found.items()}


def covered(cell: Cell, *, cohorts: int, seed: int, replicates: int = 400, jobs: int = 1) -> dict[str, tuple[float, float]]:
    """Coverage and mean width of each method's interval; scores are overconfident, films of a patient correlate with 0.6."""
    found = spread(partial(holds, cell=cell, seed=seed, replicates=replicates), range(cohorts), jobs=jobs)
    hits, widths = ({name: [one[name][part] for one in found] for name in METHODS} for part in (0, 1))
    return {name: (float(np.mean(hits[name])), float(np.nanmean(widths[name]))) for name in METHODS}


def print_coverage(cohorts: int, seed: int, *, jobs: int) -> None:
    """Table of coverage with its gate."""
    print(f"95 % intervals of the local prevalence, {cohorts} cohorts per line (coverage, mean width)")
    print("val per class  local  prevalence  films each  " + "".join(f"{name:>16}" for name in METHODS) + "  gate")
    every: dict[str, list[float]] = {name: [] for name in METHODS}
    for cell in CELLS:
        per_class, local, prevalence, each = cell
        found = covered(cell, cohorts=cohorts, seed=seed, jobs=jobs)
        for name, (share, _) in found.items():
            every[name].append(share)
        told = "".join(f"{share:>10.3f} {width:.3f}" for share, width in found.values())
        gate = "0.935-0.965" if min(per_class, local) >= 50 else ">= 0.91"
        print(f"{per_class:>13}  {local:>5}  {prevalence:>10}  {each:>10}  {told}  {gate}", flush=True)
    print(f"{'mean':>44}  " + "".join(f"{np.mean(shares):>10.3f}      " for shares in every.values()) + "  >= 0.94")


def print_names(cohorts: int, seed: int, *, jobs: int) -> None:
    """Confusion matrix of true cause and name, with its gates."""
    print(f"\nNames given, {cohorts} cohorts per line (global 100 + 100 test and validation, local 150)")
    print(
        f"{'known':<20}{'truth':<26}{'knobs':<34}"
        + "".join(f"{name:>26}" for name in NAMES)
        + "    oracle  wrong (<= 0.05)  right (>= 0.85)"
    )
    for world in WORLDS:
        found, power = named(world, cohorts=cohorts, seed=seed, jobs=jobs)
        knobs = f"prevalence {world.prevalence}, beside {world.beside}, along {world.along}"
        wrong = sum(found[name] for name in wrong_names(world))
        right = f"{found[world.truth]:.3f}" if world.identifiable else "not identifiable"
        told = "".join(f"{share:>26.3f}" for share in found.values())
        print(f"{world.known:<20}{world.truth:<26}{knobs:<34}{told}  {power:>8.3f}  {wrong:>15.3f}  {right:>15}", flush=True)


def main() -> None:
    """Print both tables."""
    asked = parser(__doc__).parse_args()
    print_names(asked.cohorts, asked.seed, jobs=asked.jobs)
    print_coverage(asked.cohorts, asked.seed, jobs=asked.jobs)


if __name__ == "__main__":
    main()
