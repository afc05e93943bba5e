# SPDX-License-Identifier: Apache-2.0
"""What must not be averaged over is refused, and the message says what differs and between whom."""

from dataclasses import replace

import pytest

from contest.cohort import PLAN, field
from medsetu.contest.contestant import gather
from medsetu.core.errors import DataError


def of_b(table, **changes):
    mine = (table["arm"] == "b") & (table["sample_id"] == "test0003")
    return table.assign(**{name: table[name].mask(mine, value) for name, value in changes.items()})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": 1.0}, "label policies differ between a and b, on 1 films"),
        ({"label": float("nan")}, "label policies differ between a and b, on 1 films"),
        ({"patient_id": "someone else"}, "patients differ between a and b, on 1 films"),
        ({"patient_id": None}, "patients differ between a and b, on 1 films"),
        ({"sample_id": "test9999"}, "a and b were tested on different films: 1 only by a, 1 only by b"),
    ],
)
def test_what_differs_is_named(change, words):
    with pytest.raises(DataError, match=words) as refused:
        gather(of_b(field({"a": 1.0, "b": 1.0}), **change), PLAN)
    assert "test0003" not in str(refused.value)


def test_the_way_out_is_offered_and_counts_the_shared_films():
    table = field({"a": 1.0, "b": 1.0})
    with pytest.raises(DataError, match="on the 79 films that all have: on=shared"):
        gather(of_b(table, sample_id="test9999"), PLAN)


def test_labels_are_refused_on_shared_films_too():
    with pytest.raises(DataError, match="label policies"):
        gather(of_b(field({"a": 1.0, "b": 1.0}), label=1.0), replace(PLAN, films="shared"))


def test_a_seed_that_was_tested_on_fewer_films_is_refused():
    table = field({"a": 1.0, "b": 1.0}, seeds=2)
    table = table[~((table["arm"] == "a") & (table["seed"] == 1) & (table["sample_id"] == "test0000"))]
    with pytest.raises(DataError, match="seeds or folds of a were tested on different films: 1 films"):
        gather(table, PLAN)


def test_other_folds_of_the_same_seed_are_another_split():
    table = field({"a": 1.0, "b": 1.0}, folds=4)
    mine = (table["arm"] == "b") & (table["fold"] >= 0)
    with pytest.raises(DataError, match="splits differ between a and b"):
        gather(table.assign(fold=table["fold"].mask(mine, (table["fold"] + 1) % 4)), PLAN)
    assert gather(table.assign(fold=table["fold"].mask(mine, -1)), PLAN)  # who was not trained on the side has no folds
