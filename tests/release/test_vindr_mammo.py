# SPDX-License-Identifier: Apache-2.0
"""VinDr-Mammo: assessments of the breast, drawn findings of the film, and lists that are text."""

import pytest

from fakes.vindr_mammo import write
from medsetu.core.errors import DataError
from medsetu.release.vindr_mammo import VindrMammo


def by_exam(samples, column):
    exam = samples["path"].str.extract(r"images/(\w{4})b8")[0].map(lambda word: int(word, 16))
    return samples.groupby(exam)[column].first().head(4).fillna(-9).tolist()


def test_assessments_are_of_the_breast(tmp_path):
    samples = VindrMammo(write(tmp_path)).index().samples
    assert len(samples) == 24
    assert by_exam(samples, "suspicious") == [0.0, 0.0, -9, 1.0]
    assert by_exam(samples, "dense") == [0.0, 0.0, 1.0, 1.0]


def test_drawn_findings_are_read_from_lists_and_joined(tmp_path):
    samples = VindrMammo(write(tmp_path)).index().samples
    ill = samples[samples["suspicious"] == 1]
    assert (ill[["mass", "skin_retraction", "suspicious_calcification"]] == 1).all(axis=None)
    assert (ill["asymmetry"] == 0).all()
    clear = samples[samples["suspicious"] == 0]
    assert clear["mass"].isna().sum() == 1  # no row of findings: not searched, not negative
    assert (clear["mass"].dropna() == 0).all()


def test_side_view_and_patient_come_from_the_list(tmp_path):
    samples = VindrMammo(write(tmp_path)).index().samples
    assert set(samples["laterality"]) == {"L"}  # the files say R
    assert set(samples["view"]) == {"CC", "MLO"}
    assert samples["patient_id"].nunique() == 12
    assert samples["official_split"].value_counts().to_dict() == {"train": 16, "test": 8}
    assert samples.groupby("patient_id")["official_split"].nunique().max() == 1
    assert set(samples["device"]) == {"siemens mammomat inspiration"}
    assert by_exam(samples, "age_years") == [40.0, 41.0, 42.0, 43.0]


def test_it_is_read_without_metadata(tmp_path):
    root = write(tmp_path)
    (root / "metadata.csv").unlink()
    samples = VindrMammo(root).index().samples
    assert samples["age_years"].isna().all()
    assert set(samples["device"]) == {""}


@pytest.mark.parametrize("cell", ["\"['Mass'\"", "Mass", "['Tumour']", "[['Mass']]"])
def test_a_cell_that_is_no_list_of_the_release_is_refused(tmp_path, cell):
    root = write(tmp_path)
    path = root / "finding_annotations.csv"
    path.write_text(path.read_text().replace("['No Finding']", cell, 1))
    with pytest.raises(DataError, match="finding_categories is no list"):
        VindrMammo(root).index()


def test_a_strange_split_is_refused_and_what_stands_alone_is_named(tmp_path):
    root = write(tmp_path)
    next((root / "images").rglob("*.dicom")).unlink()
    assert VindrMammo(root).index().excluded["reason"].tolist() == ["row without image"]
    path = root / "breast-level_annotations.csv"
    path.write_text(path.read_text().replace("training", "dev"))
    with pytest.raises(DataError, match="not training or test"):
        VindrMammo(root).index()
