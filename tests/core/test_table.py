# SPDX-License-Identifier: Apache-2.0
"""The three tables: fixed columns first, typed, verified when read."""

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import DataError
from medsetu.core.table import (
    MANIFEST_COLUMNS,
    PREDICTION_COLUMNS,
    RESULT_COLUMNS,
    conform,
    finding_columns,
    read_table,
    write_table,
)


def test_conform_orders_types_and_keeps_findings():
    columns = {"sample_id": "str", "age_years": "float64", "height": "int64"}
    frame = pd.DataFrame({"edema": [np.nan, 0.0], "height": [3, 4], "age_years": [None, 5], "sample_id": ["a", None]})
    result = conform(frame, columns, name="manifest")
    assert list(result.columns) == ["sample_id", "age_years", "height", "edema"]
    assert result["age_years"].dtype == np.float64
    assert result["sample_id"].isna().tolist() == [False, True]
    assert result["edema"].isna().tolist() == [True, False]
    assert frame.columns[0] == "edema"


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match=r"'height' is missing\. Table manifest"):
        conform(pd.DataFrame({"sample_id": ["a"]}), {"sample_id": "str", "height": "int64"}, name="manifest")


def test_findings_are_what_is_no_fact():
    assert finding_columns(pd.DataFrame(columns=[*MANIFEST_COLUMNS, "edema", "tuberculosis"])) == ["edema", "tuberculosis"]


def test_the_spines_share_their_words():
    for shared in ("sample_id", "patient_id", "domain", "split", "site", "sex", "age_years", "seen"):
        assert MANIFEST_COLUMNS[shared] == PREDICTION_COLUMNS[shared]
    assert set(RESULT_COLUMNS) >= {"value", "low", "high", "n_patients", "n_samples", "note"}


def test_a_table_comes_back_as_it_was(tmp_path):
    frame = pd.DataFrame({"sample_id": ["a", "b"], "edema": [np.nan, 0.0], "n": [1, 0]})
    path = write_table(frame, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(path), frame)
    assert list(read_table(path, columns=["n"]).columns) == ["n"]
    assert (tmp_path / "t.parquet.sha256").is_file()
    pd.testing.assert_frame_equal(read_table(write_table(frame, tmp_path / "t.csv")), frame)
    assert not (tmp_path / "t.csv.sha256").exists()


def test_a_changed_table_is_refused(tmp_path):
    path = write_table(pd.DataFrame({"a": [1]}), tmp_path / "t.parquet")
    pd.DataFrame({"a": [2]}).to_parquet(path)
    with pytest.raises(DataError, match="SHA-256 differs"):
        read_table(path)


def test_missing_and_broken_tables_are_named(tmp_path):
    with pytest.raises(DataError, match="missing"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "t.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "t.csv")
    path = write_table(pd.DataFrame({"a": [1]}), tmp_path / "u.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(path, columns=["b"])
