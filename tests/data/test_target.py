# SPDX-License-Identifier: Apache-2.0
"""Facts as targets: scales come from the rows that are learned from, and what is unknown stays unknown."""

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.table import MANIFEST_COLUMNS
from medsetu.data.target import CLASSES, NUMBERS, Target, encode, targets_of


@pytest.fixture
def rows():
    age = [20.0, 40.0, np.nan, 60.0] * 4
    return pd.DataFrame({"age_years": age, "sex": ["M", "F", "", "F"] * 4, "view": ["PA"] * 16, "device": [None, "a", "b", "c"] * 4})


def test_scales_come_from_what_is_known(rows):
    age, sex, device = targets_of(rows, ["age_years", "sex", "device"])
    assert (age.mean, age.std) == (40.0, pytest.approx(np.std([20, 40, 60])))
    assert (sex.classes, device.classes) == (("F", "M"), ("a", "b", "c"))
    coded = encode(rows, [age, sex, device])
    assert coded.dtype == np.float32
    assert coded.shape == (16, 3)
    np.testing.assert_allclose(np.nanmean(coded[:, 0]), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanstd(coded[:, 0]), 1, rtol=1e-6)
    np.testing.assert_array_equal(
        np.isnan(coded[:4]), [[False, False, True], [False, False, False], [True, True, False], [False, False, False]]
    )
    np.testing.assert_array_equal(coded[:4, 1], [1, 0, np.nan, 0])


def test_a_class_that_was_not_learned_is_unknown(rows):
    other = rows.assign(sex="O")
    assert np.isnan(encode(other, targets_of(rows, ["sex"]))).all()


@pytest.mark.parametrize(("column", "match"), [("view", "with 1 values"), ("age_years", "with 1 values")])
def test_what_is_always_the_same_teaches_nothing(rows, column, match):
    rows["age_years"] = 40.0
    with pytest.raises(DataError, match=match):
        targets_of(rows, [column])


def test_too_few_known_values_are_refused(rows):
    rows.loc[4:, ["age_years", "sex"]] = [np.nan, ""]
    for column in ("age_years", "sex"):
        with pytest.raises(DataError, match="training rows know"):
            targets_of(rows, [column])


@pytest.mark.parametrize("column", ["patient_id", "site", "tuberculosis", "phash", "aeg_years"])
def test_only_facts_that_a_film_shows_can_be_asked_for(rows, column):
    with pytest.raises(ConfigError, match="nothing that a film can be asked for"):
        targets_of(rows, [column])


def test_all_facts_are_columns_of_the_manifest():
    assert {*NUMBERS, *CLASSES} <= set(MANIFEST_COLUMNS)
    assert all(MANIFEST_COLUMNS[name] == "float64" for name in NUMBERS)
    assert Target("sex", ("F", "M")) == Target("sex", ("F", "M"))
