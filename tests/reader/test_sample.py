# SPDX-License-Identifier: Apache-2.0
"""One door for pictures, volumes, folders and members; digests and states that notice every change."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakes.nifti import nifti, packed
from fakes.series import enhanced, head, ultrasound, write
from medsetu.core.errors import DataError
from medsetu.core.run import sha256_file
from medsetu.reader import sample as door
from medsetu.reader.picture import Picture
from medsetu.reader.sample import read_picture, read_sample, read_shown, read_volume, sample_digest, sample_state, shown, split_member
from medsetu.reader.volume import Volume

FILM = np.random.default_rng(0).integers(0, 256, (3, 6, 10, 3), dtype=np.uint8)
RAMP = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "ct")
    (tmp_path / "scan.nii.gz").write_bytes(packed(nifti(RAMP, sform=np.eye(4))))
    (tmp_path / "bold.nii").write_bytes(nifti(np.stack([RAMP, RAMP + 1000], axis=-1), sform=np.eye(4)))
    (tmp_path / "enhanced").write_bytes(enhanced(head()))
    (tmp_path / "film.dcm").write_bytes(ultrasound(FILM))
    (tmp_path / "still.dcm").write_bytes(ultrasound(FILM[0]))
    np.savez(tmp_path / "set.npz", images=FILM[..., 0])
    Image.fromarray(FILM[0]).save(tmp_path / "film.png")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("ct", (5, 6, 8)),
        ("scan.nii.gz", (6, 5, 4)),
        ("bold.nii/1", (6, 5, 4)),
        ("enhanced", (5, 6, 8)),
        ("film.dcm", (3, 6, 10)),
        ("film.dcm/2", (6, 10)),
        ("still.dcm", (6, 10)),
        ("set.npz/images/0", (6, 10)),
        ("film.png", (6, 10)),
    ],
)
def test_each_kind_is_found(root, name, shape):
    found = read_sample(root / name)
    assert isinstance(found, Volume) == (len(shape) == 3)
    assert (found.voxels if isinstance(found, Volume) else found.pixels).shape == shape
    picture = shown(found)
    assert isinstance(picture, Picture)
    assert 0 <= picture.pixels.min() < picture.pixels.max() <= 1
    np.testing.assert_array_equal(read_shown(root / name).pixels, picture.pixels)
    wanted, other = (read_volume, read_picture) if len(shape) == 3 else (read_picture, read_volume)
    assert type(wanted(root / name)) is type(found)
    with pytest.raises(DataError, match="network of"):
        other(root / name, sample_id="r/x")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone.nii.gz", "no file that can be read"),
        ("bold.nii", "Name the frame"),
        ("bold.nii/2", "a frame from 0 to 1"),
        ("bold.nii/x", "the number of a frame"),
        ("film.dcm/3", "a frame of a film in time and found 3"),
        ("enhanced/0", "a frame of a film in time"),
        ("film.png/0", "no file that can be read"),
        ("set.npz/images/3", "a number below 3"),
        ("set.npz", "a ZIP archive"),
    ],
)
def test_what_is_not_there_is_named(root, name, told):
    with pytest.raises(DataError, match=told) as error:
        read_sample(root / name, sample_id="r/x")
    assert "Sample 'r/x'" in str(error.value)


def test_a_frame_is_the_frame(root):
    np.testing.assert_allclose(read_picture(root / "film.dcm/2").pixels, read_volume(root / "film.dcm").voxels[2])
    assert read_picture(root / "film.dcm/2").facts.steps[-1] == "frame 2 of 3"
    assert read_volume(root / "bold.nii/1").voxels.min() == 1000


def test_digests_tell_samples_apart_and_notice_changes(root):
    names = [
        "ct",
        "scan.nii.gz",
        "bold.nii/0",
        "bold.nii/1",
        "film.dcm",
        "film.dcm/0",
        "film.dcm/1",
        "set.npz/images/0",
        "set.npz/images/1",
    ]
    before = {name: sample_digest(root / name) for name in names}
    assert len(set(before.values())) == len(names)
    assert before["film.dcm"] == sha256_file(root / "film.dcm")
    (root / "ct" / "CT000003.dcm").write_bytes((root / "ct" / "CT000003.dcm").read_bytes()[:-2] + b"\1\1")
    assert sample_digest(root / "ct") != before["ct"]
    assert {name: sample_digest(root / name) for name in names[1:]} == {name: before[name] for name in names[1:]}
    (root / "set.npz").rename(root / "other.npz")
    assert sample_digest(root / "other.npz/images/1") == before["set.npz/images/1"]


def test_states_notice_changes_without_reading(root):
    before = {name: sample_state(root / name) for name in ("ct", "film.dcm/1", "film.png")}
    for changed, name in (("ct/CT000003.dcm", "ct"), ("film.dcm", "film.dcm/1"), ("film.png", "film.png")):
        os.utime(root / changed, (1, 1))
        assert sample_state(root / name) != before[name]
    with pytest.raises(OSError, match="gone"):
        sample_state(root / "gone")


def test_members_are_split_from_files(root):
    assert split_member(root / "bold.nii/1") == (root / "bold.nii", "1")
    assert split_member(root / "set.npz/images/0") == (root / "set.npz", "images/0")
    assert split_member(root / "ct") == (root / "ct", "")


def test_giants_are_refused(root, monkeypatch):
    monkeypatch.setattr(door, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="at most 100 bytes"):
        read_sample(root / "scan.nii.gz")


def test_a_volume_without_contrast_is_refused(root):
    (root / "flat.nii").write_bytes(nifti(np.ones((4, 4, 4), np.int16), sform=np.eye(4)))
    with pytest.raises(DataError, match="contrast"):
        shown(read_sample(root / "flat.nii"), sample_id="r/flat")


@pytest.mark.shared
def test_the_real_files_of_two_folders():
    data = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    if not data.is_dir():
        pytest.skip("the real images of MEDSETU_DATA are not here")
    for path in sorted((data / "nifti").glob("*.nii.gz")):
        assert isinstance(read_sample(path), Volume)
    readable = [path.name for path in sorted((data / "dicom").glob("*.dcm")) if isinstance(read_sample(path), Picture)]
    assert len(readable) == 6
