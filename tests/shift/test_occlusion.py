# SPDX-License-Identifier: Apache-2.0
"""Alterations change what they name, nothing else, and never the film that was given."""

import numpy as np
import pytest

from medsetu.core.errors import DataError
from medsetu.shift.occlusion import (
    ALTERATIONS,
    AS_IT_IS,
    RETESTS,
    hide_border,
    hide_lungs,
    hide_markers,
    keep_lungs,
    lung_template,
    markers,
    reencode,
    rescale,
    window,
)


@pytest.fixture
def film():
    return (0.2 + 0.5 * np.random.default_rng(0).random((64, 96))).astype(np.float32)


@pytest.mark.parametrize("name", ALTERATIONS)
@pytest.mark.parametrize("shape", [(8, 8), (64, 96), (97, 31)])
def test_shape_type_range_and_the_film_itself_stay(name, shape):
    film = np.random.default_rng(1).random(shape).astype(np.float32)
    before = film.copy()
    altered = ALTERATIONS[name](film)
    assert (altered.shape, altered.dtype) == (film.shape, np.float32)
    assert altered.min() >= 0
    assert altered.max() <= 1
    assert np.array_equal(film, before)
    assert np.array_equal(altered, ALTERATIONS[name](film))


def test_the_ring_is_one_eighth_and_holds_the_median(film):
    altered = hide_border(film)
    assert np.array_equal(altered[8:-8, 12:-12], film[8:-8, 12:-12])
    assert np.unique(altered[:8]).tolist() == [np.median(film)]


def test_white_boxes_and_letters_are_markers(film):
    film[50:60, 30:60] = 1.0  # a redaction box
    film[2:7, 2:6] = 0.99  # a letter
    mask = markers(film)
    assert mask[50:60, 30:60].all()
    assert mask[2:7, 2:6].all()
    assert mask.sum() < 500
    assert hide_markers(film).max() < 0.97


def test_disease_ribs_and_whole_films_are_no_markers(film):
    film[20:24, 20:24] = 1.0  # inside the left lung of the template
    assert not markers(film)[20:24, 20:24].any()
    film[:] = 0.3
    film[np.arange(64), np.arange(64)] = 1.0  # long and thin
    assert not markers(film).any()
    film[:40] = 1.0  # a third of the film
    assert not markers(film)[:30].any()
    assert not markers(np.full((32, 32), 0.5, np.float32)).any()


def test_lungs_hidden_and_lungs_only_share_the_film(film):
    lungs = lung_template(film.shape)
    hidden, kept = hide_lungs(film), keep_lungs(film)
    assert np.array_equal(hidden[~lungs], film[~lungs])
    assert np.array_equal(kept[lungs], film[lungs])
    assert np.unique(hidden[lungs]).size == np.unique(kept[~lungs]).size == 1
    own = np.zeros(film.shape, dtype=bool)
    own[:10] = True
    assert np.array_equal(hide_lungs(film, lungs=own)[10:], film[10:])
    with pytest.raises(DataError, match="mask"):
        hide_lungs(film, lungs=own[:5])


def test_retests_are_small_changes(film):
    smooth = np.asarray(np.add.outer(np.linspace(0, 0.4, 64), np.linspace(0.1, 0.4, 96)), dtype=np.float32)
    for name, alter in RETESTS.items():
        assert 0 < np.abs(alter(smooth) - smooth).max() < 0.06, name
    assert np.abs(reencode(film) - film).max() <= 0.5 / 255 + 1e-6
    assert np.abs(reencode(film, quality=75) - film).mean() > np.abs(reencode(film, quality=95) - film).mean()
    assert rescale(film, factor=1.0) == pytest.approx(film, abs=1e-6)
    assert window(film, width=0.95).std() > film.std() > window(film, width=1.05).std()
    assert np.array_equal(ALTERATIONS[AS_IT_IS](film), film)


@pytest.mark.parametrize("wrong", [np.zeros((7, 64), np.float32), np.zeros((64, 64)), np.zeros((64, 64, 3), np.float32)])
def test_what_is_no_film_is_refused(wrong):
    for alter in ALTERATIONS.values():
        with pytest.raises(DataError, match="cannot be altered"):
            alter(wrong)
