# SPDX-License-Identifier: Apache-2.0
"""Enhanced CT and MR by functional groups, films in time, and counts that lie."""

import math

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from fakes.dicom import SENTINEL, dataset, to_bytes
from fakes.series import enhanced, head, ultrasound, write
from medsetu.core.errors import DataError
from medsetu.reader.frames import frame_count, read_frames
from medsetu.reader.guard import Unreadable
from medsetu.reader.series import read_series


def test_an_enhanced_ct_equals_the_series(tmp_path):
    series = read_series(write(tmp_path / "ct"))
    volume = read_frames(enhanced(head(), order=[3, 0, 4, 1, 2]))
    np.testing.assert_array_equal(volume.voxels, series.voxels)
    np.testing.assert_allclose(volume.affine, series.affine)
    assert (volume.unit, volume.spacing_mm) == (series.unit, series.spacing_mm)


def test_each_frame_has_its_own_rescale():
    """Philips writes another slope into every slice of an MR."""
    rescale = [(1 + number, -1000.0 * (1 + number)) for number in range(5)]
    volume = read_frames(enhanced(head() // 60 * 60, modality="MR", rescale=rescale))
    np.testing.assert_array_equal(volume.voxels, (head() // 60 * 60)[:, ::-1, ::-1])
    assert volume.unit == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"NumberOfFrames": 6}, r"6 functional groups, one per frame and found 5"),
        ({"NumberOfFrames": 0}, "1 to 65536 frames"),
        ({"NumberOfFrames": 65536, "Rows": 9999, "Columns": 9999}, "at most 536870912 voxels"),
        ({"order": [0, 1, 1, 2, 3]}, "one slice at each place"),
        ({"order": [0, 1, 2, 4]}, "about 1 missing"),
        ({"PixelData": b"\0\0" * 24}, "cannot decode"),
        ({"SharedFunctionalGroupsSequence": Sequence([Dataset()])}, "position, orientation"),
        ({"RescaleIntercept": 0, "rescale": [(1, 0)] * 5, "volume": np.zeros((5, 6, 8), np.int16)}, "cannot show air"),
    ],
)
def test_faults_have_names(arguments, told):
    volume = arguments.pop("volume", head()) if "volume" in arguments else head()
    with pytest.raises(DataError, match=told) as error:
        read_frames(enhanced(volume, **arguments), sample_id="r/f")
    assert SENTINEL not in str(error.value)


def test_ultrasound_in_time():
    film = np.random.default_rng(0).integers(0, 256, (4, 6, 10, 3), dtype=np.uint8)
    film[..., 1:] = film[..., :1]
    volume = read_frames(ultrasound(film))
    np.testing.assert_allclose(volume.voxels, film[..., 0] / 255, atol=1e-6)
    assert volume.frame_seconds == pytest.approx(0.04)
    assert not volume.is_oriented
    assert all(math.isnan(value) for value in volume.spacing_mm)
    assert volume.facts.steps == ("colour to grey by luma", "frames in time")


def test_a_grey_film_is_scaled_by_what_is_declared():
    film = np.random.default_rng(0).integers(0, 200, (3, 4, 4), dtype=np.uint8)
    facts = {"NumberOfFrames": 3, "PixelData": film.tobytes(), "CineRate": 20}
    plain = read_frames(to_bytes(dataset(film[0], bits=8, **facts)))
    inverse = read_frames(to_bytes(dataset(film[0], bits=8, PhotometricInterpretation="MONOCHROME1", **facts)))
    np.testing.assert_allclose(plain.voxels, film / 255, atol=1e-6)
    np.testing.assert_allclose(inverse.voxels, 1 - film / 255, atol=1e-6)
    assert plain.frame_seconds == 0.05


def test_a_file_without_pixels_is_refused():
    report = dataset(np.zeros((2, 2), np.uint16), bits=12)
    del report.PixelData
    with pytest.raises(DataError, match="without it"):
        read_frames(to_bytes(report))


def test_counts():
    header = Dataset()
    assert frame_count(header) == 1
    header.NumberOfFrames = 12
    assert frame_count(header) == 12
    header.NumberOfFrames = 0
    with pytest.raises(Unreadable):
        frame_count(header)
