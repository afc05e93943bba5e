# SPDX-License-Identifier: Apache-2.0
"""Run lengths there and back, against published texts and a slow reading."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medsetu.reader.guard import Unreadable
from medsetu.reader.rle import decode_counts, decode_pairs, decode_text, encode_counts, encode_text

MASKS = arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 30)))


def kaggle(mask: np.ndarray, *, relative: bool) -> str:
    """Write pairs the slow and obvious way."""
    flat, pairs, end, place = mask.ravel(order="F"), [], 0, 0
    while place < flat.size:
        if flat[place]:
            begin = place
            while place < flat.size and flat[place]:
                place += 1
            pairs += [begin - end if relative else begin + 1, place - begin]
            end = place
        place += 1
    return " ".join(map(str, pairs)) or "-1"


@given(mask=MASKS)
def test_there_and_back(mask):
    size = {"height": mask.shape[0], "width": mask.shape[1]}
    np.testing.assert_array_equal(decode_counts(encode_counts(mask), **size), mask)
    np.testing.assert_array_equal(decode_text(encode_text(mask), **size), mask)
    for relative in (True, False):
        np.testing.assert_array_equal(decode_pairs(kaggle(mask, relative=relative), relative=relative, **size), mask)


def test_the_text_of_the_reference_implementation():
    """A 20 x 20 disc written by hand through maskApi.c's rules: long numbers, negative differences."""
    y, x = np.mgrid[:200, :200]
    disc = (y - 90) ** 2 + (x - 110) ** 2 < 70**2
    text = encode_text(disc)
    assert all(48 <= ord(letter) < 112 for letter in text)
    np.testing.assert_array_equal(decode_text(text, height=200, width=200), disc)
    assert encode_text(np.zeros((9, 9), bool)) == "a2"  # 81 = 0b1010001 in two groups of five bits: 17 | 32, then 2
    assert encode_text(np.ones((2, 2), bool)) == "04"


def test_columns_come_first():
    assert decode_pairs("3 1", height=2, width=3, relative=False).tolist() == [[False, True, False], [False, False, False]]


@pytest.mark.parametrize("counts", [[3], [5], [-1, 5], [2, 2, 2], [[1, 3]], [2**63 - 1, 2**63 - 1]])
def test_counts_that_do_not_cover_are_refused(counts):
    with pytest.raises(Unreadable):
        decode_counts(counts, height=2, width=2)


@pytest.mark.parametrize("text", ["1", "1 2 3", "a b", "4 1", "1 5", "0 9", "1 0", "-1 2", "1 99999999999999", "0 2 0 3"])
def test_pairs_beyond_the_image_are_refused(text):
    with pytest.raises(Unreadable):
        decode_pairs(text, height=2, width=2, relative=True)


def test_overlapping_starts_are_refused():
    with pytest.raises(Unreadable):
        decode_pairs("1 3 2 1", height=2, width=2, relative=False)
    with pytest.raises(Unreadable):
        decode_pairs("0 1", height=2, width=2, relative=False)


@pytest.mark.parametrize("text", ["", "P", "o" * 20, "~", "12"])
def test_texts_that_are_none(text):
    with pytest.raises(Unreadable):
        decode_text(text, height=2, width=2)
