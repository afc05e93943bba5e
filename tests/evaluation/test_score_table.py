# SPDX-License-Identifier: Apache-2.0
"""Scores of a peer's model: columns by name, every impossible value counted and named."""

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import DataError
from medsetu.core.table import PREDICTION_COLUMNS
from medsetu.evaluation.score_table import read_scores


def table(**changes: object) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "sample_id": ["a", "b", "c", "d"],
            "domain": ["global", "global", "local", "local"],
            "score": [0.0, 0.2, 0.7, 1.0],
            "label": [0, 1, 1, np.nan],
        }
    )
    return rows.assign(**changes)


def written(tmp_path, frame):
    frame.to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "scores.csv"


def test_four_columns_are_enough_and_unknown_stays_unknown(tmp_path):
    found = read_scores(written(tmp_path, table()))
    assert list(found.columns) == list(PREDICTION_COLUMNS)
    assert found["split"].tolist() == ["test"] * 4
    assert found["patient_id"].isna().all()
    assert np.isnan(found["label"].iloc[3])


def test_other_names_are_mapped_in_any_order(tmp_path):
    frame = table().rename(columns={"score": "prob", "label": "truth"})[["truth", "domain", "prob", "sample_id"]]
    found = read_scores(written(tmp_path, frame), columns={"score": "prob", "label": "truth"})
    assert found["score"].tolist() == [0.0, 0.2, 0.7, 1.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"score": [0.1, np.nan, 0.2, np.nan]}, "2 scores are missing"),
        ({"score": [0.1, 1.5, 0.2, -3.0]}, "2 scores lie outside"),
        ({"score": ["0.1", "high", "0.2", "0.3"]}, "1 values of column 'score' are no numbers"),
        ({"label": [0, 1, 2, 0]}, "1 labels are neither"),
        ({"domain": ["global", "india", "local", "local"]}, "1 rows are of no side"),
        ({"split": ["test", "test", "dev", "test"]}, "1 rows are of no split"),
        ({"sample_id": ["a", "a", "c", "d"]}, "1 rows score a film a second time"),
        ({"threshold": [0.5, 0.5, 0.4, 0.5]}, "2 thresholds are mixed"),
        ({"sample_id": ["a", "a", "c", "d"], "seed": [0, 1, 0, 0]}, "1 films carry two labels"),
        (
            {"sample_id": ["a", "a", "c", "d"], "label": [0, 0, 1, 1], "split": ["test", "val", "test", "test"]},
            "1 films stand in two splits",
        ),
        ({"patient_id": ["p", "p", "q", "r"], "split": ["test", "val", "test", "test"]}, "1 patients stand in two splits"),
    ],
)
def test_impossible_rows_are_counted_and_named(tmp_path, changes, said):
    with pytest.raises(DataError, match=said):
        read_scores(written(tmp_path, table(**changes)))


def test_missing_columns_and_files_are_named(tmp_path):
    with pytest.raises(DataError, match="Column 'label' is missing"):
        read_scores(written(tmp_path, table().drop(columns="label")))
    with pytest.raises(DataError, match="no column 'prob'"):
        read_scores(written(tmp_path, table()), columns={"score": "prob"})
    with pytest.raises(DataError, match="Did you mean 'score'"):
        read_scores(written(tmp_path, table()), columns={"scor": "score"})
    with pytest.raises(DataError, match="no row"):
        read_scores(written(tmp_path, table().iloc[:0]))
    with pytest.raises(DataError, match="missing"):
        read_scores(tmp_path / "nothing.csv")


def test_equal_numbers_at_two_sites_and_other_folds_are_no_leak(tmp_path):
    sites = {"patient_id": ["1", "2", "1", "2"], "split": ["val", "test", "test", "val"]}
    assert len(read_scores(written(tmp_path, table(**sites)))) == 4
    folds = {"sample_id": ["a", "a", "c", "c"], "label": [0, 0, 1, 1], "fold": [0, 1, 0, 1], "split": ["val", "test", "test", "val"]}
    assert len(read_scores(written(tmp_path, table(**folds)))) == 4


def test_an_empty_patient_is_unknown_and_not_one_patient(tmp_path):
    path = tmp_path / "scores.parquet"
    table(patient_id=["p", "", " ", None]).to_parquet(path)
    assert read_scores(path)["patient_id"].isna().tolist() == [False, True, True, True]
