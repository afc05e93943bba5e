# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from evaluation import oracle
from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.calibration import calibration_error, null_band, recalibration, reliability
from medsetu.evaluation.score import ScoreMatrix


def _matrix(label, scores):
    names = np.array([f"s{index}" for index in range(len(label))])
    rows = np.atleast_2d(scores)
    seed = np.arange(rows.shape[0])
    return ScoreMatrix(np.asarray(label, float), rows, seed, names, names, tuple(map(str, seed)), np.full(rows.shape, -1))


def _calibrated(n: int, *, seed: int = 0):
    rng = np.random.default_rng(seed)
    score = expit(rng.normal(size=n) * 1.5)
    return (rng.random(n) < score).astype(float), score


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_calibration_error_reproduces_torchmetrics(norm):
    assert calibration_error(oracle.ECE_Y, oracle.ECE_P, bins=oracle.ECE_NBINS, norm=norm) == pytest.approx(oracle.ECE[norm], abs=1e-6)
    table = np.array(oracle.MECE_P)
    right = table.argmax(axis=1) == np.array(oracle.MECE_Y)
    assert calibration_error(right, table.max(axis=1), bins=oracle.MECE_NBINS, norm=norm) == pytest.approx(oracle.MECE[norm], abs=1e-6)


def test_equal_mass_error_by_hand():
    found = calibration_error(oracle.EQMASS_Y, oracle.EQMASS_P, bins=oracle.EQMASS_NBINS, equal_mass=True)
    assert found == pytest.approx(oracle.EQMASS_ECE, abs=1e-6)


def test_score_says_what_it_is():
    assert calibration_error([0, 1], [0.2, 0.8], score_kind="calibrated") == pytest.approx(0.2)
    with pytest.raises(DataError, match="Rescaled"):
        calibration_error([0, 1], [0.2, 0.8], score_kind="rescaled")
    with pytest.raises(ConfigError):
        calibration_error([0, 1], [0.2, 0.8], score_kind="rescald")


def test_validators_fire_scores_bins_norm():
    for score in ([2.0, 0.5], [-1.0, 0.5], [np.nan, 0.5]):
        with pytest.raises(DataError):
            calibration_error([0, 1], score)
    assert calibration_error([0, 1], [0, 1]) == 0.0  # the integers are probabilities
    with pytest.raises(ConfigError):
        calibration_error([0, 1], [0.2, 0.8], bins=0)
    with pytest.raises(ConfigError):
        calibration_error([0, 1], [0.2, 0.8], norm="l3")


def test_intercept_and_slope_agree_with_logistic_regression():
    label, score = _calibrated(400)
    wrong = expit(2 * logit(score) + 0.7)
    weight = np.stack([np.ones(400), np.random.default_rng(1).integers(0, 3, 400).astype(float)])
    found = recalibration(label, wrong, weight)
    for row, rows in enumerate(weight):
        fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(wrong)[:, None], label, sample_weight=rows)
        assert found["calibration_slope"][row] == pytest.approx(fit.coef_[0, 0], abs=1e-4)
    residual = weight @ label - (weight * expit(found["calibration_intercept"][:, None] + logit(wrong))).sum(axis=1)
    assert np.allclose(residual, 0, atol=1e-4)


def test_perfect_calibration_has_intercept_zero_and_slope_one():
    found = recalibration(*_calibrated(50_000), np.ones((1, 50_000)))
    assert abs(found["calibration_intercept"][0]) < 0.05
    assert found["calibration_slope"][0] == pytest.approx(1, abs=0.05)


def test_slope_is_nan_where_it_does_not_exist():
    separated = recalibration(np.array([0, 0, 1, 1.0]), np.array([0.1, 0.2, 0.8, 0.9]), np.ones((1, 4)))
    one_class = recalibration(np.ones(4), np.array([0.1, 0.2, 0.8, 0.9]), np.ones((1, 4)))
    assert np.isnan(separated["calibration_slope"][0])
    assert np.isfinite(separated["calibration_intercept"][0])
    assert np.isnan([one_class["calibration_slope"][0], one_class["calibration_intercept"][0]]).all()


def test_null_band_of_a_perfectly_calibrated_model_holds_its_error():
    inside = 0
    for seed in range(60):
        band = null_band(_matrix(*_calibrated(52, seed=seed)), bins=10, equal_mass=False, replicates=300, seed=1)
        inside += band.low <= band.value <= band.high
    assert inside >= 52  # 57 expected


def test_null_band_knows_that_small_sets_look_badly_calibrated():
    label, score = _calibrated(52)
    band = null_band(_matrix(label, score), bins=10, equal_mass=False, replicates=1000, seed=0)
    assert 0.10 < band.mean < 0.16
    assert null_band(_matrix(*_calibrated(5000)), bins=10, equal_mass=False, replicates=300, seed=0).mean < 0.02
    wrong = null_band(_matrix(label, expit(4 * logit(score))), bins=10, equal_mass=True, replicates=500, seed=0)
    assert wrong.value > wrong.high


def test_null_band_of_nothing_is_nan():
    empty = null_band(_matrix(np.zeros(0), np.zeros((1, 0))), bins=10, equal_mass=False, replicates=10, seed=0)
    assert np.isnan([empty.value, empty.mean]).all()


def test_reliability_counts_each_sample_once():
    label, score = _calibrated(200)
    one, three = reliability(_matrix(label, score)), reliability(_matrix(label, np.stack([score] * 3)))
    assert one.count.sum() == three.count.sum() == 200
    assert np.allclose(one.low, three.low)
    assert ((one.low <= one.frequency) & (one.frequency <= one.high)).all()


def test_slope_of_scores_that_are_far_too_sure_is_found():
    rng = np.random.default_rng(3)
    label = np.repeat([0.0, 1.0], 50)
    logit = 3 * (rng.normal(size=100) + 1.2 * (label - 0.5))
    found = recalibration(label, 1 / (1 + np.exp(-logit)), np.ones((1, 100)))
    peer = LogisticRegression(C=1e12, solver="newton-cholesky", tol=1e-10).fit(logit[:, None], label)
    assert found["calibration_slope"][0] == pytest.approx(peer.coef_[0, 0], abs=1e-4)
