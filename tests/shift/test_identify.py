# SPDX-License-Identifier: Apache-2.0
"""The name of the shift: by the evidence, on planted shift, and in the table."""

from dataclasses import replace

import numpy as np
import pytest
from scripts.gate_prevalence import LABELS, SCORES, WORLDS, World, cohort, named, wrong_names

from medsetu.shift.cause import MISSED, Evidence
from medsetu.shift.identify import (
    BOTH,
    COVARIATE,
    LABEL_NOISE,
    NO_SHIFT,
    PREVALENCE,
    SEVERAL,
    name_shift,
    rows,
)
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.relabel import TwoSample
from medsetu.shift.row import CANNOT_TELL, NOT_IDENTIFIED, shift_table

PLAN = ShiftPlan(permutations=99, bootstrap=100)


def evidence(prevalence, covariate, labelling=np.nan, **more):
    tests = [TwoSample(0.1, p, 50, 50, "") for p in (prevalence, covariate, labelling)]
    settled = {"anything": 0.001, "has_features": True} | more
    return Evidence(prevalence=tests[0], covariate=tests[1], labelling=tests[2], **settled)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (evidence(0.6, 0.6, anything=0.6), NO_SHIFT),
        (evidence(0.6, 0.6), CANNOT_TELL),  # the sides differ, but no cause could be shown
        (evidence(0.001, 0.6), PREVALENCE),
        (evidence(0.001, 0.08), PREVALENCE),
        (evidence(0.001, 0.04), COVARIATE),  # closed test: that nothing differs is rejected, and so is each cause at its own level
        (evidence(0.6, 0.04, anything=0.03), CANNOT_TELL),  # that nothing differs is not
        (evidence(0.001, 0.6, rest=0.03), CANNOT_TELL),  # at rest at another prevalence than the estimated one
        (evidence(0.001, 0.6, has_features=False), CANNOT_TELL),  # scores alone cannot show that nothing else moved
        (evidence(0.001, 0.6, has_features=False, labelled=True), PREVALENCE),
        (evidence(0.6, 0.001), COVARIATE),
        (evidence(0.001, 0.001), COVARIATE),  # without local labels prevalence stays open
        (evidence(0.001, 0.001, labelled=True), BOTH),
        (evidence(0.6, 0.001, labelled=True), COVARIATE),
        (evidence(0.6, 0.6, 0.001), LABEL_NOISE),
        (evidence(0.001, 0.6, 0.001), SEVERAL),
        (evidence(0.04, 0.04, 0.04, anything=0.6), NO_SHIFT),  # Holm: three causes were asked about
        (evidence(0.04, 0.6, anything=0.6), NO_SHIFT),
        (Evidence(refused="5 patients on the local side, 10 needed"), CANNOT_TELL),
    ],
)
def test_names(found, name):
    assert name_shift(found)[0] == name
    assert name_shift(found)[1]


def told(world, *, seed=0, plan=PLAN, **changes):
    drawn = cohort(world, np.random.default_rng(seed))
    if world.known == SCORES:
        drawn = replace(drawn, local_films=replace(drawn.local_films, label=np.full(len(drawn.local_films), np.nan)))
    return shift_table(rows(replace(drawn, **changes), plan)).set_index("measure")


def test_label_shift_planted_is_recovered_and_named():
    table = told(World(PREVALENCE, SCORES, prevalence=0.2))
    assert table.loc["shift named", "verdict"] == PREVALENCE
    for name in ("BBSE", "EM", "RLLS"):
        row = table.loc[f"prevalence ({name})"]
        assert row["low"] <= 0.2 <= row["high"]
        assert f"width {row['high'] - row['low']:.2f}" in row["note"]
    assert table.loc["prevalence (local labels)", "verdict"] == NOT_IDENTIFIED


def test_covariate_shift_planted_refuses_the_prevalence_with_the_reason():
    table = told(World(COVARIATE, SCORES, beside=1.0))
    assert table.loc["shift named", "verdict"] == COVARIATE
    for name in ("BBSE", "EM", "RLLS"):
        row = table.loc[f"prevalence ({name})"]
        assert row["verdict"] == "refused: covariate shift found"
        assert np.isnan(row["value"])
        assert np.isnan(row["low"])
    assert table.loc["covariate shift", "verdict"] == "shift found"
    assert table.loc["covariate shift", "p"] == pytest.approx(0.01 + MISSED)
    assert "largest p" in table.loc["covariate shift", "method"]


def test_nothing_planted_names_nothing_and_says_what_would_have_been_found():
    table = told(World(NO_SHIFT, SCORES))
    assert table.loc["shift named", "verdict"] == NO_SHIFT
    assert table.loc["prevalence shift", "verdict"] == CANNOT_TELL
    assert "80 % power" in table.loc["prevalence shift", "note"]
    assert table.loc["prevalence (EM)", "low"] <= 0.5 <= table.loc["prevalence (EM)", "high"]


def test_both_are_named_with_local_labels():
    table = told(World(BOTH, LABELS, prevalence=0.2, beside=1.0))
    assert table.loc["shift named", "verdict"] == BOTH
    observed = table.loc["prevalence (local labels)"]
    assert observed["low"] <= 0.2 <= observed["high"]
    assert table.loc["shift named", "n_local"] == 150
    assert table.loc["shift named", "n_global"] == 200


def test_label_noise_is_never_named_without_votes():
    drawn = cohort(World("", LABELS), np.random.default_rng(4))
    flipped = np.where(np.random.default_rng(5).random(150) < 0.35, 1 - drawn.local_films.label, drawn.local_films.label)
    noisy = replace(drawn.local_films, label=flipped)
    table = shift_table(rows(replace(drawn, local_films=noisy), PLAN)).set_index("measure")
    assert table.loc["shift named", "verdict"] not in (LABEL_NOISE, SEVERAL)
    assert table.loc["label noise", "verdict"] == NOT_IDENTIFIED
    assert table.loc["label noise", "note"] == "needs votes of readers on both sides"

    sides = {"local_films": noisy, "global_films": drawn.global_films}
    truth = {"local_films": drawn.local_films.label, "global_films": drawn.global_films.label}
    voted = {name: replace(films, votes=np.repeat(truth[name][:, None], 3, axis=1)) for name, films in sides.items()}
    with_votes = shift_table(rows(replace(drawn, **voted), replace(PLAN, permutations=399))).set_index("measure")
    assert with_votes.loc["shift named", "verdict"] == LABEL_NOISE


def test_five_samples_are_refused_with_the_number_it_takes():
    drawn = cohort(World("", SCORES), np.random.default_rng(0))
    table = shift_table(rows(replace(drawn, local_films=drawn.local_films.take(np.arange(5))), PLAN)).set_index("measure")
    assert table.loc["shift named", "verdict"] == CANNOT_TELL
    assert table.loc["shift named", "note"] == "5 patients on the local side, 10 needed"
    assert table.loc["prevalence (EM)", "verdict"] == "refused"


def test_without_validation_the_global_test_films_stand_in_and_that_is_said():
    table = told(World(PREVALENCE, SCORES, prevalence=0.2), global_val=None)
    assert "global test films stand in for validation" in table.loc["prevalence (EM)", "note"]


def test_wrong_names_are_rare_where_the_cause_can_be_told():
    right, wrong, told_worlds = 0.0, 0.0, [world for world in WORLDS if world.identifiable]
    for world in told_worlds:
        found, _ = named(world, cohorts=6, seed=1)
        wrong += sum(found[name] for name in wrong_names(world)) / len(told_worlds)
        right += found[world.truth] / len(told_worlds)
    assert wrong <= 6 / 48  # 0.05 of 48 cohorts, within the 99 % band
    assert right >= 0.6


@pytest.mark.parametrize("films", [1, 2, 0])
def test_one_local_patient_or_no_shared_seed_is_refused_and_not_a_crash(films):
    drawn = cohort(World(NO_SHIFT, SCORES), np.random.default_rng(0))
    here = drawn.local_films.take(np.arange(films)) if films else replace(drawn.local_films, seed=np.array([9]))
    table = shift_table(rows(replace(drawn, local_films=here), PLAN)).set_index("measure")
    assert table.loc["shift named", "verdict"] == CANNOT_TELL
    assert table.loc["prevalence (EM)", "verdict"] == "refused"
    assert np.isnan(table.loc["prevalence (EM)", "value"])
