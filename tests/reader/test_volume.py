# SPDX-License-Identifier: Apache-2.0
"""Orientation without interpolation, scales that are declared, and the picture that stands for a volume."""

import itertools

import numpy as np
import pytest

from medsetu.core.errors import ConfigError
from medsetu.reader.guard import Unreadable
from medsetu.reader.picture import Facts
from medsetu.reader.volume import MAX_VOXELS, Volume, check_voxels, montage, orient, to_unit_range


def volume(voxels, unit=""):
    return Volume(np.asarray(voxels, np.float32), np.eye(4), (1.0, 1.0, 1.0), unit, Facts("nifti", "int16", 1, 1, 16, 1))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_each_voxel_keeps_its_place_in_the_patient(order, signs):
    """All 48 storages: world coordinates of every voxel are the same before and after."""
    rng = np.random.default_rng(0)
    voxels = rng.random((3, 4, 5)).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order] * np.array(signs) * np.array([1.0, 2.0, 3.0])
    affine[:3, 3] = (7, 8, 9)
    turned, after, steps = orient(voxels, affine)
    where = {tuple(np.round(affine @ [*index, 1], 6)): value for index, value in np.ndenumerate(voxels)}
    for (d, h, w), value in np.ndenumerate(turned):
        assert where[tuple(np.round(after @ [w, h, d, 1], 6))] == value
    assert (np.diag(after)[:3] > 0).all()
    assert bool(steps) == ((order, signs) != ((0, 1, 2), (1, 1, 1)))


def test_an_oblique_volume_is_told():
    angle = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert orient(np.zeros((2, 2, 2), np.float32), affine)[2] == ("oblique by 20 degrees, not resampled",)


def test_a_window_is_declared_and_clips():
    scan = volume([[[-2000.0, -160.0, 40.0, 240.0, 3000.0]]], unit="HU")
    shown = to_unit_range(scan, (-160.0, 240.0))
    np.testing.assert_allclose(shown.voxels.ravel(), [0, 0, 0.5, 1, 1])
    assert shown.facts.steps == ("window: -160 to 240",)
    whole = to_unit_range(scan)
    assert whole.facts.steps == ("range of a CT: -1024 to 3071",)
    bright = volume([[[-2000.0, -160.0, 40.0, 240.0, 30000.0]]], unit="HU")  # an artefact does not darken the rest (T25)
    np.testing.assert_array_equal(to_unit_range(bright).voxels[..., :4], whole.voxels[..., :4])


def test_without_a_unit_the_percentiles_are_told():
    shown = to_unit_range(volume(np.linspace(100, 300, 4 * 8 * 8).reshape(4, 8, 8)))
    assert (shown.voxels.min(), shown.voxels.max()) == (0, 1)
    assert shown.facts.steps == ("percentiles 0.5 and 99.5: 101 to 299",)
    with pytest.raises(Unreadable, match="contrast"):
        to_unit_range(volume(np.ones((2, 4, 4))))
    with pytest.raises(ConfigError, match="shows nothing"):
        to_unit_range(volume(np.ones((2, 4, 4))), (3.0, 3.0))


def test_sizes_are_checked_before_anything_is_allocated():
    check_voxels((MAX_VOXELS, 1, 1))
    for shape in ((0, 1, 1), (MAX_VOXELS, 2, 1)):
        with pytest.raises(Unreadable):
            check_voxels(shape)


def test_a_montage_shows_depth():
    deep = np.broadcast_to(np.arange(11, dtype=np.float32)[:, None, None] / 10, (11, 4, 6))
    shown = montage(deep)
    assert shown.shape == (8, 12)
    np.testing.assert_allclose(shown[::4, ::6].ravel(), [0.2, 0.4, 0.6, 0.8])
    assert montage(deep[:1]).shape == (8, 12)
