# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.manifest.assign import assign, classes, strata, take_patients


def exams(patients=40, images=4):
    """Every second patient is positive, on one of the images only."""
    rows = [
        {"group_id": f"p{patient}", "release": "r", "site": f"s{patient % 2}", "edema": float(patient % 2 and image == 0)}
        for patient in range(patients)
        for image in range(images)
    ]
    return pd.DataFrame(rows)


def test_k_shot_counts_patients():
    frame = exams()
    few = take_patients(frame, 5, finding="edema", seed=0)
    assert classes(few, "edema").value_counts().to_dict() == {0.0: 5, 1.0: 5}
    assert len(few) == 40
    rest = frame.drop(index=few.index)
    assert not set(few["group_id"]) & set(rest["group_id"])


def test_larger_draws_contain_smaller_ones():
    frame = exams()
    drawn = [set(take_patients(frame, k, finding="edema", seed=3)["group_id"]) for k in (0, 1, 5, 20)]
    assert drawn[0] == set()
    assert drawn[0] < drawn[1] < drawn[2] < drawn[3] == set(frame["group_id"])
    assert drawn[1] != set(take_patients(frame, 1, finding="edema", seed=4)["group_id"])


def test_draws_do_not_follow_row_order():
    frame = exams()
    turned = take_patients(frame.sample(frac=1, random_state=0), 4, finding="edema", seed=0)
    assert set(turned["group_id"]) == set(take_patients(frame, 4, finding="edema", seed=0)["group_id"])


def test_patients_of_unknown_class_are_not_taken():
    frame = exams()
    frame.loc[frame["group_id"] == "p0", "edema"] = np.nan
    with pytest.raises(DataError, match="20 patients with edema absent are asked for, 19 are there"):
        take_patients(frame, 20, finding="edema", seed=0)


def test_negative_numbers_are_refused():
    with pytest.raises(ConfigError):
        take_patients(exams(), -1, finding="edema", seed=0)


def test_classes_are_spread_evenly():
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"group_id": np.repeat([f"p{n}" for n in range(200)], generator.integers(1, 6, 200))})
    rows = rows.assign(release="r", site="s", rare=generator.random(len(rows)) < 0.05, common=generator.random(len(rows)) < 0.4)
    rows[["rare", "common"]] = rows[["rare", "common"]].astype(float)
    shares = [0.65, 0.15, 0.2]
    part = rows["group_id"].map(assign(strata(rows), shares=shares, seed=0))
    for finding in ("rare", "common"):
        positives = part[rows[finding] == 1].value_counts(normalize=True).sort_index()
        assert np.abs(positives.to_numpy() - shares).max() < 0.05
    assert np.abs(part.value_counts(normalize=True).sort_index().to_numpy() - shares).max() < 0.02


def test_assignment_follows_the_seed_only():
    table = strata(exams())
    first = assign(table, shares=[0.5, 0.5], seed=1)
    pd.testing.assert_series_equal(first, assign(table.sample(frac=1, random_state=1), shares=[0.5, 0.5], seed=1).reindex(first.index))
    assert not first.equals(assign(table, shares=[0.5, 0.5], seed=2))


def test_the_split_is_the_same_on_every_platform():
    table = strata(exams(patients=8, images=1))
    assert "".join(map(str, assign(table, shares=[0.5, 0.25, 0.25], seed=0))) == "22110000"


def test_zero_is_a_value():
    parts = assign(strata(exams()), shares=[0.7, 0.0, 0.3], seed=0)
    assert set(parts) == {0, 2}


def test_strata_are_per_release():
    rows = exams(patients=4, images=1)
    rows.loc[2:, "release"] = "other"
    assert [name for name in strata(rows) if "edema" in name] == ["other edema=0", "other edema=1", "r edema=0", "r edema=1"]


def test_strata_are_what_adding_up_all_marks_gives():
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"group_id": rng.choice([f"p{n}" for n in range(60)], 300), "release": rng.choice(["b", "a"], 300)})
    rows = rows.assign(site=rng.choice(["x", "y", ""], 300), edema=rng.choice([0.0, 1.0, np.nan], 300), mass=rng.choice([0.0, np.nan], 300))
    rows = rows.astype({"group_id": "str"}).sample(frac=1, random_state=0)
    slow = {
        name: [int(part[name].sum()) for _, part in _marked(rows).groupby("group_id")]
        for name in _marked(rows).columns
        if name != "group_id"
    }
    table = strata(rows)
    assert {name: column.tolist() for name, column in table.items()} == {name: counts for name, counts in slow.items() if any(counts)}
    assert table.index.tolist() == sorted(set(rows["group_id"]))
    assert set(map(str, table.dtypes)) == {"int64"}


def _marked(rows):
    marks = {"": 1}
    for release in ("a", "b"):
        own = rows["release"] == release
        marks |= {release: own} | {f"{release}/{site}": own & (rows["site"] == site) for site in ("", "x", "y")}
        marks |= {f"{release} {name}={value}": own & (rows[name] == value) for name in ("edema", "mass") for value in (0, 1)}
    return rows[["group_id"]].assign(**marks)
