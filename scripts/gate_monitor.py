# SPDX-License-Identifier: Apache-2.0
"""Is the stated average run length held, and how soon is a change seen? `python -m scripts.gate_monitor [--cohorts 200] [--jobs 16]`.

Every world draws a new reference window from its population, sets its limit from that window alone, as a hospital would, and is then
watched with new patients (one to three films each, correlated). Asked for: at least 80 % of the stated length where nothing changes.
"""

import argparse
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scripts.spread import parser, spread

from medsetu.shift.cusum import Sums, average_run_length, calibrate, compare, first_alarms, patient_sums, step

Floats = NDArray[np.float64]
LIFTS = (0.0, 0.5, 1.0)


def patients(rng: np.random.Generator, count: int, *, lift: float) -> Floats:
    """Moments of new patients on three charts: alert rate, mean score, sensitivity."""
    films = 1 + rng.integers(0, 3, count)
    owner = np.repeat(np.arange(count), films)
    label = (rng.random(count) < 0.2).astype(float)[owner]
    logit = 1.5 * label - 1.5 + 0.8 * rng.normal(size=count)[owner] + 0.6 * rng.normal(size=owner.size) + lift
    score = 1 / (1 + np.exp(-logit))
    called = (score >= 0.5).astype(float)
    above, below = np.stack([called, score, called * label], axis=1), np.stack([np.ones_like(score), np.ones_like(score), label], axis=1)
    sums = [np.stack([np.bincount(owner, weights=column, minlength=count) for column in part.T], axis=1) for part in (above, below)]
    return patient_sums(sums[0].astype(float), sums[1].astype(float))


def watched(rng: np.random.Generator, reference: Floats, *, size: int, batches: int, lift: float) -> Floats:
    """Running maximum of the CUSUM over batches of new patients."""
    before, state, found = Sums(reference.sum(axis=0)), np.zeros((reference.shape[1], 2)), np.zeros(batches)
    for number in range(batches):
        batch = Sums(patients(rng, size, lift=lift).sum(axis=0))
        state = step(state, compare(batch, before), slack=0.5)
        before = before + batch
        found[number] = max(found[number - 1] if number else 0.0, state.max())
    return found


def ratios(item: tuple[int, int, int], *, given: argparse.Namespace) -> list[Floats]:
    """Running maximum over the limit of one world, under each lift."""
    size, window, world = item
    rng = np.random.default_rng([given.seed, size, window, world])
    reference = patients(rng, window, lift=0.0)
    worlds = first_alarms(reference, sizes=[size], batches=given.length, streams=given.streams, slack=0.5, rng=rng)
    limit = calibrate(worlds, run_length=given.length)
    return [watched(rng, reference, size=size, batches=given.batches if lift == 0 else 40, lift=lift) / limit for lift in LIFTS]


def main() -> None:
    """Print the table."""
    asked = parser(__doc__)
    asked.set_defaults(cohorts=200)
    for name, value in (("length", 100), ("batches", 150), ("streams", 200)):
        asked.add_argument(f"--{name}", type=int, default=value)
    given = asked.parse_args()
    designs = [(size, window) for size in (20, 60) for window in (80, 400)]
    items = [(*design, world) for design in designs for world in range(given.cohorts)]
    found = spread(partial(ratios, given=given), items, jobs=given.jobs, label="worlds")
    print(f"{given.cohorts} worlds each; stated average run length {given.length} batches, three charts together")
    print("patients per batch, in the reference | " + " | ".join(f"batches to the alarm, logits moved by {lift:g}" for lift in LIFTS))
    for place, (size, window) in enumerate(designs):
        mine = found[place * given.cohorts : (place + 1) * given.cohorts]
        lengths = [average_run_length(np.stack(column), 1.0) for column in zip(*mine, strict=True)]
        print(f"{size:>4}, {window:>4} | " + " | ".join(f"{length:6.1f}" for length in lengths))


if __name__ == "__main__":
    main()
