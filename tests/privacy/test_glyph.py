# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from medsetu.privacy.glyph import STEPS, Glyphs, describe_row, find_glyphs, find_rows


def bars(places, *, height=14, width=4, ink=1.0):
    film = np.zeros((80, 300), np.float32)
    for top, left in places:
        film[top : top + height, left : left + width] = ink
    return film


def test_strokes_of_letter_size_are_measured():
    found = list(find_glyphs(bars([(20, 30), (20, 45), (20, 60), (20, 75)])))
    assert len(found) == len(STEPS)
    glyphs = found[0]
    assert glyphs.box.tolist()[0] == [20, 34, 30, 34]
    assert glyphs.area.tolist() == [56] * 4
    assert glyphs.contrast == pytest.approx(np.ones(4))


def test_faint_strokes_need_a_low_step():
    assert len(list(find_glyphs(bars([(20, 30), (20, 45), (20, 60)], ink=0.2)))) == 2


def test_wide_and_tall_structures_are_no_letters():
    assert list(find_glyphs(bars([(5, 30), (5, 60), (5, 90)], height=60))) == []
    assert list(find_glyphs(bars([(5, 30), (5, 80), (5, 130)], width=20))) == []


def test_rows_are_joined_by_height_and_footing():
    glyphs = next(find_glyphs(bars([(20, 30), (20, 45), (20, 60), (50, 45), (50, 60), (50, 75), (20, 200), (35, 215)])))
    rows = find_rows(glyphs)
    assert sorted(row.box[0, 0] for row in rows) == [20, 50]
    assert [len(row) for row in rows] == [3, 3]


def test_a_row_is_described():
    row = find_rows(next(find_glyphs(bars([(20, 30), (20, 45), (20, 60), (21, 75)]))))[0]
    facts = describe_row(row)
    assert facts["count"] == 4
    assert facts["height"] == 14
    assert facts["uneven"] == facts["feet"] == 0
    assert facts["contrast_cv"] == pytest.approx(0)
    assert facts["tall"] == pytest.approx(15 / 14)


def test_nothing_gives_no_rows():
    empty = Glyphs(np.zeros((0, 4), int), np.zeros(0, int), np.zeros(0), np.zeros(0), np.zeros(0))
    assert find_rows(empty) == []
