# SPDX-License-Identifier: Apache-2.0
"""Shenzhen: labels and patients from the name, facts from irregular readings."""

import pytest

from fakes.film import SENTINEL
from fakes.shenzhen import write
from medsetu.core.errors import DataError
from medsetu.reader.image import read_image
from medsetu.release.shenzhen import Shenzhen


def test_labels_patients_and_facts_follow_names(tmp_path):
    """T01: the number joins film and reading, whatever the order of files."""
    samples = Shenzhen(write(tmp_path)).index().samples
    assert len(samples) == samples["patient_id"].nunique() == 12
    assert (samples["tuberculosis"] == samples["path"].str.contains("_1.png").astype(float)).all()
    fourth = samples[samples["path"].str.contains("0005")].iloc[0]
    assert (fourth["sex"], fourth["country"]) == ("M", "CHN")
    assert fourth["age_years"] == pytest.approx(16 / 12)
    assert samples["age_years"].isna().sum() == 1


def test_palette_films_are_read_as_grey(tmp_path):
    index = Shenzhen(write(tmp_path)).index()
    assert read_image(tmp_path / index.samples["path"][0], sample_id="x").pixels.ndim == 2


def test_a_stray_file_is_named_and_missing_readings_are_unknown(tmp_path):
    root = write(tmp_path)
    for path in (root / "ChinaSet_AllFiles" / "ClinicalReadings").glob("CHN*"):
        path.unlink()
    index = Shenzhen(root).index()
    assert index.excluded["sample_id"].tolist() == ["shenzhen/ChinaSet_AllFiles/CXR_png/Thumbs.png"]
    assert set(index.samples["sex"]) == {""}
    assert index.samples["age_years"].isna().all()


def test_a_wrong_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="CXR_png"):
        Shenzhen(tmp_path).index()


def test_sentinel_never_appears(tmp_path):
    index = Shenzhen(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
