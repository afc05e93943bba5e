# SPDX-License-Identifier: Apache-2.0
"""Image statistics answer to what they are named after, and are read once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from fakes.study import manifest
from medsetu.core.errors import DataError
from medsetu.shift.acquisition import STATISTICS, describe_film, film_statistics, noise, sharpness


@pytest.fixture
def film() -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.random((64, 48)).astype(np.float32)).resize((480, 640), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(coarse) * 0.5 + 0.2, 0, 1)


def test_each_statistic_answers_to_its_knob(film) -> None:
    plain = describe_film(film)
    assert tuple(plain) == tuple(STATISTICS)
    assert describe_film(film + np.float32(0.1))["exposure"] == pytest.approx(plain["exposure"] + 0.1, abs=1e-5)
    assert describe_film(film * np.float32(0.5))["contrast"] == pytest.approx(plain["contrast"] * 0.5, abs=1e-5)
    half = film.copy()
    half[:320] = 0.0
    assert describe_film(half)["black"] == pytest.approx(0.5, abs=0.01)
    half[:320] = 1.0
    assert describe_film(half)["white"] == pytest.approx(0.5, abs=0.01)


def test_sharpness_falls_with_blur_and_ignores_contrast_and_matrix_size(film) -> None:
    blurred = [
        np.asarray(Image.fromarray((film * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(r)), np.float32) / 255 for r in (2, 4, 8)
    ]
    values = [sharpness(one) for one in (film, *blurred)]
    assert np.all(np.diff(values) < 0)
    assert sharpness(film * np.float32(0.3)) == pytest.approx(sharpness(film), rel=1e-4)
    larger = np.asarray(Image.fromarray(film).resize((960, 1280), Image.Resampling.BICUBIC))
    assert sharpness(larger) == pytest.approx(sharpness(film), rel=0.1)


@pytest.mark.parametrize("sd", [0.02, 0.05])
def test_noise_is_measured_and_a_smooth_picture_has_none(sd) -> None:
    ramp = np.linspace(0.2, 0.8, 300, dtype=np.float32)
    smooth = ramp[:, None] * ramp
    added = np.random.default_rng(1).normal(0, sd, smooth.shape).astype(np.float32)
    assert noise(smooth) < 1e-5
    assert noise(smooth + added) == pytest.approx(sd, rel=0.03)


def test_nothing_to_measure_is_nan() -> None:
    assert np.isnan(sharpness(np.full((20, 20), 0.1, np.float32)))
    assert np.isnan(noise(np.zeros((2, 9), np.float32)))
    assert describe_film(np.zeros((1, 1), np.float32))["black"] == 1.0


def test_films_are_read_once_and_kept_by_content(tmp_path: Path) -> None:
    rows = manifest(tmp_path, np.random.default_rng(0), per_class=3)
    cache = tmp_path / "cache"
    first = film_statistics(rows, cache=cache)
    assert first["sample_id"].tolist() == rows["sample_id"].tolist()
    assert film_statistics(rows.iloc[::-1])["sample_id"].tolist() == rows["sample_id"].tolist()[::-1]
    for path in rows["path"]:
        (tmp_path / path).unlink()
    assert film_statistics(rows, cache=cache).equals(first)
    with pytest.raises(DataError):
        film_statistics(rows.assign(sha256="changed"), cache=cache)


def test_damaged_cache_is_written_again(tmp_path: Path) -> None:
    rows = manifest(tmp_path, np.random.default_rng(0), per_class=3)
    first = film_statistics(rows, cache=tmp_path / "cache")
    kept = next((tmp_path / "cache").glob("*.parquet"))
    kept.write_bytes(b"damaged")
    assert film_statistics(rows, cache=tmp_path / "cache").equals(first)
    assert kept.read_bytes() != b"damaged"
