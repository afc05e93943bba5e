# SPDX-License-Identifier: Apache-2.0
"""Every measure on one cohort: each world of the phantom, a study whose films are gone, another arm, sides that nothing is known of."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fakes.cohort import cohort
from medsetu.adaptation.conformal import Conformal
from medsetu.adaptation.repair import RepairPlan, ScoreRepair
from medsetu.adaptation.score import Platt
from medsetu.core.table import PREDICTION_COLUMNS, conform
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.experiment.evidence import Evidence, evidence_of_runs
from medsetu.experiment.measure import Question, measure
from medsetu.shift.cohort import Extras, cohort_of
from medsetu.shift.counterfactual import Knobs, draw_pool, worlds
from medsetu.shift.counterfactual_cohort import draw_world
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.profile import Profile
from medsetu.shift.row import SECTIONS

PROFILE = Profile("a profile", "2014", "nowhere", "tuberculosis", 0.9, 0.7, 0.95, 0.8, note="An old edition.")
QUESTION = Question(
    plan=ShiftPlan(bootstrap=10, permutations=19),
    profile=PROFILE,
    repairs={"platt": ScoreRepair(Platt(), fit_on="global"), "conformal": Conformal()},
    repair_plan=RepairPlan(bootstrap=10, losses=("brier",)),
)


def told(made, *, groups=("sex",)):
    """Write a cohort of arrays as the predictions that would have made it."""
    parts = []
    for films, split in ((made.global_films, "test"), (made.local_films, "test"), (made.global_val, "val"), (made.local_val, "val")):
        for seed, scores in zip(films.seed, films.scores, strict=True) if films is not None else ():
            named = {"sample_id": films.sample_id, "patient_id": films.patient, "label": films.label, "score": scores, "site": films.side}
            whole = {"run": "r", "arm": made.arm, "seed": seed, "fold": -1, "domain": films.side, "split": split, "finding": made.finding}
            parts.append(pd.DataFrame(named).assign(**whole))
    rows = pd.concat(parts, ignore_index=True)
    filled = {name: "" if kind == "str" else np.nan for name, kind in PREDICTION_COLUMNS.items() if name not in rows}
    predictions = conform(rows.assign(**filled), PREDICTION_COLUMNS, name="predictions")
    plan = EvaluationPlan(primary=made.finding, groups=groups, bootstrap=10)
    return Evidence("arrays", "Does it shift?", predictions, Extras(), plan, (), None, None)


@pytest.fixture(scope="module")
def pool():
    return draw_pool(patients=60, size=32)


@pytest.mark.parametrize("world", worlds())
def test_every_knob_alone_and_every_pair_is_measured(pool, world):
    made = draw_world(pool, Knobs(), worlds()[world], patients=60, seed=0)
    found = measure(told(made), made, QUESTION)
    assert set(found.table["section"]) == set(SECTIONS)
    assert len(found.sentences) == 5
    assert np.isfinite(found.table.set_index(["measure", "subject"]).loc[("gap: auroc", "all films"), "value"])
    unsaid = found.table[found.table["value"].isna() & (found.table["verdict"] == "")]
    assert unsaid.empty, unsaid[["measure", "subject"]]


def test_labels_that_nobody_gave_and_a_side_that_nothing_is_known_of():
    made = cohort(patients=20)
    local = replace(made.local_films, label=np.full(40, np.nan), facts=made.local_films.facts[["site"]], features=None)
    found = measure(told(replace(made, local_films=local)), replace(made, local_films=local), QUESTION)
    assert found.repairs["value"].isna().all()
    assert any("40 local films have no label" in note for note in found.notes)


def test_the_notes_name_the_profile_and_its_edition():
    found = measure(told(cohort()), cohort(), QUESTION)
    assert "Needs are read against a profile. An old edition." in found.notes
    assert not any("opened" in note for note in found.notes)


@pytest.fixture(scope="module")
def evidence(finished):
    return evidence_of_runs(finished.study, arm="global-only")


@pytest.fixture(scope="module")
def tiny(evidence):
    return cohort_of(evidence.predictions, finding=evidence.plan.primary, arm="global-only", extras=evidence.extras)


@pytest.mark.parametrize("gone", ["all", "one"])
def test_films_that_moved_away_are_said_and_left_out(evidence, tiny, gone, caplog):
    manifest = evidence.prepared.manifest
    lost = manifest["sample_id"].isin(tiny.local_films.sample_id[: None if gone == "all" else 1])
    moved = replace(evidence.prepared, manifest=manifest.assign(root=manifest["root"].mask(lost, "/nowhere")))
    found = measure(replace(evidence, prepared=moved), tiny, QUESTION)
    said = "films are not where the manifest says: measures that read films are left out"
    assert said in caplog.text
    assert sum(said in note for note in found.notes) == 1
    assert "ladder" not in set(found.table["measure"])
    assert "sharpness" not in " ".join(found.table["subject"])


def test_the_ladder_is_climbed_without_any_network(evidence, tiny):
    assert "ladder" in set(measure(evidence, tiny, replace(QUESTION, probe=False)).table["measure"])


def test_the_local_arm_gives_the_local_deficit():
    made, better = cohort(patients=40), replace(cohort(patients=40, separation=4.0), arm="local-only")
    alone = told(made)
    both = replace(alone, predictions=pd.concat([alone.predictions, told(better).predictions], ignore_index=True))
    found = measure(both, made, QUESTION).table.set_index(["measure", "subject"])
    assert found.loc[("local deficit: auroc", "all films"), "low"] > 0
    assert not measure(alone, made, QUESTION).table["measure"].str.startswith("local deficit").any()


def test_very_large_sides_are_decomposed_on_some_patients_and_say_so(monkeypatch):
    monkeypatch.setattr("medsetu.experiment.measure.MOST_EXPLAINED", 40)
    made = cohort()
    found = measure(told(made), made, QUESTION)
    assert "Causes of the shift rest on 40 of 60 global films, drawn by patient." in found.notes
    gap = found.table[(found.table["measure"] == "gap: auroc") & (found.table["subject"] == "all films")].iloc[0]
    assert gap["n_global"] == made.global_films.n_patients
