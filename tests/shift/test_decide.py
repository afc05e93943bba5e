# SPDX-License-Identifier: Apache-2.0
"""What a programme would see: values of the book, refusals, triage only where the sensitivity is kept."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation import oracle
from fakes.cohort import cohort
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift import decide
from medsetu.shift.decide import benefit_at, programme
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import shift_table

PLAN = ShiftPlan(bootstrap=200)
EVALUATION = EvaluationPlan(
    primary="tuberculosis", sensitivity_targets=(0.9,), specificity_targets=(), prevalences=(0.02, 0.1), decision_thresholds=(0.1,)
)
RULE = "transported sensitivity_0.90"


def one_seed(made):
    parts = {name: getattr(made, name) for name in ("global_films", "local_films", "global_val")}
    return replace(made, **{name: replace(part, scores=part.scores[:1], seed=part.seed[:1]) for name, part in parts.items()})


def lines(made, *, evaluation=EVALUATION, plan=PLAN):
    table = shift_table(decide.rows(made, plan, evaluation=evaluation))
    assert (table["section"] == "decide").all()
    return table.set_index(["measure", "subject"])


@pytest.mark.parametrize(("prevalence", "expected"), oracle.PPV_NPV.items())
def test_predictive_values_of_the_book(prevalence, expected):
    found = programme(0.9, 0.7, prevalence=prevalence)
    assert (float(found["ppv"]), float(found["npv"])) == pytest.approx(expected, abs=5e-7)


def test_alerts_missed_cases_and_unread_films_add_up():
    found = programme(0.9, 0.7, prevalence=0.02)
    assert float(found["alerts"]) == pytest.approx(1000 * (0.9 * 0.02 + 0.3 * 0.98))
    assert float(found["missed cases"]) == pytest.approx(2.0)
    assert float(found["films not read"]) == pytest.approx(1 - float(found["alerts"]) / 1000)


@pytest.mark.parametrize(("threshold", "expected"), oracle.NB_FAMHISTORY.items())
def test_net_benefit_of_the_book(threshold, expected):
    healthy = oracle.NB_N - oracle.NB_EVENTS
    found = benefit_at(
        oracle.NB_TP / oracle.NB_EVENTS, 1 - oracle.NB_FP / healthy, prevalence=oracle.NB_EVENTS / oracle.NB_N, threshold=threshold
    )
    assert float(found) == pytest.approx(expected, abs=5e-11)


@pytest.mark.parametrize(("threshold", "expected"), oracle.NB_TREAT_ALL.items())
def test_net_benefit_of_treating_everybody(threshold, expected):
    assert float(benefit_at(1.0, 0.0, prevalence=0.14, threshold=threshold)) == pytest.approx(expected, abs=5e-11)


def test_every_number_has_its_interval_around_it():
    table = lines(one_seed(cohort(patients=80)))
    known = table.dropna(subset=["low"])
    assert len(known) > 12
    assert (known["low"] <= known["value"] + 1e-9).all()
    assert (known["value"] <= known["high"] + 1e-9).all()


def test_films_are_saved_only_where_the_sensitivity_is_kept():
    good, bad = (lines(one_seed(cohort(patients=150, separation=gap, level=level))) for gap, level in ((6.0, 2.0), (1.5, -1.5)))
    key = (f"films not read at {RULE}", "prevalence 0.02")
    assert good.loc[key, "verdict"].startswith("kept")
    assert bad.loc[key, "verdict"].startswith("not shown to be kept")


def test_alerts_need_no_labels():
    made = one_seed(cohort(patients=40))
    blind = replace(made, local_films=replace(made.local_films, label=np.full(80, np.nan)))
    table = lines(blind)
    assert np.isfinite(table.loc[(f"alerts as observed at {RULE}", "local"), "low"])
    assert np.isnan(table.loc[(f"ppv at {RULE}", "prevalence 0.1"), "value"])


def test_positives_only_gives_missed_cases_but_no_predictive_value():
    table = lines(one_seed(cohort(patients=40, prevalence=1.0)))
    assert np.isfinite(table.loc[(f"missed cases at {RULE}", "prevalence 0.1"), "value"])
    assert table.loc[(f"ppv at {RULE}", "prevalence 0.1"), "verdict"] == "refused: no local films for the specificity"


def test_a_level_shift_shows_in_the_calibration_of_the_site():
    table = lines(one_seed(cohort(patients=150, level=2.0)))
    assert table.loc[("calibration intercept", "local: local"), "high"] < 0
    assert table.loc[("calibration intercept", "local: local"), "verdict"] == "not calibrated"
    assert table.loc[("calibration intercept", "local: local"), "n_local"] == 150


def test_small_sites_are_suppressed_and_rescaled_scores_refused():
    made = one_seed(cohort(patients=40))
    small = lines(made, plan=ShiftPlan(bootstrap=50, minimum_group=100))
    assert small.loc[("calibration", "local: local"), "verdict"].startswith("suppressed")
    rescaled = lines(made, evaluation=replace(EVALUATION, score_kind="rescaled"))
    assert rescaled.loc[("calibration", "local"), "verdict"] == "refused: rescaled scores are no probabilities"
    benefit = rescaled[rescaled.index.get_level_values(0).str.startswith("net benefit")]
    assert len(benefit)
    assert benefit["value"].isna().all()


def test_a_useless_threshold_is_no_better_than_everybody_or_nobody():
    verdict = lines(one_seed(cohort(patients=100, level=2.0))).loc[("net benefit at 0.1", "prevalence 0.02"), "verdict"]
    assert verdict == "no better than treating everybody or nobody"


def test_too_few_patients_and_no_validation_are_refused():
    assert lines(one_seed(cohort(patients=5)))["verdict"].iloc[0].startswith("refused: 5 patients")
    assert "no validation films" in lines(replace(one_seed(cohort()), global_val=None)).loc[("decision", "local"), "verdict"]
