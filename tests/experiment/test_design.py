# SPDX-License-Identifier: Apache-2.0
"""Design: which cells there are, in what order, and on which side a sample stands for one of them."""

import pandas as pd
import pytest

from medsetu.experiment.design import Cell, assignment_of, cell_of, cells_of, split_hash
from medsetu.experiment.prepare import manifest_folder
from medsetu.manifest.frozen import load
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.recipe import build_recipe

ARMS = ("transfer", "local-only", "global-only")


@pytest.fixture(scope="module")
def recipe(finished):
    return build_recipe(finished.config)


@pytest.fixture(scope="module")
def prepared(recipe):
    return load(manifest_folder(recipe))


def folded(manifest, *, folds=2, repeats=2):
    """Two films on the global side, four cross-fitted ones on the local side."""
    fixed = [("g0", "global", -1, -1, "train"), ("g1", "global", -1, -1, "test")]
    crossed = [
        (f"l{film}", "local", repeat, fold, "test" if (film + repeat) % folds == fold else "train")
        for repeat in range(repeats)
        for fold in range(folds)
        for film in range(4)
    ]
    splits = pd.DataFrame(fixed + crossed, columns=["sample_id", "domain", "repeat", "fold", "split"])
    rows = pd.DataFrame({"sample_id": ["g0", "g1", "l0", "l1", "l2", "l3"], "split": ["train", "test", *["crossfit"] * 4]})
    empty = pd.DataFrame()
    return Prepared(manifest=rows, splits=splits, quarantine=empty, excluded=empty, duplicates=empty, fingerprint="", facts={})


def test_global_only_comes_first_because_transfer_starts_from_it(recipe, prepared):
    names = [cell.name for cell in cells_of(recipe, prepared, arms=ARMS, seeds=[3, 1])]
    assert names[:2] == ["global-only-s3", "global-only-s1"]
    assert sorted(names[2:]) == ["local-only-s1", "local-only-s3", "transfer-s1", "transfer-s3"]


def test_arms_that_learn_from_a_crossfitted_side_have_a_cell_per_fold(recipe, prepared):
    names = [cell.name for cell in cells_of(recipe, folded(prepared.manifest), arms=ARMS, seeds=[0])]
    assert names == ["global-only-s0", "transfer-s0-f0", "transfer-s0-f1", "local-only-s0-f0", "local-only-s0-f1"]
    assert [cell.name for cell in cells_of(recipe, folded(prepared.manifest), arms=["transfer"], seeds=[0], fold=1)] == ["transfer-s0-f1"]


def test_the_repeat_follows_the_seed(prepared):
    both = folded(prepared.manifest)
    first, second, third = (assignment_of(both, Cell("transfer", seed, 0)) for seed in range(3))
    assert first["l0"] == "test"
    assert second["l0"] == "train"
    pd.testing.assert_series_equal(first, third)


def test_a_crossfitted_side_that_teaches_nothing_is_test_altogether(prepared):
    assignment = assignment_of(folded(prepared.manifest), Cell("global-only", 0))
    assert assignment.to_dict() == {"g0": "train", "g1": "test", "l0": "test", "l1": "test", "l2": "test", "l3": "test"}


@pytest.mark.parametrize("cell", [Cell("transfer:lora", 3, 2), Cell("global-only", 0), Cell("local-only", 1, -1, 0.25)])
def test_a_cell_is_read_back_from_what_a_run_says_of_itself(cell):
    assert cell_of({"arm": cell.arm, "seed": cell.seed, "fold": cell.fold, "local_share": cell.local_share}) == cell


def test_the_hash_of_a_split_knows_sides_and_no_order():
    split = pd.Series({"a": "train", "b": "test"})
    assert split_hash(split) == split_hash(split[::-1])
    assert split_hash(split) != split_hash(pd.Series({"a": "test", "b": "train"}))
