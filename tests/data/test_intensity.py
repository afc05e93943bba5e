# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.data.intensity import Equalise, Percentile


def test_percentile_forgets_exposure() -> None:
    pixels = np.random.default_rng(0).random((50, 40), dtype=np.float32)
    np.testing.assert_allclose(Percentile(1, 99)(pixels), Percentile(1, 99)(pixels * 0.3 + 0.2), atol=1e-5)


def test_zero_is_a_value() -> None:  # T13
    pixels = np.random.default_rng(0).random((10, 10), dtype=np.float32)
    assert Percentile(0, 100)(pixels).min() == 0


def test_percentile_refuses_an_image_without_contrast() -> None:
    with pytest.raises(DataError, match="no contrast"):
        Percentile()(np.full((8, 8), 0.5, dtype=np.float32))


def test_equalise_without_limit_flattens_the_histogram() -> None:
    pixels = (np.random.default_rng(0).random((200, 200)) ** 0.7).astype(np.float32)
    flat = Equalise(tiles=1, clip=1e6)(pixels)
    counts, _ = np.histogram(flat, bins=10, range=(0, 1))
    assert counts.min() > 0.08 * flat.size
    assert counts.max() < 0.12 * flat.size


def test_equalise_with_clip_one_changes_little() -> None:
    pixels = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    np.testing.assert_allclose(Equalise(tiles=4, clip=1.0)(pixels), pixels, atol=0.05)


def test_equalise_has_no_seams_between_tiles() -> None:
    rows, columns = np.mgrid[:128, :128] / 127
    smooth = Equalise(tiles=8, clip=2)((0.5 * rows + 0.5 * columns).astype(np.float32))
    assert np.abs(np.diff(smooth, axis=0)).max() < 0.05


def test_equalise_raises_local_contrast_and_keeps_order_of_a_ramp() -> None:
    ramp = np.tile(np.linspace(0.4, 0.5, 256, dtype=np.float32), (64, 1))
    equalised = Equalise(tiles=1, clip=4)(ramp)
    assert np.ptp(equalised) > 3 * np.ptp(ramp)
    assert (np.diff(equalised, axis=1) >= 0).all()


@pytest.mark.parametrize(
    "make", [lambda: Percentile(5, 5), lambda: Percentile(-1, 5), lambda: Equalise(tiles=0), lambda: Equalise(clip=0.5)]
)
def test_validators_fire(make) -> None:
    with pytest.raises(ConfigError):
        make()
