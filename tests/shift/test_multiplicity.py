# SPDX-License-Identifier: Apache-2.0
"""Holm and Benjamini-Hochberg against an independent implementation."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from medsetu.core.errors import DataError
from medsetu.shift.multiplicity import benjamini_hochberg, holm


@pytest.mark.parametrize(("own", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_adjusted_values_agree_with_statsmodels(own, name) -> None:
    p = np.random.default_rng(0).random(25) ** 2
    p[3] = p[7]
    assert own(p) == pytest.approx(multipletests(p, method=name)[1])


@pytest.mark.parametrize("own", [holm, benjamini_hochberg])
def test_what_was_not_tested_does_not_count(own) -> None:
    found = own([0.01, np.nan, 0.04])
    assert np.isnan(found[1])
    assert found[[0, 2]] == pytest.approx(own([0.01, 0.04]))
    assert own([]).size == 0


@pytest.mark.parametrize("own", [holm, benjamini_hochberg])
def test_validators_fire(own) -> None:
    assert own([0.0, 1.0]).tolist() == [0.0, 1.0]
    for wrong in (-0.01, 1.01):
        with pytest.raises(DataError, match="1 p-values"):
            own([0.5, wrong])
