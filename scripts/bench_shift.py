# SPDX-License-Identifier: Apache-2.0
"""Time and memory of the tests on features: `python scripts/bench_shift.py [--films 100000] [--columns 1024] [--permutations 999]`.

MMD by random Fourier features, C2ST and Fréchet distance on all films, each in a process of its own, on the cores that the machine gives.
Then MMD against the naive way (the whole kernel, indexed anew for each relabeling) at a size where that fits.
"""

import argparse
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.shift.c2st import c2st
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.detect import FOUND, rows
from medsetu.shift.frechet import frechet_with_floor
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.two_sample import median_gamma, mmd_test

JOBS = ("none", "mmd", "c2st", "frechet", "rows", "naive")
Features = NDArray[np.float32]


def naive_mmd(x: Features, y: Features, *, permutations: int) -> tuple[float, float]:
    """Unbiased MMD² and p from the full kernel, one relabeling at a time."""
    values = np.concatenate([x, y]).astype(np.float64)
    norm = (values**2).sum(axis=1)
    kernel = np.exp(-median_gamma(values) * np.maximum(norm[:, None] + norm - 2 * values @ values.T, 0.0))
    rng = np.random.default_rng(0)
    found = []
    for number in range(permutations + 1):
        order = rng.permutation(len(values)) if number else np.arange(len(values))
        first, second = order[: len(x)], order[len(x) :]
        within = [(kernel[np.ix_(side, side)].sum() - side.size) / (side.size * (side.size - 1)) for side in (first, second)]
        found.append(sum(within) - 2 * kernel[np.ix_(first, second)].mean())
    return found[0], float(np.mean(np.array(found) >= found[0]))


def cohort(x: Features, y: Features) -> Cohort:
    """Both sides with two films per patient, a score, an age and a sex, nothing of which shifted but the features."""
    sides = []
    for number, features in enumerate((x, y)):
        rng = np.random.default_rng(number)
        patient = np.arange(len(features)) // 2
        names = np.array([f"{number}/{film:06d}" for film in range(len(features))])
        facts = pd.DataFrame({"age_years": rng.normal(50, 10, len(features)), "sex": rng.choice(["F", "M"], len(features))})
        sides.append(
            Films(
                side=("global", "local")[number],
                title="",
                unit="by patient",
                sample_id=names,
                patient=np.char.add(f"{number} ", patient.astype(str)),
                label=rng.integers(0, 2, len(features)).astype(float),
                scores=rng.random((1, len(features))),
                seed=np.zeros(1, dtype=np.int64),
                facts=facts,
                features=features,
            )
        )
    return Cohort("finding", "global-only", sides[0], sides[1])


def work(job: str, *, films: int, columns: int, permutations: int) -> None:
    """Do one job on half as many films per side and print seconds, peak memory in GiB, and the result."""
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((films // 2, columns), dtype=np.float32) for _ in "xy")
    y += np.float32(0.02)
    begun = time.perf_counter()
    result = ""
    if job == "mmd":
        found = mmd_test(x, y, permutations=permutations, exact_films=0)
        result = f"MMD² {found.value:.2e}, p {found.p:.4f}"
    elif job == "c2st":
        found = c2st(x, y, permutations=permutations)
        result = f"balanced accuracy {found.value:.3f} [{found.low:.3f}, {found.high:.3f}], p {found.p:.4f}"
    elif job == "frechet":
        distance = frechet_with_floor(x, y)
        result = f"{distance.value:.2e}, floor {distance.floor:.2e}"
    elif job == "rows":
        found_rows = rows(cohort(x, y), ShiftPlan(permutations=permutations))
        result = f"{sum(row.verdict == FOUND for row in found_rows)} of {sum(row.p > 0 for row in found_rows)} tests find a shift"
    elif job == "naive":
        value, p = naive_mmd(x, y, permutations=permutations)
        result = f"MMD² {value:.2e}, p {p:.4f}"
    seconds = time.perf_counter() - begun
    print(f"{seconds:.2f}\t{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}\t{result}")


def measure(job: str, *, films: int, columns: int, permutations: int) -> tuple[float, float, str]:
    """Run one job in a fresh process."""
    options = [f"--films={films}", f"--columns={columns}", f"--permutations={permutations}", f"--job={job}"]
    lines = subprocess.run([sys.executable, __file__, *options], check=True, capture_output=True, text=True).stdout
    seconds, memory, result = lines.rstrip("\n").split("\t")
    return float(seconds), float(memory), result


def main() -> None:
    """Print the table, or do one job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=1_024)
    parser.add_argument("--permutations", type=int, default=999)
    parser.add_argument("--naive-films", type=int, default=6_000)
    parser.add_argument("--job", choices=JOBS)
    chosen = parser.parse_args()
    if chosen.job:
        work(chosen.job, films=chosen.films, columns=chosen.columns, permutations=chosen.permutations)
        return
    cores = len(os.sched_getaffinity(0))
    print(f"{chosen.films} films x {chosen.columns} features, {chosen.permutations} relabelings, {cores} cores\n")
    print("| test | seconds | peak memory GiB | result |\n|---|---|---|---|")
    for job in JOBS[:-1]:
        seconds, memory, result = measure(job, films=chosen.films, columns=chosen.columns, permutations=chosen.permutations)
        print(f"| {job if job != 'none' else 'features alone'} | {seconds:.1f} | {memory:.2f} | {result} |", flush=True)
    few = 99
    size = chosen.naive_films
    slow, fast = (measure(job, films=size, columns=chosen.columns, permutations=few) for job in ("naive", "mmd"))
    print(f"\n{size} films, {few} relabelings: naive {slow[0]:.1f} s, {slow[1]:.2f} GiB; Fourier {fast[0]:.2f} s, {fast[1]:.2f} GiB")
    print(f"ratio: {slow[0] / fast[0]:.0f} times faster, {slow[1] / fast[1]:.1f} times less memory")
    print(f"the naive kernel of {chosen.films} films alone: {8 * chosen.films**2 / 2**30:.0f} GiB")


if __name__ == "__main__":
    main()
