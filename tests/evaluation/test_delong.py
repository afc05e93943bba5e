# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from evaluation import oracle
from medsetu.evaluation.delong import auroc_estimate, claim_note, delong_test, paired_difference, unpaired_difference
from medsetu.evaluation.kernel import kernel_parts

Z = 1.959963985


def _delong88():
    table = oracle.DELONG88
    return kernel_parts(table[:, 3], np.stack([table[:, 0], table[:, 1], 10 - table[:, 2]]))


def _binormal(n: int, gap: float = 1.5, *, seed: int = 0, models: int = 1):
    rng = np.random.default_rng(seed)
    label = (np.arange(n) % 2).astype(float)
    film = rng.normal(size=n)
    return label, gap * label + film + 0.5 * rng.normal(size=(models, n))


def test_paired_delong_reproduces_sas():
    parts = _delong88()
    for row, (auc, se) in enumerate(oracle.DELONG88_AUC_SE.values()):
        assert parts.auroc[row] == pytest.approx(auc, abs=1e-6)
        assert parts.variance()[row] ** 0.5 == pytest.approx(se, abs=1e-6)
    for contrast, expected in ([1, 0, -1], oracle.DELONG88_ALB_MINUS_KG), ([0, 1, -1], oracle.DELONG88_TP_MINUS_KG):
        chi2, df, p = delong_test(parts, contrasts=contrast)
        weight = np.array(contrast)
        se = float(np.sqrt(weight @ parts.covariance() @ weight))
        assert (df, weight @ parts.auroc) == (1, pytest.approx(expected["diff"], abs=1e-6))
        assert (se, chi2, p) == tuple(pytest.approx(expected[key], abs=1e-5) for key in ("se", "chi2", "p"))
    weight = np.array([1, 0, -1])
    half = Z * float(np.sqrt(weight @ parts.covariance() @ weight))
    assert weight @ parts.auroc + half * np.array([-1, 1]) == pytest.approx((-0.176117, 0.197623), abs=5e-6)


def test_joint_test_reproduces_sas():
    chi2, df, p = delong_test(_delong88(), contrasts=[[1, 0, -1], [0, 1, -1]])
    assert (df, chi2, p) == (
        2,
        pytest.approx(oracle.DELONG88_JOINT_2DF["chi2"], abs=1e-5),
        pytest.approx(oracle.DELONG88_JOINT_2DF["p"], abs=1e-5),
    )


def test_identical_curves_differ_by_nothing():
    label, scores = _binormal(100, models=3)
    found = paired_difference(label, scores, scores_b=scores)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert "identical" in found.note
    assert delong_test(kernel_parts(label, np.stack([scores[0], scores[0]])), contrasts=[1, -1]) == (0.0, 0, 1.0)


def test_untrained_head_is_refused():
    label, scores = _binormal(60)
    found = auroc_estimate(label, np.full(60, 0.5))
    assert np.isnan([found.value, found.low, found.high]).all()
    assert "untrained head" in found.note
    one_of_three = auroc_estimate(label, np.stack([scores[0], scores[0], np.zeros(60)]))
    assert np.isnan(one_of_three.value)


def test_one_class_is_nan():
    for label, word in ((np.ones(30), "no negatives"), (np.zeros(30), "no positives")):
        found = auroc_estimate(label, np.linspace(0, 1, 30))
        assert np.isnan(found.value)
        assert word in found.note
        assert (found.n_samples, found.n_positive) == (30, int(label.sum()))


def test_empty_group_is_nan():
    found = auroc_estimate([], [])
    assert np.isnan(found.value)
    assert (found.n_patients, found.n_samples, found.n_positive, found.note) == (0, 0, 0, "no samples")


def test_method_follows_the_size_of_the_classes():
    few = auroc_estimate(*_binormal(18))
    assert np.isfinite(few.value)
    assert np.isnan([few.low, few.high]).all()
    assert "fewer than 10" in few.note
    assert auroc_estimate(*_binormal(38)).method == "newcombe-5"
    assert auroc_estimate(*_binormal(40)).method == "logit-delong-t"
    label, _ = _binormal(100)
    perfect = auroc_estimate(label, label)
    assert (perfect.value, perfect.method) == (1.0, "newcombe-5")
    assert 0.9 < perfect.low < perfect.high == pytest.approx(1.0)


def test_a_class_is_counted_in_patients():
    label, scores = _binormal(80)
    found = auroc_estimate(label, scores, cluster=np.repeat(np.arange(16), 5))
    assert (found.n_patients, found.n_samples) == (16, 80)
    assert found.method == "newcombe-5, patients"
    assert auroc_estimate(label, scores, cluster=np.repeat(np.arange(40), 2)).method == "logit-obuchowski-t"


def test_seeds_widen_the_interval_and_name_the_claim():
    label, scores = _binormal(100, models=3)
    same = auroc_estimate(label, np.stack([scores[0]] * 3))
    spread = auroc_estimate(label, np.stack([scores[0], scores[1] + 0.7 * label, scores[2] - 0.7 * label]))
    assert spread.high - spread.low > 1.3 * (same.high - same.low)
    assert same.note.endswith("3 seeds: descriptive")
    assert claim_note(5) == "claim: this recipe on these films, 5 seeds"
    assert auroc_estimate(label, scores[0]).note == "claim: this model"


def test_folds_of_one_seed_are_not_seeds():
    label, scores = _binormal(100, models=6)
    found = auroc_estimate(label, scores, seed=[0, 0, 0, 1, 1, 1])
    assert "2 seeds" in found.note
    assert found.value == pytest.approx(kernel_parts(label, scores).auroc.mean())


def test_paired_is_narrower_than_unpaired():
    label, scores = _binormal(120, models=2)
    paired = paired_difference(label, scores[0], scores_b=scores[1])
    unpaired = unpaired_difference(label, scores[0], label_b=label, scores_b=scores[1])
    assert paired.value == pytest.approx(unpaired.value)
    assert paired.high - paired.low < 0.8 * (unpaired.high - unpaired.low)
    assert (paired.n_samples, unpaired.n_samples) == (120, 240)
    assert paired.low < paired.value < paired.high


def test_difference_is_antisymmetric():
    label, scores = _binormal(100, models=4)
    one = paired_difference(label, scores[:2], scores_b=scores[2:])
    other = paired_difference(label, scores[2:], scores_b=scores[:2])
    assert (other.value, other.low, other.high) == (pytest.approx(-one.value), pytest.approx(-one.high), pytest.approx(-one.low))


def test_seeds_common_to_both_arms_are_paired():
    label, scores = _binormal(100, models=4)
    wobble = np.array([-0.8, -0.3, 0.3, 0.8])[:, None] * label
    a, b = scores + wobble, scores[::-1].copy() * 0.5 + scores * 0.5 + wobble
    paired = paired_difference(label, a, scores_b=b)
    shuffled = paired_difference(label, a, scores_b=b, seeds=(range(4), range(10, 14)))
    assert paired.value == pytest.approx(shuffled.value)
    assert paired.high - paired.low < 0.6 * (shuffled.high - shuffled.low)


def test_difference_without_an_interval_says_why():
    label, scores = _binormal(60)
    small_label, small = _binormal(12)
    found = unpaired_difference(label, scores, label_b=small_label, scores_b=small)
    assert np.isfinite(found.value)
    assert np.isnan(found.low)
    assert "fewer than 10" in found.note
    assert np.isnan(unpaired_difference(label, scores, label_b=np.ones(5), scores_b=np.arange(5.0)).value)


def test_duplicated_patients_leave_the_paired_interval_alone():
    label, scores = _binormal(100, models=2)
    once = paired_difference(label, scores[0], scores_b=scores[1])
    many = paired_difference(np.tile(label, 3), np.tile(scores[0], 3), scores_b=np.tile(scores[1], 3), cluster=np.tile(np.arange(100), 3))
    assert (many.low, many.high) == (pytest.approx(once.low), pytest.approx(once.high))
