# SPDX-License-Identifier: Apache-2.0
"""The fast bootstrap is the slow one: same resamples, same AUROC to the last digit, patients never torn apart."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medsetu.core.errors import DataError
from medsetu.evaluation.bootstrap import bootstrap, patient_counts, patient_weights
from medsetu.evaluation.curve import auroc, curve
from medsetu.evaluation.resample import auroc_intervals, auroc_replicates, pack, rank
from medsetu.evaluation.score import ScoreMatrix


def _world(*, seed=0, patients=60, findings=3, grid=12):
    """Findings on films of 1 to 4 per patient; a coarse grid of scores makes ties within and between classes."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    label = (rng.random((findings, cluster.size)) < 0.3).astype(float)
    score = np.round((rng.normal(size=label.shape) + label) * grid / 6) / grid
    return label, score, cluster


def _weights(cluster, *, replicates, seed):
    return np.concatenate(list(patient_weights(cluster, replicates=replicates, seed=seed)))


def test_each_replicate_is_the_weighted_auroc_of_scikit_learn_with_ties():
    label, score, cluster = _world()
    fast = auroc_replicates(label, score, cluster=cluster, replicates=50, seed=4)
    for step, weight in enumerate(_weights(cluster, replicates=50, seed=4)):
        slow = [roc_auc_score(truth, values, sample_weight=weight) for truth, values in zip(label, score, strict=True)]
        assert fast[:, step] == pytest.approx(slow, abs=1e-12)


def test_each_replicate_is_the_auroc_of_the_repeated_rows():
    label, score, cluster = _world(seed=1, findings=1)
    fast = auroc_replicates(label, score, cluster=cluster, replicates=30, seed=2)[0]
    for found, weight in zip(fast, _weights(cluster, replicates=30, seed=2), strict=True):
        rows = np.repeat(np.arange(cluster.size), weight.astype(int))
        assert found == pytest.approx(roc_auc_score(label[0][rows], score[0][rows]), abs=1e-12)


def test_the_definition_is_that_of_the_general_bootstrap():
    label, score, cluster = _world(seed=3, findings=1)
    names = np.array([f"s{index:04d}" for index in range(cluster.size)])
    patient = np.array([f"p{code:04d}" for code in cluster])
    matrix = ScoreMatrix(label[0], score, np.zeros(1, dtype=np.int64), patient, names, ("0",), np.full(score.shape, -1))
    slow = bootstrap(matrix, lambda truth, values, weight: {"auroc": auroc(curve(truth, values, weight=weight))}, replicates=300, seed=5)
    fast = auroc_intervals(label, score, cluster=patient, replicates=300, seed=5)[0]
    for name in ("value", "low", "high"):
        assert getattr(fast, name) == pytest.approx(getattr(slow["auroc"], name), abs=1e-12)
    assert (fast.n_patients, fast.n_samples, fast.n_positive) == matrix.counts


def test_the_oracle_and_four_copies_of_each_patient():
    """Oracle 4.5: copying every patient's film four times leaves the interval by patient as it is."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200).astype(float)
    score = label * 1.0 + rng.normal(size=200)
    once = auroc_intervals([label], [score], cluster=np.arange(200), replicates=2000, seed=1)[0]
    assert once.value == pytest.approx(0.7573641056787124)
    assert (round(once.low, 5), round(once.high, 5)) == (0.68721, 0.82114)
    copied = np.tile(np.arange(200), 4)
    many = auroc_intervals([label[copied]], [score[copied]], cluster=copied, replicates=2000, seed=1)[0]
    assert (many.low, many.high) == (pytest.approx(once.low, abs=1e-14), pytest.approx(once.high, abs=1e-14))
    images = auroc_intervals([label[copied]], [score[copied]], cluster=np.arange(800), replicates=500, seed=1)[0]
    assert images.high - images.low < 0.6 * (once.high - once.low)


def test_neither_threads_nor_blocks_change_the_result(monkeypatch):
    label, score, cluster = _world(seed=6)
    whole = auroc_replicates(label, score, cluster=cluster, replicates=101, threads=1)
    monkeypatch.setattr("medsetu.evaluation.resample._BLOCK", 60 * 7)  # blocks of 7: no multiple of the lanes
    assert np.array_equal(auroc_replicates(label, score, cluster=cluster, replicates=101, threads=2), whole)


def test_unknown_labels_leave_their_finding_only():
    label, score, cluster = _world(seed=7)
    partly = label.copy()
    partly[1, ::3] = np.nan
    both = auroc_replicates(partly, score, cluster=cluster, replicates=20)
    assert np.array_equal(both[[0, 2]], auroc_replicates(label, score, cluster=cluster, replicates=20)[[0, 2]])
    known = ~np.isnan(partly[1])
    weight = _weights(cluster, replicates=20, seed=0)[0]
    assert both[1, 0] == pytest.approx(roc_auc_score(label[1][known], score[1][known], sample_weight=weight[known]), abs=1e-12)


def test_a_resample_of_one_class_is_undefined_and_left_out():
    label, score = np.r_[1.0, np.zeros(20)], np.linspace(0, 1, 21)
    draws = auroc_replicates([label], [score], cluster=np.arange(21), replicates=200)[0]
    assert 0 < np.isnan(draws).mean() < 0.6
    found = auroc_intervals([label], [score], cluster=np.arange(21), replicates=200)[0]
    assert "of resamples undefined" in found.note


def test_one_class_is_nan_with_its_counts():
    found = auroc_intervals(np.ones((1, 6)), [np.linspace(0, 1, 6)], cluster=np.arange(6), replicates=20)[0]
    assert np.isnan([found.value, found.low, found.high]).all()
    assert (found.note, found.n_samples, found.n_positive) == ("undefined: a class is absent", 6, 6)


def test_packed_resamples_come_apart_again():
    counts = next(patient_counts(50, replicates=7, seed=0, rows=7)).astype(int)
    packed, lanes = pack(counts, bits=20)
    assert (lanes, packed.shape) == (3, (3, 50))
    apart = np.concatenate([(row >> (20 * np.arange(3)[:, None])) & (2**20 - 1) for row in packed])
    assert np.array_equal(apart[:7], counts)
    assert not apart[7:].any()


def test_constant_scores_are_worth_one_half():
    assert rank([0, 1, 1], [0.5, 0.5, 0.5], cluster=[0, 1, 2]).auroc(np.ones(3, dtype=np.int64))[0] == 0.5


@pytest.mark.parametrize("films", [3, 5])
def test_lengths_that_differ_are_refused(films):
    with pytest.raises(DataError, match="differ in length"):
        auroc_replicates(np.zeros((1, 4)), np.zeros((1, films)), cluster=np.arange(4))


def test_nan_scores_are_refused():
    with pytest.raises(DataError, match="NaN"):
        auroc_replicates([[0, 1]], [[0.1, np.nan]], cluster=[0, 1])


def test_no_films_have_no_auroc():
    assert np.isnan(auroc_replicates(np.zeros((2, 0)), np.zeros((2, 0)), cluster=[], replicates=3)).all()
