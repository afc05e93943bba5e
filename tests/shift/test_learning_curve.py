# SPDX-License-Identifier: Apache-2.0
"""Noise-free curves are fitted exactly; what a curve cannot tell is not told; replicates hold patients and seeds."""

import math

import numpy as np
import pytest
from scipy.optimize import least_squares

from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.bootstrap import bootstrap
from medsetu.evaluation.curve import auroc, curve
from medsetu.evaluation.score import ScoreMatrix
from medsetu.shift.learning_curve import LARGEST_RATE, LearningCurve, fit_power_law, measure_curve, patients_needed

SIZES = np.array([8.0, 13, 20, 32, 52])


def learned(values, draws=None, n=SIZES):
    values = np.asarray(values, dtype=np.float64)
    return LearningCurve("transfer", "auroc", n, values, np.zeros((0, values.size)) if draws is None else draws)


def films(seeds=3, *, shift=1.5, n=60, per_patient=1, rng=None):
    rng = rng or np.random.default_rng(0)
    label = np.tile([1.0, 0.0], n // 2)
    scores = 1 / (1 + np.exp(-(shift * label + rng.standard_normal((seeds, n)))))
    names = np.array([f"f{film:03d}" for film in range(n)])
    patient = np.array([f"p{film // per_patient:03d}" for film in range(n)])
    fold = np.full((seeds, n), -1)
    return ScoreMatrix(label, scores, np.arange(seeds), patient, names, tuple(map(str, range(seeds))), fold)


@pytest.mark.parametrize(("a", "b", "c"), [(0.95, 0.8, 0.7), (1.0, 0.6, 0.3), (0.9, 0.5, 1.5), (0.97, 1.2, 0.5), (0.8, 3.0, 2.5)])
def test_noise_free_curves_are_fitted_exactly(a, b, c):
    law = fit_power_law(SIZES, a - b * SIZES**-c)
    np.testing.assert_allclose([law.a[0], law.b[0], law.c[0]], [a, b, c], rtol=1e-5)


def test_a_noisy_fit_is_the_least_squares_fit():
    rng = np.random.default_rng(1)
    values = 0.95 - 0.8 * SIZES**-0.7 + 0.01 * rng.standard_normal(SIZES.size)
    law = fit_power_law(SIZES, values)

    def residual(parameter):
        return values - parameter[0] + parameter[1] * SIZES ** -parameter[2]

    best = least_squares(residual, (0.9, 1.0, 1.0), bounds=([0, 0, 0.05], [1, np.inf, LARGEST_RATE]))
    own = float((residual((law.a[0], law.b[0], law.c[0])) ** 2).sum())
    assert own <= 2 * best.cost * (1 + 1e-6)


def test_rows_are_fitted_apart():
    rows = np.array([0.95 - 0.8 * SIZES**-0.7, 0.9 - 0.5 * SIZES**-1.5])
    both = fit_power_law(SIZES, rows)
    np.testing.assert_allclose(both.c, [fit_power_law(SIZES, row).c[0] for row in rows])


def test_the_fit_stays_within_bounds_on_curves_that_fall_or_shoot_up():
    rows = np.array([0.9 - 0.002 * SIZES, np.linspace(0.5, 1.0, SIZES.size), np.ones(SIZES.size)])
    law = fit_power_law(SIZES, rows)
    assert (law.a <= 1).all()
    assert (law.b >= 0).all()
    assert law.b[0] == 0  # a falling curve is a constant
    assert law.reaching(0.95).tolist() == [math.inf, pytest.approx(law.reaching(0.95)[1]), 0.0]


@pytest.mark.parametrize("target", [0.80, 0.86, 0.90])
def test_the_need_of_a_noise_free_curve_is_exact(target):
    need = patients_needed(learned(0.95 - 0.8 * SIZES**-0.7), target=target)
    assert need.value == pytest.approx((0.8 / (0.95 - target)) ** (1 / 0.7), rel=1e-4)


def test_without_an_interval_nothing_is_said_beyond_twice_the_largest_n():
    need = patients_needed(learned(0.95 - 0.8 * SIZES**-0.7), target=0.93)
    assert math.isnan(need.value)
    assert need.verdict.startswith("cannot tell")


def test_a_target_that_is_met_from_the_start_takes_at_most_the_smallest_n():
    assert (
        patients_needed(learned(0.95 - 0.8 * SIZES**-0.7), target=0.6).verdict == "at most 8 local patients by the fitted law; no interval"
    )


def test_a_target_above_the_level_is_never_reached():
    values = 0.85 - 0.5 * SIZES**-1.2
    draws = values + 0.001 * np.random.default_rng(0).standard_normal((200, SIZES.size))
    need = patients_needed(learned(values, draws), target=0.95)
    assert need.never == 1.0
    assert need.verdict.startswith("never")
    assert math.isinf(need.assured)


def test_tight_replicates_give_a_bounded_interval_and_wide_ones_cannot_tell():
    values, rng = 0.95 - 0.8 * SIZES**-0.7, np.random.default_rng(0)
    noise = rng.standard_normal((300, SIZES.size))
    tight = patients_needed(learned(values, values + 0.002 * noise), target=0.88)
    assert tight.low <= (0.8 / 0.07) ** (1 / 0.7) <= tight.high
    assert tight.low < tight.assured < tight.high
    assert "cannot tell" not in tight.verdict
    wide = patients_needed(learned(values, np.clip(values + 0.05 * noise, 0, 1)), target=0.93)
    assert wide.verdict.startswith("cannot tell")
    assert 0 < wide.never < 1
    assert 0 < wide.cannot_say < 1 - wide.never
    assert wide.never > patients_needed(learned(values, np.clip(values + 0.05 * noise, 0, 1)), target=0.85).never


def test_the_arm_as_it_comes_is_no_point_of_the_law():
    values = 0.95 - 0.8 * SIZES**-0.7
    with_zero = LearningCurve("transfer", "auroc", np.append(0.0, SIZES), np.append(0.6, values))
    assert patients_needed(with_zero, target=0.86).value == pytest.approx(patients_needed(learned(values), target=0.86).value)


def test_too_few_points_are_refused():
    with pytest.raises(DataError, match="2 points"):
        fit_power_law([10, 20], [0.7, 0.8])
    with pytest.raises(DataError, match="0 points"):
        patients_needed(learned([0.7], n=np.array([0.0])), target=0.9)
    with pytest.raises(DataError, match="no learning curve"):
        learned([0.7, 0.8], n=np.array([20.0, 10.0]))
    with pytest.raises(ConfigError, match="Target 1"):
        patients_needed(learned(SIZES / 100), target=1.0)


def test_replicates_are_those_of_the_patient_bootstrap_with_seeds():
    matrix = films(per_patient=2)
    found = measure_curve("transfer", [10.0], matrices=[matrix], replicates=400, seed=3)

    def statistic(label, row, weight):
        return {"auroc": auroc(curve(label, row, weight=weight))}

    known = bootstrap(matrix, statistic, replicates=400, seed=3, stratified=True, ranges={"auroc": (0.0, 1.0)})["auroc"]
    assert found.value[0] == pytest.approx(known.value)
    np.testing.assert_allclose(np.quantile(found.draws, [0.025, 0.975]), [known.low, known.high], atol=0.02)
    assert found.counts == (30, 60, 30)


def test_replicates_of_two_points_share_their_patients():
    same = films(seeds=1)
    found = measure_curve("transfer", [10.0, 20.0], matrices=[same, same], replicates=50)
    np.testing.assert_array_equal(found.draws[:, 0], found.draws[:, 1])
    np.testing.assert_array_equal(found.draws, measure_curve("local-only", [10.0, 20.0], matrices=[same, same], replicates=50).draws)


def test_sensitivity_is_read_at_the_specificity():
    matrix = films(seeds=1)
    at = [measure_curve("a", [9.0], matrices=[matrix], specificity=wanted, replicates=0) for wanted in (0.5, 0.9)]
    assert at[0].value[0] > at[1].value[0]
    assert at[1].metric == "sensitivity at specificity 0.9"
    assert at[0].draws.shape == (0, 1)


def test_points_on_other_films_are_refused():
    with pytest.raises(DataError, match="different films"):
        measure_curve("a", [9.0, 10.0], matrices=[films(), films(n=40)], replicates=0)
