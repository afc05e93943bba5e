# SPDX-License-Identifier: Apache-2.0
"""A study with a learning curve: fewer local patients, the same test, nothing trained twice, and no ordinary comparison that sees it."""

import json

import numpy as np
import pandas as pd
import pytest

from experiment.conftest import run_study
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder
from medsetu.core.table import PREDICTION_COLUMNS, read_table
from medsetu.experiment import curve, study
from medsetu.experiment.curve import CURVE_COLUMNS, curve_cells, read_curves
from medsetu.experiment.design import Cell, assignment_of, cell_of, thinned_assignment
from medsetu.experiment.evidence import finished_runs
from medsetu.experiment.outcome import refuse_thinned
from medsetu.experiment.prepare import manifest_folder
from medsetu.manifest.frozen import load
from medsetu.manifest.thin import count_learned
from medsetu.recipe.recipe import build_recipe
from medsetu.shift.exchange import exchange_rates

SHARE = 0.6
SHOTS = 3


@pytest.fixture(scope="module")
def recipe(finished):
    return build_recipe(finished.config)


@pytest.fixture(scope="module")
def prepared(recipe):
    return load(manifest_folder(recipe))


@pytest.fixture
def bent(copied):
    """The finished study, started again with a learning curve."""
    return run_study({**copied.config, "curve": [SHARE]})


def test_only_arms_that_learn_locally_get_cells(recipe, prepared):
    cells = curve_cells(recipe, prepared, seeds=[0, 1], shares=[0.3, 0.6])
    assert [cell.name for cell in cells[:2]] == ["local-only@0.6-s0", "local-only@0.6-s1"]
    assert {(cell.arm, cell.local_share) for cell in cells} == {(arm, share) for arm in ("local-only", "transfer") for share in (0.3, 0.6)}
    assert len(cells) == 8
    assert curve_cells(recipe, prepared, seeds=[0], shares=[]) == []


@pytest.mark.parametrize("shares", [[0.0], [1.0], [0.5, 0.5], [0.5, 0.501]])
def test_shares_that_make_no_curve_are_refused_before_training(recipe, prepared, shares):
    with pytest.raises(ConfigError, match="Key curve"):
        curve_cells(recipe, prepared, seeds=[0], shares=shares)


def test_arms_share_their_patients_and_the_test_is_whole(recipe, prepared):
    local, transfer, whole = (Cell(arm, 0, -1, share) for arm, share in (("local-only", SHARE), ("transfer", SHARE), ("transfer", None)))
    fewer = thinned_assignment(recipe, prepared, transfer)
    pd.testing.assert_series_equal(thinned_assignment(recipe, prepared, local), fewer)
    everyone = thinned_assignment(recipe, prepared, whole)
    pd.testing.assert_series_equal(everyone, assignment_of(prepared, whole))
    left_out = prepared.manifest[prepared.manifest["sample_id"].isin(set(everyone.index) - set(fewer.index))]
    assert set(left_out["domain"]) == {"local"}
    assert "test" not in set(everyone[left_out["sample_id"]])


def test_a_study_with_a_curve_leaves_its_points(bent, finished, recipe, prepared):
    points = pd.read_csv(bent.study / "curve.csv")
    assert list(points.columns) == list(CURVE_COLUMNS)
    assert points["label"].tolist() == [f"local-only@{SHARE}", "local-only", "global-only", f"transfer@{SHARE}", "transfer"]
    assert points["share"].tolist() == [SHARE, 1.0, 0.0, SHARE, 1.0]
    kept = count_learned(prepared.manifest, thinned_assignment(recipe, prepared, Cell("transfer", 0, -1, SHARE)), domain="local")
    assert points.loc[3, ["patients", "films"]].tolist() == list(kept)
    assert points["n_samples"].nunique() == 1
    # of all stages only the two finetunings with fewer patients were trained, and no ordinary run
    assert bent.err.count("Training stage") == 2
    assert sorted(path.name for path in bent.runs.glob("demo/*-s0-*")) == sorted(path.name for path in finished.runs.glob("demo/*-s0-*"))
    for name in ("matrix.csv", "results.csv"):
        assert (bent.study / name).read_bytes() == (finished.study / name).read_bytes()
    run = RunFolder(next((bent.runs / "demo" / "curve").glob("transfer@*")))
    facts = json.loads(run.provenance.read_text())
    assert (facts["arm"], facts["local_share"], facts["labels_spent"]["local"]) == ("transfer", SHARE, kept[1])
    predictions = read_table(run.predictions)
    assert list(predictions.columns) == list(PREDICTION_COLUMNS)
    assert set(predictions["arm"]) == {f"transfer@{SHARE}"}
    curves = read_curves(bent.study, replicates=20)
    assert curves["transfer"].n[0] == 0
    assert curves["local-only"].draws.shape == (20, 2)
    np.testing.assert_allclose(curves["transfer"].value, points.loc[2:, "value"])
    assert len(exchange_rates(curves["local-only"], curves["transfer"])) == 3
    ordinary = finished_runs([bent.runs / "demo"])
    assert {run.path.parent.name for run in ordinary} == {"demo"}
    with pytest.raises(ConfigError, match="share of the local patients"):
        refuse_thinned(predictions)


def test_few_shot_points_are_draws_on_the_same_films(copied, recipe, prepared):
    """Each draw is other patients and another training; the global stage is trained once, and the claim is about redraws."""
    shot = run_study({**copied.config, "shots": [SHOTS], "draws": 2})
    assert shot.err.count("Training stage") == 4
    points = pd.read_csv(shot.study / "curve.csv").set_index("label")
    few = points.loc[[f"local-only@{SHOTS}-shot", f"transfer@{SHOTS}-shot"]]
    assert few["patients"].tolist() == [2 * SHOTS, 2 * SHOTS]
    assert few["shots"].tolist() == [SHOTS, SHOTS]
    assert few["share"].isna().all()
    assert points["n_samples"].nunique() == 1
    predictions = read_table(shot.study / "curve.parquet")
    drawn = predictions[predictions["arm"] == f"transfer@{SHOTS}-shot"]
    assert drawn["seed"].nunique() == 2  # so that every interval counts a draw as it counts a seed
    one, two = (rows.set_index("sample_id")["score"] for _, rows in drawn.groupby("seed"))
    assert set(one.index) == set(two.index)
    assert not np.allclose(one, two.loc[one.index])
    run = RunFolder(next((shot.runs / "demo" / "curve").glob(f"transfer@{SHOTS}-shot-d1-s0*")))
    facts = json.loads(run.provenance.read_text())
    assert cell_of(facts) == Cell("transfer", 0, -1, None, SHOTS, 1)
    assert (
        facts["labels_spent"]["local"]
        == count_learned(prepared.manifest, thinned_assignment(recipe, prepared, cell_of(facts)), domain="local")[1]
    )
    curves = read_curves(shot.study, replicates=20)
    assert len(exchange_rates(curves["local-only"], curves["transfer"])) == 3
    assert not list((shot.runs / "demo").glob("*-shot*"))


@pytest.mark.parametrize(("arm", "shared"), [("local-only", ""), ("transfer", " from 1 seed of the stages before")])
def test_the_claim_is_about_redraws_and_their_spread_counts(recipe, arm, shared):
    """Draws that differ widen the interval that one draw has, and the note names the third claim level."""
    rng, label = np.random.default_rng(0), np.repeat([0.0, 1.0], 40)
    cells = [Cell(arm, 0, -1, None, 4, draw) for draw in range(6)]
    parts = [
        pd.DataFrame(
            {
                "seed": cell.training_seed,
                "fold": -1,
                "sample_id": [f"f{film}" for film in range(80)],
                "patient_id": [f"p{film}" for film in range(80)],
                "finding": "tuberculosis",
                "label": label,
                "score": 1 / (1 + np.exp(-(label * (0.2 + 2.0 * (cell.draw % 2)) + rng.normal(size=80)))),
            }
        )
        for cell in cells
    ]
    found = curve._point(pd.concat(parts), [(cell, (8, 8)) for cell in cells], recipe=recipe)
    assert f"claim: this recipe with n local patients, 6 training redraws{shared}" in found["note"]
    one = curve._point(parts[2], [(cells[2], (8, 8))], recipe=recipe)
    assert "claim: this model" in one["note"]
    assert found["high"] - found["low"] > 1.5 * (one["high"] - one["low"])


def test_draws_take_the_seeds_in_turn(recipe, prepared):
    cells = curve_cells(recipe, prepared, seeds=[5, 7], shares=[], shots=[3, 4], draws=3)
    assert [cell.name for cell in cells[:2]] == ["local-only@4-shot-d0-s5", "transfer@4-shot-d0-s5"]
    assert [(cell.draw, cell.seed) for cell in cells if cell.arm == "transfer" and cell.local_patients == 3] == [(0, 5), (1, 7), (2, 5)]
    assert len({cell.training_seed for cell in cells}) == 3


@pytest.mark.parametrize(("shots", "draws"), [([1], 2), ([1000], 2), ([3, 3], 2), ([3], 0)])
def test_numbers_of_patients_that_cannot_be_drawn_are_refused(recipe, prepared, shots, draws):
    with pytest.raises(ConfigError, match=r"Key (shots|draws|curve)"):
        curve_cells(recipe, prepared, seeds=[0], shares=[], shots=shots, draws=draws)


def test_a_study_without_a_curve_has_none(finished):
    assert read_curves(finished.study) == {}
    assert not (finished.runs / "demo" / "curve").exists()


def test_launched_jobs_carry_the_share(recipe, prepared, finished, monkeypatch, tmp_path):
    """Every job of a launcher is a cell again on the other side; what others start from goes first."""
    waves, cells = [], [Cell("transfer", 0), Cell("global-only", 0), Cell("transfer", 0, -1, SHARE), Cell("transfer", 0, 2, None, 4, 1)]
    monkeypatch.setattr(study, "launch", lambda jobs, task: waves.append(jobs) or [str(tmp_path)] * len(jobs))
    study._everywhere(cells)
    assert [[job["arm"] for job in wave] for wave in waves] == [["global-only"], ["transfer"] * 3]
    met = []
    monkeypatch.setattr(study, "prepare_recipe", lambda _: prepared)
    monkeypatch.setattr(study, "run_cell", lambda *found: met.append(found[2]) or RunFolder(tmp_path))
    for job in waves[1]:
        study.run_one({**finished.config, **job})
    assert met == [cells[0], *cells[2:]]
