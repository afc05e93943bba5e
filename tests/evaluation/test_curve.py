# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from evaluation import oracle
from medsetu.evaluation import curve as roc
from medsetu.evaluation.curve import curve


def _sample(n: int = 200):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, n).astype(float)
    return label, (label + rng.normal(size=n)).round(1)


def test_areas_agree_with_scikit_learn():
    label, score = _sample()
    found = curve(label, score)
    assert roc.auroc(found)[0] == pytest.approx(roc_auc_score(label, score))
    assert roc.average_precision(found)[0] == pytest.approx(average_precision_score(label, score))
    for high in (0.05, 0.1, 0.5):
        assert roc.partial_auroc(found, high=high)[0] == pytest.approx(roc_auc_score(label, score, max_fpr=high))
    assert roc.partial_auroc(found, high=1.0)[0] == pytest.approx(roc_auc_score(label, score))


def test_weights_agree_with_scikit_learn():
    label, score = _sample()
    weight = np.random.default_rng(1).integers(0, 4, (5, label.size)).astype(float)
    found = curve(label, score, weight=weight)
    assert np.allclose(roc.auroc(found), [roc_auc_score(label, score, sample_weight=row) for row in weight])
    assert np.allclose(roc.average_precision(found), [average_precision_score(label, score, sample_weight=row) for row in weight])


def test_partial_areas_reproduce_proc():
    found = curve(*oracle.ratings(oracle.WFNS_NEG, oracle.WFNS_POS))
    assert roc.partial_area(found, high=0.1)[0] == pytest.approx(oracle.WFNS_PAUC_SPEC_090_100)
    assert roc.partial_area(found, low=0.1, high=0.2)[0] == pytest.approx(oracle.WFNS_PAUC_SPEC_080_090)
    assert roc.partial_auroc(found, high=0.1)[0] == pytest.approx(oracle.WFNS_PAUC_SPEC_090_100_MCCLISH)


def test_roc_summaries_read_the_best_point_that_meets_the_target():
    found = curve(*oracle.ratings(oracle.WFNS_NEG, oracle.WFNS_POS))
    assert roc.specificity_at_sensitivity(found, sensitivity=0.9)[0] == pytest.approx(37 / 72)
    assert roc.specificity_at_sensitivity(found, sensitivity=0.0)[0] == 1.0  # zero is a value
    assert roc.sensitivity_at_specificity(found, specificity=0.0)[0] == 1.0
    assert roc.sensitivity_at_specificity(found, specificity=1.0)[0] == 0.0  # the highest grade holds negatives


def test_one_class_is_nan():
    for label in (np.ones(4), np.zeros(4), np.zeros(0)):
        found = curve(label, np.arange(label.size))
        assert np.isnan(roc.auroc(found)).all()
        assert np.isnan(roc.partial_auroc(found, high=0.1)).all()
        assert np.isnan(roc.sensitivity_at_specificity(found, specificity=0.9)).all()
        assert np.isnan(roc.specificity_at_sensitivity(found, sensitivity=0.9)).all()


def test_sensitivity_on_a_grid_interpolates_the_curve():
    found = curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert roc.sensitivity_at_rates(found, rates=[0.0, 0.5, 1.0]).round(6).tolist() == [[0.5, 1.0, 1.0]]
