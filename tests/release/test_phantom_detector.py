# SPDX-License-Identifier: Apache-2.0
"""The knobs of the detector, measured on pixels."""

import numpy as np
import pytest

from medsetu.release.phantom_detector import WHITE, digitise, expose
from medsetu.release.phantom_random import stream

EDGE = np.repeat(np.where(np.arange(64) < 32, 1.0, 2.5).astype(np.float32)[None], 64, axis=0)
FLAT = np.full((64, 64), 1.7, dtype=np.float32)


def film(attenuation, **knobs):
    settings = {"dose": 1.0, "noise": 1.0, "blur_mm": 0.0, "pixel_size": 1.0} | knobs
    return expose(attenuation, **settings, generator=stream(0, "quantum"))


def test_blur_spreads_an_edge_by_its_width():
    energy = [np.square(np.diff(film(EDGE, noise=0.0, blur_mm=blur)[0])).sum() for blur in (0, 5, 10, 20)]
    assert energy == sorted(energy, reverse=True)
    assert energy[-1] < 0.3 * energy[0]


def test_noise_grows_with_its_knob_and_falls_with_the_root_of_the_dose():
    spread = {setting: film(FLAT, noise=setting[0], dose=setting[1]).std() for setting in ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0, 0.25))}
    assert spread[0.0, 1.0] < 1e-6
    assert spread[2.0, 1.0] == pytest.approx(2 * spread[1.0, 1.0], rel=0.05)
    assert spread[1.0, 0.25] > 1.5 * spread[1.0, 1.0]


def test_larger_pixels_are_fewer_less_noisy_and_equally_grey():
    small, large = film(FLAT), film(FLAT, pixel_size=2.0)
    assert large.shape == (32, 32)
    assert large.std() == pytest.approx(small.std() / 2, rel=0.15)
    assert large.mean() == pytest.approx(small.mean(), abs=0.01)
    assert film(FLAT, pixel_size=1.3).shape == (49, 49)


def test_more_dose_makes_a_darker_film():
    means = [film(FLAT, dose=dose).mean() for dose in (0.5, 1.0, 2.0)]
    assert means == sorted(means, reverse=True)


def test_dose_scales_noise_and_draws_no_other():
    """Common random numbers: the grain of two doses is the same grain."""
    grain = [film(FLAT, dose=dose) - film(FLAT, dose=dose, noise=0.0) for dose in (0.5, 2.0)]
    assert np.corrcoef(grain[0].ravel(), grain[1].ravel())[0, 1] > 0.999


@pytest.mark.parametrize("size", [16, 64, 256, 512])
def test_marker_is_white_and_in_its_corner(size):
    blank = np.full((size, size), 0.5, dtype=np.float32)
    plain, marked = (digitise(blank, marker=flag, monochrome1=False) for flag in (False, True))
    changed = np.argwhere(plain != marked)
    assert (marked[plain != marked] == WHITE).all()
    assert len(changed) > 20
    assert changed.max(axis=0)[0] < size / 2


def test_stored_values_use_twelve_bits():
    stored = digitise(np.array([[0.0, 1.0]], dtype=np.float32), marker=False, monochrome1=True)
    assert stored.dtype == np.uint16
    assert stored.tolist() == [[WHITE, 0]]
