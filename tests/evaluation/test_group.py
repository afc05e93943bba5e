# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError
from medsetu.evaluation.group import age_band, groups

ROWS = pd.DataFrame(
    {
        "sample_id": list("abcd") * 2,
        "sex": ["F", "M", "", np.nan] * 2,
        "age_years": [0.5, 18, 80, np.nan] * 2,
        "view": ["PA"] * 8,
        "device": [""] * 8,
    }
)


def _groups(*columns: str):
    return {group.name: group for group in groups(ROWS, columns=columns, age_bands=(18, 60))}


def test_values_and_unknown_are_groups():
    found = _groups("sex")
    assert {name: sorted(group.sample_ids) for name, group in found.items()} == {"sex=F": ["a"], "sex=M": ["b"], "sex=unknown": ["c", "d"]}


def test_ages_are_cut_into_bands():
    found = _groups("age_years")
    assert set(found) == {"age_years=0-17", "age_years=18-59", "age_years=60+", "age_years=unknown"}
    assert age_band(pd.Series([17.999, 18.0]), bands=()).tolist() == ["0+", "0+"]


def test_one_value_is_no_group_and_no_facts_say_so():
    assert _groups("view") == {}
    nothing = _groups("device")["device"]
    assert nothing.sample_ids == frozenset()
    assert nothing.note == "not assessable: device is not recorded"


def test_misspelt_column_offers_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'sex'"):
        list(groups(ROWS, columns=["sexx"], age_bands=()))
