# SPDX-License-Identifier: Apache-2.0
"""CMMD: rows of breasts meet films by a side that stands in the file alone."""

import math

import openpyxl
import pytest

from fakes.cmmd import write
from fakes.film import SENTINEL
from medsetu.core.errors import DataError
from medsetu.release.cmmd import Cmmd


def woman(samples, number):
    return samples[samples["path"].str.contains(f"-{number:04d}/")]


def test_films_get_the_label_of_their_breast(tmp_path):
    samples = Cmmd(write(tmp_path)).index().samples
    assert len(samples) == 24
    assert set(samples["laterality"]) == {"R"}
    assert samples["view"].value_counts().to_dict() == {"CC": 12, "MLO": 12}
    assert set(woman(samples, 1)["malignant"]) == {1.0}
    assert set(woman(samples, 0)["malignant"]) == {0.0}
    assert (woman(samples, 1)["mass"].iloc[0], woman(samples, 1)["calcification"].iloc[0]) == (0.0, 1.0)
    assert woman(samples, 3)["age_years"].iloc[0] == 47.0
    assert samples["patient_id"].nunique() == 12


def test_several_lesions_of_a_breast_are_joined(tmp_path):
    second = woman(Cmmd(write(tmp_path)).index().samples, 2).iloc[0]
    assert (second["malignant"], second["mass"], second["calcification"]) == (1.0, 1.0, 1.0)


def test_the_other_breast_has_no_label(tmp_path):
    index = Cmmd(write(tmp_path)).index()
    assert index.excluded["reason"].value_counts().to_dict() == {
        "breast without row": 24,
        "head of the file cannot be read": 1,
        "row without image": 1,
    }


def test_unknown_kind_and_strange_words(tmp_path):
    root = write(tmp_path)
    book = openpyxl.load_workbook(root / "CMMD_clinicaldata_revision.xlsx")
    book.active["E2"].value = None
    book.save(root / "CMMD_clinicaldata_revision.xlsx")
    assert math.isnan(woman(Cmmd(root).index().samples, 0)["mass"].iloc[0])
    book.active["F2"].value = "Harmless"
    book.save(root / "CMMD_clinicaldata_revision.xlsx")
    with pytest.raises(DataError, match="none of the release's words"):
        Cmmd(root).index()


def test_sentinel_never_appears(tmp_path):
    index = Cmmd(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
