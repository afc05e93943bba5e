# SPDX-License-Identifier: Apache-2.0
"""Local prevalence from scores: recovered, covered, counted by patient, refused with a reason."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom
from scripts.gate_prevalence import covered

from medsetu.core.errors import DataError
from medsetu.shift.prevalence import BBSE, EM, METHODS, RLLS, prevalence_estimates


def sides(prevalence, *, seed=0, per_class=150, local=400):
    rng = np.random.default_rng(seed)
    label = np.r_[np.ones(per_class), np.zeros(per_class)]
    here = (rng.random(local) < prevalence).astype(float)
    return label, *(expit(1 + 3 * (one - 0.5) * 2 + 3 * rng.normal(size=one.size)) for one in (label, here))


def estimates(label, score, local, **changes):
    shared = {"cluster": np.arange(label.size), "local_cluster": np.arange(np.shape(local)[-1]), "replicates": 200}
    return prevalence_estimates(label, score, local_scores=local, **(shared | changes))


@pytest.mark.parametrize("prevalence", [0.05, 0.3, 0.8])
def test_prevalence_is_recovered_within_its_interval(prevalence):
    found = estimates(*sides(prevalence, seed=1))
    for name in METHODS:
        assert found[name].low <= prevalence <= found[name].high
        assert f"width {found[name].high - found[name].low:.2f}" in found[name].note
    assert found[EM].value == pytest.approx(prevalence, abs=0.08)


def test_nothing_planted_covers_the_global_prevalence_and_more_planted_moves_further():
    values = [estimates(*sides(one, seed=2), replicates=0)[EM].value for one in (0.5, 0.35, 0.2)]
    assert values[0] == pytest.approx(0.5, abs=0.07)
    assert values[0] > values[1] > values[2]


@pytest.mark.parametrize(("each", "cohorts"), [(1, 80), (3, 20)])
def test_intervals_cover(each, cohorts):
    found = covered((50, 50, 0.3, each), cohorts=cohorts, seed=5, replicates=200)
    least = binom.ppf(0.005, cohorts, 0.93) / cohorts
    assert min(share for share, _ in found.values()) >= least


def test_films_of_one_patient_count_once():
    label, score, local = sides(0.3, per_class=40, local=60)
    once = estimates(label, score, local)
    thrice = estimates(
        np.tile(label, 3), np.tile(score, 3), np.tile(local, 3), cluster=np.tile(np.arange(80), 3), local_cluster=np.tile(np.arange(60), 3)
    )
    for name in METHODS:
        assert (thrice[name].low, thrice[name].high) == pytest.approx((once[name].low, once[name].high), abs=1e-6)
    assert thrice[EM].n_patients == 60
    assert thrice[EM].n_samples == 180


def test_seeds_are_several_readings_of_one_prevalence():
    label, score, local = sides(0.3)
    one = estimates(label, score, local, replicates=0)
    other = estimates(label, score**2, local**2, replicates=0)
    both = estimates(label, np.stack([score, score**2]), np.stack([local, local**2]), replicates=0)
    assert both[EM].value == pytest.approx((one[EM].value + other[EM].value) / 2)


def test_the_scale_of_the_scores_does_not_matter():
    label, score, local = sides(0.3)
    squeezed = [expit(0.2 * np.log(one / (1 - one)) - 3) for one in (score, local)]
    found, again = estimates(label, score, local, replicates=0), estimates(label, *squeezed, replicates=0)
    assert found[EM].value == pytest.approx(again[EM].value, abs=1e-3)
    assert found[RLLS].value == pytest.approx(found[BBSE].value, abs=0.05)


def test_separated_validation_is_read_by_its_calls_but_not_calibrated():
    label = np.r_[np.ones(20), np.zeros(20)]
    found = estimates(label, 0.1 + 0.8 * label, np.r_[np.full(6, 0.9), np.full(14, 0.1)])
    assert found[BBSE].value == pytest.approx(0.3)
    assert np.isnan(found[EM].value)
    assert "separated" in found[EM].note


def test_a_constant_model_and_a_small_class_are_refused_with_the_reason():
    label = np.r_[np.ones(20), np.zeros(20)]
    assert all(np.isnan(one.value) and one.note for one in estimates(label, np.full(40, 0.5), np.full(30, 0.5)).values())
    few = estimates(np.r_[np.ones(9), np.zeros(40)], np.linspace(0.9, 0.1, 49), np.linspace(0, 1, 30))
    assert few[BBSE].note == "validation has 9 positive patients, and at least 10 are needed"


def test_other_models_and_impossible_scores_are_errors():
    label, score, local = sides(0.3)
    with pytest.raises(DataError):
        estimates(label, score, np.stack([local, local]))
    with pytest.raises(DataError):
        estimates(label, score, local + 1)
