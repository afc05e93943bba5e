# SPDX-License-Identifier: Apache-2.0
"""What each rung may see, and the cache of reduced films."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakes.study import manifest
from medsetu.core.errors import DataError
from medsetu.shift.rung import BORDER_RING, FILE_FACTS, LUNGS_REMOVED, METADATA, RUNGS, SIDE, THUMBNAIL, reduce_film, reduced_films, rungs


@pytest.fixture
def rows(tmp_path: Path):
    return manifest(tmp_path, np.random.default_rng(0), per_class=8)


def _widths(rows, films: np.ndarray) -> dict[str, int]:
    return {rung.name: rung.features.shape[1] for rung in rungs(rows, films)}


def test_rungs_come_in_their_order_and_shape(rows) -> None:
    films = np.random.default_rng(0).random((len(rows), SIDE, SIDE), dtype=np.float32)
    widths = _widths(rows, films)
    assert tuple(widths) == RUNGS
    assert (widths[THUMBNAIL], widths[BORDER_RING], widths[LUNGS_REMOVED]) == (64, 32 * 32 - 24 * 24, 32 * 32 - 2 * 21 * 10)
    assert (widths[FILE_FACTS], widths[METADATA]) == (0, 0)


def test_the_middle_is_invisible_to_the_ring_and_the_lungs_to_what_has_none(rows) -> None:
    plain = np.full((len(rows), SIDE, SIDE), 0.5, dtype=np.float32)
    lungs = plain.copy()
    lungs[::2, 10:15, 6:10] = 1.0
    heart = plain.copy()
    heart[::2, 12:20, 15:17] = 1.0
    corner = plain.copy()
    corner[::2, 0, 0] = 1.0
    assert (_widths(rows, lungs)[BORDER_RING], _widths(rows, lungs)[LUNGS_REMOVED]) == (0, 0)
    assert (_widths(rows, heart)[BORDER_RING], _widths(rows, heart)[LUNGS_REMOVED]) == (0, 16)
    assert (_widths(rows, corner)[BORDER_RING], _widths(rows, corner)[LUNGS_REMOVED]) == (1, 1)
    assert _widths(rows, lungs)[THUMBNAIL] > 0


def test_facts_become_features_where_they_vary(rows) -> None:
    films = np.zeros((len(rows), SIDE, SIDE), dtype=np.float32)
    half = np.arange(len(rows)) % 2 == 0
    assert _widths(rows.assign(file_bytes=np.arange(len(rows)) + 1), films)[FILE_FACTS] == 1
    assert _widths(rows.assign(width=np.where(half, 8, 16)), films)[FILE_FACTS] == 2
    assert _widths(rows.assign(color_mode=np.where(half, "L", "RGB")), films)[FILE_FACTS] == 2
    assert _widths(rows.assign(sex=np.where(half, "F", "M")), films)[METADATA] == 2


def test_missing_metadata_is_a_fact_of_its_own(rows) -> None:
    films = np.zeros((len(rows), SIDE, SIDE), dtype=np.float32)
    age = np.where(np.arange(len(rows)) % 2 == 0, 40.0, np.nan)
    metadata = next(rung for rung in rungs(rows.assign(age_years=age), films) if rung.name == METADATA)
    assert metadata.features.shape[1] == 1
    assert np.isfinite(metadata.features).all()


def test_rare_machines_stand_together(rows) -> None:
    films = np.zeros((len(rows), SIDE, SIDE), dtype=np.float32)
    device = [f"machine {number}" if number < 4 else "common" for number in range(len(rows))]
    assert _widths(rows.assign(device=device), films)[METADATA] == 2


def test_reducing_averages_areas() -> None:
    film = np.zeros((64, 96), dtype=np.float32)
    film[:32] = 1.0
    reduced = reduce_film(film)
    assert reduced.mean() == pytest.approx(0.5)
    assert reduced[:16].min() == 1.0


def test_films_are_read_once_and_kept_by_content(rows, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = reduced_films(rows, cache=cache)
    for path in rows["path"]:
        (tmp_path / path).unlink()
    assert np.array_equal(first, reduced_films(rows, cache=cache))
    with pytest.raises(DataError):
        reduced_films(rows.assign(sha256="changed"), cache=cache)


def test_damaged_cache_is_written_again(rows, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = reduced_films(rows, cache=cache)
    kept = next(cache.glob("*.npz"))
    kept.write_bytes(b"damaged")
    assert np.array_equal(first, reduced_films(rows, cache=cache))
    assert kept.read_bytes() != b"damaged"


def test_without_a_cache_nothing_is_kept(rows, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(tmp_path / rows["path"].iloc[0])
    assert reduced_films(rows)[0].max() == 0.0
    assert set(tmp_path.iterdir()) == before
