# SPDX-License-Identifier: Apache-2.0
"""INbreast: BI-RADS with letters, incomplete is never normal, patients from file names, ML means MLO."""

import pytest

from fakes.film import SENTINEL
from fakes.inbreast import write
from medsetu.core.errors import DataError
from medsetu.release.inbreast import Inbreast


def by_woman(samples, column):
    woman = samples["path"].str.extract(r"_(\w{4})6c613")[0].map(lambda word: int(word, 16))
    return samples.groupby(woman)[column].first().head(8)


def test_categories_are_assessments(tmp_path):
    samples = Inbreast(write(tmp_path)).index().samples
    assert len(samples) == 24
    assert by_woman(samples, "suspicious").fillna(-9).tolist() == [0.0, 1.0, 0.0, 1.0, -9, 1.0, 1.0, -9]
    assert by_woman(samples, "dense").fillna(-9).tolist() == [0.0, -9, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]


def test_kinds_of_lesions_come_from_the_workbook(tmp_path):
    """Its column of masses has a trailing blank, its numbers of files are numbers."""
    root = write(tmp_path)
    samples = Inbreast(root).index().samples
    assert by_woman(samples, "mass").tolist() == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert by_woman(samples, "calcification").tolist() == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert any("taken for present" in note for note in Inbreast(root).index().notes)
    assert (samples[["architectural_distortion", "asymmetry"]] == 0).all(axis=None)
    (root / "INbreast.xls").unlink()
    index = Inbreast(root).index()
    assert index.samples["mass"].isna().all()
    assert any("INbreast.xls is not here" in note for note in index.notes)


def test_patients_and_views_come_from_file_names(tmp_path):
    samples = Inbreast(write(tmp_path)).index().samples
    assert samples["patient_id"].nunique() == 12
    assert samples["view"].value_counts().to_dict() == {"CC": 12, "MLO": 12}
    assert samples.groupby("patient_id")["laterality"].nunique().max() == 1
    assert samples["age_years"].isna().all()


def test_what_stands_alone_is_named(tmp_path):
    excluded = Inbreast(write(tmp_path)).index().excluded
    assert excluded["reason"].tolist() == ["row without image", "file name is none of the release"]


def test_a_list_of_another_breast_and_a_row_twice_are_refused(tmp_path):
    root = write(tmp_path)
    path = root / "INbreast.csv"
    text = path.read_text()
    path.write_text(text.replace(";L;CC;201001", ";R;CC;201001", 1))
    with pytest.raises(DataError, match="same breast and view"):
        Inbreast(root).index()
    path.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(DataError, match="has a row already"):
        Inbreast(root).index()
    path.write_text(text.replace("Bi-Rads", "BIRADS"))
    with pytest.raises(DataError, match="'Bi-Rads' is missing"):
        Inbreast(root).index()


def test_sentinel_never_appears(tmp_path):
    index = Inbreast(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
