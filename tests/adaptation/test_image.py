# SPDX-License-Identifier: Apache-2.0
"""Repairs of images: the planted change of a detector is undone, deterministically, and borders stay black."""

from dataclasses import asdict

import numpy as np
import pytest

from medsetu.adaptation.image import Fourier, Histogram, HistogramMatch, Style, film_area
from medsetu.core.errors import ConfigError, DataError
from medsetu.data.pipeline import Pipeline

REPAIRS = [Histogram(), Style(), Fourier()]


def films(n, *, seed, side=40):
    rng = np.random.default_rng(seed)
    rough = rng.normal(0.5, 0.12, (n, side, side))
    return list(np.clip(rough + np.linspace(-0.2, 0.2, side), 0.02, 0.98).astype(np.float32))


def other_detector(film):
    return (0.1 + 0.5 * film**2).astype(np.float32)


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda repair: type(repair).__name__)
def test_a_repair_undoes_most_of_what_another_detector_did(repair):
    step = repair.fit(films(20, seed=0))
    film = films(1, seed=1)[0]
    changed = other_detector(film)
    repaired = step(changed)
    assert np.abs(repaired.mean() - film.mean()) < 0.02
    assert np.abs(repaired - film).mean() < 0.5 * np.abs(changed - film).mean()


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda repair: type(repair).__name__)
def test_a_repaired_image_is_an_image_and_repeats(repair):
    step = repair.fit(films(5, seed=0))
    film = other_detector(films(1, seed=2)[0])
    before = film.copy()
    first = step(film)
    assert first.dtype == np.float32
    assert first.shape == film.shape
    assert 0 <= first.min() <= first.max() <= 1
    assert (step(film) == first).all()
    assert (film == before).all()
    assert repair.fit(films(5, seed=0)) == step


def test_matching_is_exact_to_one_film_and_keeps_the_order_of_grey_levels():
    film = films(1, seed=3)[0]
    step = Histogram(4097).fit([film])
    np.testing.assert_allclose(np.sort(step(other_detector(film)).ravel()), np.sort(film.ravel()), atol=5e-3)
    assert (np.argsort(step(film).ravel()[:200]) == np.argsort(film.ravel()[:200])).mean() > 0.9
    np.testing.assert_allclose(step(film), film, atol=2e-3)


def test_each_film_weighs_the_same_whatever_its_size():
    dark, bright = np.full((10, 10), 0.2, np.float32), np.full((40, 40), 0.8, np.float32)
    reference = Histogram(5).fit([dark, bright]).reference
    assert reference[1] == pytest.approx(0.2, abs=1e-3)
    assert reference[3] == pytest.approx(0.8, abs=1e-3)
    assert Style().fit([dark, bright]).mean == pytest.approx(0.5)


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda repair: type(repair).__name__)
def test_padding_is_no_part_of_a_film(repair):
    """Before padding or after it: the same change, and black borders stay black."""
    film = other_detector(films(1, seed=4)[0])
    padded = np.pad(film, ((0, 0), (6, 4)))
    step = repair.fit(films(5, seed=0))
    assert repair.fit([np.pad(one, ((3, 3), (0, 0))) for one in films(5, seed=0)]) == step
    np.testing.assert_allclose(step(padded), np.pad(step(film), ((0, 0), (6, 4))), atol=1e-6)
    assert film_area(padded) == (slice(0, 40), slice(6, 46))


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda repair: type(repair).__name__)
def test_a_step_is_part_of_a_cache_key_as_plain_data(repair):
    step = repair.fit(films(2, seed=0))
    here, there = (Pipeline((8, 8), intensity=(one,)).key for one in (step, repair.fit(films(2, seed=1))))
    assert here != there
    assert asdict(step)


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda repair: type(repair).__name__)
def test_blank_and_narrow_films_pass_and_no_film_is_refused(repair):
    step = repair.fit(films(2, seed=0))
    for film in (np.zeros((8, 8), np.float32), np.full((8, 8), 0.3, np.float32), np.full((2, 9), 0.3, np.float32)):
        assert np.isfinite(step(film)).all()
    with pytest.raises(DataError, match="no global film"):
        repair.fit([])


def test_impossible_values_are_refused():
    with pytest.raises(ConfigError):
        Histogram(1)
    with pytest.raises(ConfigError):
        Fourier(-1)
    assert HistogramMatch((0.0, 1.0))(np.zeros((2, 2), np.float32)).shape == (2, 2)
