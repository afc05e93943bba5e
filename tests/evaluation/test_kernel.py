# SPDX-License-Identifier: Apache-2.0
import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evaluation import oracle
from medsetu.core.errors import DataError
from medsetu.evaluation.kernel import kernel_parts, seed_weights


def _binormal(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n).astype(float)
    return label, label + rng.normal(size=n)


def test_delong_reproduces_proc():
    parts = kernel_parts(*oracle.ratings(oracle.WFNS_NEG, oracle.WFNS_POS))
    assert parts.auroc[0] == pytest.approx(oracle.WFNS_AUC, abs=1e-14)
    assert parts.variance()[0] == pytest.approx(oracle.WFNS_VAR, abs=1e-16)
    ends = parts.auroc[0] + 1.959963985 * np.sqrt(parts.variance()[0]) * np.array([-1, 1])
    assert np.allclose(ends, oracle.WFNS_CI95, atol=1e-7)


def test_delong_reproduces_the_ct_ratings():
    parts = kernel_parts(*oracle.ratings(oracle.HM82_NORMAL, oracle.HM82_ABNORMAL))
    assert parts.auroc[0] == pytest.approx(oracle.HM82_AUC, abs=1e-6)
    assert parts.variance()[0] ** 0.5 == pytest.approx(oracle.HM82_DELONG_SE, abs=1e-6)


def test_auroc_agrees_with_scikit_learn_with_ties():
    label, score = _binormal(300)
    table = np.stack([score, score.round(), -score])
    assert np.allclose(kernel_parts(label, table).auroc, [roc_auc_score(label, row) for row in table], atol=1e-12)


def test_covariance_agrees_with_the_definition():
    label, score = _binormal(40)
    table = np.stack([score, score + np.random.default_rng(1).normal(size=40)])
    positive, negative = table[:, label == 1], table[:, label == 0]
    psi = (positive[:, :, None] > negative[:, None, :]) + 0.5 * (positive[:, :, None] == negative[:, None, :])
    expected = np.cov(psi.mean(axis=2)) / positive.shape[1] + np.cov(psi.mean(axis=1)) / negative.shape[1]
    assert np.allclose(kernel_parts(label, table).covariance(), expected, atol=1e-14)


def test_obuchowski_agrees_with_its_formula():
    label, score = _binormal(60)
    cluster = np.arange(60) // 3
    parts = kernel_parts(label, score, cluster=cluster)
    psi = (score[label == 1][:, None] > score[label == 0][None, :]).astype(float)
    theta, m, n = psi.mean(), int(label.sum()), int((1 - label).sum())
    x = np.bincount(cluster[label == 1], weights=psi.mean(axis=1) - theta, minlength=20)
    y = np.bincount(cluster[label == 0], weights=psi.mean(axis=0) - theta, minlength=20)
    with_positive, with_negative = np.unique(cluster[label == 1]).size, np.unique(cluster[label == 0]).size
    s10 = with_positive / ((with_positive - 1) * m) * (x**2).sum()
    s01 = with_negative / ((with_negative - 1) * n) * (y**2).sum()
    s11 = 20 / 19 * (x * y).sum()
    assert parts.variance()[0] == pytest.approx(s10 / m + s01 / n + 2 * s11 / (m * n), abs=1e-15)


def test_duplicating_every_patient_changes_obuchowski_not_at_all_and_delong_wrongly():
    label, score = _binormal(200)
    once = kernel_parts(label, score)
    patients = np.tile(np.arange(200), 4)
    clustered = kernel_parts(np.tile(label, 4), np.tile(score, 4), cluster=patients)
    naive = kernel_parts(np.tile(label, 4), np.tile(score, 4))
    assert clustered.variance()[0] == pytest.approx(once.variance()[0], rel=1e-12)
    assert clustered.degrees()[0] == pytest.approx(once.degrees()[0], rel=1e-12)
    assert naive.variance()[0] == pytest.approx(once.variance()[0] / 4, rel=0.02)


def test_clusters_of_one_equal_delong():
    label, score = _binormal(80)
    names = np.array([f"p{index}" for index in range(80)])
    assert kernel_parts(label, score, cluster=names).variance() == pytest.approx(kernel_parts(label, score).variance(), rel=1e-12)


def test_averaging_seeds_weighs_seeds_not_folds():
    label, score = _binormal(50)
    parts = kernel_parts(label, np.stack([score, score, -score]))
    assert parts.averaged([0, 0, 1]).auroc[0] == pytest.approx(0.5)
    assert seed_weights(3).tolist() == pytest.approx([1 / 3] * 3)


def test_unknown_labels_are_left_out():
    parts = kernel_parts([0, 1, np.nan, 0, 1], [0.1, 0.9, 0.5, 0.3, 0.2])
    assert (parts.n_samples, parts.n_positive) == (4, 2)
    assert parts.auroc[0] == 0.75


@pytest.mark.parametrize("score", [[0.1, np.nan], [0.1, np.inf]])
def test_validators_fire_scores(score):
    with pytest.raises(DataError):
        kernel_parts([0, 1], score)


def test_validators_fire_labels_lengths_clusters():
    for label, score, cluster in (
        ([0, 2], [0.1, 0.2], None),
        ([0, -1], [0.1, 0.2], None),
        ([0, 1, 1], [0.1, 0.2], None),
        ([0, 1], [0.1, 0.2], ["a", None]),
    ):
        with pytest.raises(DataError):
            kernel_parts(label, score, cluster=cluster)
    assert kernel_parts([0, 1], [0, 1]).auroc[0] == 1.0  # the integers are scores too


def test_curves_on_different_samples_have_no_covariance():
    with pytest.raises(DataError):
        kernel_parts([0, 0, 1, 1], [1, 2, 3, 4]).covariance(kernel_parts([0, 1], [1, 2]))


def test_hundred_thousand_samples_take_less_than_a_second():
    label, score = _binormal(100_000)
    start = time.process_time()
    kernel_parts(label, score, cluster=np.arange(100_000) // 3).variance()
    assert time.process_time() - start < 1.0
