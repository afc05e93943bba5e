# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from evaluation import oracle
from medsetu.core.errors import ConfigError
from medsetu.evaluation import decision
from medsetu.evaluation.curve import curve
from medsetu.evaluation.decision import Rule, fit_all, fit_threshold, read_threshold

SENSITIVE = Rule("sensitivity", 0.9)


def _validation(n: int = 80, *, models: int = 2):
    rng = np.random.default_rng(0)
    label = (np.arange(n) % 2).astype(float)
    rows = [
        pd.DataFrame(
            {"seed": seed, "fold": 0, "sample_id": [f"s{i}" for i in range(n)], "patient_id": [f"p{i // 2}" for i in range(n)],
             "label": label, "score": np.clip(0.3 + 0.4 * label + 0.15 * rng.normal(size=n), 0, 1)}
        )
        for seed in range(models)
    ]  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def test_rule_reproduces_the_operating_point_of_the_table():
    label, score = oracle.ratings(oracle.WFNS_NEG, oracle.WFNS_POS)
    found = fit_threshold(label, score, rule=SENSITIVE, origin="val/global")
    assert (found.value, found.origin, found.n_positive) == (2, "val/global", 41)
    assert found.note == "threshold not established: 41 validation positives"


def test_rules_meet_their_targets_as_tightly_as_the_scores_allow():
    rng = np.random.default_rng(1)
    label = (np.arange(200) % 2).astype(float)
    score = label + rng.normal(size=200)
    for target in (0.0, 0.5, 0.9, 1.0):
        sensitive = fit_threshold(label, score, rule=Rule("sensitivity", target), origin="val/local").value
        specific = fit_threshold(label, score, rule=Rule("specificity", target), origin="val/local").value
        assert (score[label == 1] >= sensitive).mean() >= target
        assert (score[label == 0] < specific).mean() >= target
        higher, lower = score[score > sensitive], score[score < specific]
        if target > 0 and higher.size:
            assert (score[label == 1] >= higher.min()).mean() < target
        if lower.size:
            assert (score[label == 0] < lower.max()).mean() < target


def test_zero_is_a_value():
    found = fit_threshold([0, 1, 1], [0.0, 0.0, 0.5], rule=Rule("sensitivity", 1.0), origin="val/local")
    assert found.value == 0.0
    nobody = fit_threshold([0, 1, 1], [0.0, 0.0, 0.5], rule=Rule("sensitivity", 0.0), origin="val/local")
    assert nobody.value > 0.5


def test_youden_takes_the_largest_index():
    found = fit_threshold([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], rule=Rule("youden"), origin="val/local")
    assert found.value in (0.3, 0.5)
    assert fit_threshold([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], rule=Rule("youden"), origin="val/local").value == 0.3


def test_rule_without_its_class_gives_no_threshold():
    found = fit_threshold([0, 0], [0.1, 0.2], rule=SENSITIVE, origin="val/local")
    assert np.isnan(found.value)
    assert "lacks a class" in found.note
    assert np.isnan(read_threshold(curve([], []), rule=SENSITIVE)).all()


def test_threshold_ignores_test():
    with pytest.raises(ConfigError, match="may not be chosen on test"):
        fit_threshold([0, 1], [0.1, 0.9], rule=SENSITIVE, origin="test/local")


def test_validators_fire_rules():
    for kind, target in (("sensitivty", 0.9), ("sensitivity", 1.2), ("specificity", -0.1)):
        with pytest.raises(ConfigError):
            Rule(kind, target)


def test_every_model_has_its_threshold_on_the_same_resamples():
    fitted = fit_all(
        _validation(), rules=(SENSITIVE, Rule("specificity", 0.9)), kind="transported", origin="val/global", replicates=300, seed=0
    )
    assert [one.rule.name for one in fitted] == ["sensitivity_0.90", "specificity_0.90"]
    assert set(fitted[0].value) == {(0, 0), (1, 0)}
    assert fitted[0].replicate[(0, 0)].shape == (300,)
    assert np.isfinite(fitted[0].replicate[(1, 0)]).all()  # both classes in every resample
    assert fitted[0].counts == (40, 80, 40)
    twins = _validation(models=1)
    both = pd.concat([twins, twins.assign(seed=9)])
    again = fit_all(both, rules=(SENSITIVE,), kind="transported", origin="val/global", replicates=100, seed=0)[0]
    assert np.array_equal(again.replicate[(0, 0)], again.replicate[(9, 0)])


def test_no_labels_no_thresholds():
    assert fit_all(_validation().assign(label=np.nan), rules=(SENSITIVE,), kind="refitted", origin="val/local", replicates=10, seed=0) == []


def test_memory_does_not_grow_with_the_resamples(monkeypatch):
    """Resamples of a large validation side come in blocks; all of them at once took gigabytes."""
    rng, rows = np.random.default_rng(0), []
    large = pd.DataFrame({"seed": 0, "fold": -1, "sample_id": np.arange(3000).astype(str), "patient_id": np.arange(3000).astype(str)})
    large = large.assign(label=(rng.random(3000) < 0.3).astype(float), score=rng.random(3000))
    plain = decision.curve
    monkeypatch.setattr(decision, "curve", lambda *given, **more: rows.append(more.get("weight", np.ones((1, 1)))) or plain(*given, **more))
    found = fit_all(large, rules=(SENSITIVE,), kind="transported", origin="val/global", replicates=1000, seed=0)[0]
    assert found.replicate[(0, -1)].size == 1000
    assert max(weight.size for weight in rows) <= 2_000_000
