# SPDX-License-Identifier: Apache-2.0
"""NITRD New Delhi: keyed by path, labelled by prefix, two machines."""

import shutil

import pytest

from fakes.film import SENTINEL
from fakes.nitrd import write
from medsetu.core.errors import ConfigError, DataError
from medsetu.release.nitrd import Nitrd


def test_a_repeated_file_name_is_two_samples(tmp_path):
    samples = Nitrd(write(tmp_path), part="A").index().samples
    assert len(samples) == samples["sample_id"].nunique() == 24
    assert samples["path"].str.endswith("/nx1.jpg").sum() == 2
    assert samples["official_split"].value_counts().to_dict() == {"train": 12, "test": 12}


def test_labels_follow_names(tmp_path):
    """T02: the prefix decides, in both data sets and in any case."""
    root = write(tmp_path)
    (root / "DatasetA" / "Training" / "px1.jpg").rename(root / "DatasetA" / "Training" / "PX77.JPG")
    samples = Nitrd(root, part="both").index().samples
    names = samples["path"].str.rsplit("/", n=1).str[-1].str.lower()
    assert (samples["tuberculosis"] == names.str.startswith("p").astype(float)).all()
    assert samples["tuberculosis"].value_counts().to_dict() == {1.0: 18, 0.0: 18}


def test_facts_name_place_and_machine(tmp_path):
    samples = Nitrd(write(tmp_path), part="both").index().samples
    assert set(samples["country"]) == {"IND"}
    assert set(samples["site"]) == {"NITRD New Delhi"}
    assert samples["device"].value_counts().to_dict() == {"DA": 24, "DB": 12}
    assert samples["patient_id"].isna().all()


def test_dataset_b_is_walked_and_other_files_are_left(tmp_path):
    root = write(tmp_path)
    deeper = root / "DatasetB" / "Testing" / "more" / "films"
    deeper.mkdir(parents=True)
    (root / "DatasetB" / "Testing" / "p1.dcm").rename(deeper / "p1")
    (root / "DatasetB" / "Testing" / "readme.dcm").touch()
    index = Nitrd(root, part="B").index()
    row = index.samples.set_index("path").loc["DatasetB/Testing/more/films/p1"]
    assert (row["tuberculosis"], row["official_split"]) == (1.0, "test")
    assert index.excluded["sample_id"].tolist() == ["nitrd/DatasetB/Testing/readme.dcm"]


def test_the_missing_test_folder_is_said(tmp_path):
    index = Nitrd(write(tmp_path, parts="A", testing=False)).index()
    assert set(index.samples["official_split"]) == {"train"}
    assert any("without its testing films" in note for note in index.notes)
    shutil.move(tmp_path / "DatasetA" / "Training", tmp_path / "DatasetA" / "Testing")
    assert set(Nitrd(tmp_path).index().samples["official_split"]) == {"test"}


def test_positives_only_indexes(tmp_path):
    """T21: films of patients with tuberculosis alone are a cohort."""
    root = write(tmp_path, parts="A")
    for path in root.glob("DatasetA/*/nx*"):
        path.unlink()
    assert set(Nitrd(root).index().samples["tuberculosis"]) == {1.0}


def test_wrong_settings_and_places_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="A, B, both"):
        Nitrd(tmp_path, part="C")
    with pytest.raises(DataError, match="DatasetA"):
        Nitrd(tmp_path).index()
    (tmp_path / "DatasetA").mkdir()
    with pytest.raises(DataError, match="Neither Training nor Testing"):
        Nitrd(tmp_path).index()
    with pytest.raises(DataError, match="DatasetB"):
        Nitrd(write(tmp_path / "a", parts="A"), part="both").index()


def test_sentinel_never_appears(tmp_path):
    """T44: the name in the DICOM headers stays there."""
    index = Nitrd(write(tmp_path), part="both").index()
    assert SENTINEL.encode() in (tmp_path / "DatasetB" / "Training" / "p1.dcm").read_bytes()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)


@pytest.mark.shared
def test_the_real_release(shared_data):
    samples = Nitrd(shared_data / "nitrd_da").index().samples
    train = samples[samples["official_split"] == "train"]
    assert train["tuberculosis"].value_counts().to_dict() == {1.0: 52, 0.0: 52}
