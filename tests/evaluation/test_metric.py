# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from evaluation import oracle
from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation import metric


def _sample(n: int = 150):
    rng = np.random.default_rng(0)
    score = rng.random(n)
    return (rng.random(n) < score).astype(float), score, rng.integers(0, 3, (4, n)).astype(float)


def test_probability_metrics_agree_with_scikit_learn():
    label, score, weight = _sample()
    assert np.allclose(metric.brier(label, score, weight), [brier_score_loss(label, score, sample_weight=row) for row in weight])
    assert np.allclose(metric.log_loss(label, score, weight), [log_loss(label, score, sample_weight=row) for row in weight])
    assert metric.brier(np.array(oracle.BRIER_Y), np.array(oracle.BRIER_P), np.ones((1, 4)))[0] == pytest.approx(oracle.BRIER)


def test_log_loss_of_a_certain_mistake_is_finite():
    assert np.isfinite(metric.log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.ones((1, 2)))).all()


def test_observed_expected_is_one_when_the_means_agree():
    assert metric.observed_expected(np.array([1.0, 0.0]), np.array([0.25, 0.75]), np.ones((1, 2)))[0] == 1.0


@pytest.mark.parametrize(("threshold", "expected"), oracle.NB_FAMHISTORY.items())
def test_net_benefit_reproduces_dcurves(threshold, expected):
    found = metric.net_benefit(oracle.NB_TP, oracle.NB_FP, total=oracle.NB_N, threshold=threshold)
    assert float(found) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("threshold", "expected"), oracle.NB_TREAT_ALL.items())
def test_net_benefit_of_treating_all(threshold, expected):
    found = metric.net_benefit(oracle.NB_EVENTS, oracle.NB_N - oracle.NB_EVENTS, total=oracle.NB_N, threshold=threshold)
    assert float(found) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("prevalence", "expected"), oracle.PPV_NPV.items())
def test_predictive_values_at_a_prevalence(prevalence, expected):
    assert metric.predictive_values(0.9, 0.7, prevalence=prevalence) == pytest.approx(expected, abs=5e-7)


def test_zero_is_a_value():
    assert [float(value) for value in metric.predictive_values(0.9, 0.7, prevalence=0.0)] == [0.0, 1.0]
    assert float(metric.net_benefit(3, 7, total=10, threshold=0.0)) == 0.3


def test_validators_fire_threshold_and_prevalence():
    for threshold in (-0.1, 1.0):
        with pytest.raises(ConfigError):
            metric.net_benefit(1, 1, total=2, threshold=threshold)
    for prevalence in (-0.1, 1.1):
        with pytest.raises(ConfigError):
            metric.predictive_values(0.9, 0.7, prevalence=prevalence)


def test_auroc_value_is_a_plain_number():
    label, score, _ = _sample()
    assert metric.auroc_value(label, score) == pytest.approx(roc_auc_score(label, score))
    assert np.isnan(metric.auroc_value(np.ones(3), np.arange(3)))
    assert np.isnan(metric.auroc_value([], []))
    with pytest.raises(DataError):
        metric.auroc_value([0, 1], [0.1, np.nan])


def test_targets_too_fine_for_two_decimals_keep_their_name():
    assert [metric.short(value) for value in (0.9, 0.05, 0.001, 0.975)] == ["0.90", "0.05", "0.001", "0.975"]
