# SPDX-License-Identifier: Apache-2.0
"""TB Chest Radiography Database: the folder is the label, and the normals carry a warning."""

import shutil

import pytest

from fakes.tb_chest_radiography_database import write
from medsetu.core.errors import DataError
from medsetu.release.tb_chest_radiography_database import SEEN_NORMAL, TbChestRadiographyDatabase


def test_the_folder_is_the_label(tmp_path):
    samples = TbChestRadiographyDatabase(write(tmp_path)).index().samples
    assert samples["tuberculosis"].value_counts().to_dict() == {1.0: 8, 0.0: 8}
    assert (samples["path"].str.startswith("Tuberculosis/") == (samples["tuberculosis"] == 1.0)).all()
    assert samples["patient_id"].isna().all()
    assert set(samples["country"]) == set(samples["official_split"]) == {""}


def test_normals_may_have_been_seen(tmp_path):
    samples = TbChestRadiographyDatabase(write(tmp_path)).index().samples
    assert (samples["seen"] == samples["tuberculosis"].map({1.0: "", 0.0: SEEN_NORMAL})).all()


def test_the_notes_say_that_there_are_no_patients(tmp_path):
    assert any("by image" in note for note in TbChestRadiographyDatabase(write(tmp_path)).index().notes)


def test_positives_only_indexes(tmp_path):
    """T21: an empty Normal folder leaves a cohort of positives."""
    root = write(tmp_path)
    for path in (root / "Normal").iterdir():
        path.unlink()
    assert set(TbChestRadiographyDatabase(root).index().samples["tuberculosis"]) == {1.0}


def test_a_missing_folder_is_named(tmp_path):
    root = write(tmp_path)
    shutil.rmtree(root / "Normal")
    with pytest.raises(DataError, match="Normal"):
        TbChestRadiographyDatabase(root).index()


def test_empty_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="no labelled image"):
        TbChestRadiographyDatabase(write(tmp_path, per_class=0)).index()


@pytest.mark.shared
def test_the_real_release(shared_data):
    samples = TbChestRadiographyDatabase(shared_data / "tb_chest_radiography_database").index().samples
    assert samples["tuberculosis"].value_counts().to_dict() == {1.0: 269, 0.0: 269}
