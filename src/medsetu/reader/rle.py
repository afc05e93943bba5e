# SPDX-License-Identifier: Apache-2.0
"""Run lengths to masks and back: COCO's counts and compressed text, pairs of Kaggle, relative pairs of SIIM; column by column."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medsetu.reader.guard import Unreadable
from medsetu.reader.picture import check_size

EMPTY = ("", "-1")
_BITS, _MORE, _SIGN, _FIRST = 5, 0x20, 0x10, 48


def decode_counts(counts: Sequence[int], *, height: int, width: int) -> NDArray[np.bool_]:
    """Read COCO's counts: runs of 0 and 1 in turn, beginning with 0, down the columns.

    Args:
        counts: Lengths of the runs; they add up to the pixels of the image.
        height: Rows.
        width: Columns.

    Returns:
        (H, W) bool.

    Raises:
        Unreadable: When they do not add up, or one is negative.

    Example:
        >>> decode_counts([1, 2, 1], height=2, width=2).astype(int).tolist()
        [[0, 1], [1, 0]]
    """
    check_size(height, width)
    lengths = np.asarray(counts, dtype=np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or (lengths > height * width).any() or int(lengths.sum()) != height * width:
        raise Unreadable(expected=f"runs that cover {height} x {width} pixels", found="others")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape((height, width), order="F")


def encode_counts(mask: NDArray[np.bool_]) -> list[int]:
    """Write a mask as COCO's counts.

    Example:
        >>> encode_counts(np.array([[False, True], [True, False]]))
        [1, 2, 1]
    """
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *runs] if flat.size and flat[0] else [int(run) for run in runs]


def decode_text(text: str, *, height: int, width: int) -> NDArray[np.bool_]:
    """Read COCO's compressed text: counts as differences to the last but one, five bits a letter (maskApi.c, ``rleFrString``).

    Raises:
        Unreadable: For letters that are none of its alphabet, a text that ends inside a number, and counts that do not add up.

    Example:
        >>> decode_text("121", height=2, width=2).astype(int).tolist()
        [[0, 1], [1, 0]]
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - _FIRST
        if not 0 <= code < 64 or shift > 40:
            raise Unreadable(expected="COCO's alphabet of run lengths", found="another letter, or an endless number")
        value |= (code & 0x1F) << shift
        shift += _BITS
        if not code & _MORE:
            if code & _SIGN:
                value -= 1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    if shift:
        raise Unreadable(expected="a whole number of run lengths", found="a text that ends inside one")
    return decode_counts(counts, height=height, width=width)


def encode_text(mask: NDArray[np.bool_]) -> str:
    """Write a mask as COCO's compressed text.

    Example:
        >>> encode_text(np.array([[False, True], [True, False]]))
        '121'
    """
    counts = encode_counts(mask)
    letters = []
    for number, count in enumerate(counts):
        value = count - counts[number - 2] if number > 2 else count
        more = True
        while more:
            code = value & 0x1F
            value >>= _BITS
            more = value != (-1 if code & _SIGN else 0)
            letters.append(chr((code | (_MORE if more else 0)) + _FIRST))
    return "".join(letters)


def decode_pairs(text: str, *, height: int, width: int, relative: bool) -> NDArray[np.bool_]:
    """Read pairs of start and length down the columns.

    Args:
        text: Numbers with blanks between them; empty or ``-1`` for nothing.
        height: Rows.
        width: Columns.
        relative: As SIIM writes: a start counts from the end of the last run. Else as Kaggle does: from pixel 1 of the image.

    Returns:
        (H, W) bool.

    Raises:
        Unreadable: For an odd count of numbers, words, and runs that leave the image or overlap.

    Example:
        >>> decode_pairs("1 2", height=2, width=2, relative=True).astype(int).tolist()
        [[0, 1], [1, 0]]
        >>> decode_pairs("2 2", height=2, width=2, relative=False).astype(int).tolist()
        [[0, 1], [1, 0]]
    """
    check_size(height, width)
    if text.strip() in EMPTY:
        return np.zeros((height, width), dtype=bool)
    words = text.split()
    if len(words) % 2 or not all(word.isdecimal() and len(word) < 12 for word in words):
        raise Unreadable(expected="pairs of whole numbers", found="others")
    starts, lengths = (np.array([int(word) for word in words[first::2]], dtype=np.int64) for first in (0, 1))
    begins = np.cumsum(starts + np.concatenate([[0], lengths[:-1]])) if relative else starts - 1
    ends = begins + lengths
    if begins[0] < 0 or (lengths < 1).any() or (begins[1:] < ends[:-1]).any() or int(ends[-1]) > height * width:
        raise Unreadable(expected=f"runs in order within {height} x {width} pixels", found="others")
    steps = np.zeros(height * width + 1, dtype=np.int8)
    np.add.at(steps, begins, 1)
    np.add.at(steps, ends, -1)
    return np.cumsum(steps[:-1], dtype=np.int8).astype(bool).reshape((height, width), order="F")
