# SPDX-License-Identifier: Apache-2.0
"""The lines of section gap: signs, margin, power, refusals, one-class sides."""

from dataclasses import replace

import numpy as np
import pytest

from fakes.cohort import cohort, films
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift import gap
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import shift_table

PLAN = ShiftPlan(bootstrap=200)
EVALUATION = EvaluationPlan(primary="tuberculosis", sensitivity_targets=(0.9,), specificity_targets=(), groups=("sex",))


def one_seed(made):
    parts = {name: getattr(made, name) for name in ("global_films", "local_films", "global_val")}
    return replace(made, **{name: replace(part, scores=part.scores[:1], seed=part.seed[:1]) for name, part in parts.items()})


def lines(made, *, evaluation=EVALUATION, **more):
    table = shift_table(gap.rows(made, PLAN, evaluation=evaluation, **more))
    assert (table["section"] == "gap").all()
    return table.set_index(["measure", "subject"])


def large(**local):
    made = one_seed(cohort(patients=150, **local))
    return replace(made, global_films=one_seed(replace(made, global_films=films("global", patients=150))).global_films)


def test_a_planted_loss_is_found_on_every_measure():
    table = lines(large(separation=0.3, level=1.5))
    for measure in ("gap: auroc", "gap: brier", "gap: log_loss", "gap: specificity at transported sensitivity_0.90"):
        row = table.loc[(measure, "all films")]
        assert row["low"] > 0, measure
        assert "worse" in row["verdict"]
    assert table.loc[("gap: auroc", "all films"), "value"] == pytest.approx(
        table.loc[("auroc", "global"), "value"] - table.loc[("auroc", "local"), "value"]
    )


def test_the_margin_decides_and_power_is_printed():
    same = one_seed(cohort(patients=40))
    wide = EvaluationPlan(primary="tuberculosis", margin=0.5, sensitivity_targets=(), specificity_targets=(), groups=())
    shown = lines(same, evaluation=wide)
    assert shown.loc[("equivalence: auroc", "margin 0.5"), "verdict"] == "shown"
    assert shown.loc[("equivalence: auroc", "margin 0.5"), "p"] < 0.025
    assert "equal within 0.5" in shown.loc[("gap: auroc", "all films"), "verdict"]
    narrow = lines(same)
    assert narrow.loc[("equivalence: auroc", "margin 0.05"), "verdict"] == "cannot tell"
    power = narrow.loc[("power: auroc", "gap of 0.05")]
    assert 0 < power["value"] < 0.5
    assert "patients per class and side" in power["verdict"]


@pytest.mark.parametrize(
    ("low", "high", "inferiority", "equality"),
    [
        (0.06, 0.2, "not shown: worse by more than 0.05", "not shown: worse by more than 0.05"),
        (0.01, 0.2, "cannot tell", "cannot tell"),
        (-0.02, 0.04, "shown", "shown"),
        (-0.09, 0.04, "shown", "cannot tell"),
        (-0.3, -0.06, "shown", "not shown: better by more than 0.05"),
    ],
)
def test_an_interval_beyond_the_margin_is_an_answer(monkeypatch, low, high, inferiority, equality):
    found = gap.Difference((low + high) / 2, low, high, 0.5, "mover", "")
    monkeypatch.setattr(gap, "auroc_gap", lambda *_, **__: found)
    table = lines(one_seed(cohort(patients=20)))
    assert table.loc[("non-inferiority: auroc", "margin 0.05"), "verdict"] == inferiority
    assert table.loc[("equivalence: auroc", "margin 0.05"), "verdict"] == equality


def test_a_margin_of_zero_is_a_value():
    none = EvaluationPlan(primary="tuberculosis", margin=0.0, sensitivity_targets=(), specificity_targets=(), groups=())
    table = lines(one_seed(cohort()), evaluation=none)
    assert ("gap: auroc", "all films") in table.index
    assert not any(measure.startswith(("equivalence", "non-inferiority", "power")) for measure, _ in table.index)


def test_five_samples_are_refused_with_the_patients_it_takes():
    table = lines(one_seed(cohort(patients=5)))
    assert len(table) == 1
    row = table.iloc[0]
    assert row["verdict"].startswith("refused: 5 labelled patients on the local side")
    assert "per class and side find a gap of 0.05 with power 0.80" in row["note"]
    assert np.isnan(row["value"])


def test_positives_only_gives_sensitivity():
    """T21: sensitivity with an interval; AUROC and specificity are NaN with the reason."""
    table = lines(one_seed(cohort(patients=40, prevalence=1.0)))
    rule = "transported sensitivity_0.90"
    seen = table.loc[(f"sensitivity at {rule}", "local")]
    assert 0 <= seen["low"] <= seen["value"] <= seen["high"] <= 1
    for measure in ("auroc", f"specificity at {rule}"):
        row = table.loc[(measure, "local")]
        assert np.isnan(row["value"])
        assert row["verdict"].startswith("refused: ")
        assert "threshold from" not in row["verdict"]
    assert table.loc[("gap: auroc", "all films"), "verdict"] == "refused: one class only: no negatives"


def test_negatives_only_gives_specificity():
    table = lines(one_seed(cohort(patients=40, prevalence=0.0)))
    assert np.isfinite(table.loc[("specificity at transported sensitivity_0.90", "local"), "low"])
    assert np.isnan(table.loc[("sensitivity at transported sensitivity_0.90", "local"), "value"])


def test_the_local_deficit_is_paired_and_positive_where_the_local_arm_is_better():
    made, better = (one_seed(cohort(patients=100, separation=gap)) for gap in (0.8, 2.5))
    table = lines(made, local_only=replace(better, arm="local-only"))
    row = table.loc[("local deficit: auroc", "all films")]
    assert row["low"] > 0
    assert "global-only is worse than local-only" in row["verdict"]
    assert table.loc[("local deficit: brier", "all films"), "low"] > 0


def test_films_that_one_arm_has_not_scored_leave_both_and_are_counted():
    made = one_seed(cohort(patients=40))
    fewer = replace(made, arm="local-only", local_films=made.local_films.take(np.arange(70)))
    assert "10 films left both arms" in lines(made, local_only=fewer).loc[("local deficit: auroc", "all films"), "note"]


def test_without_validation_the_threshold_is_refused():
    table = lines(replace(one_seed(cohort()), global_val=None))
    assert table.loc[("gap: sensitivity", "all films"), "verdict"].startswith("refused: no threshold")


def test_unknown_labels_are_left_out():
    made = one_seed(cohort(patients=40))
    label = made.local_films.label.copy()
    label[::4] = np.nan
    table = lines(replace(made, local_films=replace(made.local_films, label=label)))
    assert np.isfinite(table.loc[("gap: brier", "all films"), "value"])
    assert np.isfinite(table.loc[("gap: auroc", "all films"), "low"])


@pytest.mark.parametrize("score", [0.5, "perfect"])
def test_a_constant_or_perfect_model_works(score):
    made = one_seed(cohort(patients=40))
    local = made.local_films
    scores = local.label[None] * 0.8 + 0.1 if score == "perfect" else np.full_like(local.scores, score)
    table = lines(replace(made, local_films=replace(local, scores=scores)))
    assert np.isnan(table.loc[("auroc", "local"), "value"]) == (score != "perfect")


def test_the_same_seed_gives_the_same_lines():
    made = cohort()
    first, second = (shift_table(gap.rows(made, PLAN, evaluation=EVALUATION)) for _ in range(2))
    assert first.equals(second)


def test_secondary_gaps_are_one_family_and_the_primary_stands_alone():
    found = gap.rows(cohort(separation=0.3), ShiftPlan(bootstrap=50), evaluation=EvaluationPlan(primary="tuberculosis"))
    primary = next(row for row in found if row.measure == "gap: auroc" and row.subject == "all films")
    family = [row for row in found if row.measure in ("gap: brier", "gap: log_loss")]
    assert np.isnan(primary.p_adjusted)
    assert all(row.p_adjusted >= row.p for row in family)
    assert max(row.p_adjusted for row in family) > max(row.p for row in family) or max(row.p for row in family) == 1


def test_score_says_what_it_is():  # T15
    """Rescaled scores are no probabilities: no Brier score, no log loss; their order still counts."""
    plan = EvaluationPlan(primary="tuberculosis", score_kind="rescaled")
    found = {row.measure: row for row in gap.rows(cohort(), ShiftPlan(bootstrap=20), evaluation=plan) if row.subject == "all films"}
    assert found["gap: brier"].verdict == "refused: rescaled scores are no probabilities"
    assert np.isnan(found["gap: log_loss"].value)
    assert np.isfinite(found["gap: auroc"].value)
