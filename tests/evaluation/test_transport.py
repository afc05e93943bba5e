# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from medsetu.evaluation.decision import Rule, fit_all
from medsetu.evaluation.interval import wilson
from medsetu.evaluation.score import score_matrix
from medsetu.evaluation.transport import centred, decide

RULE = Rule("sensitivity", 0.9)


def _rows(n: int, *, seeds: int = 1, folds: int = 1, start: int = 0, random: int = 0, finding: str = "tb"):
    parts = []
    for seed in range(seeds):
        for fold in range(folds):
            rng = np.random.default_rng([random, seed, fold])
            label = (np.arange(n) % 2).astype(float)
            score = np.clip(0.35 + 0.3 * label + 0.15 * rng.normal(size=n), 0, 1)
            names = [f"s{start + index:04d}" for index in range(n)]
            parts.append(
                pd.DataFrame(
                    {
                        "seed": seed,
                        "fold": fold,
                        "sample_id": names,
                        "patient_id": names,
                        "finding": finding,
                        "label": label,
                        "score": score,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _fit(rows, replicates=1000):
    return fit_all(rows, rules=(RULE,), kind="transported", origin="val/global", replicates=replicates, seed=0)[0]


def _carry(test, fitted, **settings):
    return decide(score_matrix(test), fitted, **({"prevalences": (0.1,), "level": 0.95, "seed": 0} | settings))


def test_names_origin_and_claim():
    found = _carry(_rows(100, start=500, random=1), _fit(_rows(60)))
    assert set(found) == {
        "threshold_at_transported_sensitivity_0.90",
        *(f"{name}_at_transported_sensitivity_0.90" for name in ("sensitivity", "specificity", "ppv", "npv")),
        *(f"{name}_at_transported_sensitivity_0.90_prevalence_0.10" for name in ("ppv", "npv")),
    }
    note = found["sensitivity_at_transported_sensitivity_0.90"].note
    assert "claim: this model" in note
    assert "threshold from val/global" in note
    assert "threshold not established: 30 validation positives" in note


def test_threshold_ignores_test():
    test = _rows(100, start=500, random=1)
    permuted = test.assign(label=np.random.default_rng(3).permutation(test["label"]))
    fitted = _fit(_rows(120))
    one, other = _carry(test, fitted), _carry(permuted, fitted)
    name = "threshold_at_transported_sensitivity_0.90"
    assert one[name] == other[name]
    assert one[name].note == "chosen on val/global"
    assert one["sensitivity_at_transported_sensitivity_0.90"].value != other["sensitivity_at_transported_sensitivity_0.90"].value


def test_without_validation_resamples_the_interval_is_wilson():
    found = _carry(_rows(100, start=500, random=1), _fit(_rows(120), replicates=0))["sensitivity_at_transported_sensitivity_0.90"]
    assert found.method == "wilson"
    assert (found.low, found.high) == pytest.approx([float(end) for end in wilson(found.value * 50, 50)])


def test_interval_holds_test_and_validation():
    name = "specificity_at_transported_sensitivity_0.90"
    test = _rows(400, start=500, random=1)
    few, many, none = (_carry(test, _fit(_rows(n), replicates=r))[name] for n, r in ((30, 2000), (800, 2000), (800, 0)))
    width = [one.high - one.low for one in (few, many, none)]
    assert width[0] > 1.15 * width[1] > 1.15 * width[2]
    for one in (few, many, none):
        assert one.low <= one.value <= one.high


def test_coverage_of_the_procedure():
    """Sensitivity of a threshold fitted on 60 and tested on 100: the interval holds the mean sensitivity of the procedure."""
    name = "sensitivity_at_transported_sensitivity_0.90"
    found = [_carry(_rows(100, start=500, random=2 * k + 1), _fit(_rows(60, random=2 * k + 2), replicates=200))[name] for k in range(60)]
    truth = np.mean([one.value for one in found])
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.88 <= covered <= 1.0


def test_each_fold_uses_its_own_threshold():
    validation = pd.concat([_rows(60).assign(fold=0), _rows(60).assign(fold=1, score=lambda rows: rows["score"] / 2)])
    test = _rows(100, start=500, random=1)
    half = test["sample_id"].str[-1].astype(int) % 4 < 2
    test = test.assign(fold=np.where(half, 0, 1), score=np.where(half, test["score"], test["score"] / 2))
    fitted = _fit(validation, replicates=0)
    assert fitted.value[(0, 1)] == pytest.approx(fitted.value[(0, 0)] / 2)
    joint, plain = _carry(test, fitted), _carry(_rows(100, start=500, random=1), _fit(_rows(60), replicates=0))
    name = "sensitivity_at_transported_sensitivity_0.90"
    assert joint[name].value == plain[name].value


def test_seeds_widen():
    name = "sensitivity_at_transported_sensitivity_0.90"
    three = _carry(_rows(100, seeds=3, start=500, random=1), _fit(_rows(60, seeds=3)))[name]
    assert "3 seeds: descriptive" in three.note
    assert 0 <= three.low <= three.value <= three.high <= 1


def test_missing_thresholds_say_why():
    test = _rows(40, seeds=2, start=500)
    unknown = _carry(test, _fit(_rows(60)))["sensitivity_at_transported_sensitivity_0.90"]
    assert np.isnan(unknown.value)
    assert unknown.note == "a model has no scores on val/global"
    negative = _rows(60).assign(label=0.0)
    lacking = _carry(_rows(40, start=500), _fit(negative))["npv_at_transported_sensitivity_0.90_prevalence_0.10"]
    assert "lacks a class" in lacking.note
    empty = _carry(_rows(4).assign(label=np.nan), _fit(_rows(60)))["sensitivity_at_transported_sensitivity_0.90"]
    assert (empty.n_samples, empty.note) == (0, "no samples")


def test_positives_only_gives_sensitivity():
    test = _rows(100, start=500, random=1)
    found = _carry(test[test["label"] == 1], _fit(_rows(60)))
    sensitivity = found["sensitivity_at_transported_sensitivity_0.90"]
    assert 0 < sensitivity.low < sensitivity.value < sensitivity.high <= 1
    assert np.isnan(found["specificity_at_transported_sensitivity_0.90"].value)
    assert np.isnan(found["ppv_at_transported_sensitivity_0.90_prevalence_0.10"].value)


def test_centring_keeps_the_spread():
    assert centred(np.array([np.nan, np.nan]), 0.5).size == 2
    assert np.nanmean(centred(np.array([0.1, np.nan, 0.3]), 0.9)) == pytest.approx(0.9)
