# SPDX-License-Identifier: Apache-2.0
"""False alarms of the gaps and of the test of interaction where nothing differs: `python -m scripts.gate_gap [--jobs 16]`.

One to four films per patient, intraclass correlation 0.6, half of the patients positive, AUROC 0.85 on both sides; thresholds are chosen on
global validation films of their own. Asked for: at most 6.5 % at alpha = 5 %, coverage 93.5 to 96.5 % with 50 + 50 patients and more.
"""

from functools import partial

import numpy as np
import pandas as pd
from scripts.spread import parser, spread

from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.difference import auroc_gap, losses, mean_difference, share_gap
from medsetu.shift.operating import draws, transported
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.subgroup import subgroup_rows

SEPARATION = 1.466  # AUROC 0.85
EVALUATION = EvaluationPlan(primary="tuberculosis", sensitivity_targets=(0.9,), specificity_targets=(), groups=("sex",))
Sizes = tuple[int, int]


def films(rng: np.random.Generator, per_class: int, *, side: str, lift: float = 0.0) -> Films:
    """Binormal films of as many positive as negative patients; women see the finding better by ``lift``."""
    label = np.repeat([1.0, 0.0], per_class)
    owner = np.repeat(np.arange(label.size), 1 + np.arange(label.size) % 4)
    woman = rng.permutation(label.size) % 2 == 0
    own = np.sqrt(0.6) * rng.normal(size=label.size) + (SEPARATION + lift * woman) * label
    logit = own[owner] + np.sqrt(0.4) * rng.normal(size=owner.size) - SEPARATION / 2
    facts = pd.DataFrame({"sex": np.where(woman, "F", "M")[owner]})
    names = np.array([f"{side}{row:05d}" for row in range(owner.size)])
    score = 1 / (1 + np.exp(-SEPARATION * logit))
    patient = np.array([f"p{code:05d}" for code in owner])
    return Films(side, side, "by patient", names, patient, label[owner], score[None], np.zeros(1, dtype=np.int64), facts)


def cohort(rng: np.random.Generator, sizes: Sizes, *, lift: float = 0.0) -> Cohort:
    """Both sides from one world, but for the local women."""
    there, here = sizes
    return Cohort(
        "tuberculosis",
        "global-only",
        films(rng, there, side="global"),
        films(rng, here, side="local", lift=lift),
        global_val=films(rng, max(50, there), side="val"),
    )


def alarms(made: Cohort, plan: ShiftPlan) -> dict[str, bool]:
    """Which measures find a difference at 5 %: their interval leaves zero out."""
    fitted = transported(made, plan, evaluation=EVALUATION)[0]
    left, right = (draws(side, fitted, plan=plan, stream=stream)[0] for stream, side in enumerate((made.global_films, made.local_films)))
    loss = [(losses(side, measure="brier"), side) for side in (made.local_films, made.global_films)]
    found = {
        "gap: auroc": auroc_gap(made.global_films, made.local_films, level=plan.level),
        "gap: sensitivity": share_gap(left, right, name="sensitivity", plan=plan)[0],
        "gap: specificity": share_gap(left, right, name="specificity", plan=plan)[0],
        "gap: brier": mean_difference(loss[0], loss[1], plan=plan),
    }
    tested = {
        row.measure: row.p < plan.alpha for row in subgroup_rows(made, plan, evaluation=EVALUATION, fitted=fitted) if "inter" in row.measure
    }
    return {name: bool(one.low > 0 or one.high < 0) for name, one in found.items()} | tested


def found(item: tuple[Sizes, float, int], *, seed: int) -> dict[str, bool]:
    """Which measures find a difference in one cohort of a design, its lift and number."""
    sizes, lift, number = item
    rng = np.random.default_rng([seed, *sizes, int(lift < 0), number])
    return alarms(cohort(rng, sizes, lift=lift), ShiftPlan(bootstrap=400, seed=number))


def main() -> None:
    """Print the table."""
    given = parser(__doc__).parse_args()
    designs = {f"{a}+{a} v {b}+{b}": ((a, b), 0.0) for a, b in ((50, 50), (200, 50), (100, 100))}
    designs["women differ, 100+100"] = ((100, 100), -1.0)
    items = [(*design, number) for design in designs.values() for number in range(given.cohorts)]
    table = pd.DataFrame(spread(partial(found, seed=given.seed), items, jobs=given.jobs))
    shares = table.groupby(np.repeat(list(designs), given.cohorts), sort=False).mean().T
    print(f"{given.cohorts} cohorts, patients per class on the global and the local side; share that finds a difference at 5 %")
    print(shares.map(lambda share: f"{share:.2%}").to_string())


if __name__ == "__main__":
    main()
