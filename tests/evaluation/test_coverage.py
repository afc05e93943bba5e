# SPDX-License-Identifier: Apache-2.0
"""Do the intervals cover what they promise? A small seeded run of `scripts/simulate_coverage.py`; bounds allow for 400 cohorts."""

import numpy as np
import pytest
from scripts import simulate_coverage as simulate

from medsetu.evaluation.delong import auroc_estimate, paired_difference

COHORTS = 400


def _coverage(cell):
    return simulate.run(cell, cohorts=COHORTS, seed=0).coverage


@pytest.mark.parametrize("design", [(50, 50, 0.90), (100, 100, 0.98), (25, 25, 0.75), (26, 26, 0.95), (10, 40, 0.95)])
def test_single_auroc_covers(design):
    assert 0.92 <= _coverage(simulate.single(*design)) <= 0.995


def test_interval_is_clustered():
    """By patient the interval covers; by image, on the same designs, it does not."""
    assert 0.91 <= _coverage(simulate.clustered(25, 0.90, mixed=False)) <= 0.98
    assert 0.91 <= _coverage(simulate.clustered(25, 0.90, mixed=True)) <= 0.98
    assert _coverage(simulate.clustered(25, 0.90, mixed=False, image_level=True)) < 0.89


@pytest.mark.parametrize(("seeds", "wobble"), [(3, 0.0), (3, 0.3), (5, 0.3)])
def test_seeds_and_patients_together_cover(seeds, wobble):
    assert 0.92 <= _coverage(simulate.seeded(50, 0.85, seeds=seeds, wobble=wobble)) <= 0.99


def test_patients_alone_would_not_cover_the_seeds():
    cell = simulate.seeded(200, 0.85, seeds=3, wobble=0.5)
    label = np.r_[np.ones(200), np.zeros(200)]
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(60):
        parts = simulate.seed_parts(rng, 1, label, gap=simulate.separation(0.85), seeds=3, wobble=0.5)
        mean = simulate.averaged(parts)
        inside += abs(mean.auroc[0] - cell.truth) <= 1.96 * mean.variance()[0] ** 0.5
    assert inside / 60 < 0.75


def test_differences_cover():
    for cell in (simulate.paired(25, 0.98, 0.95), simulate.paired(100, 0.93, 0.90), simulate.gap((100, 26), 0.95, 0.90)):
        assert 0.92 <= _coverage(cell) <= 0.99
    assert 0.91 <= _coverage(simulate.paired_seeds(52, 0.88, 0.85, seeds=3, wobble=0.3)) <= 0.99


def test_clustered_shares_cover():
    assert 0.90 <= _coverage(simulate.clustered_share(30, 0.9)) <= 0.99


def test_wilson_covers_on_the_mean_over_p():
    assert min(simulate.wilson_mean_coverage(total) for total in (20, 52, 104)) >= 0.945


def test_the_simulated_interval_is_the_reported_one():
    rng = np.random.default_rng(0)
    label = np.r_[np.ones(40), np.zeros(40)]
    a, b = (rng.normal(size=(3, 80)) + 1.5 * label for _ in range(2))
    parts = [[simulate.kernel_parts(label, row) for row in table] for table in (a, b)]
    _, _, (low, high) = simulate.ends_of(parts[0])
    found = auroc_estimate(label, a)
    assert (found.low, found.high) == (pytest.approx(low[0]), pytest.approx(high[0]))
    low, high = simulate.difference_ends(parts[0], parts[1], pair=True)
    found = paired_difference(label, a, scores_b=b)
    assert (found.low, found.high) == (pytest.approx(low[0]), pytest.approx(high[0]))
