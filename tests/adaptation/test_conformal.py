# SPDX-License-Identifier: Apache-2.0
"""Conformal sets: coverage where it is promised, and no promise under shift."""

import math

import numpy as np
import pytest
from scipy import special

from medsetu.adaptation.conformal import GUARANTEED, MEASURES, NOT_GUARANTEED, Conformal, measured
from medsetu.core.errors import ConfigError, DataError


def films(n, *, seed, prevalence=0.4, shift=0.0, repeat=1):
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < prevalence).astype(float).repeat(repeat)
    x = rng.normal(0, 0.7, n).repeat(repeat) + rng.normal(0, 0.7, n * repeat) + 2 * label - 1 + shift
    return label, special.expit(2 * x), np.arange(n).repeat(repeat)


def test_the_limit_is_the_rank_of_the_textbook():
    score = np.arange(1, 20) / 20  # 19 negatives: rank ceil(20 * 0.9) = 18
    sets = Conformal(0.9).fit(np.zeros(19), score, origin="val/local")
    assert sets.limit == (0.9, 0.9)
    assert sets.apply([0.05, 0.5, 0.9]).tolist() == [[True, False], [True, True], [True, True]]


def test_coverage_on_exchangeable_films_is_what_was_stated():
    """Mean over 300 calibration sets: coverage, split conformal, between 0.9 and 0.9 + 1 / (n + 1)."""
    label, score, _ = films(20_000, seed=1)
    truth = label.astype(int)
    mean = []
    for draw in range(300):
        inside = Conformal(0.9).fit(*films(60, seed=100 + draw)[:2], origin="val/local").apply(score)
        mean.append(inside[np.arange(truth.size), truth].mean())
    assert 0.9 - 0.006 < np.mean(mean) < 0.9 + 1 / 61 + 0.006


@pytest.mark.parametrize("by_class", [False, True])
def test_the_interval_holds_the_stated_coverage_and_the_note_says_guaranteed(by_class):
    label, score, _ = films(4000, seed=2)
    sets = Conformal(0.9, by_class).fit(label, score, origin="val/local")
    test = films(3000, seed=3)
    found = measured(sets, test[0], score=test[1], tested="test/local")
    assert tuple(found) == MEASURES
    names = MEASURES[:3] if by_class else MEASURES[:1]
    for name in names:
        assert found[name].low - 0.01 < 0.9 < found[name].high + 0.01
        assert GUARANTEED in found[name].note
    assert found["single"].value + found["both"].value + found["neither"].value == pytest.approx(1)
    assert by_class or NOT_GUARANTEED in found["coverage of positives"].note


def test_under_planted_shift_coverage_is_lost_and_is_said_not_to_be_guaranteed():
    sets = Conformal(0.9).fit(*films(2000, seed=4)[:2], origin="val/global")
    values = []
    for shift in (0.0, 1.0, 2.0):
        label, score, _ = films(2000, seed=5, shift=shift)
        found = measured(sets, label, score=score, tested="test/local")["coverage"]
        values.append(found.value)
        assert found.note.startswith(NOT_GUARANTEED)
    assert values[0] > values[1] > values[2]
    assert "below the stated 0.9" in found.note


def test_sets_by_class_survive_a_change_of_prevalence_alone():
    sets = Conformal(0.9, by_class=True).fit(*films(4000, seed=6, prevalence=0.5)[:2], origin="val/global")
    label, score, _ = films(4000, seed=7, prevalence=0.05)
    assert measured(sets, label, score=score, tested="test/local")["coverage"].value == pytest.approx(0.9, abs=0.02)


def test_one_film_per_patient_is_drawn_and_films_of_a_patient_widen_the_interval():
    label, score, cluster = films(400, seed=8, repeat=4)
    sets = Conformal().fit(label, score, origin="val/local", cluster=cluster)
    assert sets.n == (400, 400)
    assert sets == Conformal().fit(label, score, origin="val/local", cluster=cluster)
    by_patient = measured(sets, label, score=score, tested="test/local", cluster=cluster)["coverage"]
    by_image = measured(sets, label, score=score, tested="test/local")["coverage"]
    assert by_patient.high - by_patient.low > by_image.high - by_image.low
    assert by_patient.n_patients == 400


def test_too_few_films_give_full_sets_and_say_so():
    sets = Conformal(0.95).fit([1, 0, 1], [0.9, 0.2, 0.7], origin="val/local")
    assert sets.limit == (math.inf, math.inf)
    found = measured(sets, [1, 0], score=[0.1, 0.9], tested="test/local")["coverage"]
    assert found.value == 1
    assert "too few" in found.note


def test_a_class_that_is_absent_is_nan_with_its_reason():
    sets = Conformal(0.5).fit([1, 0, 1], [0.9, 0.2, 0.7], origin="val/local")
    found = measured(sets, [1, 1], score=[0.1, 0.9], tested="test/local")["coverage of negatives"]
    assert math.isnan(found.value)
    assert "no samples" in found.note


def test_refusals():
    with pytest.raises(ConfigError):
        Conformal(1.0)
    with pytest.raises(ConfigError, match="test"):
        Conformal().fit([1, 0], [0.9, 0.1], origin="test/local")
    with pytest.raises(DataError):
        Conformal().fit([np.nan], [0.9], origin="val/local")
