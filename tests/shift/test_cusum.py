# SPDX-License-Identifier: Apache-2.0
"""The chart: scores are standard normal while nothing changes, the average run length is held, a change is found."""

import numpy as np
import pytest
from scipy import stats

from medsetu.core.errors import ConfigError
from medsetu.shift.cusum import Sums, average_run_length, calibrate, compare, first_alarms, patient_sums, step


def _patients(rng, n, *, rate=0.3, films=3):
    """Moments of patients with 1 to ``films`` films that alert together."""
    size = rng.integers(1, films + 1, n).astype(float)
    tendency = rng.beta(6 * rate, 6 * (1 - rate), n)
    return patient_sums(rng.binomial(size.astype(int), tendency)[:, None].astype(float), size[:, None])


def test_scores_are_normal_and_independent_while_nothing_changes():
    rng = np.random.default_rng(0)
    worlds = []
    for _ in range(300):
        before, row = Sums(_patients(rng, 100).sum(axis=0)), []
        for _ in range(4):
            batch = Sums(_patients(rng, 40).sum(axis=0))
            row.append(float(compare(batch, before)[0]))
            before = before + batch
        worlds.append(row)
    scores = np.array(worlds)
    assert stats.kstest(scores.ravel(), "norm").pvalue > 0.01
    assert np.abs(np.corrcoef(scores.T) - np.eye(4)).max() < 0.2


def test_a_rise_scores_high_and_a_fall_low():
    rng = np.random.default_rng(1)
    before = Sums(_patients(rng, 200).sum(axis=0))
    up, down = (float(compare(Sums(_patients(rng, 80, rate=rate).sum(axis=0)), before)[0]) for rate in (0.6, 0.1))
    assert up > 3
    assert down < -3


def test_what_cannot_be_compared_scores_zero():
    one = patient_sums(np.array([[1.0]]), np.array([[1.0]])).sum(axis=0)
    many = patient_sums(np.zeros((9, 1)), np.ones((9, 1))).sum(axis=0)
    nothing = np.zeros((1, 6))
    for batch, before in ((one, many), (many, one), (nothing, many), (many, many)):
        assert compare(Sums(batch), Sums(before)).tolist() == [0.0]


def test_arms_forget_what_the_slack_allows():
    state = np.zeros((1, 2))
    for score in (2.0, 0.4, 0.4, -5.0):
        state = step(state, np.array([score]), slack=0.5)
    assert state.tolist() == [[0.0, 4.5]]


def test_the_average_run_length_is_held_in_new_worlds():
    patients = _patients(np.random.default_rng(2), 150)
    limit = calibrate(_worlds(patients, seed=3), run_length=60)
    assert 45 < average_run_length(_worlds(patients, seed=4), limit) < 80


def _worlds(patients, *, seed):
    return first_alarms(patients, sizes=[30, 50], batches=80, streams=200, slack=0.5, rng=np.random.default_rng(seed))


def test_censored_worlds_count_what_was_watched():
    rng = np.random.default_rng(5)
    lengths = rng.geometric(1 / 50, 4000)
    highest = (np.arange(1, 41)[None] >= lengths[:, None]).astype(float)
    assert average_run_length(highest, 1.0) == pytest.approx(50, rel=0.06)
    assert average_run_length(highest, 2.0) == np.inf


def test_too_few_worlds_are_refused():
    with pytest.raises(ConfigError, match="cannot be calibrated"):
        calibrate(np.random.default_rng(0).random((10, 5)), run_length=500)
