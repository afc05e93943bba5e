# SPDX-License-Identifier: Apache-2.0
"""NIfTI against nibabel, and headers that lie."""

import gzip
import io
import os
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fakes.nifti import SENTINEL, nifti, nifti2, packed
from medsetu.core.errors import DataError
from medsetu.reader.nifti import is_nifti, read_label_map, read_nifti

DATA = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
RAMP = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4) - 5
LAS = np.array([[-2.0, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])


def by_nibabel(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and affine in RAS+, by another implementation."""
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image.from_bytes(data))
    return image.get_fdata(), image.affine


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8", "i1", "u2", "u4", "i8", "u8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_and_byte_order_is_read(kind, order):
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    volume = read_nifti(nifti(array, sform=np.eye(4), order=order))
    np.testing.assert_array_equal(volume.voxels, np.arange(24).reshape(2, 3, 4).transpose(2, 1, 0))
    assert (volume.voxels.dtype, volume.facts.bits, volume.unit) == (np.float32, 8 * array.itemsize, "")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_any_orientation_agrees_with_nibabel(seed):
    rng = np.random.default_rng(seed)
    nearly = Rotation.from_rotvec(rng.uniform(-0.35, 0.35, 3)).as_matrix()  # nearer to 45 degrees any choice of axes is as good
    turn = nearly @ np.eye(3)[rng.permutation(3)] * rng.choice([-1.0, 1.0], 3)
    affine = np.eye(4)
    affine[:3, :3] = turn * rng.uniform(0.5, 5, 3)
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    data = nifti(RAMP, sform=affine, pixdim=(1, *np.linalg.norm(affine[:3, :3], axis=0)), scaling=(2.0, -1.0))
    volume = read_nifti(data)
    voxels, expected = by_nibabel(data)
    np.testing.assert_allclose(volume.voxels.transpose(2, 1, 0), voxels, rtol=1e-6)
    np.testing.assert_allclose(volume.affine, expected, atol=1e-4)
    np.testing.assert_allclose(volume.spacing_mm[::-1], np.linalg.norm(expected[:3, :3], axis=0), rtol=1e-5)


def test_left_of_the_patient_is_found_whatever_the_storage():
    marked = np.zeros((4, 5, 6), np.int16)
    marked[0, 2, 5] = 7  # of RAS+: the leftmost column, the top slice
    stored_backwards = marked[::-1]
    backwards = np.diag([-1.0, 1, 1, 1])
    backwards[0, 3] = 3
    plain, turned = read_nifti(nifti(marked, sform=np.eye(4))), read_nifti(nifti(stored_backwards, sform=backwards))
    np.testing.assert_array_equal(plain.voxels, turned.voxels)
    np.testing.assert_allclose(plain.affine, turned.affine)
    assert "axes LAS turned to RAS" in turned.facts.steps
    assert plain.voxels[5, 2, 0] == 7


def test_the_qform_alone_agrees_with_nibabel():
    data = nifti(RAMP, qform=(0.1, -0.7, 0.2, 5, 6, 7), pixdim=(-1, 1, 2, 3))
    voxels, affine = by_nibabel(data)
    volume = read_nifti(data)
    np.testing.assert_allclose(volume.voxels.transpose(2, 1, 0), voxels)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-4)


def test_forms_that_disagree_are_told_and_mirrors_refused():
    same = {"qform": (0, 0, 0, 0, 0, 0), "pixdim": (1, 1, 1, 1)}
    assert not any("disagree" in step for step in read_nifti(nifti(RAMP, sform=np.eye(4), **same)).facts.steps)
    shifted = np.eye(4)
    shifted[1, 3] = 4
    volume = read_nifti(nifti(RAMP, sform=shifted, **same))
    assert "sform and qform disagree by up to 4.0 mm, the sform is believed" in volume.facts.steps
    assert volume.affine[1, 3] == 4
    with pytest.raises(DataError, match="left and right are unknown"):
        read_nifti(nifti(RAMP, sform=np.diag([-1.0, 1, 1, 1]), **same))


def test_no_form_means_no_orientation():
    volume = read_nifti(nifti(RAMP, pixdim=(1, 2, 3, 0)))
    assert not volume.is_oriented
    assert volume.spacing_mm[1:] == (3.0, 2.0)
    assert np.isnan(volume.spacing_mm[0])
    assert "orientation is not declared" in volume.facts.steps
    np.testing.assert_array_equal(volume.voxels, RAMP.transpose(2, 1, 0))


def test_units_of_length_become_millimetres():
    for units, factor in ((1, 1000.0), (2, 1.0), (3, 0.001), (0, 1.0)):
        volume = read_nifti(nifti(RAMP, sform=LAS, pixdim=(1, 2, 3, 4), units=units))
        np.testing.assert_allclose(volume.spacing_mm, np.array([4, 3, 2]) * factor, rtol=1e-6)
    assert "unit of length not declared, taken as mm" in volume.facts.steps


@pytest.mark.parametrize("slope", [0.0, float("nan")])
def test_no_slope_means_no_scaling(slope):
    volume = read_nifti(nifti(RAMP, sform=np.eye(4), scaling=(slope, 99.0)))
    assert volume.voxels.min() == -5
    scaled = read_nifti(nifti(RAMP, sform=np.eye(4), scaling=(0.5, -1000.0)))
    assert scaled.voxels.min() == -1002.5
    assert "scaled by slope 0.5 and intercept -1000" in scaled.facts.steps


def test_a_frame_of_four_dimensions_has_to_be_named():
    film = np.stack([RAMP, RAMP + 100], axis=-1)
    data = packed(nifti(film, sform=np.eye(4)))
    with pytest.raises(DataError, match=r"one volume and found 2.*Name the frame"):
        read_nifti(data)
    assert read_nifti(data, frame=1).voxels.min() == 95
    with pytest.raises(DataError, match="a frame from 0 to 1 and found 2"):
        read_nifti(data, frame=2)
    alone = read_nifti(nifti(film[..., :1], sform=np.eye(4)))
    assert alone.voxels.shape == (4, 3, 2)


def test_version_two_and_a_flat_file():
    np.testing.assert_array_equal(read_nifti(nifti2(RAMP, sform=LAS)).voxels, read_nifti(nifti(RAMP, sform=LAS)).voxels)
    assert read_nifti(nifti(RAMP[..., 0], sform=np.eye(4))).voxels.shape == (1, 3, 2)


def test_voxels_without_a_number_are_counted():
    array = RAMP.astype(np.float32)
    array[0, 0, 0] = np.nan
    volume = read_nifti(nifti(array, sform=np.eye(4)))
    assert volume.voxels[0, 0, 0] == -4
    assert "1 voxels without a number set to the lowest value" in volume.facts.steps
    with pytest.raises(DataError, match="voxels that are numbers"):
        read_nifti(nifti(np.full((2, 2, 2), np.nan, np.float32), sform=np.eye(4)))


@pytest.mark.parametrize(
    ("lies", "said"),
    [
        ({"dim": (0, 1, 1, 1, 1, 1, 1, 1)}, "1 to 7 dimensions"),
        ({"dim": (9, 1, 1, 1, 1, 1, 1, 1)}, "1 to 7 dimensions"),
        ({"dim": (3, 2, -3, 4, 1, 1, 1, 1)}, "at least one voxel"),
        ({"dim": (3, 32767, 32767, 32767, 1, 1, 1, 1)}, "at most 536870912 voxels"),
        ({"dim": (3, 512, 512, 1500, 1, 1, 1, 1)}, "cannot hold them"),
        ({"dim": (3, 2, 3, 5, 1, 1, 1, 1)}, "cannot hold them"),
        ({"dim": (4, 2, 3, 4, 0, 1, 1, 1)}, "at least one volume"),
        ({"dim": (5, 2, 3, 2, 1, 2, 1, 1)}, "at most four dimensions"),
        ({"datatype": 32, "bitpix": 64}, "data type 32"),
        ({"datatype": 128, "bitpix": 24}, "data type 128"),
        ({"bitpix": 8}, "data type 4 of 8 bits"),
        ({"vox_offset": 0.0}, "begin after the header"),
        ({"vox_offset": float("nan")}, "begin after the header"),
        ({"vox_offset": 1e30}, "begin after the header"),
        ({"magic": b"ni1\0"}, "the header of a pair"),
        ({"magic": b"\0\0\0\0"}, "does not tell left from right"),
    ],
)
def test_headers_that_lie_are_refused(lies, said):
    with pytest.raises(DataError, match=said) as error:
        read_nifti(nifti(RAMP, sform=np.eye(4), **lies), sample_id="r/a")
    assert "Sample 'r/a'" in str(error.value)
    assert SENTINEL not in str(error.value)


@pytest.mark.parametrize(
    "geometry",
    [
        {"sform": np.zeros((4, 4))},
        {"sform": np.full((4, 4), np.nan)},
        {"qform": (0.9, 0.9, 0, 0, 0, 0)},
        {"qform": (np.nan, 0, 0, 0, 0, 0)},
    ],
)
def test_impossible_places_are_refused(geometry):
    with pytest.raises(DataError, match=r"invertible|quaternion"):
        read_nifti(nifti(RAMP, **geometry))


def test_a_bomb_is_refused_before_memory_is_gone():
    """Half a gigabyte of promised voxels in a kilobyte; and a long tail behind a small volume that is never inflated."""
    lying = packed(nifti(RAMP, sform=np.eye(4), dim=(3, 1000, 1000, 500, 1, 1, 1, 1)))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as stream:
        stream.write(nifti(RAMP, sform=np.eye(4)))
        for _ in range(64):
            stream.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(DataError, match="cannot hold them"):
        read_nifti(lying)
    assert read_nifti(buffer.getvalue()).voxels.shape == (4, 3, 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_truncated_files_are_refused():
    data = nifti(RAMP, sform=np.eye(4))
    for cut in (0, 3, 100, 347, 352, len(data) - 1):
        with pytest.raises(DataError):
            read_nifti(data[:cut])
    with pytest.raises(DataError):
        read_nifti(packed(data)[:-20])


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 351), value=st.integers(0, 255), tight=st.booleans())
def test_a_changed_byte_never_does_more_than_refuse(place, value, tight):
    data = bytearray(nifti(RAMP, sform=LAS, qform=(0, 0, 1, 0, 0, 0), pixdim=(1, 2, 3, 4)))
    data[place] = value
    try:
        volume = read_nifti(packed(bytes(data)) if tight else bytes(data))
    except DataError as error:
        told = str(error)
    else:
        told = " ".join(volume.facts.steps)
        assert np.isfinite(volume.voxels).all()
    assert SENTINEL not in told


def test_label_maps_are_whole_numbers():
    labels = np.array([[[0, 1], [2, 3]]], np.uint8)
    found, affine = read_label_map(packed(nifti(labels, sform=np.diag([-1.0, 1, 1, 1]))))
    np.testing.assert_array_equal(found, labels[::-1].transpose(2, 1, 0))
    assert found.dtype == np.int32
    assert affine[0, 0] == 1
    for wrong in (labels + 0.5, labels.astype(np.int16) - 2, np.full((2, 2, 2), np.inf)):
        with pytest.raises(DataError, match="whole numbers"):
            read_label_map(nifti(wrong, sform=np.eye(4)))


def test_what_looks_like_nifti():
    data = nifti(RAMP, sform=np.eye(4))
    assert is_nifti(data)
    assert is_nifti(packed(data)[:2048])
    assert not is_nifti(gzip.compress(b"a label table"))
    assert not is_nifti(b"\x1f\x8b broken")


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of MEDSETU_DATA are not here")
def test_the_real_scan_agrees_with_nibabel():
    for path in sorted((DATA / "nifti").glob("*.nii.gz")):
        volume = read_nifti(path.read_bytes())
        image = nibabel.as_closest_canonical(nibabel.load(path))
        np.testing.assert_allclose(volume.voxels.transpose(2, 1, 0), image.get_fdata(), rtol=1e-6)
        np.testing.assert_allclose(volume.affine, image.affine, atol=1e-4)
    scan, organs = (DATA / "nifti" / name for name in ("example_ct_sm.nii.gz", "example_ct_sm_T300_output.nii.gz"))
    labels, affine = read_label_map(organs.read_bytes())
    whole = read_nifti(scan.read_bytes())
    assert labels.shape == whole.voxels.shape == (30, 101, 122)
    np.testing.assert_allclose(affine, whole.affine)
    assert whole.voxels[labels > 0].mean() > whole.voxels[labels == 0].mean()
