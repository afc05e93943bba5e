# SPDX-License-Identifier: Apache-2.0
"""DMID: an untidy sheet, two copies of each film, and a view whose first letter is no side."""

import math

import pydicom
import pytest

from fakes.dmid import write
from fakes.film import SENTINEL
from medsetu.core.errors import ConfigError, DataError
from medsetu.release.dmid import Dmid, _report


def test_the_sheet_is_read_past_its_preamble_whatever_the_case(tmp_path):
    """T01, T02: rows are joined by the number in the name."""
    samples = Dmid(write(tmp_path)).index().samples
    numbers = samples["path"].str.extract(r"(\d+)\.")[0].astype(int)
    assert len(samples) == 24
    assert (samples["malignant"] == numbers.isin(n for n in range(25) if (n - 1) % 4 > 1).astype(float)).all()
    assert (samples["abnormal"] == ((numbers - 1) % 4 > 0).astype(float)).all()
    assert samples["patient_id"].isna().all()
    assert set(samples["country"]) == {"IND"}


def test_the_l_of_mlo_is_no_side(tmp_path):
    samples = Dmid(write(tmp_path)).index().samples
    numbers = samples["path"].str.extract(r"(\d+)\.")[0].astype(int)
    assert dict(zip(numbers[:4], samples["view"] + samples["laterality"], strict=False)) == {1: "CCL", 2: "CCR", 3: "MLOL", 4: "MLOR"}


def test_either_copy_is_read_and_masks_are_no_films(tmp_path):
    root = write(tmp_path)
    assert Dmid(root, files="tiff").index().samples["path"].str.startswith("TIFF Images/").all()
    assert Dmid(root).index().samples["path"].str.startswith("DICOM_Images/").all()
    with pytest.raises(ConfigError, match="dicom, tiff"):
        Dmid(root, files="png")


def test_unknown_pathology_is_unknown(tmp_path):
    import openpyxl

    root = write(tmp_path)
    book = openpyxl.load_workbook(root / "Metadata.xlsx")
    sheet = book.worksheets[0]
    row = next(row for row in sheet.iter_rows() if str(row[0].value).strip() == "IMG001")
    row[4].value = "?"
    book.save(root / "Metadata.xlsx")
    samples = Dmid(root).index().samples.set_index("path")
    assert samples.loc["DICOM_Images/IMG001.dcm", ["malignant", "abnormal"]].isna().all()


def test_kinds_of_lesions_are_read_with_their_misspelling(tmp_path):
    samples = Dmid(write(tmp_path)).index().samples.set_index("path")
    ill, normal = samples.loc["DICOM_Images/IMG003.dcm"], samples.loc["DICOM_Images/IMG001.dcm"]
    assert [ill[name] for name in ("mass", "calcification", "architectural_distortion", "asymmetry")] == [1.0, 1.0, 0.0, 0.0]
    assert [normal[name] for name in ("mass", "calcification", "architectural_distortion", "asymmetry")] == [0.0] * 4


def test_reports_give_assessment_and_density_and_no_word_more(tmp_path):
    """The highest of several categories counts; a category of 0 is incomplete, never normal."""
    root = write(tmp_path)
    (root / "Reports" / "Reports" / "Img002.txt").write_text("BI-RADS: 0")
    (root / "Reports" / "Reports" / "Img004.txt").unlink()
    index = Dmid(root).index()
    samples = index.samples.set_index("path")[["suspicious", "dense"]]
    assert samples.loc["DICOM_Images/IMG001.dcm"].tolist() == [0.0, 0.0]
    assert samples.loc["DICOM_Images/IMG003.dcm"].tolist() == [1.0, 1.0]
    assert samples.loc["DICOM_Images/IMG002.dcm"].isna().all()
    assert samples.loc["DICOM_Images/IMG004.dcm"].isna().all()
    assert any(note.startswith("2 films have no report") for note in index.notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("BIRADS : 3", math.nan), ("BI-RADS 2 and 4c", 1.0), ("birads: 1-2", 0.0), ("BIRADS:6", 1.0), ("five lesions", math.nan)],
)
def test_categories_of_a_report(text, expected):
    assert _report(text)["suspicious"] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("named", "groups"), [(lambda number: f"id{number // 4}", 7), (str, 0), (lambda number: "anonymous", 0)])
def test_patients_of_the_headers_count_only_where_they_group_films(tmp_path, named, groups):
    root = write(tmp_path)
    for number, path in enumerate(sorted((root / "DICOM_Images").iterdir()), start=1):
        film = pydicom.dcmread(path)
        film.PatientID = named(number)
        film.save_as(path)
    index = Dmid(root).index()
    assert index.samples["patient_id"].nunique() == groups
    assert index.notes[0].startswith("Patients are those of PatientID" if groups else "No patient ids")
    assert not index.samples["patient_id"].dropna().str.contains("id0|id1").any()
    assert Dmid(root, files="tiff").index().samples["patient_id"].isna().all()


def test_a_film_twice_a_damaged_sheet_and_a_foreign_one_are_refused(tmp_path):
    import openpyxl

    root = write(tmp_path)
    (root / "again").mkdir()
    (root / "again" / "IMG001.dcm").write_bytes((root / "DICOM_Images" / "IMG001.dcm").read_bytes())
    with pytest.raises(DataError, match="two folders"):
        Dmid(root).index()
    (root / "Metadata.xlsx").write_bytes(b"PK\x03\x04 not a workbook")
    with pytest.raises(DataError, match="cannot be read"):
        Dmid(root).index()
    openpyxl.Workbook().save(root / "Metadata.xlsx")
    with pytest.raises(DataError, match="No row"):
        Dmid(root).index()


def test_sentinel_never_appears(tmp_path):
    index = Dmid(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
