# SPDX-License-Identifier: Apache-2.0
"""A folder of slices: order, units, what is left out, and what is refused by name."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from fakes.dicom import SENTINEL, dataset, to_bytes
from fakes.nifti import nifti
from fakes.series import head, slice_file, write
from medsetu.core.errors import DataError
from medsetu.reader.nifti import read_nifti
from medsetu.reader.series import read_series

DATA = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def test_hounsfield_units_in_the_order_of_the_patient(tmp_path):
    volume = read_series(write(tmp_path / "ct"))
    expected = head()[:, ::-1, ::-1]  # rows come from the front and columns from the right of the patient: RAS+ counts the other way
    np.testing.assert_array_equal(volume.voxels, expected)
    assert (volume.unit, volume.spacing_mm) == ("HU", (2.5, 0.75, 0.5))
    assert (volume.facts.modality, volume.facts.depth, volume.facts.slice_mm, volume.facts.bits) == ("CT", 5, 2.5, 12)
    assert volume.facts.steps == ("rescaled by slope 1 and intercept -1024", "axes LPS turned to RAS")


def test_one_patient_is_the_same_in_dicom_and_nifti(tmp_path):
    volume = read_series(write(tmp_path / "ct"))
    stored = head().transpose(2, 1, 0)
    affine = np.array([[-0.5, 0, 0, 10], [0, -0.75, 0, 20], [0, 0, 2.5, 10], [0, 0, 0, 1]])
    converted = read_nifti(nifti(stored, sform=affine, pixdim=(1, 0.5, 0.75, 2.5)))
    np.testing.assert_array_equal(volume.voxels, converted.voxels)
    np.testing.assert_allclose(volume.affine, converted.affine, atol=1e-5)


def test_what_is_no_slice_is_left_out_and_counted(tmp_path):
    folder = write(tmp_path / "ct")
    (folder / "scout.dcm").write_bytes(slice_file(head()[0], z=99, series="1.9", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    report = dataset(np.zeros((2, 2), np.uint16), bits=12)
    del report.PixelData
    (folder / "report.dcm").write_bytes(to_bytes(report))
    (folder / "readme.txt").write_text(SENTINEL)
    (folder / "._CT000001.dcm").write_bytes(b"\0\5\x16\7")
    volume = read_series(folder)
    assert volume.voxels.shape[0] == 5
    assert volume.facts.steps[:2] == ("2 localizers, reports or other objects left out", "1 files that are no DICOM left out")


def test_a_slice_copied_twice_counts_once(tmp_path):
    folder = write(tmp_path / "ct")
    shutil.copy(folder / "CT000001.dcm", folder / "copy.dcm")
    volume = read_series(folder)
    assert volume.voxels.shape[0] == 5
    assert "1 duplicate slices left out" in volume.facts.steps


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda folder: write(folder, series="1.2.9", names=[f"b{number}.dcm" for number in range(5)]),
            r"one series and found 2 of 5, 5 slices",
        ),
        (
            lambda folder: (folder / "CT000003.dcm").unlink(),
            r"found about 1 missing, the first after slice 2 of 4",
        ),
        (lambda folder: (folder / "late.dcm").write_bytes(slice_file(head()[0] + 1, z=12.5)), "one slice at each place"),
        (lambda folder: (folder / "CT000002.dcm").write_bytes(slice_file(head()[3], z=16.9)), "distances from"),
        (lambda folder: (folder / "CT000002.dcm").write_bytes((folder / "CT000002.dcm").read_bytes()[:-40]), "cannot decode"),
        (lambda folder: (folder / "CT000002.dcm").write_bytes(slice_file(head()[3, :, :7], z=17.5)), "slices of one size"),
        (lambda folder: (folder / "z.dcm").write_bytes(slice_file(head()[0], z=22.5, ImagePositionPatient=None)), "position, orientation"),
        (lambda folder: (folder / "z.dcm").write_bytes(slice_file(head()[0], z=22.5, ImagePositionPatient=[0, 0])), "3 finite numbers"),
        (lambda folder: (folder / "z.dcm").write_bytes(slice_file(head()[0], z=22.5, RescaleType="MGML")), "one unit"),
        (lambda folder: (folder / "z.dcm").write_bytes(slice_file(head()[0], z=22.5, PhotometricInterpretation="RGB")), "colour"),
    ],
)
def test_faults_have_names(tmp_path, spoil, told):
    folder = write(tmp_path / "ct")
    spoil(folder)
    with pytest.raises(DataError, match=told) as error:
        read_series(folder, sample_id="r/ct")
    assert "Sample 'r/ct'" in str(error.value)
    assert SENTINEL not in str(error.value)


def test_gaps_may_be_told_instead(tmp_path):
    volume = read_series(write(tmp_path / "ct", skip=(2,)), gaps="tell")
    assert volume.voxels.shape[0] == 4
    assert any("about 1 missing" in step for step in volume.facts.steps)


def test_a_tilted_gantry_is_told(tmp_path):
    volume = read_series(write(tmp_path / "ct", tilt=20))
    assert any("gantry tilted by 20.0 degrees" in step for step in volume.facts.steps)
    np.testing.assert_array_equal(volume.voxels, head()[:, ::-1, ::-1])


def test_a_sign_that_was_lost_is_refused(tmp_path):
    """RSNA 2019: unsigned pixels with an offset near 0, whose air has wrapped to 3,096."""
    with pytest.raises(DataError, match="cannot show air"):
        read_series(write(tmp_path / "ct", RescaleIntercept=0))


def test_mr_has_no_unit_and_padding_is_air(tmp_path):
    mr = read_series(write(tmp_path / "mr", Modality="MR", RescaleIntercept=0))
    assert (mr.unit, mr.facts.modality) == ("", "MR")
    padded = head()
    padded[:, :2] = -1024
    volume = read_series(write(tmp_path / "ct", volume=padded, PixelPaddingValue=0))
    assert volume.voxels.min() == -1023
    assert "padding to the lowest value" in volume.facts.steps


def test_empty_folders_and_none(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="0 files"):
        read_series(tmp_path / "empty")
    with pytest.raises(DataError):
        read_series(tmp_path / "gone")
    (tmp_path / "empty" / "a.txt").write_text("no slice")
    with pytest.raises(DataError, match="0 other DICOM objects and 1 other files"):
        read_series(tmp_path / "empty")


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of MEDSETU_DATA are not here")
def test_a_real_slice_in_two_codings_is_one_slice(tmp_path):
    """The head CT comes compressed and plain, with the same series and place: alone each is a volume of one slice, together a fault."""
    for name in ("693_J2KR.dcm", "693_UNCI.dcm"):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(DATA / "dicom" / name, folder)
        volume = read_series(folder)
        assert volume.voxels.shape == (1, 512, 512)
        assert volume.unit == "HU"
        np.testing.assert_allclose(volume.spacing_mm, (5, 0.478516, 0.478516), rtol=1e-5)
        assert volume.voxels.min() < -900
        assert np.percentile(volume.voxels[0, 150:350, 150:350], 50) == pytest.approx(30, abs=30)  # brain
    shutil.copy(DATA / "dicom" / "693_J2KR.dcm", folder)
    with pytest.raises(DataError, match="one slice at each place"):
        read_series(folder)
