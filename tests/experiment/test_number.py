# SPDX-License-Identifier: Apache-2.0
"""Number by number: the first one that does not follow is named, NaN equals NaN, and no patient is shown."""

import math

import pandas as pd
import pytest

from medsetu.experiment.number import data_check, page_check, table_check
from medsetu.experiment.verdict import DIFFERS, SAME

TABLE = pd.DataFrame({"arm": ["transfer", "local-only"], "patient_id": ["p1", None], "value": [0.1 + 0.2, math.nan], "n": [3, 4]})


def stored(tmp_path, table, name):
    path = tmp_path / name
    table.to_csv(path, index=False) if name.endswith(".csv") else table.to_parquet(path, index=False)
    return pd.read_csv(path) if name.endswith(".csv") else pd.read_parquet(path)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_what_was_written_is_the_same_to_the_last_bit(tmp_path, name):
    check = table_check(name, stored=stored(tmp_path, TABLE, name), derived=TABLE)
    assert (check.status, check.note) == (SAME, "3 numbers, all to the last bit")


def test_the_last_bits_may_differ_and_are_told(tmp_path):
    check = table_check("x.csv", stored=stored(tmp_path, TABLE.assign(value=TABLE["value"] + 1e-12), "x.csv"), derived=TABLE)
    assert check.status == SAME
    assert "largest difference 1.0e-12" in check.note


@pytest.mark.parametrize("value", [0.3001, math.nan, math.inf])
def test_another_number_is_named_with_its_row(tmp_path, value):
    other = TABLE.assign(value=[value, math.nan])
    check = table_check("x.csv", stored=stored(tmp_path, other, "x.csv"), derived=TABLE)
    assert check.status == DIFFERS
    assert check.note == "1 of 4 numbers do not follow; first: value of row 0 (transfer)".replace("4", "3")
    assert check.found == "0.3"


def test_a_word_a_row_or_a_column_that_does_not_follow_is_named():
    assert "column arm, row 1" in table_check("x", stored=TABLE.assign(arm=["transfer", "other"]), derived=TABLE).note
    assert "rows or columns" in table_check("x", stored=TABLE.iloc[:1], derived=TABLE).note
    assert "rows or columns" in table_check("x", stored=TABLE.rename(columns={"n": "m"}), derived=TABLE).note
    assert "missing or cannot be read" in table_check("x", stored=None, derived=TABLE).note
    assert "something else" in table_check("x", stored=TABLE.assign(n=["3", "four"]), derived=TABLE).note


def test_no_patient_is_shown():
    check = table_check("x", stored=TABLE.assign(patient_id=["p9", None]), derived=TABLE)
    assert check.status == DIFFERS
    assert "p9" not in str(check)
    assert "p1" not in str(check)


PAGE = (
    "<html><head><style>a{}</style></head><p>AUROC 0.812 [0.700, 0.900]</p><svg><text>1</text></svg>"
    '<section aria-labelledby="films"><p>score 0.4</p></section></html>'
)


def test_a_page_is_compared_as_bytes_and_as_words():
    assert page_check("x", stored=PAGE, derived=PAGE, films=True).note == "4 numbers, to the last byte"
    drawn = page_check("x", stored=PAGE, derived=PAGE.replace("<text>1", "<text>2"), films=True)
    assert (drawn.status, "figures drawn in other bytes" in drawn.note) == (SAME, True)


def test_a_number_of_a_page_that_does_not_follow_is_shown():
    check = page_check("x", stored=PAGE.replace("0.812", "0.912"), derived=PAGE, films=True)
    assert (check.status, "0.912" in check.recorded, "0.812" in check.found) == (DIFFERS, True, True)


def test_without_films_their_section_is_left_out():
    without = PAGE.replace('<section aria-labelledby="films"><p>score 0.4</p></section>', "")
    check = page_check("x", stored=PAGE, derived=without, films=False)
    assert check.note == "3 numbers, to the last byte; the films are not here, their section and the checklists are left out"


@pytest.mark.parametrize(
    ("stored", "place"),
    [
        ({"a": [1.0, 2.1]}, "a/1"),
        ({"a": [1.0]}, "a/length"),
        ({"a": [1.0, 2.0], "b": 1}, "b"),
        ({"a": [1.0, True]}, "a/1"),
        ({}, "a/length"),
    ],
)
def test_data_that_does_not_follow_is_named_by_its_place(stored, place):
    found = data_check("x.json", stored=stored, derived={"a": [1.0, 2.0]})
    assert (found.status, found.note) == (DIFFERS, f"{place} does not follow")


def test_data_that_follows_up_to_rounding_is_the_same():
    found = data_check("x.json", stored={"a": [1, None, "w"]}, derived={"a": [1.0 + 1e-12, None, "w"]})
    assert (found.status, found.note) == (SAME, "1 numbers")
