# SPDX-License-Identifier: Apache-2.0
"""Repairs of scores: known answers, Bayes posteriors, and what they must not read."""

import numpy as np
import pytest
from scipy import optimize, special

from medsetu.adaptation.score import (
    COOLEST,
    BiasCorrectedTemperature,
    Isotonic,
    Platt,
    PriorCorrection,
    Temperature,
    VectorScaling,
    label_shift_weights,
    logits,
    refit_threshold,
)
from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.calibration import recalibration
from medsetu.evaluation.decision import Rule

TEMP_LOGITS, TEMP_Y, TEMP = [2, 2, 2, 2], [1, 1, 1, 0], 1.8204784532
METHODS = [Temperature(), Platt(), Isotonic(), VectorScaling(), BiasCorrectedTemperature(), PriorCorrection(0.2)]


def films(n=400, *, prevalence=0.3, distance=1.5, seed=0):
    """Binormal scores and their exact posterior."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < prevalence).astype(float)
    x = rng.normal(label * distance, 1.0)
    return label, special.expit(distance * x - distance**2 / 2 + special.logit(prevalence))


def loss(label, score, weight=None):
    return -np.average(label * np.log(score) + (1 - label) * np.log1p(-score), weights=weight)


def test_temperature_oracle():
    fitted = Temperature().fit(TEMP_Y, special.expit(TEMP_LOGITS))
    assert 1 / fitted.slope == pytest.approx(TEMP, abs=1e-10)  # the oracle cuts the digits of 2 / ln 3
    assert 1 / fitted.slope == pytest.approx(2 / np.log(3), abs=1e-13)


def test_an_overconfident_model_is_cooled_to_its_planted_temperature():
    label, score = films(40_000)
    found = Temperature().fit(label, special.expit(3 * logits(score)))
    assert 1 / found.slope == pytest.approx(3, rel=0.03)


def test_separated_scores_stop_at_the_bound_and_useless_ones_too():
    assert Temperature().fit([0, 0, 1, 1], [0.2, 0.3, 0.7, 0.8]).slope == 1 / COOLEST
    assert Temperature().fit([1, 1, 0, 0], [0.2, 0.3, 0.7, 0.8]).slope == pytest.approx(0.05)


def test_prior_correction_is_exact_on_bayes_posteriors_under_label_shift():
    """Two likelihoods, any prevalence: the corrected posterior is the posterior that Bayes gives there."""
    x = np.linspace(-3, 4, 50)
    ratio = 1.5 * x - 1.5**2 / 2
    for trained, here in ((0.5, 0.05), (0.3, 0.6), (0.01, 0.2)):
        learned = special.expit(ratio + special.logit(trained))
        corrected = PriorCorrection(here, trained).fit([], []).apply(learned)
        np.testing.assert_allclose(corrected, special.expit(ratio + special.logit(here)), rtol=1e-9, atol=1e-6)


def test_prior_correction_reads_the_global_prevalence_and_no_score():
    label, score = films()
    fitted = PriorCorrection(0.1).fit(label, score)
    assert fitted.slope == 1.0
    assert fitted.intercept == pytest.approx(special.logit(0.1) - special.logit(label.mean()))


def test_platt_minimises_its_loss_on_smoothed_targets():
    label, score = films(60, seed=3)
    n, p = (label == 0).sum(), (label == 1).sum()
    target = np.where(label == 1, (p + 1) / (p + 2), 1 / (n + 2))
    best = optimize.minimize(lambda w: loss(target, special.expit(w[0] * logits(score) + w[1])), [1.0, 0.0], tol=1e-12)
    fitted = Platt().fit(label, score)
    np.testing.assert_allclose([fitted.slope, fitted.intercept], best.x, atol=1e-4)


def test_platt_stays_finite_where_classes_are_separated_and_vector_scaling_refuses():
    fitted = Platt().fit([0, 0, 1, 1], [0.2, 0.3, 0.7, 0.8])
    assert np.isfinite([fitted.slope, fitted.intercept]).all()
    with pytest.raises(DataError, match="overlap"):
        VectorScaling().fit([0, 0, 1, 1], [0.2, 0.3, 0.7, 0.8])


@pytest.mark.parametrize("method", [Platt(), VectorScaling(), BiasCorrectedTemperature()], ids=lambda method: type(method).__name__)
def test_a_constant_model_has_no_slope(method):
    with pytest.raises(DataError, match="All scores are the same"):
        method.fit(np.tile([0, 1], 20), np.full(40, 0.5))


def test_vector_scaling_leaves_intercept_0_and_slope_1():
    label, score = films(300, seed=1)
    after = VectorScaling().fit(label, score**2).apply(score**2)
    found = recalibration(label, after, np.ones((1, label.size)))
    assert found["calibration_intercept"][0] == pytest.approx(0, abs=1e-6)
    assert found["calibration_slope"][0] == pytest.approx(1, abs=1e-6)


def test_bias_corrected_temperature_shares_its_slope_and_finds_each_bias():
    parts = [films(20_000, prevalence=p, seed=k) for k, p in enumerate((0.1, 0.5))]
    label = np.column_stack([part[0] for part in parts])
    score = np.column_stack([special.expit(2 * logits(part[1]) + bias) for part, bias in zip(parts, (1.0, -1.0), strict=True)])
    label[::7, 0] = np.nan
    fitted = BiasCorrectedTemperature().fit(label, score)
    assert fitted.slope == pytest.approx(0.5, rel=0.05)
    np.testing.assert_allclose(fitted.intercept, [-0.5, 0.5], atol=0.1)
    assert VectorScaling().fit(label, score).slope.shape == (2,)
    one = BiasCorrectedTemperature().fit(label[:, 1], score[:, 1])
    other = VectorScaling().fit(label[:, 1], score[:, 1])
    assert (one.slope, one.intercept) == pytest.approx((other.slope, other.intercept))


def test_isotonic_rises_and_beats_no_curve_that_rises():
    label, score = films(200, seed=5)
    fitted = Isotonic().fit(label, score)
    grid = fitted.apply(np.linspace(0, 1, 101))
    assert (np.diff(grid) >= 0).all()
    assert ((fitted.apply(score) - label) ** 2).mean() <= ((score - label) ** 2).mean()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_unknown_labels_are_left_out_and_weights_count_as_copies(method):
    label, score = films(80, seed=2)
    weight = np.arange(80) % 3
    copies = np.repeat(np.arange(80), weight)
    some = label.copy()
    some[:5] = np.nan
    kept = copies[copies >= 5]
    grid = np.linspace(0.01, 0.99, 9)
    np.testing.assert_allclose(
        method.fit(some, score, weight=weight).apply(grid), method.fit(label[kept], score[kept]).apply(grid), atol=1e-6
    )


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_one_class_is_refused(method):
    with pytest.raises(DataError, match="one class"):
        method.fit([1, 1, 1], [0.2, 0.3, 0.9])


@pytest.mark.parametrize("weight", [[1, -1, 1], [1, np.nan, 1]])
def test_impossible_weights_are_refused(weight):
    with pytest.raises(DataError, match="weight"):
        Temperature().fit([1, 0, 1], [0.5, 0.2, 0.8], weight=weight)


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1])
def test_impossible_prevalences_are_refused(prevalence):
    with pytest.raises(ConfigError, match="prevalence"):
        PriorCorrection(prevalence)


def test_label_shift_weights_restore_the_local_loss():
    label, score = films(50_000, prevalence=0.5)
    local, same = films(50_000, prevalence=0.1, seed=9)
    there = special.expit(logits(same) - special.logit(0.1))  # the globally learned posterior, seen locally
    weighted = loss(label, score, label_shift_weights(label, local_prevalence=0.1))
    assert weighted == pytest.approx(loss(local, there), rel=0.02)
    with pytest.raises(DataError):
        label_shift_weights([1, 1], local_prevalence=0.1)


def test_threshold_ignores_test():
    """T14: a threshold is chosen on validation; permuted test labels leave it as it is, and test as an origin is refused."""
    label, score = films(200, seed=4)
    val, test = slice(0, 100), slice(100, 200)
    rule = Rule("sensitivity", 0.9)
    first = refit_threshold(label[val], score[val], rule=rule, origin="val/local")
    label[test] = np.random.default_rng(0).permutation(label[test])
    assert refit_threshold(label[val], score[val], rule=rule, origin="val/local") == first
    assert first.origin == "val/local"
    with pytest.raises(ConfigError, match="test"):
        refit_threshold(label[test], score[test], rule=rule, origin="test/local")


def test_a_weighted_threshold_equals_one_on_copies():
    label, score = films(100, seed=6)
    weight = np.arange(100) % 4
    copies = np.repeat(np.arange(100), weight)
    rule = Rule("specificity", 0.7)
    weighted = refit_threshold(label, score, rule=rule, origin="val/global", weight=weight)
    assert weighted.value == refit_threshold(label[copies], score[copies], rule=rule, origin="val/global").value
    assert "importance weights" in weighted.note
