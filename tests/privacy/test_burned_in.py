# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.stats import beta
from scripts.burnt_film import backdrop, burn, is_found, mark

from medsetu.privacy import burned_in
from medsetu.privacy.burned_in import find_text

FILMS = 30


def test_text_is_found_on_phantoms():
    """A small part of scripts/bench_burned_in.py, which measures the bound."""
    rng = np.random.default_rng(0)
    found = [is_found(find_text(film), box) for film, box in (burn(backdrop(rng), rng) for _ in range(FILMS))]
    assert sum(found) == FILMS
    assert beta.ppf(0.05, FILMS, 1) > 0.9


def test_side_markers_and_plain_films_are_left_alone():
    rng = np.random.default_rng(1)
    assert [find_text(mark(backdrop(rng), rng)[0]) for _ in range(10)] == [[]] * 10
    assert [find_text(backdrop(rng)) for _ in range(10)] == [[]] * 10


def test_a_marker_beside_a_text_survives():
    rng = np.random.default_rng(2)
    film, marker = mark(backdrop(rng), rng)
    plain = backdrop(rng)
    plain[: marker[1]] = film[: marker[1]]
    lower, box = burn(plain[100:], rng)
    plain[100:] = lower
    boxes = find_text(plain)
    assert is_found(boxes, (box[0] + 100, box[1] + 100, box[2], box[3]))
    assert not is_found(boxes, marker)


def test_dark_text_counts_like_bright_text():
    rng = np.random.default_rng(3)
    film, box = burn(backdrop(rng), rng)
    assert is_found(find_text(1 - film), box)


@pytest.mark.parametrize("shape", [(1, 1), (40, 400), (64, 64), (49, 51)])
def test_any_size_of_picture_is_looked_at(shape):
    assert find_text(np.zeros(shape, np.float32)) == []
    assert find_text(np.random.default_rng(0).random(shape).astype(np.float32)) == []


def test_colours_are_refused():
    with pytest.raises(ValueError, match="rows and columns"):
        find_text(np.zeros((8, 8, 3), np.float32))


def test_parts_of_a_large_picture_find_what_the_whole_finds(monkeypatch):
    """Also a text on the seam of two parts."""
    rng = np.random.default_rng(4)
    films = [burn(backdrop(rng), rng) for _ in range(10)]
    monkeypatch.setattr(burned_in, "TILE", 320)
    assert all(is_found(find_text(film), box) for film, box in films)
    assert max(film.shape[1] for film, _ in films) > 320
    assert [find_text(backdrop(rng)) for _ in range(5)] == [[]] * 5
    parts = [part.shape for _, part in burned_in._parts(np.zeros((900, 320), np.float32))]
    assert max(map(max, parts)) == 320
    assert len(parts) > 1
