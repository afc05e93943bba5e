# SPDX-License-Identifier: Apache-2.0
"""Paired gains: none planted, the interval covers 0; more planted, the gain grows; patients, not films."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

from adaptation.cohort import crossfit, part, study
from medsetu.adaptation.fold import with_folds
from medsetu.adaptation.gain import LOSSES, paired_gain, threshold_gain, value_of
from medsetu.core.errors import ConfigError
from medsetu.evaluation.decision import Rule
from medsetu.evaluation.score import score_matrix

RULE = Rule("sensitivity", 0.9)


def matrices(n=150, *, slope=1.0, seed=0, repeat=1, seeds=(0,)):
    base = part(n, domain="local", split="test", seed=seed, slope=slope, repeat=repeat, seeds=seeds)
    return base, base.assign(score=special.expit(special.logit(base["score"]) / slope))


@pytest.mark.parametrize("metric", ["auroc", *LOSSES])
def test_a_repair_that_changes_nothing_wins_exactly_nothing(metric):
    base, _ = matrices()
    found = paired_gain(metric, score_matrix(base), repaired=score_matrix(base), replicates=100, seed=0)
    assert (found.estimate.value, found.estimate.low, found.estimate.high) == (0, 0, 0)
    assert found.before == found.after


@pytest.mark.parametrize("metric", list(LOSSES))
def test_the_gain_grows_with_what_was_spoiled(metric):
    values = []
    for slope in (1.2, 1.6, 2.0):
        base, cooled = matrices(800, slope=slope)
        found = paired_gain(metric, score_matrix(base), repaired=score_matrix(cooled), replicates=100, seed=0)
        assert found.before > found.after
        values.append(found.estimate.value)
    assert values == sorted(values)
    assert found.estimate.low > 0 or metric == "calibration_intercept"  # a temperature moves the intercept little


def test_noise_that_helps_nobody_is_covered_by_the_interval():
    """60 cohorts of equally good arms: the 95 % interval of the Brier gain misses 0 in at most 9 (p < 0.001 at 95 % coverage)."""
    missed = 0
    for seed in range(60):
        base = part(80, domain="local", split="test", seed=seed)
        rng = np.random.default_rng([seed, 5])
        logit, noise = special.logit(base["score"]), rng.normal(0, 0.5, (2, len(base)))
        a, b = (score_matrix(base.assign(score=special.expit(logit + one))) for one in noise)
        found = paired_gain("brier", a, repaired=b, replicates=200, seed=seed).estimate
        missed += not found.low <= 0 <= found.high
    assert missed <= 9


def test_films_of_a_patient_and_seeds_widen_the_interval():
    base, cooled = matrices(100, slope=3.0)
    again = [pd.concat([rows.assign(sample_id=rows["sample_id"] + f"-{copy}") for copy in range(4)]) for rows in (base, cooled)]
    widths = []
    for patients in (True, False):
        a, b = (score_matrix(rows if patients else rows.assign(patient_id=rows["sample_id"])) for rows in again)
        found = paired_gain("log_loss", a, repaired=b, replicates=300, seed=0).estimate
        widths.append(found.high - found.low)
    assert widths[0] > 1.6 * widths[1]
    base, cooled = matrices(100, slope=3.0, seeds=(0, 1, 2))
    assert "3 seeds" in paired_gain("brier", score_matrix(base), repaired=score_matrix(cooled), replicates=50, seed=0).estimate.note


def test_a_film_that_one_arm_lacks_leaves_both():
    base, cooled = matrices()
    found = paired_gain("brier", score_matrix(base), repaired=score_matrix(cooled.iloc[3:]), replicates=20, seed=0).estimate
    assert found.n_samples == 147
    assert "3 films" in found.note


def test_one_class_has_no_auroc_but_a_brier_score():
    base, cooled = (rows[rows["label"] == 1] for rows in matrices(slope=2.0))
    found = {
        name: paired_gain(name, score_matrix(base), repaired=score_matrix(cooled), replicates=20, seed=0) for name in ("auroc", "brier")
    }
    assert np.isnan(found["auroc"].estimate.value)
    assert np.isfinite(found["brier"].estimate.value)
    with pytest.raises(ConfigError):
        value_of("accuracy", np.array([1.0]), score=np.array([0.5]))


def thresholds(rows, replicates=300):
    local, val = rows[rows["domain"] == "local"], rows[rows["domain"] == "global"]
    test = score_matrix(local[local["split"] == "test"])
    return threshold_gain(RULE, test, transported=val, refitted=local[local["split"] == "val"], replicates=replicates, seed=0)


def test_a_refitted_threshold_wins_back_the_sensitivity_that_transport_lost():
    """Local logits stand 2 lower: the global threshold misses most cases."""
    found = thresholds(study(400, val=200, prevalence=0.5, offset=-2.0))["sensitivity"]
    assert found.before < 0.6
    assert found.after == pytest.approx(0.9, abs=0.08)
    assert found.estimate.low > 0
    assert found.estimate.value == pytest.approx(found.after - found.before)


def test_threshold_gain_reads_no_test_label_when_it_chooses():
    """T14: with permuted test labels the calls are the same, so the sum of hits and alarms is too."""
    rows = study(200, prevalence=0.5, offset=-1.0)
    test = (rows["domain"] == "local") & (rows["split"] == "test")
    changed = rows.copy()
    changed.loc[test, "label"] = np.random.default_rng(0).permutation(rows.loc[test, "label"])
    positive = rows.loc[test, "label"].mean()
    called = [
        one["sensitivity"].after * positive + (1 - one["specificity"].after) * (1 - positive)
        for one in (thresholds(rows, 5), thresholds(changed, 5))
    ]
    assert called[0] == pytest.approx(called[1])


def test_without_a_shift_the_threshold_gain_covers_0_and_validation_makes_it_wide():
    rows = study(400, val=60, prevalence=0.5)
    found = thresholds(rows)["sensitivity"].estimate
    assert found.low <= 0 <= found.high
    assert "not established" in found.note
    more = thresholds(study(400, val=2000, prevalence=0.5))["sensitivity"].estimate
    assert more.high - more.low < found.high - found.low


def test_a_crossfitted_side_takes_the_threshold_of_each_fold():
    spoiled, splits = crossfit(study(150, prevalence=0.5, offset=-2.0, seeds=(0, 1)))
    found = thresholds(with_folds(spoiled, splits=splits), replicates=50)
    assert found["sensitivity"].estimate.low > 0


def test_what_has_no_validation_or_one_class_is_nan():
    rows = study(60, prevalence=0.5)
    assert np.isnan(thresholds(rows[rows["split"] == "test"], 5)["sensitivity"].estimate.value)
    one = pd.concat([rows[rows["split"] == "val"], rows[(rows["split"] == "test") & (rows["label"] == 1)]])
    assert "one class" in thresholds(one, 5)["specificity"].estimate.note
