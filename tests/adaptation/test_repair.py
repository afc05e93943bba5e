# SPDX-License-Identifier: Apache-2.0
"""The table of repairs: gains, what was spent, and ranks that only validation decides."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

from adaptation.cohort import crossfit, study
from medsetu.adaptation.fold import with_folds
from medsetu.adaptation.repair import REPAIR_COLUMNS, RepairPlan, ScoreRepair, ThresholdRefit, rank_repairs
from medsetu.adaptation.score import Isotonic, Platt, PriorCorrection, Temperature, VectorScaling, label_shift_weights
from medsetu.core.errors import ConfigError, DataError

PLAN = RepairPlan(bootstrap=100)
SCORES = {
    "prior correction": ScoreRepair(PriorCorrection(0.15), "global"),
    "temperature": ScoreRepair(Temperature()),
    "platt": ScoreRepair(Platt()),
    "isotonic": ScoreRepair(Isotonic()),
}


def ranked(rows, repairs=SCORES, **more):
    table = rank_repairs(rows, finding="tuberculosis", repairs=repairs, plan=PLAN, **more)
    return table.set_index(["metric", "repair"])


def with_arm(rows, name="batchnorm", *, logit, **facts):
    """An arm that sees the local films otherwise."""
    local = rows[rows["domain"] == "local"]
    score = special.expit(logit(special.logit(local["score"]), local["label"]))
    return pd.concat([rows, local.assign(arm=f"global-only + {name}", score=score, **facts)], ignore_index=True)


def test_under_label_shift_prior_correction_wins_without_a_label():
    table = ranked(study(500, val=150))
    row = table.loc["log_loss", "prior correction"]
    assert row["low"] > 0
    assert (row["local_labels"], row["local_images"]) == (0, 0)
    assert row["verdict"] == "better"
    assert "val/global" in row["note"]
    assert table.loc[("log_loss", "temperature"), "value"] < row["value"]
    assert table.loc[("log_loss", "platt"), "local_labels"] == 150


def test_under_a_planted_temperature_the_temperature_wins():
    table = ranked(study(500, val=150, prevalence=0.5, slope=4.0))
    best = table.loc["log_loss"].sort_values("rank").index[0]
    assert best in ("temperature", "platt")
    assert table.loc[("log_loss", "prior correction"), "verdict"] != "better"


def test_the_rank_ignores_test():
    """Permuted test labels change the gains and leave every rank as it was."""
    rows = with_arm(study(200, val=100), logit=lambda logit, label: logit + 0.5 * (2 * label - 1), local_images=70, local_labels=0)
    first = ranked(rows)
    test = (rows["domain"] == "local") & (rows["split"] == "test")
    labels = rows[test].drop_duplicates("sample_id").set_index("sample_id")["label"]
    moved = pd.Series(np.random.default_rng(0).permutation(labels), index=labels.index)
    changed = rows.assign(label=rows["label"].where(~test, rows["sample_id"].map(moved)))
    second = ranked(changed)
    assert (first["rank"].sort_index() == second["rank"].sort_index()).all()
    assert not np.allclose(first["value"].sort_index(), second["value"].sort_index())
    assert set(first["chosen_on"]) == {"val/local"}


def test_an_arm_is_measured_in_auroc_and_in_losses_and_says_what_it_spent():
    rows = with_arm(study(200), logit=lambda logit, label: logit + 1.5 * label, local_images=70, local_labels=0)
    table = ranked(rows, {})
    row = table.loc["auroc", "batchnorm"]
    assert row["value"] == pytest.approx(row["after"] - row["before"])
    assert row["low"] > 0
    assert (row["local_images"], row["local_labels"], row["rank"]) == (70, 0, 1)
    assert set(table.index.get_level_values(0)) == {"auroc", "brier", "log_loss"}
    same = ranked(with_arm(study(200), logit=lambda logit, label: logit), {}).loc["auroc", "batchnorm"]
    assert (same["value"], same["verdict"]) == (0, "no change")
    assert np.isnan(same["local_images"])


def test_a_crossfitted_side_spends_the_labels_of_a_fold_and_says_so():
    spoiled, splits = crossfit(study(150, val=60, slope=4.0, prevalence=0.4, seeds=(0, 1)), folds=3)
    table = ranked(with_folds(spoiled, splits=splits))
    row = table.loc["log_loss", "temperature"]
    assert row["local_labels"] == 70
    assert "part by part" in row["note"]
    assert row["n_samples"] == 210
    assert row["low"] > 0


def test_importance_weights_fit_a_global_repair_for_local_patients():
    rows = study(500, val=150)
    val = rows[(rows["domain"] == "global")]
    weight = pd.Series(label_shift_weights(val["label"], local_prevalence=0.15), index=val["sample_id"])
    repairs = {"importance": ScoreRepair(Platt(), "global", weighted=True), "plain": ScoreRepair(Platt(), "global")}
    table = ranked(rows, repairs, weight=weight)
    assert table.loc[("log_loss", "importance"), "low"] > 0
    assert table.loc[("log_loss", "importance"), "value"] > table.loc[("log_loss", "plain"), "value"] + 0.02
    assert table.loc[("log_loss", "importance"), "local_labels"] == 0


def test_a_threshold_is_measured_and_not_ranked():
    table = ranked(study(300, val=150, prevalence=0.5, offset=-2.0), {"threshold": ThresholdRefit("sensitivity", 0.9)})
    row = table.loc["sensitivity_at_sensitivity_0.90", "threshold"]
    assert row["low"] > 0
    assert np.isnan(row["rank"])
    assert row["local_labels"] == 150


def test_a_repair_that_cannot_be_made_is_refused_by_name_and_the_others_go_on():
    rows = study(100)
    one_class = rows[~((rows["domain"] == "local") & (rows["split"] == "val") & (rows["label"] == 1))]
    repairs = SCORES | {"importance": ScoreRepair(Platt(), "global", weighted=True), "vector": ScoreRepair(VectorScaling())}
    table = rank_repairs(one_class, finding="tuberculosis", repairs=repairs, plan=PLAN).set_index("repair")
    for name in ("temperature", "platt", "importance", "vector"):
        assert table.loc[name, "verdict"].startswith("refused: ")
        assert np.isnan(table.loc[name, "value"])
    assert table.loc["prior correction", "value"].notna().all()
    assert list(rank_repairs(rows, finding="tuberculosis", repairs={}, plan=PLAN).columns) == list(REPAIR_COLUMNS)


def test_refusals():
    rows = study(30)
    with pytest.raises(DataError, match="no local test film"):
        rank_repairs(rows[rows["split"] == "val"], finding="tuberculosis", repairs={})
    with pytest.raises(ConfigError, match="external"):
        ScoreRepair(Platt(), "external")
    with pytest.raises(ConfigError, match="accuracy"):
        RepairPlan(losses=("accuracy",))
