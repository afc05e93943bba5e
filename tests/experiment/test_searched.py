# SPDX-License-Identifier: Apache-2.0
"""What a search leaves behind, from trials that no network has trained."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import yaml

from medsetu.core.errors import DivergedError
from medsetu.core.table import write_table
from medsetu.experiment import searched
from medsetu.experiment.design import Cell
from medsetu.experiment.prepare import prepare_recipe
from medsetu.recipe.recipe import build_recipe
from medsetu.search.plan import SearchPlan
from medsetu.search.space import Knob
from medsetu.search.trial import FAILED, FINISHED, GIVEN_UP, Trials

KNOBS = (Knob("data.fit", choices=("pad", "crop")), Knob("stages.finetune.lr", 0.001, 0.1, log=True))


def said_by(number, folder):
    rng = np.random.default_rng(number)
    names = [f"film/{place}" for place in rng.permutation(12)]
    label = [float(int(name[5:]) % 2) for name in names]
    rows = pd.DataFrame({"sample_id": names, "patient_id": names, "finding": "tuberculosis", "label": label, "logit": rng.normal(size=12)})
    write_table(rows, searched.validation_path(folder, number))


@pytest.fixture
def ground(compose, tmp_path):
    recipe = build_recipe(compose("search", tmp_path / "runs"))
    return recipe, prepare_recipe(recipe), tmp_path / "one"


def test_table_record_and_overlay(ground):
    recipe, prepared, folder = ground
    trials = Trials(folder, KNOBS, SearchPlan({}, resamples=50), mode="min")
    for number, value in enumerate((0.7, 0.5, 0.6)):
        said_by(number, folder)
        trials.add(trials.propose(), FINISHED, value, epochs=2, stages=["a", f"b{number}"], best_epoch=1, seconds=1.0, parameters_trained=9)
    trials.add(trials.propose(), GIVEN_UP, math.nan, epochs=1)
    trials.add(trials.propose(), FAILED, math.nan, reason="no number")
    found = searched.write_search(recipe, Cell("transfer", 0), trials, prepared=prepared)
    table = pd.read_csv(folder / "trials.csv")
    assert list(table["state"]) == [FINISHED] * 3 + [GIVEN_UP, FAILED]
    assert list(table["stage"].fillna("")) == ["b0", "b1", "b2", "", ""]
    assert (found.best.number, found.flattered.trials, found.flattered.patients) == (1, 3, 12)
    assert 0 < found.flattered.optimism < 0.5
    record = json.loads((folder / "search.json").read_text())
    assert record["counts"] == {FINISHED: 3, GIVEN_UP: 1, FAILED: 1}
    assert record["optimism"]["optimism"] == pytest.approx(found.flattered.optimism)
    assert "optuna" in record["packages"]
    overlay = yaml.safe_load(found.recipe.read_text())
    assert overlay == {
        "defaults": ["demo", "_self_"],
        "name": "demo_best",
        "data": {"fit": found.best.values["data.fit"]},
        "stages": {"finetune": {"lr": found.best.values["stages.finetune.lr"]}},
    }
    assert found.recipe.read_text().startswith("# @package _global_\n# Does a network")
    assert found.command == f"medsetu study --config-dir {folder} recipe=demo_best"


def test_films_of_all_trials_are_joined_by_name(ground, monkeypatch):
    """Each table has its own order of films."""
    _, _, folder = ground
    trials = Trials(folder, KNOBS, SearchPlan({}), mode="min")
    for number in range(2):
        said_by(number, folder)
        trials.add(trials.propose(), FINISHED, 0.5)
    given = {}
    monkeypatch.setattr(searched, "flattery", lambda label, logits, **more: given.update(label=label, logits=logits, **more))
    searched._flattered(folder, trials.ended(), monitor="loss", resamples=1, seed=0)
    table = pd.read_parquet(searched.validation_path(folder, 1)).set_index("sample_id")
    assert list(given["logits"][1][:, 0]) == list(table.loc[given["patient"], "logit"])
    assert list(given["label"][:, 0]) == list(table.loc[given["patient"], "label"])


def test_no_winner_no_recipe(ground):
    recipe, prepared, folder = ground
    trials = Trials(folder, KNOBS, SearchPlan({}), mode="min")
    trials.add(trials.propose(), FAILED, math.nan, reason="no number")
    with pytest.raises(DivergedError, match=r"None of 1 trials.*no number"):
        searched.write_search(recipe, Cell("transfer", 0), trials, prepared=prepared)
    assert not (folder / "recipe").exists()
