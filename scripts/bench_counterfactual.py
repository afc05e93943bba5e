# SPDX-License-Identifier: Apache-2.0
"""The counterfactual benchmark: `make` it, `answer` it with the measures of medsetu, `score` anybody's answers.

python scripts/bench_counterfactual.py make --out bench
python scripts/bench_counterfactual.py answer --bench bench --submission bench/medsetu.csv
python scripts/bench_counterfactual.py score --bench bench --submission bench/medsetu.csv
"""

import argparse
import math
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from medsetu.core.table import read_table, write_table
from medsetu.manifest.progress import progress
from medsetu.shift.counterfactual import MEASURES, Knobs, oracle_power, pool_of, truths, worlds
from medsetu.shift.counterfactual_answer import Answer, answers
from medsetu.shift.counterfactual_cohort import draw_world, read_cohort, write_cohort
from medsetu.shift.counterfactual_score import SUBMISSION, gates, score_submission, truth_of, truth_table
from medsetu.shift.plan import ShiftPlan


def make(asked: argparse.Namespace) -> None:
    """Write the pool, the truth, the key and the cohorts, whose numbers do not tell their world."""
    pool, knobs = pool_of(asked.out, patients=asked.pool, size=asked.size, seed=asked.seed), Knobs()
    write_table(truth_table(truths(pool, knobs)), asked.out / "truth.csv")
    wanted = [name for name in worlds() for _ in range(asked.cohorts)] + ["nothing"] * asked.quiet
    order = np.random.default_rng(asked.seed).permutation(len(wanted))
    key = {f"c{number:04d}": wanted[place] for number, place in enumerate(order)}
    with progress(len(key), label="Writing cohorts") as advance:
        for number, (name, world) in enumerate(key.items()):
            seed = int(np.random.SeedSequence([asked.seed, number]).generate_state(1)[0])
            write_cohort(draw_world(pool, knobs, worlds()[world], patients=asked.patients, seed=seed), asked.out / "cohorts" / name)
            advance(1)
    write_table(pd.DataFrame({"cohort": list(key), "world": list(key.values()), "patients": asked.patients}), asked.out / "key.csv")
    print(f"{pool.present.size} films of {asked.pool} patients in the pool, {len(key)} cohorts in {asked.out}")
    print("oracle power:", ", ".join(f"{cause} {power:.3f}" for cause, power in oracle_power(knobs, patients=asked.patients).items()))


def answer(asked: argparse.Namespace) -> None:
    """Write what the measures of medsetu say of each cohort."""
    folders = sorted((asked.bench / "cohorts").iterdir())
    ask = partial(_answer, plan=ShiftPlan(bootstrap=asked.bootstrap, permutations=asked.permutations))
    rows: list[tuple[str, *Answer]] = []
    with ProcessPoolExecutor(asked.workers) as workers, progress(len(folders), label="Answering") as advance:
        for found in workers.map(ask, folders):
            rows += found
            advance(1)
    write_table(pd.DataFrame(rows, columns=list(SUBMISSION)), asked.submission)
    print(f"{len(folders)} cohorts answered in {asked.submission}")


def _answer(folder: Path, *, plan: ShiftPlan) -> list[tuple[str, *Answer]]:
    return [(folder.name, *line) for line in answers(read_cohort(folder), plan)]


def score(asked: argparse.Namespace) -> None:
    """Print the scores of a submission beside the gates, then by world."""
    key = read_table(asked.bench / "key.csv")
    truth = truth_of(read_table(asked.bench / "truth.csv"))
    scored = score_submission(read_table(asked.submission), key=dict(zip(key["cohort"], key["world"], strict=True)), truth=truth)
    print("| figure | measured | Monte-Carlo 95 % | answers | wanted | verdict |\n|---|---|---|---|---|---|")
    for gate in gates(scored, patients=int(key["patients"].iloc[0])):
        wanted = f"{_percent(gate.wanted[0])} to {_percent(gate.wanted[1])}"
        ends = f"{_percent(gate.low)} to {_percent(gate.high)}"
        print(f"| {gate.name} | {_percent(gate.share)} | {ends} | {gate.answers} | {wanted} | {gate.verdict} |")
    shown = [name for name in MEASURES if name in set(scored["measure"])]
    print("\nBy world; of each measure: truth, cohorts answered, share of these that cover, mean error\n")
    print(f"| world | cohorts | alarm | right | wrong | {' | '.join(shown)} |\n{'|---' * (5 + len(shown))}|")
    for world, rows in scored.groupby("world", sort=False):
        line = rows.set_index("measure")
        names = [_percent(line[column].max()) for column in ("alarm", "right", "wrong")]
        cells = [_cell(line.loc[name]) for name in shown]
        print(f"| {world} | {line['cohorts'].iloc[0]} | {' | '.join([*names, *cells])} |")


def _cell(row: "pd.Series[float]") -> str:
    told = f"{row['truth']:z.3f}: {row['answered'] * row['cohorts']:.0f}"
    return told if math.isnan(row["covered"]) else f"{told}, {_percent(row['covered'])}, {row['bias']:+.3f}"


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f} %"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    first, second, third = (verbs.add_parser(verb.__name__, help=verb.__doc__) for verb in (make, answer, score))
    first.add_argument("--out", type=Path, required=True)
    first.add_argument("--pool", type=int, default=600, help="patients of the pool")
    first.add_argument("--size", type=int, default=64, help="rows and columns of a film")
    first.add_argument("--cohorts", type=int, default=12, help="cohorts of each world")
    first.add_argument("--quiet", type=int, default=0, help="further cohorts in which nothing differs")
    first.add_argument("--patients", type=int, default=150, help="patients per side and split")
    first.add_argument("--seed", type=int, default=0)
    for verb in (second, third):
        verb.add_argument("--bench", type=Path, required=True, help="folder that make wrote")
        verb.add_argument("--submission", type=Path, required=True, help="CSV")
    second.add_argument("--bootstrap", type=int, default=100)
    second.add_argument("--permutations", type=int, default=199)
    second.add_argument("--workers", type=int, default=1)
    for parsed, run in ((first, make), (second, answer), (third, score)):
        parsed.set_defaults(run=run)
    asked = parser.parse_args()
    asked.run(asked)


if __name__ == "__main__":
    main()
