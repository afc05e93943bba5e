# SPDX-License-Identifier: Apache-2.0
"""Streams that do not disturb each other, and noise that does not know its resolution."""

import numpy as np

from medsetu.release.phantom_random import smooth_noise, stream


def test_streams_repeat_and_differ():
    keys = [(0, "age"), (1, "age"), (0, "sex"), (0, "age", 1), (0, "age", 2)]
    draws = [stream(*key).random() for key in keys]
    assert draws == [stream(*key).random() for key in keys]
    assert len(set(draws)) == len(keys)


def test_noise_is_the_same_at_any_resolution():
    fine, coarse = (smooth_noise(stream(0, "noise"), size=size, knots=(5, 9)) for size in (128, 32))
    np.testing.assert_allclose(fine.reshape(32, 4, 32, 4).mean(axis=(1, 3)), coarse, atol=0.15)


def test_noise_is_standardised():
    fields = np.stack([smooth_noise(stream(seed, "noise"), size=32, knots=(5, 9, 17)) for seed in range(200)])
    assert abs(fields.mean()) < 0.05
    assert 0.9 < fields.std() < 1.1
