# SPDX-License-Identifier: Apache-2.0
"""False claims, false winners and false equivalence of `medsetu compare`: `python -m scripts.gate_compare [--jobs 16]`.

Binormal films, one per patient; the contestants share what makes a film hard, and each recipe and each training seed adds noise of its own;
a seed also moves the skill itself. Equal contestants: a single pair told apart, any pair after Holm, and a winner, each in at most 6.5 % at
alpha = 5 %. A pair exactly the margin apart: shown to be equal in at most half of that. The first better: how often it wins. Optimism: what
the best of equal contestants gains over the truth, and what the bootstrap of the argmax says it does.
"""

from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scripts.spread import parser, spread

from medsetu.contest.contestant import Contestant
from medsetu.contest.duel import auroc_duel
from medsetu.contest.optimism import optimism
from medsetu.contest.plan import ContestPlan
from medsetu.contest.rank import beaten, leader, ranks
from medsetu.evaluation.kernel import kernel_parts
from medsetu.evaluation.score import ScoreMatrix

AUROC = 0.85
SHARED, RECIPE, SEED = 0.7, 0.2, 0.1  # shares of the variance of a score within its class
SKILL = 0.1  # standard deviation of the separation between seeds of one recipe
PLAN = ContestPlan(finding="tuberculosis", bootstrap=200)
DESIGNS = {  # name -> (contestants, patients per class, seeds, how much better the first is, in AUROC)
    "4 equal, 26+26, 1 seed": (4, 26, 1, 0.0),
    "4 equal, 26+26, 3 seeds": (4, 26, 3, 0.0),
    "4 equal, 52+52, 3 seeds": (4, 52, 3, 0.0),
    "4 equal, 52+52, 5 seeds": (4, 52, 5, 0.0),
    "10 equal, 52+52, 5 seeds": (10, 52, 5, 0.0),
    "2, the margin apart, 200+200, 5 seeds": (2, 200, 5, PLAN.margin),
    "4, first 0.10 better, 52+52, 5 seeds": (4, 52, 5, 0.10),
}
Item = tuple[str, int]


def separation(auroc: float) -> float:
    """Distance of two normal classes of variance 1 with this AUROC."""
    return float(np.sqrt(2) * ndtri(auroc))


def contestants(rng: np.random.Generator, size: int, *, per_class: int, seeds: int, better: float) -> list[Contestant]:
    """Draw one cohort; the mean over seeds of each contestant has the AUROC that was asked for."""
    label = np.repeat([1.0, 0.0], per_class)
    shared = np.sqrt(SHARED) * rng.normal(size=label.size)
    names = np.array([f"f{row:05d}" for row in range(label.size)])
    made = []
    for place in range(size):
        apart = separation(AUROC + (better if place == 0 else 0.0)) + SKILL * rng.normal(size=(seeds, 1))
        own = np.sqrt(RECIPE) * rng.normal(size=label.size)
        logit = apart * label + shared + own + np.sqrt(SEED) * rng.normal(size=(seeds, label.size))
        scores = 1 / (1 + np.exp(-logit))
        fold, numbers = np.full(scores.shape, -1), np.arange(seeds)
        matrix = ScoreMatrix(label, scores, numbers, names, names, tuple(map(str, numbers)), fold)
        made.append(
            Contestant(f"c{place}", matrix, kernel_parts(label, scores), pd.DataFrame({"domain": [], "label": [], "seed": [], "fold": []}))
        )
    return made


def judged(item: Item, *, seed: int, plan: ContestPlan = PLAN) -> dict[str, float]:
    """What one cohort makes the comparison say."""
    name, number = item
    size, per_class, seeds, better = DESIGNS[name]
    rng = np.random.default_rng([seed, list(DESIGNS).index(name), number])
    made = contestants(rng, size, per_class=per_class, seeds=seeds, better=better)
    duels = [auroc_duel(*pair, plan) for pair in combinations(made, 2)]
    names = [one.name for one in made]
    values = [float(one.parts.averaged(one.matrix.seed).auroc[0]) for one in made]
    first = leader(names, values)
    won = [rank.name for rank in ranks(names, duels, alpha=plan.alpha) if rank.worst == 1]
    told = optimism(made, replace(plan, seed=number))
    return {
        "design": name,
        "single pair": float(duels[0].p <= plan.alpha),
        "any pair (Holm)": float(bool(beaten(duels, alpha=plan.alpha))),
        "winner": float(bool(won)),
        "the first wins": float(won == ["c0"]),
        "pair shown equal": float(duels[0].p_equivalent <= plan.alpha / 2),
        "gain of the best": max(values) - AUROC if better == 0 else np.nan,
        "optimism told": told.optimism if first else np.nan,
    }


def main() -> None:
    """Print the table."""
    given = parser(__doc__).parse_args()
    items = [(name, number) for name in DESIGNS for number in range(given.cohorts)]
    table = pd.DataFrame(spread(partial(judged, seed=given.seed), items, jobs=given.jobs)).groupby("design", sort=False).mean()
    shares = [name for name in table.columns if "of" not in name and "told" not in name]
    written = table.assign(**{name: table[name].map("{:.1%}".format) for name in shares})
    print(f"{given.cohorts} cohorts; shares of cohorts, AUROC {AUROC}, alpha = 5 %, margin {PLAN.margin}; the last two in AUROC")
    print(written.round(4).to_string())


if __name__ == "__main__":
    main()
