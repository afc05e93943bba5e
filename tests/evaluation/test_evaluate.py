# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from evaluation.cohort import films, scored, study
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.table import PREDICTION_COLUMNS, RESULT_COLUMNS, conform
from medsetu.evaluation.evaluate import evaluate_predictions
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.evaluation.score import BY_IMAGE

PLAN = EvaluationPlan(primary="tuberculosis", bootstrap=300)


@pytest.fixture(scope="module")
def predictions():
    return study()


@pytest.fixture(scope="module")
def results(predictions):
    return evaluate_predictions(predictions, PLAN)


def _one(results, metric, *, arm="transfer", domain="local", group="all", finding="tuberculosis"):
    found = results[
        (results["arm"] == arm)
        & (results["domain"] == domain)
        & (results["group"] == group)
        & (results["finding"] == finding)
        & (results["metric"] == metric)
    ]
    assert len(found) == 1, (metric, len(found))
    return found.iloc[0]


def _single(n=60, **facts):
    rows = films("local", n).assign(**facts)
    return conform(scored(rows, arm="local-only", seed=0, fold=-1, split="test"), PREDICTION_COLUMNS, name="predictions")


def test_columns_and_addresses(results):
    assert list(results.columns) == list(RESULT_COLUMNS)
    assert set(results["split"]) == {"test"}
    keys = ["arm", "domain", "group", "finding", "metric"]
    assert not results.duplicated(keys).any()
    assert set(zip(results["arm"], results["domain"], strict=True)) == {
        ("global-only", "global"), ("global-only", "local"), ("local-only", "local"), ("transfer", "local"), ("transfer", "global"),
    }  # fmt: skip


def test_intervals_hold_their_values(results):
    with_interval = results[results["low"].notna() & ~results["metric"].str.contains("null")]
    assert (with_interval["low"] <= with_interval["value"] + 1e-9).all()
    assert (with_interval["value"] <= with_interval["high"] + 1e-9).all()
    assert (with_interval["method"] != "").all()
    assert (results.loc[results["value"].isna(), "note"] != "").all()


def test_metrics_agree_with_scikit_learn(predictions, results):
    part = predictions.query("arm == 'global-only' and domain == 'local' and split == 'test'")
    for metric, reference in (("auroc", roc_auc_score), ("auprc", average_precision_score), ("brier", brier_score_loss)):
        expected = np.mean([reference(rows["label"], rows["score"]) for _, rows in part.groupby("seed")])
        assert _one(results, metric, arm="global-only")["value"] == pytest.approx(expected)
    partial = np.mean([roc_auc_score(rows["label"], rows["score"], max_fpr=0.1) for _, rows in part.groupby("seed")])
    assert _one(results, "partial_auroc_fpr_0.10", arm="global-only")["value"] == pytest.approx(partial)


def test_the_three_kinds_of_thresholds_stand_apart(results):
    metrics = set(results["metric"])
    assert "sensitivity_at_transported_sensitivity_0.90" in metrics
    assert "sensitivity_at_refitted_sensitivity_0.90" in metrics
    assert "roc_specificity_at_sensitivity_0.90" in metrics
    refitted = results[results["metric"].str.contains("refitted")]
    assert set(refitted["arm"]) == {"local-only", "transfer"}  # global-only may spend no local label
    assert set(refitted["domain"]) == {"local"}
    assert refitted["note"].str.contains("val/local").all()
    assert results.loc[results["metric"].str.contains("transported"), "note"].str.contains("val/global").all()


def test_threshold_ignores_test(predictions):
    rng = np.random.default_rng(0)
    test = predictions["split"] == "test"
    labels = predictions[test].drop_duplicates("sample_id").set_index("sample_id")["label"]
    permuted = pd.Series(rng.permutation(labels.to_numpy()), index=labels.index)
    shuffled = predictions.copy()
    shuffled.loc[test, "label"] = permuted[predictions.loc[test, "sample_id"]].to_numpy()
    one, other = (
        evaluate_predictions(rows, EvaluationPlan(primary="tuberculosis", bootstrap=50, groups=())) for rows in (predictions, shuffled)
    )
    for kind in ("transported", "refitted"):
        before, after = (_one(found, f"threshold_at_{kind}_sensitivity_0.90") for found in (one, other))
        assert before["value"] == after["value"]


def test_groups_have_core_metrics_and_say_when_they_are_not_assessable(results):
    women = results[(results["group"] == "sex=F") & (results["arm"] == "transfer") & (results["domain"] == "local")]
    assert {"auroc", "brier", "log_loss", "observed_expected", "sensitivity_at_transported_sensitivity_0.90"} <= set(women["metric"])
    assert not women["metric"].str.startswith(("ece", "calibration", "threshold")).any()
    assert not results["group"].str.startswith("view").any()  # one view only
    young = _one(results, "auroc", group="age_years=0-17")
    assert np.isnan(young["value"])
    assert young["note"] == "suppressed: fewer than 10 patients"
    assert young["n_samples"] > 0


def test_empty_group_is_nan():
    found = evaluate_predictions(_single(sex=""), PLAN)
    row = _one(found, "auroc", arm="local-only", group="sex")
    assert np.isnan(row["value"])
    assert (row["n_patients"], row["n_samples"], row["note"]) == (0, 0, "not assessable: sex is not recorded")


def test_one_class_is_nan():
    found = evaluate_predictions(_single(label=0.0), PLAN)
    row = _one(found, "auroc", arm="local-only")
    assert np.isnan([row["value"], row["low"], row["high"]]).all()
    assert row["note"] == "one class only: no positives"
    assert (row["n_samples"], row["n_positive"]) == (60, 0)


def test_positives_only_gives_sensitivity(predictions):
    rows = predictions[(predictions["split"] == "val") | (predictions["label"] == 1)]
    found = evaluate_predictions(rows, EvaluationPlan(primary="tuberculosis", bootstrap=100, groups=()))
    row = _one(found, "sensitivity_at_transported_sensitivity_0.90")
    assert 0 < row["low"] < row["value"] < row["high"] <= 1
    for metric in ("auroc", "specificity_at_transported_sensitivity_0.90", "partial_auroc_fpr_0.10"):
        assert np.isnan(_one(found, metric)["value"])


def test_untrained_head_is_refused():
    rows = _single().assign(score=0.5)
    found = evaluate_predictions(rows, EvaluationPlan(primary="tuberculosis", bootstrap=50, groups=()))
    assert found["value"].isna().all()
    assert found["note"].str.contains("untrained head").all()


def test_score_says_what_it_is(predictions):
    plan = EvaluationPlan(primary="tuberculosis", bootstrap=50, groups=(), score_kind="rescaled")
    found = evaluate_predictions(predictions, plan)
    for metric in ("brier", "log_loss", "calibration_slope", "ece_equal_width", "net_benefit_0.10"):
        row = _one(found, metric)
        assert np.isnan(row["value"])
        assert "rescaled scores are no probabilities" in row["note"]
    assert np.isfinite(_one(found, "auroc")["value"])
    assert np.isfinite(_one(found, "auprc")["value"])


def test_image_level_grouping_is_said():
    found = evaluate_predictions(_single(patient_id=np.nan), PLAN)
    assert found["note"].str.contains(BY_IMAGE).all()


def test_patients_are_the_unit():
    few = evaluate_predictions(study(per_patient=4), EvaluationPlan(primary="tuberculosis", bootstrap=200, groups=()))
    row = _one(few, "auroc")
    assert (row["n_patients"], row["n_samples"]) == (26, 104)
    assert "patients" in row["method"]
    assert _one(few, "brier")["n_patients"] == 26


def test_calibration_error_stands_beside_its_null_band(results):
    row, null = _one(results, "ece_equal_mass"), _one(results, "ece_equal_mass_null")
    assert np.isnan(row["low"])
    assert "a perfectly calibrated model of this size shows" in row["note"]
    assert null["low"] < null["value"] < null["high"]


def test_same_plan_same_numbers(predictions):
    plan = EvaluationPlan(primary="tuberculosis", bootstrap=100, groups=("sex",))
    results, again = (evaluate_predictions(rows, plan) for rows in (predictions, predictions.sample(frac=1, random_state=1)))
    keys = ["arm", "domain", "group", "finding", "metric"]
    pd.testing.assert_frame_equal(
        results.sort_values(keys).reset_index(drop=True), again.sort_values(keys).reset_index(drop=True), check_exact=False, atol=1e-12
    )


def test_macro_mean_over_the_frozen_list(predictions):
    both = pd.concat([predictions, predictions.assign(finding="effusion")])
    plan = EvaluationPlan(primary="tuberculosis", bootstrap=0, groups=(), macro=("tuberculosis", "effusion"))
    found = evaluate_predictions(both, plan)
    row = _one(found, "auroc", finding="macro")
    assert row["value"] == pytest.approx(_one(found, "auroc")["value"])
    missing = evaluate_predictions(
        predictions, EvaluationPlan(primary="tuberculosis", bootstrap=0, groups=(), macro=("tuberculosis", "nodule"))
    )
    assert np.isnan(_one(missing, "auroc", finding="macro")["value"])


def test_seeds_are_named_in_the_claim(results):
    assert "3 seeds: descriptive" in _one(results, "auroc")["note"]
    assert _one(results, "auroc")["run"] == "3 runs"


def test_bad_tables_are_refused(predictions):
    with pytest.raises(DataError, match="score"):
        evaluate_predictions(predictions.drop(columns="score"), PLAN)
    with pytest.raises(DataError):
        evaluate_predictions(predictions.iloc[:0], PLAN)
    with pytest.raises(DataError):
        evaluate_predictions(predictions.assign(score=predictions["score"] + 1), PLAN)
    with pytest.raises(ConfigError):
        evaluate_predictions(predictions, EvaluationPlan(primary="tuberculosis", bootstrap=0, groups=("colour",)))
