# SPDX-License-Identifier: Apache-2.0
"""Names, tables and sidecars of BIDS."""

import pytest

from fakes.dicom import SENTINEL
from medsetu.core.errors import DataError
from medsetu.reader.bids import find_images, parse_name, read_device, read_participants


@pytest.mark.parametrize(
    "path",
    [
        "sub-01/ses-A/anat/sub-01_ses-B_T1w.nii.gz",
        "sub-01/anat/sub-02_T1w.nii",
        "sub-01/anat/T1w.nii",
        "sub-01/anat/ses-1_T1w.nii",
        "sub-01/anat/sub-01_odd_T1w.nii",
        "sub-01/anat/sub-01_T1w.json",
        "notes.nii",
    ],
)
def test_what_is_no_name(path):
    assert parse_name(path) is None


def test_derivatives_and_other_suffixes_stay_out():
    names = [
        "derivatives/x/sub-1/anat/sub-1_T1w.nii",
        "sourcedata/sub-1_T1w.nii",
        "sub-1/anat/sub-1_T1w.nii.gz",
        "sub-1/anat/sub-1_FLAIR.nii",
    ]
    found, left = find_images(names, suffix="T1w")
    assert [image.path for image in found] == ["sub-1/anat/sub-1_T1w.nii.gz"]
    assert left == []


def test_participants(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tdx\nsub-1\tn/a\tAD\n2\t61\tCN\n")
    people = read_participants(tmp_path, columns=["dx"], optional=["age", "sex"])
    assert people["1"] == {"participant_id": "sub-1", "dx": "AD", "age": "", "sex": ""}
    assert people["2"]["age"] == "61"
    (tmp_path / "participants.tsv").write_text("participant_id\tdx\nsub-1\tAD\nsub-1\tCN\n")
    with pytest.raises(DataError, match="two rows"):
        read_participants(tmp_path, columns=["dx"])


def test_a_sidecar_tells_the_device_and_nothing_else(tmp_path):
    image = tmp_path / "sub-1_T1w.nii.gz"
    assert read_device(image) == ""
    (tmp_path / "sub-1_T1w.json").write_text(f'{{"Manufacturer": "GE Medical", "PatientName": "{SENTINEL}"}}')
    assert read_device(image) == "ge medical"
    for broken in ("{", "[1]"):
        (tmp_path / "sub-1_T1w.json").write_text(broken)
        with pytest.raises(DataError, match="BIDS sidecar"):
            read_device(image, sample_id="r/a")
