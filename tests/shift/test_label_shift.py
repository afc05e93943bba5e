# SPDX-License-Identifier: Apache-2.0
"""Label shift as arithmetic: published values, the end of the EM iteration, calibration against scikit-learn."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from medsetu.shift.label_shift import bbse_weights, em_prevalence, em_step, rlls_weights, rogan_gladen, temperature_bias

BBSE_C, BBSE_MU, BBSE_W, BBSE_QY = [[0.63, 0.06], [0.07, 0.24]], (0.55, 0.45), (0.7142857, 1.6666667), (0.5, 0.5)
EM_PX_GIVEN_1, EM_PX_GIVEN_0, EM_SOURCE_PRIOR = np.array([0.8, 0.2]), np.array([0.3, 0.7]), 0.5
EM_POSTERIORS, EM_QX = (0.7272727, 0.2222222), (0.35, 0.65)
EM_FIRST_STEP, EM_LIMIT = 0.3989898990, 0.1000000000


def posteriors():
    joint = EM_PX_GIVEN_1 * EM_SOURCE_PRIOR
    return joint / (joint + EM_PX_GIVEN_0 * (1 - EM_SOURCE_PRIOR))


def test_bbse_has_its_published_values():
    weights = bbse_weights(BBSE_C, BBSE_MU)
    assert weights == pytest.approx(BBSE_W, abs=5e-8)
    assert weights * np.sum(BBSE_C, axis=0) == pytest.approx(BBSE_QY, abs=1e-12)


def test_rogan_gladen_is_bbse_of_two_classes():
    assert float(rogan_gladen(0.35, sensitivity=0.8, specificity=0.9)) == pytest.approx(0.3571428571, abs=5e-11)
    prior = 0.2
    joint = [[0.9 * (1 - prior), 0.2 * prior], [0.1 * (1 - prior), 0.8 * prior]]
    assert bbse_weights(joint, [0.65, 0.35])[1] * prior == pytest.approx(0.3571428571, abs=5e-11)


def test_em_starts_and_ends_at_its_published_values():
    posterior = posteriors()
    assert posterior == pytest.approx(EM_POSTERIORS, abs=5e-8)
    assert em_step(posterior, EM_SOURCE_PRIOR, current=EM_SOURCE_PRIOR, weight=EM_QX) == pytest.approx(EM_FIRST_STEP, abs=5e-11)
    assert em_prevalence(posterior, EM_SOURCE_PRIOR, weight=[EM_QX])[0] == pytest.approx(EM_LIMIT, abs=5e-11)


def test_newton_ends_where_hundreds_of_em_steps_end():
    posterior, at, before, steps = posteriors(), EM_SOURCE_PRIOR, 1.0, 0
    while abs(at - before) >= 1e-14:
        before, at, steps = at, em_step(posterior, EM_SOURCE_PRIOR, current=at, weight=EM_QX), steps + 1
    assert steps == pytest.approx(265, abs=3)
    assert em_prevalence(posterior, EM_SOURCE_PRIOR, weight=[EM_QX])[0] == pytest.approx(at, abs=1e-11)


def test_em_ends_at_the_border_when_all_films_look_negative_or_positive():
    assert em_prevalence([0.1, 0.2, 0.3], 0.5, weight=np.ones((1, 3)))[0] == pytest.approx(0, abs=1e-9)
    assert em_prevalence([0.7, 0.8, 0.9], 0.5, weight=np.ones((1, 3)))[0] == pytest.approx(1, abs=1e-9)
    assert np.isnan(em_prevalence([np.nan, 0.8], 0.5, weight=np.ones((1, 2)))[0])


def test_calls_that_know_nothing_of_the_classes_are_refused():
    assert np.isnan(bbse_weights([[0.35, 0.15], [0.35, 0.15]], [0.5, 0.5])).all()
    assert np.isnan(bbse_weights([[0.36, 0.15], [0.34, 0.15]], [0.5, 0.5])).all()
    assert np.isnan(bbse_weights([[1.0, 0.0], [0.0, 0.0]], [0.5, 0.5])).all()
    assert np.isnan(rlls_weights([[0.35, 0.15], [0.35, 0.15]], [0.5, 0.5], penalty=0.1)).all()


def test_weights_are_cut_at_zero():
    assert bbse_weights(BBSE_C, (0.99, 0.01))[1] == 0


def test_rlls_lies_between_bbse_and_no_shift():
    assert rlls_weights(BBSE_C, BBSE_MU, penalty=0.0) == pytest.approx(bbse_weights(BBSE_C, BBSE_MU))
    assert rlls_weights(BBSE_C, BBSE_MU, penalty=1e9) == pytest.approx([1, 1], abs=1e-6)
    few, many = (rlls_weights(BBSE_C, BBSE_MU, penalty=one)[1] for one in (0.05, 0.005))
    assert 1 < few < many < BBSE_W[1]


@pytest.mark.parametrize("sharpness", [0.05, 1.0, 6.0])
def test_temperature_and_bias_are_the_logistic_fit_even_of_overconfident_scores(sharpness):
    rng = np.random.default_rng(3)
    label = (rng.random(200) < 0.3).astype(float)
    score = expit(sharpness * (rng.normal(size=200) + 1.5 * label) + 1)
    score = np.clip(score, 1e-7, 1 - 1e-7)
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(logit(score)[:, None], label)
    slope, bias = temperature_bias(label, score, weight=np.ones((2, 200)))
    assert slope == pytest.approx([reference.coef_[0, 0]] * 2, rel=1e-3)
    assert bias == pytest.approx([reference.intercept_[0]] * 2, rel=1e-3, abs=1e-3)


def test_separated_classes_have_no_temperature():
    slope, bias = temperature_bias(np.array([0, 0, 1, 1.0]), np.array([0.1, 0.2, 0.8, 0.9]), weight=np.ones((1, 4)))
    assert np.isnan(slope[0])
    assert np.isnan(bias[0])
