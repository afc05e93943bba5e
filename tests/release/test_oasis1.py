# SPDX-License-Identifier: Apache-2.0
"""OASIS-1 in BIDS: people come twice, the young have no rating, and derivatives stay out."""

import pytest

from fakes.dicom import SENTINEL
from fakes.oasis1 import write
from medsetu.core.errors import DataError
from medsetu.reader.sample import read_volume
from medsetu.release.oasis1 import Oasis1


def test_participants_meet_their_images(tmp_path):
    samples = Oasis1(write(tmp_path)).index().samples
    number = samples["path"].str.extract(r"OASIS1(\d{4})/")[0].astype(int)
    assert len(samples) == 15
    assert (samples.loc[number < 12, "dementia"] == number[number < 12] % 2).all()
    assert samples["device"].unique().tolist() == ["siemens vision"]
    assert samples["age_years"].max() == 71
    assert samples["sex"].tolist() == ["FM"[place % 2] for place in number]
    assert read_volume(tmp_path / samples["path"].iloc[0]).voxels.shape == (16, 22, 18)


def test_blank_ratings_are_unknown(tmp_path):
    index = Oasis1(write(tmp_path)).index()
    young = index.samples[index.samples["age_years"] == 21]
    assert len(young) == 2
    assert young["dementia"].isna().all()
    assert "2 participants have no rating: unknown, not healthy" in index.notes


def test_second_scans_belong_to_one_patient(tmp_path):
    index = Oasis1(write(tmp_path)).index()
    assert index.samples["patient_id"].nunique() == 14
    assert index.samples["study_id"].nunique() == 15
    assert "1 volumes are second scans of a person" in index.notes


def test_other_runs_derivatives_and_the_absent_are_named(tmp_path):
    index = Oasis1(write(tmp_path)).index()
    run = "oasis1/sub-OASIS10001/ses-M000/anat/sub-OASIS10001_ses-M000_run-2_T1w.nii.gz"
    assert index.excluded.to_numpy().tolist() == [
        [run, "another run of its session"],
        ["oasis1/sub-OASIS19999", "row without image"],
    ]
    assert not index.samples["path"].str.startswith("derivatives").any()


def test_faults_are_refused(tmp_path):
    root = write(tmp_path)
    table = root / "participants.tsv"
    text = table.read_text()
    table.write_text(text.replace("\t0.5", "\t0.7"))
    with pytest.raises(DataError, match=r"none of 0, 0\.5, 1 and 2"):
        Oasis1(root).index()
    table.write_text(text.replace("cdr", "CDR"))
    with pytest.raises(DataError, match="'cdr' is missing"):
        Oasis1(root).index()
    assert len(Oasis1(root, rating="CDR").index().samples) == 15
    table.unlink()
    with pytest.raises(DataError, match=r"participants\.tsv"):
        Oasis1(root).index()


def test_sentinel_never_appears(tmp_path):
    index = Oasis1(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
