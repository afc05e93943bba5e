# SPDX-License-Identifier: Apache-2.0
"""Published numbers stand beside ours, with their source, or are refused."""

import math

import pandas as pd
import pytest

from medsetu.core.errors import ConfigError
from medsetu.core.table import RESULT_COLUMNS, conform
from medsetu.evaluation.published import published_beside, published_of

ONE = {"arm": "global-only", "side": "local", "finding": "tuberculosis", "metric": "auroc", "value": 0.71, "n": 155, "source": "A 2026"}


def results(**change):
    row = dict.fromkeys(RESULT_COLUMNS, "") | {"arm": "global-only", "domain": "local", "group": "all", "finding": "tuberculosis"}
    row |= {"metric": "auroc", "value": 0.70, "low": 0.6, "high": 0.8, "n_patients": 90, "n_samples": 104, "n_positive": 52}
    return conform(pd.DataFrame([row | change]), RESULT_COLUMNS, name="results")


def test_ours_stands_beside_theirs():
    table = published_beside(published_of([ONE, ONE | {"low": 0.6, "high": 0.9}]), results(), pd.DataFrame())
    first = table.iloc[0]
    assert (first["published"], first["value"], first["published_n"], first["n_samples"]) == (0.71, 0.70, 155, 104)
    assert math.isnan(first["published_low"])
    assert (table.iloc[1]["published_low"], table.iloc[1]["published_high"]) == (0.6, 0.9)


def test_a_number_that_the_study_lacks_is_said():
    other = published_of([ONE | {"arm": "transfer"}, ONE | {"metric": "brier"}, ONE | {"side": "external: Montgomery County"}])
    table = published_beside(other, results(), pd.DataFrame())
    assert table["value"].isna().all()
    assert (table["note"] == "not tested in this study").all()


def test_a_group_is_not_the_whole():
    assert published_beside(published_of([ONE]), results(group="sex=F"), pd.DataFrame())["value"].isna().all()


def test_single_external_sites_come_from_the_matrix():
    cells = pd.DataFrame(
        [{"arm": "global-only", "side": "external: Montgomery County", "value": 0.6, "low": 0.5, "high": 0.7, "n_samples": 138, "note": ""}]
    )
    table = published_beside(published_of([ONE | {"side": "external: Montgomery County"}]), results(), cells)
    assert table["value"].tolist() == [0.6]


def test_an_undefined_number_keeps_its_reason():
    table = published_beside(published_of([ONE | {"note": "positives only"}]), results(value=math.nan, note="one class"), pd.DataFrame())
    assert table["note"].item() == "positives only; one class"


@pytest.mark.parametrize("change", [{"how": "memory"}, {"source": ""}, {"low": 0.9}, {"value": math.nan}, {"colour": "red"}])
def test_what_cannot_be_checked_is_refused(change):
    with pytest.raises(ConfigError, match="published"):
        published_of([ONE | change])


def test_no_number_is_an_empty_table():
    assert published_beside((), results(), pd.DataFrame()).empty
