# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from contest.cohort import PLAN, contestants, field, rows
from medsetu.contest.contestant import gather
from medsetu.core.errors import ConfigError


def test_contestants_stand_on_the_same_films_in_one_order():
    table = field({"a": 2.0, "b": 1.0}, per_class=12, seeds=2, val=5)
    found = gather(table.sample(frac=1.0, random_state=0), PLAN)
    one, other = found.contestants
    assert one.matrix.sample_id.tolist() == other.matrix.sample_id.tolist() == sorted(one.matrix.sample_id)
    assert one.seeds == 2
    assert len(one.validation) == 2 * 10
    assert (found.title, found.unit, found.notes) == ("NITRD", "by patient", ())


def test_the_arm_is_read_off_the_name():
    made = contestants(field({"study_a/transfer:lora#1a2b3c": 1.0, "global-only": 1.0}))
    assert [one.arm for one in made] == ["transfer", "global-only"]


def test_by_seed_averages_the_folds_of_a_seed():
    label = np.array([1.0, 0.0] * 10)
    table = pd.concat([rows(arm, label, np.full(20, 0.1 + 0.2 * fold), fold=fold) for arm in "ab" for fold in (0, 1)])
    one = contestants(table)[0]
    assert one.matrix.scores.shape == (2, 20)
    assert one.by_seed(one.matrix.scores).shape == (1, 20)
    assert one.by_seed(one.matrix.scores)[0].tolist() == pytest.approx([0.2] * 20)


def test_other_seeds_are_allowed_and_told():
    table = field({"a": 1.0, "b": 1.0}, seeds=2)
    table = table[~((table["arm"] == "b") & (table["seed"] == 1))]
    assert any("different seeds" in note for note in gather(table, PLAN).notes)


def test_one_contestant_is_no_comparison():
    with pytest.raises(ConfigError, match="1 contestant"):
        gather(field({"a": 1.0}), PLAN)


def test_who_was_not_tested_for_the_finding_or_on_the_side_is_named():
    table = field({"a": 1.0, "b": 1.0})
    other = table.assign(finding=table["finding"].mask(table["arm"] == "b", "edema"))
    with pytest.raises(ConfigError, match=r"'b' was not tested for 'tuberculosis'.*Key finding.*edema"):
        gather(other, PLAN)
    elsewhere = table.assign(domain=table["domain"].mask(table["arm"] == "b", "global"))
    with pytest.raises(ConfigError, match=r"Key side.*global"):
        gather(elsewhere, PLAN)


def test_shared_films_only_when_asked_for():
    table = field({"a": 1.0, "b": 1.0}, per_class=12)
    gone = table[~((table["arm"] == "b") & (table["sample_id"] < "test0004"))]
    found = gather(gone, replace(PLAN, films="shared"))
    assert found.contestants[0].matrix.label.size == 20
    assert "4 films left out" in found.notes[0]


def test_no_film_in_common_is_refused():
    table = field({"a": 1.0, "b": 1.0})
    table["sample_id"] = table["sample_id"] + table["arm"].mask(table["arm"] == "a", "")
    with pytest.raises(ConfigError, match="No film was tested by every contestant"):
        gather(table, replace(PLAN, films="shared"))
