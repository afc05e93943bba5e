# SPDX-License-Identifier: Apache-2.0
"""What every adapter relies on: completion, order and refusals of finish_index, and the walk over a folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import DataError
from medsetu.release.base import SAMPLE_COLUMNS, by_stem, finish_index, image_files, join_rows, require_file, require_folder


def _rows(**columns) -> pd.DataFrame:
    return pd.DataFrame({"path": ["b/2.png", "a/1.png"], "edema": [1.0, np.nan], **columns})


def _finish(rows, root: Path, **more):
    return finish_index(rows, release="demo", root=root, findings=["edema"], **more)


def test_facts_are_completed_typed_and_sorted(tmp_path):
    samples = _finish(_rows(sex=["F", None]), tmp_path).samples
    assert list(samples.columns) == [*SAMPLE_COLUMNS, "edema"]
    assert samples["sample_id"].tolist() == ["demo/a/1.png", "demo/b/2.png"]
    assert samples["sex"].tolist() == ["", "F"]
    assert samples["patient_id"].isna().all()
    assert samples["edema"].dtype == samples["age_years"].dtype == np.float64
    assert (samples["release"] == "demo").all()


def test_the_seen_column_passes_and_strange_columns_do_not(tmp_path):
    samples = _finish(_rows(seen=["possible", None], phone=["1", "2"]), tmp_path).samples
    assert samples["seen"].tolist() == ["", "possible"]
    assert "phone" not in samples


def test_excluded_becomes_a_sorted_table_of_sample_ids(tmp_path):
    index = _finish(_rows(), tmp_path, excluded=[("z.png", "image without row"), ("c.png", "row without image")], notes=["one"])
    assert index.excluded.to_dict("list") == {
        "sample_id": ["demo/c.png", "demo/z.png"],
        "reason": ["row without image", "image without row"],
    }
    assert index.notes == ("one",)
    assert _finish(_rows(), tmp_path).excluded.empty


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (_rows(path=["a.png", "a.png"]), "1 images are listed more than once"),
        (_rows(path=["a.png", "../b.png"]), "leaves the folder"),
        (_rows(path=["a.png", "/b.png"]), "leaves the folder"),
        (_rows(path=["a.png", ""]), "empty"),
        (_rows(path=["a.png", "b\\c.png"]), "leaves the folder"),
        (_rows(edema=[1.0, 0.5]), "1 values of 'edema'"),
        (_rows(sex=["F", "female"]), "1 values of 'sex'"),
        (_rows(view=["PA", "oblique"]), "1 values of 'view'"),
        (_rows(laterality=["L", "left"]), "1 values of 'laterality'"),
        (_rows(official_split=["train", "dev"]), "1 values of 'official_split'"),
        (_rows(age_years=[121.0, -1.0]), "2 values of 'age_years'"),
        (_rows().drop(columns="edema"), "Column 'edema' is missing"),
        (_rows().iloc[:0], "no labelled image"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path, rows, match):
    with pytest.raises(DataError, match=match):
        _finish(rows, tmp_path)


def test_zero_is_a_value(tmp_path):
    """T13: an age of 0 and a label of 0 stay what they are."""
    samples = _finish(_rows(edema=[0.0, 1.0], age_years=[0.0, 120.0]), tmp_path).samples
    assert samples["age_years"].tolist() == [120.0, 0.0]
    assert samples["edema"].tolist() == [1.0, 0.0]


def test_missing_places_are_named(tmp_path):
    with pytest.raises(DataError, match="folder of release 'demo' is missing"):
        _finish(_rows(), tmp_path / "nowhere")
    with pytest.raises(DataError, match="gone"):
        require_folder(tmp_path / "gone", release="demo")
    with pytest.raises(DataError, match=r"labels\.csv"):
        require_file(tmp_path / "labels.csv", release="demo")


def test_the_walk_takes_images_and_leaves_hidden_files(tmp_path):
    for name in ("b/2.PNG", "a/1.jpg", "a/._1.jpg", ".cache/3.png", "a/readme.txt", "a/4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert image_files(tmp_path) == ["a/1.jpg", "b/2.PNG"]
    assert image_files(tmp_path, below="a", suffixes=None) == ["a/1.jpg", "a/4", "a/readme.txt"]
    assert image_files(tmp_path, below="absent") == []


def test_rows_and_files_are_joined_by_name_in_any_order():
    """T01: what stands on one side only is named."""
    pairs, alone = join_rows({"b": 2, "a": 1}, {"a": "x/a.png", "c": "c.png"}, place="x/{}.png".format)
    assert pairs == [("x/a.png", 1)]
    assert alone == [("x/b.png", "row without image"), ("c.png", "image without row")]


def test_a_film_in_two_folders_is_refused():
    assert by_stem(["x/A.png"], release="demo", key=str.lower) == {"a": "x/A.png"}
    with pytest.raises(DataError, match=r"two folders.*x/A\.png and y/a\.jpg"):
        by_stem(["x/A.png", "y/a.jpg"], release="demo", key=str.lower)


def test_readings_follow_the_samples(tmp_path):
    said = pd.DataFrame({"path": ["a/1.png", "a/1.png", "z.png"], "reader": ["r2", "r1", "r1"], "edema": [0, 1, 1]})
    readings = _finish(_rows(), tmp_path, readings=said).readings
    assert readings.to_dict("list") == {"sample_id": ["demo/a/1.png"] * 2, "reader": ["r1", "r2"], "edema": [1.0, 0.0]}
    assert _finish(_rows(), tmp_path).readings.empty
    with pytest.raises(DataError, match="read a film twice"):
        _finish(_rows(), tmp_path, readings=said.assign(reader="r1"))
