# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from medsetu.evaluation import curve as roc
from medsetu.evaluation.bootstrap import bootstrap, expanded_level, patient_strata, patient_weights, percentile, roc_band, widen
from medsetu.evaluation.metric import Statistics, brier
from medsetu.evaluation.score import ScoreMatrix


def _matrix(label, scores, *, patient=None, seed=None):
    rows = np.atleast_2d(np.asarray(scores, float))
    names = np.array([f"s{index:05d}" for index in range(len(label))])
    seeds = np.arange(rows.shape[0]) if seed is None else np.asarray(seed)
    owner = names if patient is None else np.array([f"p{code:05d}" for code in patient])
    return ScoreMatrix(np.asarray(label, float), rows, seeds, owner, names, tuple(map(str, seeds)), np.full(rows.shape, -1))


def _auroc(label, score, weight) -> Statistics:
    return {"auroc": roc.auroc(roc.curve(label, score, weight=weight))}


def _oracle():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    return label, label * 1.0 + rng.normal(size=200)


def test_clustered_bootstrap_reproduces_the_oracle_and_ignores_duplication():
    label, score = _oracle()
    once = bootstrap(_matrix(label, score), _auroc, seed=1)["auroc"]
    assert once.value == pytest.approx(0.7573641056787124)
    assert (once.low, once.high) == (pytest.approx(0.68721, abs=5e-6), pytest.approx(0.82114, abs=5e-6))
    many = bootstrap(_matrix(np.tile(label, 4), np.tile(score, 4), patient=np.tile(np.arange(200), 4)), _auroc, seed=1)["auroc"]
    assert (many.low, many.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert (many.n_patients, many.n_samples) == (200, 800)
    image = bootstrap(_matrix(np.tile(label, 4), np.tile(score, 4)), _auroc, seed=1)["auroc"]
    assert image.high - image.low < 0.6 * (once.high - once.low)  # what resampling images would have claimed


def test_patients_are_drawn_whole():
    cluster = np.array([0, 0, 1, 2, 2, 2])
    weight = next(patient_weights(cluster, replicates=50, seed=0))
    assert (weight[:, 0] == weight[:, 1]).all()
    assert (weight[:, 3] == weight[:, 5]).all()
    assert (weight[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_blocks_do_not_change_the_draws(monkeypatch):
    cluster = np.arange(40)
    whole = np.concatenate(list(patient_weights(cluster, replicates=100, seed=3)))
    monkeypatch.setattr("medsetu.evaluation.bootstrap._BLOCK", 40 * 7)
    assert np.array_equal(np.concatenate(list(patient_weights(cluster, replicates=100, seed=3))), whole)


def test_strata_keep_their_patients():
    label, cluster = np.array([1.0, 0, 0, 0, 1]), np.array([0, 0, 1, 2, 3])
    strata = patient_strata(label, cluster)
    assert strata.tolist() == [1, 0, 0, 1]
    weight = np.concatenate(list(patient_weights(cluster, replicates=200, seed=0, strata=strata)))
    assert (weight[:, [0, 4]].sum(axis=1) == 2).all()


def test_same_seed_same_interval_other_seed_other():
    label, score = _oracle()
    one, same, other = (bootstrap(_matrix(label, score), _auroc, seed=seed, replicates=200)["auroc"] for seed in (5, 5, 6))
    assert one == same
    assert one.low != other.low


def test_undefined_resamples_are_counted():
    label, score = np.r_[1.0, np.zeros(30)], np.linspace(1, 0, 31)
    found = bootstrap(_matrix(label, score), _auroc, replicates=500)["auroc"]
    assert "of resamples undefined and left out" in found.note
    assert np.isfinite(found.low)


def test_undefined_value_has_no_interval():
    found = bootstrap(_matrix(np.ones(5), np.arange(5)), _auroc, replicates=50)["auroc"]
    assert np.isnan([found.value, found.low, found.high]).all()
    empty = bootstrap(_matrix([], np.zeros((1, 0))), _auroc, replicates=50)["auroc"]
    assert np.isnan(empty.value)
    assert (empty.n_patients, empty.n_samples) == (0, 0)


def test_zero_replicates_give_values_only():
    label, score = _oracle()
    found = bootstrap(_matrix(label, score), _auroc, replicates=0)["auroc"]
    assert np.isfinite(found.value)
    assert np.isnan(found.low)
    assert "no resamples asked for" in found.note


def test_seeds_widen_and_ranges_hold():
    label, score = _oracle()
    wobble = np.array([-1.0, 0.0, 1.0])[:, None] * label
    ranges = {"auroc": (0.0, 1.0)}
    patients = bootstrap(_matrix(label, np.stack([score] * 3)), _auroc, ranges=ranges)["auroc"]
    both = bootstrap(_matrix(label, score + wobble), _auroc, ranges=ranges)["auroc"]
    assert both.high - both.low > 1.5 * (patients.high - patients.low)
    assert 0 <= both.low < both.high <= 1


def test_widening_adds_the_variance_of_the_seed_mean():
    values = np.linspace(0, 1, 12)
    found = widen(np.full(200_000, 0.5), values, seed=np.arange(12), rng=np.random.default_rng(0))
    assert found.std() == pytest.approx(np.sqrt(values.var(ddof=1) / 12 * 11 / 9), rel=0.02)  # Student's t has variance df / (df - 2)


def test_percentile_interval_of_a_mean_is_close_to_its_theory():
    score = np.random.default_rng(0).random(400)
    found = bootstrap(_matrix(np.zeros(400), score), lambda y, p, w: {"brier": brier(y, p, w)}, seed=2)["brier"]
    half = 1.96 * (score**2).std() / 20
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)


def test_roc_band_holds_its_curve_and_is_nan_without_a_class():
    label, score = _oracle()
    rates = np.linspace(0, 1, 21)
    found = roc_band(_matrix(label, np.stack([score, score + 0.3])), rates=rates, replicates=200)
    assert (np.diff(found.sensitivity) >= 0).all()
    assert ((found.low <= found.sensitivity + 1e-9) & (found.sensitivity <= found.high + 1e-9)).all()
    assert (found.high - found.low).max() < 0.5
    assert np.isnan(roc_band(_matrix(np.ones(5), np.arange(5)), rates=rates).sensitivity).all()
    assert np.isnan(roc_band(_matrix(label, score), rates=rates, replicates=0).low).all()


def test_expanded_percentiles_of_a_small_mean_reach_as_far_as_student():
    rng = np.random.default_rng(0)
    values = rng.normal(size=12)
    drawn = values[rng.integers(0, 12, (20_000, 12))].mean(axis=1)
    ends, _ = percentile(drawn, level=expanded_level(0.95, patients=12))
    student = 2.201 * values.std(ddof=1) / np.sqrt(12)
    assert (ends[1] - ends[0]) / 2 == pytest.approx(student, rel=0.05)
