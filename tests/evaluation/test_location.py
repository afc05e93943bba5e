# SPDX-License-Identifier: Apache-2.0
"""Agreement on the place: means over films, intervals over patients that cover, and nothing said where nobody drew twice."""

import numpy as np
import pandas as pd
import pytest

from medsetu.evaluation.location import clustered_mean, location_table, patients_of
from medsetu.evaluation.reader_table import COLUMNS


def test_duplicated_films_of_a_patient_change_nothing():
    values, patients = np.array([0.2, 0.4, 0.9, 0.5, 0.7]), np.array(list("abcde"))
    once = clustered_mean(values, cluster=patients, seed=3)
    twice = clustered_mean(np.repeat(values, 4), cluster=np.repeat(patients, 4), seed=3)
    assert (once.value, once.low, once.high) == pytest.approx((twice.value, twice.low, twice.high))
    assert (once.n_patients, twice.n_patients, twice.n_samples) == (5, 5, 20)
    naive = clustered_mean(np.repeat(values, 4), cluster=None, seed=3)
    assert naive.high - naive.low < 0.7 * (twice.high - twice.low)
    assert "no patient ids" in naive.note


def test_the_interval_covers():
    rng = np.random.default_rng(0)
    hits = 0
    for run in range(300):
        effect = rng.normal(0, 1, 25)
        patient = rng.integers(0, 25, 60)
        found = clustered_mean(effect[patient] + rng.normal(0, 1, 60), cluster=patient, replicates=300, seed=run)
        hits += found.low <= 0 <= found.high
    assert 0.90 <= hits / 300 <= 0.99


def test_too_little_has_no_interval():
    assert np.isnan(clustered_mean([np.nan], cluster=["a"]).value)
    assert clustered_mean([np.nan], cluster=["a"]).note == "no such film"
    two = clustered_mean([0.0, 1.0, 1.0], cluster=["a", "a", "b"])
    assert two.value == pytest.approx(2 / 3)
    assert np.isnan(two.low)
    assert "fewer than 3 patients" in two.note


def test_patients():
    assert patients_of(pd.Series(["a", "b"]), pd.Series({"a": np.nan, "b": np.nan})) is None
    assert patients_of(pd.Series(["b", "a"]), pd.Series({"a": "p", "b": "q"})).tolist() == ["q", "p"]


def test_one_row_per_measure_and_no_row_of_a_single_reader():
    regions = pd.DataFrame(
        {
            "sample_id": [f"s{number}" for number in range(8)],
            "release": "x",
            "finding": ["mass"] * 6 + ["nodule"] * 2,
            "n_readers": [3] * 6 + [1] * 2,
            "iou": [0.5, 0.6, 0.7, 0.8, np.nan, np.nan, np.nan, np.nan],
            "dice": [0.6, 0.7, 0.8, 0.9, np.nan, np.nan, np.nan, np.nan],
            "dice_all": [0.6, 0.7, 0.8, 0.9, 0.0, 0.0, np.nan, np.nan],
        }
    )
    table = location_table(regions, pd.Series({f"s{number}": f"p{number}" for number in range(8)}))
    assert list(table.columns) == list(COLUMNS)
    assert table["finding"].unique().tolist() == ["mass"]
    by = table.set_index("measure")
    assert by.loc["iou_where_both_drew", ["value", "n_samples", "n_patients", "n_readers"]].tolist() == pytest.approx([0.65, 4, 4, 3])
    assert by.loc["dice_where_one_drew", ["value", "n_samples"]].tolist() == pytest.approx([0.5, 6])
    assert (by["low"] < by["value"]).all()
    assert location_table(regions.iloc[6:], pd.Series(dtype=str)).empty
