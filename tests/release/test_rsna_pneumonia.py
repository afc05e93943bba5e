# SPDX-License-Identifier: Apache-2.0
"""RSNA pneumonia: one film from several boxes, an opacity and anything abnormal, and two lists that must agree."""

import pytest

from fakes import nih_chestxray14
from fakes.rsna_pneumonia import write
from medsetu.core.errors import DataError
from medsetu.release.nih_chestxray14 import NihChestXray14
from medsetu.release.rsna_pneumonia import RsnaPneumonia


def test_several_boxes_are_one_film(tmp_path):
    samples = RsnaPneumonia(write(tmp_path)).index().samples
    assert len(samples) == 18
    number = samples["path"].str.extract(r"(\d{4})a")[0].astype(int)
    assert (samples["lung_opacity"] == (number % 3 == 2)).all()
    assert (samples["abnormal"] == (number % 3 > 0)).all()
    assert samples["patient_id"].isna().all()  # patientId names the film
    assert set(samples["seen"]) == {"film of nih_chestxray14"}


def test_test_films_and_films_without_row_are_named(tmp_path):
    root = write(tmp_path)
    first = sorted((root / "stage_2_train_images").iterdir())[0]
    first.rename(first.with_name("stranger.dcm"))
    index = RsnaPneumonia(root).index()
    assert sorted(index.excluded["reason"]) == ["image without row", "row without image", "test film, its label is kept back"]


def test_the_mapping_gives_patients_that_chestxray14_knows_too(tmp_path):
    """T12: a patient who is in both releases bears one pseudonym."""
    index = RsnaPneumonia(write(tmp_path, mapping=True)).index()
    assert index.samples["patient_id"].nunique() == 9
    nih = NihChestXray14(nih_chestxray14.write(tmp_path / "nih", patients=5, films=1)).index().samples
    assert len(set(index.samples["patient_id"]) & set(nih["patient_id"])) == 4  # the first patient of the fake has another name
    assert not any("No patient ids" in note for note in index.notes)


@pytest.mark.parametrize("text", ["{", '{"a": 1}', '[{"img_id": "00000001_000.png"}]'])
def test_a_damaged_mapping_is_refused(tmp_path, text):
    root = write(tmp_path, per_class=1, mapping=True)
    (root / "pneumonia-challenge-dataset-mappings_2018.json").write_text(text)
    with pytest.raises(DataError, match="mapping cannot be read"):
        RsnaPneumonia(root).index()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stage_2_train_labels.csv", "24.0,15.0,21.0,37.5,1", ",,,,1"),  # a target without box
        ("stage_2_train_labels.csv", "24.0,15.0,21.0,37.5,1", "24.0,15.0,21.0,37.5,0"),
        ("stage_2_train_labels.csv", ",,,,0", ",,,,2"),
        ("stage_2_detailed_class_info.csv", "Lung Opacity\n", "Opacity\n"),
        ("stage_2_detailed_class_info.csv", "4a2c,Lung Opacity", "4a2c,Normal"),
    ],
)
def test_lists_that_contradict_are_refused(tmp_path, file, old, new):
    root = write(tmp_path)
    text = (root / file).read_bytes().decode().replace("\r\n", "\n")
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=r"contradicts|three"):
        RsnaPneumonia(root).index()
