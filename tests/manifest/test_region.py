# SPDX-License-Identifier: Apache-2.0
"""One region of several readers' drawings: STAPLE as SimpleITK has it, majority by hand, and overlap by its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsetu.core.errors import ConfigError
from medsetu.manifest.region import GRID, REGION_RULES, box_mask, fuse_masks, grid_shape, on_grid, overlap

ROWS = [np.array([[letter == "1" for letter in row]]) for row in ("11110000", "11100000", "11111000")]


@pytest.mark.parametrize(
    ("rule", "expected"), [("staple", "11110000"), ("majority", "11110000"), ("any-positive", "11111000"), ("unanimous", "11100000")]
)
def test_rules(rule, expected):
    """STAPLE's row is the value of SimpleITK 2.5.7."""
    assert "".join(map(str, fuse_masks(ROWS, rule=rule).astype(int)[0])) == expected


@pytest.mark.parametrize("rule", REGION_RULES)
def test_equal_drawings_stay_and_one_reader_is_believed(rule):
    np.testing.assert_array_equal(fuse_masks(ROWS[:1] * 3, rule=rule), ROWS[0])
    np.testing.assert_array_equal(fuse_masks(ROWS[:1], rule=rule), ROWS[0])


def test_who_read_and_drew_nothing_counts():
    nothing = np.zeros_like(ROWS[0])
    assert fuse_masks([ROWS[0], nothing, nothing], rule="majority").sum() == 0
    assert fuse_masks([ROWS[0], nothing], rule="majority").sum() == 0  # half is no majority
    assert fuse_masks([ROWS[0], ROWS[0], nothing], rule="majority").sum() == 4


def test_staple_trusts_the_readers_who_agree():
    """Two readers draw one lesion alike; a third draws it and much more."""
    good, wild = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    good[10:20, 10:20] = True
    wild[5:35, 5:35] = True
    np.testing.assert_array_equal(fuse_masks([good, good, wild], rule="staple"), good)


def test_unknown_rule():
    with pytest.raises(ConfigError, match="do not become one"):
        fuse_masks(ROWS, rule="mean")


@given(seed=st.integers(0, 999), readers=st.integers(2, 4))
def test_overlap_by_its_definition(seed, readers):
    rng = np.random.default_rng(seed)
    masks = [rng.random((5, 6)) < rng.choice([0.0, 0.3, 0.7]) for _ in range(readers)]
    both, either = [], []
    for first in range(readers):
        for second in range(first + 1, readers):
            a, b = ({*map(tuple, np.argwhere(masks[place]))} for place in (first, second))
            if a and b:
                both.append((len(a & b) / len(a | b), 2 * len(a & b) / (len(a) + len(b))))
            if a or b:
                either.append(2 * len(a & b) / (len(a) + len(b)))
    iou, dice, dice_all = overlap(masks)
    np.testing.assert_allclose([iou, dice], np.mean(both, axis=0) if both else [np.nan, np.nan])
    np.testing.assert_allclose(dice_all, np.mean(either) if either else np.nan)


@given(x=st.floats(0, 20), y=st.floats(0, 12), wide=st.floats(1e-3, 20), tall=st.floats(1e-3, 12))
def test_a_box_fills_the_pixels_whose_centre_it_holds(x, y, wide, tall):
    right, bottom = min(x + wide, 20.0), min(y + tall, 12.0)
    if right <= x or bottom <= y:
        return
    mask = box_mask((x, y, right, bottom), height=12, width=20)
    rows, columns = np.mgrid[:12, :20] + 0.5
    inside = (columns >= x) & (columns < right) & (rows >= y) & (rows < bottom)
    if inside.any():
        np.testing.assert_array_equal(mask, inside)
    else:
        assert mask.sum() >= 1  # thinner than a pixel: not lost


def test_large_films_are_compared_on_a_grid():
    assert grid_shape(3000, 2500) == (GRID, 427)
    mask = np.zeros((2048, 1024), bool)
    mask[400:800, 200:600] = True
    from_box, from_mask = (on_grid((200, 400, 600, 800), drawn, height=2048, width=1024) for drawn in (None, mask))
    np.testing.assert_array_equal(from_box, from_mask)
    assert from_box.shape == (512, 256)
    assert from_box.mean() == pytest.approx(mask.mean())
    dot = np.zeros((2048, 1024), bool)
    dot[1001, 501] = True  # between the points of the grid
    assert on_grid((501, 1001, 502, 1002), dot, height=2048, width=1024).sum() == 1
