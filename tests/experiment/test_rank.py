# SPDX-License-Identifier: Apache-2.0
"""Repairs as lines: ranked by validation, weighted only where the sides overlap, sets and silence beside them."""

from dataclasses import replace

import numpy as np
import pytest

from fakes.score_table import score_table
from medsetu.adaptation.conformal import Conformal
from medsetu.adaptation.repair import RepairPlan, ScoreRepair, ThresholdRefit
from medsetu.adaptation.score import Platt
from medsetu.adaptation.selective import Selective
from medsetu.experiment.evidence import evidence_of_scores
from medsetu.experiment.rank import build_repairs, caution_rows, repair_rows, repair_table
from medsetu.shift.cohort import cohort_of
from medsetu.shift.plan import ShiftPlan

IMPORTANCE = ScoreRepair(Platt(), fit_on="global", weighted=True)
CAUTION = {"conformal": Conformal(by_class=True), "selective": Selective(risk=0.1), "platt": ScoreRepair(Platt())}


def both(tmp_path, **changes):
    score_table(patients=60).assign(**changes).to_csv(tmp_path / "scores.csv", index=False)
    evidence = evidence_of_scores(tmp_path / "scores.csv")
    return evidence, cohort_of(evidence.predictions, finding="finding", arm="model", extras=evidence.extras)


def ranked(evidence, cohort, **repairs):
    plan, shift = RepairPlan(base="model", bootstrap=20), ShiftPlan(bootstrap=20, permutations=19)
    return repair_table(evidence, cohort, repairs=repairs, plan=plan, shift=shift, films=False)


def test_repairs_that_need_films_are_built_only_where_films_are():
    nodes = {
        "platt": {"_target_": "medsetu.adaptation.repair.ScoreRepair", "method": {"_target_": "medsetu.adaptation.score.Platt"}},
        "batchnorm": {"_target_": "medsetu.adaptation.network.BatchNorm"},
        "none": None,
    }
    assert list(build_repairs(nodes, films=False)) == ["platt"]
    assert list(build_repairs(nodes, films=True)) == ["platt", "batchnorm"]


def test_a_line_says_rank_and_price(tmp_path):
    evidence, cohort = both(tmp_path)
    lines = repair_rows(ranked(evidence, cohort, platt=ScoreRepair(Platt()), threshold=ThresholdRefit()), cohort)
    platt = next(line for line in lines if (line.measure, line.subject) == ("gain in brier", "platt"))
    assert platt.note.startswith("60 local images, 60 local labels; rank 1 by the labels of val/local")
    assert platt.n_local == 60
    refit = next(line for line in lines if line.subject == "threshold")
    assert "not ranked" in refit.note


def test_weights_spend_images_and_no_label(tmp_path):
    evidence, cohort = both(tmp_path)
    table = ranked(evidence, cohort, importance=IMPORTANCE)
    assert set(table["metric"]) == {"brier", "log_loss"}
    assert (table["local_images"] == 60).all()
    assert (table["local_labels"] == 0).all()
    assert table["note"].str.contains("domain AUROC").all()


def test_weights_are_refused_where_the_sides_do_not_overlap(tmp_path):
    apart = np.repeat([20.0, 80.0], 120) + np.tile(np.arange(5), 48)
    evidence, cohort = both(tmp_path, age_years=apart)
    table = ranked(evidence, cohort, importance=IMPORTANCE, platt=ScoreRepair(Platt())).set_index("repair")
    assert table.loc["importance", "verdict"] == "refused: no overlap"
    assert np.isnan(table.loc["importance", "value"])
    assert table.loc["platt", "value"].notna().all()


def lines_of(cohort, **more):
    return {(line.measure, line.subject): line for line in caution_rows(cohort, repairs=CAUTION | more, level=0.95)}


def test_sets_promise_only_where_they_were_calibrated(tmp_path):
    lines = lines_of(both(tmp_path)[1])
    assert lines["coverage", "conformal, fitted on val/local"].note.startswith("guaranteed on average")
    moved = lines["coverage", "conformal, fitted on val/global"]
    assert "not guaranteed: calibrated on val/global, tested on test/local" in moved.note
    assert 0 <= moved.low <= moved.value <= moved.high <= 1
    assert {subject for _, subject in lines} == {
        f"{name}, fitted on val/{side}" for name in ("conformal", "selective") for side in ("global", "local")
    }


def test_sets_of_a_model_that_turned_around_are_below_the_stated_coverage(tmp_path):
    cohort = both(tmp_path)[1]
    turned = replace(cohort, local_films=replace(cohort.local_films, scores=1 - cohort.local_films.scores))
    lines = lines_of(turned)
    assert lines["coverage", "conformal, fitted on val/global"].verdict == "below the stated 0.9"
    assert lines["risk", "selective, fitted on val/global"].verdict == "above the stated 0.1"


@pytest.mark.parametrize("known", ["nobody", "one class"])
def test_without_labels_nothing_is_promised(tmp_path, known):
    cohort = both(tmp_path)[1]
    label = np.full(60, np.nan) if known == "nobody" else np.ones(60)
    blind = replace(cohort, local_films=replace(cohort.local_films, label=label), local_val=None)
    lines = lines_of(blind)
    assert all(subject.endswith("val/global") for _, subject in lines)
    if known == "nobody":
        assert {line.verdict for line in lines.values()} == {"refused: no labelled local test film"}
    else:
        assert np.isfinite(lines["coverage of positives", "conformal, fitted on val/global"].value)
        assert lines["coverage of negatives", "conformal, fitted on val/global"].verdict == "not estimable"


def test_unlabelled_validation_is_refused(tmp_path):
    cohort = both(tmp_path)[1]
    blind = replace(cohort, local_val=replace(cohort.local_val, label=np.full(60, np.nan)))
    assert lines_of(blind)["coverage", "conformal, fitted on val/local"].verdict == "refused: No film is labelled"
