# SPDX-License-Identifier: Apache-2.0
"""Any table and folder: labels follow ids and names, unknown stays unknown, nothing leaves the folder."""

from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from fakes import volumes
from fakes.film import SENTINEL
from fakes.table import COLUMNS, FINDING_COLUMNS, write
from medsetu.core.errors import ConfigError, DataError
from medsetu.release.table import Table


def _table(root, **more) -> Table:
    settings = {"labels": "labels.csv", "columns": COLUMNS, "finding_columns": FINDING_COLUMNS, "country": "IND", "modality": "DX"}
    return Table(root, **{**settings, **more})


def _edit(root, change) -> None:
    frame = pd.read_csv(root / "labels.csv", dtype=str, keep_default_na=False)
    change(frame).to_csv(root / "labels.csv", index=False)


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_every_kind_of_table_gives_the_same_samples(tmp_path, kind):
    expected = _table(write(tmp_path / "csv")).index().samples
    samples = _table(write(tmp_path / kind / "x", kind=kind), labels=f"labels.{kind}").index().samples
    pd.testing.assert_frame_equal(samples, expected)
    assert len(samples) == 16


def test_facts_are_read(tmp_path):
    samples = _table(write(tmp_path)).index().samples.set_index("path")
    rows = samples.loc[[f"films/ward{number % 2}/{number:03d}_0.png" for number in range(4)]]
    assert rows["view"].tolist() == ["PA", "AP", "LL", ""]
    assert rows["sex"].tolist() == ["F", "M", "", "F"]
    assert rows["age_years"].iloc[:3].tolist() == [0.0, 45.0, 61.0]
    assert pd.isna(rows["age_years"].iloc[3])
    assert rows["official_split"].tolist() == ["train", "val", "test", "train"]
    assert set(samples["country"]) == {"IND"}
    assert samples["patient_id"].nunique() == 8


def test_labels_follow_image_id(tmp_path):
    """T01: shuffled rows change nothing; orphans on either side are counted and listed."""
    root = write(tmp_path)
    before = _table(root).index()
    _edit(root, lambda frame: frame.sample(frac=1.0, random_state=5))
    pd.testing.assert_frame_equal(_table(root).index().samples, before.samples)
    assert before.excluded.to_dict("list") == {
        "sample_id": ["table/films/ward0/lost.png", "table/films/ward0/unlabelled.png"],
        "reason": ["row without image", "image without row"],
    }
    assert any("1 rows without image and 1 images without row" in note for note in before.notes)


def test_labels_follow_names(tmp_path):
    """T02: permuted columns change nothing; a column that is not there is an error that offers the nearest name."""
    root = write(tmp_path)
    before = _table(root).index().samples
    _edit(root, lambda frame: frame[list(reversed(frame.columns))])
    pd.testing.assert_frame_equal(_table(root).index().samples, before)
    with pytest.raises(ConfigError, match="Did you mean 'diagnosis'"):
        _table(root, finding_columns={"tuberculosis": "diagnosys"}).index()


def test_unknown_stays_nan(tmp_path):
    """T04: -1 and blank are NaN unless label_policy says otherwise."""
    root = write(tmp_path)

    def fluid(**more):
        samples = _table(root, **more).index().samples.set_index("path")["effusion"]
        return [samples[f"films/ward{number % 2}/{number:03d}_0.png"] for number in range(4)]

    assert fluid()[:2] == [1.0, 0.0]
    assert pd.isna(fluid()[2:]).all()
    assert fluid(label_policy={"uncertain": "positive", "blank": "negative"}) == [1.0, 0.0, 1.0, 0.0]
    assert pd.isna(fluid(label_policy={"uncertain": "positive"})[3])


def test_zero_is_a_value(tmp_path):
    """T13: 0 may be the positive value, 0 years is an age."""
    root = write(tmp_path)
    rule = {"column": "fluid", "positive": [0], "negative": [1]}
    samples = _table(root, finding_columns={"effusion": rule}).index().samples.set_index("path")
    assert samples.loc["films/ward0/000_0.png", "effusion"] == 0.0
    assert samples.loc["films/ward1/001_0.png", "effusion"] == 1.0
    assert samples.loc["films/ward0/000_0.png", "age_years"] == 0.0


def test_positives_only_indexes(tmp_path):
    """T21: a table of positives is a cohort."""
    root = write(tmp_path)
    _edit(root, lambda frame: frame[frame["diagnosis"] == "TB"])
    assert set(_table(root).index().samples["tuberculosis"]) == {1.0}


def test_any_other_value_can_be_negative(tmp_path):
    root = write(tmp_path)
    rule = {"column": "diagnosis", "positive": ["tb"], "negative": ["*"]}
    assert set(_table(root, finding_columns={"tuberculosis": rule}).index().samples["tuberculosis"]) == {0.0, 1.0}


def test_a_value_nobody_listed_is_refused_and_not_shown(tmp_path):
    rule = {"column": "hospital_no", "positive": ["H1"]}
    with pytest.raises(DataError, match="14 values of column 'hospital_no'") as caught:
        _table(write(tmp_path), finding_columns={"tuberculosis": rule}).index()
    assert SENTINEL not in str(caught.value)


def test_names_may_lack_their_ending(tmp_path):
    root = write(tmp_path)
    before = _table(root).index().samples
    _edit(root, lambda frame: frame.assign(file=frame["file"].str.removesuffix(".png").str.replace("/", "\\")))
    pd.testing.assert_frame_equal(_table(root, suffix=".png").index().samples, before)


def test_without_patients_it_is_said(tmp_path):
    index = _table(write(tmp_path), columns={"image": "file"}).index()
    assert index.samples["patient_id"].isna().all()
    assert any("by image" in note for note in index.notes)


def test_a_blank_patient_is_no_patient(tmp_path):
    root = write(tmp_path)
    _edit(root, lambda frame: frame.assign(hospital_no=""))
    assert _table(root).index().samples["patient_id"].isna().all()


def test_what_is_not_understood_is_counted(tmp_path):
    root = write(tmp_path)
    _edit(root, lambda frame: frame.assign(projection="oblique"))
    index = _table(root).index()
    assert set(index.samples["view"]) == {""}
    assert any("16 values of column 'projection'" in note for note in index.notes)
    _edit(root, lambda frame: frame.assign(part="fold 3"))
    with pytest.raises(DataError, match="not train, val or test"):
        _table(root).index()


@pytest.mark.parametrize("path", ["../secret.png", "films/../../secret.png", "/etc/secret.png"])
def test_paths_stay_in_the_folder(tmp_path, path):
    root = write(tmp_path / "release")
    (tmp_path / "secret.png").touch()
    _edit(root, lambda frame: pd.concat([frame, frame.iloc[[0]].assign(file=path)]))
    with pytest.raises(DataError, match="outside the image folder"):
        _table(root).index()


def test_two_rows_for_one_image_are_refused(tmp_path):
    root = write(tmp_path)
    _edit(root, lambda frame: pd.concat([frame, frame.iloc[[0]].assign(file="./" + frame["file"].iloc[0])]))
    with pytest.raises(DataError, match="1 images have more than one row"):
        _table(root).index()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"columns": {"image": "file", "patien": "hospital_no"}}, "Did you mean 'patient'"),
        ({"columns": {"patient": "hospital_no"}}, "No column holds the image"),
        ({"label_policy": {"uncertain": "maybe"}}, "'maybe' is not known"),
        ({"label_policy": {"unsure": "positive"}}, "'unsure' is not known"),
        ({"label_policy": "unknown"}, "No mapping.*label_policy.*blank: negative"),
        ({"finding_columns": {}}, "No finding is named"),
        ({"finding_columns": "fluid"}, r"Write finding_columns: \{<name>: <column>\}"),
        ({"finding_columns": {"Pleural Effusion": "fluid"}}, "pleural_effusion"),
        ({"finding_columns": {"effusion": {"columns": "fluid"}}}, "Did you mean 'column'"),
        ({"finding_columns": {"effusion": {"positive": [1]}}}, "names no column"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, settings, match):
    with pytest.raises(ConfigError, match=match):
        _table(write(tmp_path), **settings).index()


def test_missing_or_broken_files_are_named(tmp_path):
    with pytest.raises(DataError, match="folder of release"):
        _table(tmp_path / "nowhere").index()
    with pytest.raises(DataError, match=r"labels\.csv"):
        _table(tmp_path).index()
    (tmp_path / "labels.csv").write_bytes(b'file,"open\n')
    with pytest.raises(DataError, match="cannot be read"):
        _table(tmp_path).index()
    (tmp_path / "labels.csv").write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        _table(tmp_path).index()
    (tmp_path / "labels.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        _table(tmp_path, labels="labels.parquet").index()


def test_rows_without_any_image_are_refused_with_their_number(tmp_path):
    root = write(tmp_path, orphans=False)
    for path in root.glob("films/*/*.png"):
        path.unlink()
    with pytest.raises(DataError, match="None of the 16 rows of the label table names one of the 0 images"):
        _table(root).index()


def test_sentinel_never_appears(tmp_path):
    """T44: the hospital number is replaced before the table leaves the adapter."""
    index = _table(write(tmp_path)).index()
    assert SENTINEL in (tmp_path / "labels.csv").read_text()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)


def test_rows_may_name_volumes_folders_of_slices_and_members(tmp_path):
    root = volumes.write(tmp_path, patients=4)
    (root / "extra.nii.gz").write_bytes(b"")
    (root / "p00" / "bold.nii").write_bytes(b"")
    table = pd.read_csv(root / "labels.csv")
    extra = [{"file": name, "patient": "Q", "bleed": 0} for name in ("p00/bold.nii/0", "p00/bold.nii/1", "p09/thin")]
    pd.concat([table, pd.DataFrame(extra)]).to_csv(root / "labels.csv", index=False)
    index = Table(root, Path("labels.csv"), {"bleed": "bleed"}, columns={"image": "file", "patient": "patient"}, modality="CT").index()
    listed = ["p00/bold.nii/0", "p00/bold.nii/1", "p00/scan.nii.gz", "p01/thin", "p02/scan.nii.gz", "p03/thin"]
    assert index.samples["path"].tolist() == listed
    assert index.excluded.to_numpy().tolist() == [
        ["table/extra.nii.gz", "image without row"],
        ["table/p09/thin", "row without image"],
    ]


def _readings(tmp_path, **change):
    """Three readers per film, one row each; the third sees tuberculosis everywhere."""
    root = write(tmp_path, orphans=False)

    def per_reader(frame):
        rows = [frame.assign(seen_by=name, diagnosis="TB" if name == "Dr C" else frame["diagnosis"]) for name in ("Dr A", "Dr B", "Dr C")]
        return pd.concat(rows).sample(frac=1.0, random_state=1).assign(**change)

    _edit(root, per_reader)
    return root


def test_a_row_per_reader_keeps_every_vote(tmp_path):
    root = _readings(tmp_path)
    one = _table(write(tmp_path / "one", orphans=False)).index().samples
    release = _table(root, columns={**COLUMNS, "reader": "seen_by"})
    index = release.index()
    pd.testing.assert_frame_equal(index.samples, one)
    assert len(index.readings) == 3 * len(one)
    assert set(index.readings["reader"]) == {"Dr A", "Dr B", "Dr C"}
    strict = _table(root, columns={**COLUMNS, "reader": "seen_by"}, policy="any-positive").index().samples
    assert (strict["tuberculosis"] == 1).all()


def test_rows_of_readers_that_contradict_each_other_in_facts_are_refused(tmp_path):
    columns = {**COLUMNS, "reader": "seen_by"}
    with pytest.raises(DataError, match="tell different facts"):
        _table(_readings(tmp_path / "a", age=[str(20 + number) for number in range(48)]), columns=columns).index()
    with pytest.raises(DataError, match="two rows for one image"):
        _table(_readings(tmp_path / "b", seen_by="Dr A"), columns=columns).index()


def test_a_workbook_with_notes_above_its_header_is_read(tmp_path):
    root = write(tmp_path)
    before = _table(root).index().samples
    rows = pd.read_csv(root / "labels.csv", dtype=str, keep_default_na=False)
    book = openpyxl.Workbook()
    for cells in (["Films of 2021"], [], list(rows.columns), *rows.to_numpy().tolist()):
        book.active.append(cells)
    book.save(root / "labels.xlsx")
    pd.testing.assert_frame_equal(_table(root, labels="labels.xlsx").index().samples, before)


@pytest.mark.parametrize(
    ("change", "settings", "match"),
    [
        (lambda file: file.str.removesuffix(".png"), {}, r"With suffix '\.png' 16"),
        (lambda file: file.str.removeprefix("films/"), {}, "With root set to its folder|lie in 2 folders"),
        (lambda file: "D:/study/" + file, {}, "16 rows point outside|17 rows point outside"),
        (lambda file: SENTINEL + file.str.replace("_", "-"), {}, "columns.image"),
        (lambda file: file.map(lambda _: SENTINEL), {}, "16 images have more than one row.*first again in row 2"),
    ],
)
def test_a_table_that_names_no_image_says_what_would_help(tmp_path, change, settings, match):
    root = write(tmp_path)
    _edit(root, lambda frame: frame.assign(file=change(frame["file"])))
    with pytest.raises(DataError, match=match) as caught:
        _table(root, **settings).index()
    assert SENTINEL not in str(caught.value)


def test_a_beginning_of_names_is_left_out(tmp_path):
    root = write(tmp_path)
    before = _table(root).index().samples
    _edit(root, lambda frame: frame.assign(file="D:\\study\\" + frame["file"].str.replace("/", "\\")))
    pd.testing.assert_frame_equal(_table(root, prefix="D:\\study").index().samples, before)
    _edit(root, lambda frame: frame.assign(file=str(root) + "/" + frame["file"].str.removeprefix("D:\\study\\").str.replace("\\", "/")))
    pd.testing.assert_frame_equal(_table(root).index().samples, before)


def test_a_fact_that_no_column_tells_may_be_null(tmp_path):
    root = write(tmp_path)
    pd.testing.assert_frame_equal(_table(root, columns={**COLUMNS, "site": None}).index().samples, _table(root).index().samples)


def test_labels_that_are_no_table_are_named(tmp_path):
    root = write(tmp_path)
    (root / "labels.ods").touch()
    with pytest.raises(ConfigError, match=r"kind that is not read.*\.xlsx"):
        _table(root, labels="labels.ods").index()
    with pytest.raises(DataError, match="a folder without Pascal VOC"):
        _table(root, labels="films").index()


def test_a_table_without_header_repeats_no_cell(tmp_path):
    root = write(tmp_path)
    lines = (root / "labels.csv").read_text().splitlines(keepends=True)
    (root / "labels.csv").write_text("".join(lines[1:]))
    with pytest.raises(ConfigError, match="no row of it looks like names") as caught:
        _table(root).index()
    assert SENTINEL not in str(caught.value)


def test_a_sheet_of_another_coding_is_read(tmp_path):
    root = write(tmp_path)
    before = _table(root).index().samples
    text = (root / "labels.csv").read_text()
    (root / "labels.csv").write_bytes(text.encode("utf-16"))
    pd.testing.assert_frame_equal(_table(root).index().samples, before)
