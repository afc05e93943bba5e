# SPDX-License-Identifier: Apache-2.0
"""Votes read as labels; missing readings are no votes."""

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.vote import ANY, MAJORITY, UNANIMOUS, fuse_votes, policy_label

NAN = float("nan")
ROWS = pd.DataFrame({"film": ["b", "b", "a", "a"], "reader": ["x", "y", "x", "y"], "mass": [1, 0, 1, 1], "edema": [NAN, 0, NAN, NAN]})


@pytest.mark.parametrize(("policy", "mass"), [(ANY, [1, 1]), (MAJORITY, [1, NAN]), (UNANIMOUS, [1, 0])])
def test_each_policy_by_film(policy, mass):
    table = fuse_votes(ROWS, key="film", findings=["mass", "edema"], policy=policy)
    assert table.index.tolist() == ["a", "b"]
    assert np.array_equal(table["mass"], mass, equal_nan=True)
    assert np.array_equal(table["edema"], [NAN, 0], equal_nan=True)


def test_what_is_no_vote_is_refused():
    with pytest.raises(DataError, match="Finding 'mass'"):
        fuse_votes(ROWS.assign(mass=0.5), key="film", findings=["mass"], policy=ANY)
    with pytest.raises(ConfigError, match="unanimous"):
        policy_label(np.ones((1, 2)), "loudest")
