# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from evaluation import oracle
from medsetu.evaluation.interval import wilson
from medsetu.evaluation.proportion import clustered_ratio, decision_estimates


def test_operating_point_of_the_table():
    label, score = oracle.ratings(oracle.WFNS_NEG, oracle.WFNS_POS)
    found = decision_estimates(label, score, threshold=2)
    assert found["sensitivity"].value == pytest.approx(39 / 41)
    assert found["specificity"].value == pytest.approx(37 / 72)
    assert found["ppv"].value == pytest.approx(39 / (39 + 35))
    assert (found["sensitivity"].low, found["sensitivity"].high) == pytest.approx([float(end) for end in wilson(39, 41)])
    assert found["sensitivity"].method == "wilson"


def test_positives_only_gives_sensitivity():
    found = decision_estimates(np.ones(155), np.r_[np.ones(81), np.zeros(74)], threshold=0.5)
    assert found["sensitivity"].value == pytest.approx(81 / 155)
    assert (found["sensitivity"].low, found["sensitivity"].high) == (pytest.approx(0.444, abs=5e-4), pytest.approx(0.600, abs=5e-4))
    assert np.isnan(found["specificity"].value)
    assert "denominator of specificity" in found["specificity"].note


def test_zero_is_a_value():
    found = decision_estimates([0, 1, 1], [0.0, 0.5, 0.0], threshold=0.0)
    assert (found["sensitivity"].value, found["specificity"].value) == (1.0, 0.0)


def test_duplicated_patients_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    hit = (rng.random(60) < 0.8).astype(float)
    one = clustered_ratio(hit, np.ones(60), cluster=np.arange(60))
    four = clustered_ratio(np.tile(hit, 4), np.ones(240), cluster=np.tile(np.arange(60), 4))
    assert four.value == one.value
    assert four.clustered
    assert 50 < four.effective <= one.effective  # cut by Student's t
    width = [np.diff(part.interval())[0] for part in (one, four)]
    assert width[0] <= width[1] < 1.1 * width[0]


def test_independent_films_keep_most_of_their_weight():
    rng = np.random.default_rng(0)
    hit = (rng.random(400) < 0.7).astype(float)
    assert clustered_ratio(hit, np.ones(400), cluster=np.arange(400) // 4).effective > 250


def test_perfect_share_counts_patients_once():
    found = clustered_ratio(np.ones(40), np.ones(40), cluster=np.arange(40) // 4)
    assert found.effective == 10
    assert found.interval()[0] < 0.75
