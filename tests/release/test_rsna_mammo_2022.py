# SPDX-License-Identifier: Apache-2.0
"""RSNA mammography: labels by breast, a density whose absence tells the site, and an assessment that is not read."""

import pytest

from fakes.rsna_mammo_2022 import write
from medsetu.core.errors import DataError
from medsetu.reader.image import read_image
from medsetu.release.rsna_mammo_2022 import RsnaMammo2022


def test_labels_follow_image_id(tmp_path):
    samples = RsnaMammo2022(write(tmp_path)).index().samples
    assert len(samples) == 48
    assert samples["malignant"].sum() == 12
    assert (samples.groupby(["patient_id", "laterality"])["malignant"].nunique() == 1).all()
    assert samples["patient_id"].nunique() == 12
    assert samples["site"].value_counts().to_dict() == {"site 1": 24, "site 2": 24}


def test_a_density_that_one_site_does_not_tell_is_unknown_and_said(tmp_path):
    index = RsnaMammo2022(write(tmp_path)).index()
    assert index.samples.loc[index.samples["site"] == "site 2", "dense"].isna().all()
    assert set(index.samples.loc[index.samples["site"] == "site 1", "dense"]) == {0.0, 1.0}
    assert any(note == "No density at site 2: whether it is known tells the site" for note in index.notes)
    assert "suspicious" not in index.samples


def test_views_ages_and_test_films(tmp_path):
    index = RsnaMammo2022(write(tmp_path)).index()
    assert index.samples["view"].value_counts().to_dict() == {"MLO": 24, "CC": 23, "": 1}
    assert index.samples["age_years"].isna().sum() == 4
    assert index.samples["age_years"].min() == 51.0
    assert index.excluded["reason"].tolist() == ["test film, its label is kept back"]


def test_jpeg_2000_is_read(tmp_path):
    index = RsnaMammo2022(write(tmp_path, per_class=1)).index()
    assert read_image(tmp_path / index.samples["path"][0]).facts.bits == 12


def test_faults_are_refused(tmp_path):
    root = write(tmp_path, per_class=1)
    path = root / "train.csv"
    text = path.read_text()
    path.write_text(text.replace(",0,0,0,1,0,", ",,0,0,1,0,", 1))
    with pytest.raises(DataError, match="neither 1 nor 0"):
        RsnaMammo2022(root).index()
    path.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(DataError, match="has a row already"):
        RsnaMammo2022(root).index()
