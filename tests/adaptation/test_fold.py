# SPDX-License-Identifier: Apache-2.0
"""Repairs of scores within folds: what each fit may see."""

import numpy as np
import pandas as pd
import pytest

from adaptation.cohort import crossfit, study
from medsetu.adaptation.fold import crossfitted, with_folds
from medsetu.adaptation.score import Platt, PriorCorrection, Temperature
from medsetu.core.errors import DataError


def local(rows):
    return rows[rows["domain"] == "local"].reset_index(drop=True)


def test_every_film_of_a_crossfitted_side_is_tested_once_per_seed():
    spoiled, splits = crossfit(study(seeds=(0, 1)), repeats=2)
    rows = local(with_folds(spoiled, splits=splits))
    tested = rows[rows["split"] == "test"]
    assert not tested.duplicated(["seed", "sample_id"]).any()
    assert len(tested) == len(local(spoiled))
    assert set(rows["split"]) == {"val", "test"}
    seeds = [rows[(rows["seed"] == seed) & (rows["split"] == "test")].set_index("sample_id")["fold"] for seed in (0, 1)]
    assert not seeds[0].equals(seeds[1].loc[seeds[0].index])  # repeat = seed
    merged = rows.merge(local(spoiled), on=["seed", "sample_id"])
    assert (merged["score_x"] == merged["score_y"]).all()


def test_a_fixed_local_side_stays_as_it_is():
    rows = study()
    splits = pd.DataFrame({"sample_id": ["local-test-0"], "domain": "local", "repeat": -1, "fold": -1, "split": "test"})
    assert with_folds(rows, splits=splits) is rows


def test_the_test_part_ignores_its_own_labels_and_the_validation_part_its_own_film():
    """T14, for scores: permuted test labels change nothing; a validation film is scored by a fit on other patients."""
    rows = local(study(slope=3.0, repeat=2))
    first = crossfitted(rows, Platt(), global_val=None, seed=0)
    changed = rows.copy()
    test = changed["split"] == "test"
    changed.loc[test, "label"] = np.random.default_rng(1).permutation(changed.loc[test, "label"])
    assert (crossfitted(changed, Platt(), global_val=None, seed=0)["score"] == first["score"]).all()
    val = first[first["split"] == "val"]
    whole = Platt().fit(val["label"], rows.loc[val.index, "score"]).apply(rows.loc[val.index, "score"])
    assert not np.allclose(val["score"], whole)
    assert val["score"].notna().all()


def test_each_fold_is_fitted_on_its_own_validation_films():
    spoiled, splits = crossfit(study(slope=3.0))
    rows = local(with_folds(spoiled, splits=splits))
    found = crossfitted(rows, Temperature(), global_val=None, seed=0)
    for fold, part in rows.groupby("fold"):
        val, test = part[part["split"] == "val"], part[part["split"] == "test"]
        expected = Temperature().fit(val["label"], val["score"]).apply(test["score"])
        after = found[(found["fold"] == fold) & (found["split"] == "test")].set_index("sample_id")["score"]
        np.testing.assert_allclose(after.loc[test["sample_id"]], expected)


def test_a_fit_on_the_global_side_reads_no_local_label():
    rows = study()
    mine = local(rows).assign(label=np.nan)
    there = rows[rows["domain"] == "global"].assign(weight=1.0)
    found = crossfitted(mine, PriorCorrection(0.1), global_val=there, seed=0)
    assert (found["score"] < mine["score"]).all()


def test_too_few_validation_patients_leave_no_inner_score_and_one_class_is_refused():
    rows = local(study(val=30, prevalence=0.3))
    val = rows["split"] == "val"
    positive = rows.index[val & (rows["label"] == 1)]
    few = rows.drop(positive[1:])
    found = crossfitted(few, Platt(), global_val=None, seed=0)
    assert found.loc[found["split"] == "val", "score"].isna().all()
    with pytest.raises(DataError, match="both classes"):
        crossfitted(rows.drop(positive), Platt(), global_val=None, seed=0)
