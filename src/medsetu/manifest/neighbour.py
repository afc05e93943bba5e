# SPDX-License-Identifier: Apache-2.0
"""Near pairs among many 64-bit hashes without comparing all pairs: multi-index hashing (Norouzi, Punjani and Fleet, CVPR 2012, 3108).

Two hashes within r bits agree within r // 4 bits on one of their four quarters. Each quarter has a table of 65,536 lists; a hash is
compared with the lists of those values alone that are so near. Bits are dealt to the quarters by how evenly they are turned: films of one
body part share many of them, and a quarter of shared bits would tell nothing apart.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

HASH_BITS = 64
QUARTERS, WIDTH = 4, 16
LISTS = 1 << WIDTH
FEW = 1 << 22  # pairs up to which comparing all is quicker than looking them up
FARTHEST = 15  # bits up to which the tables are quicker than comparing all
STEP = 1 << 20  # near pairs handed on at a time: bounds the memory
CHUNK = 1 << 18  # pairs compared at a time, few enough for the cache of the processor
BLOCK = 2048

Hashes = NDArray[np.uint64]
Places = NDArray[np.intp]
Found = tuple[Places, Places, NDArray[np.uint8]]


def near_pairs(left: Hashes, right: Hashes | None = None, *, distance: int, mask: int = 0) -> Iterator[Found]:
    """Find the pairs whose hashes, one of them changed by a mask, differ in few bits.

    Args:
        left: (n,) hashes.
        right: (m,) hashes; None pairs ``left`` with itself, each pair once.
        distance: Largest number of differing bits, 0 to 64.
        mask: Bits turned in one of the two, such as those that a negative or a mirror image turns.

    Yields:
        Positions in left, positions in right, and differing bits, in no fixed order; a pair is found once.

    Example:
        >>> hashes = np.array([0, 3, 2**64 - 1], dtype=np.uint64)
        >>> [(int(i), int(j), int(bits)) for found in near_pairs(hashes, distance=2) for i, j, bits in zip(*found, strict=True)]
        [(0, 1, 2)]
    """
    other = left if right is None else right
    turned = left ^ np.uint64(mask)
    if len(left) * len(other) <= FEW or distance > FARTHEST:
        yield from _compared(turned, other, distance=distance, once=right is None)
        return
    one, two = _dealt(turned, other)
    reach = [distance // QUARTERS - (quarter > distance % QUARTERS) for quarter in range(QUARTERS)]  # not all quarters can be as far
    parts = (
        part
        for quarter in range(QUARTERS)
        for part in _looked_up(one, two, quarter=quarter, reach=reach, distance=distance, once=right is None)
    )
    yield from _gathered(parts)


def _dealt(left: Hashes, right: Hashes) -> tuple[Hashes, Hashes]:
    """The same bits in another order on both sides; distances stay."""
    sides = [np.unpackbits(side.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1) for side in (left, right)]
    even = np.argsort(np.abs(sides[1].mean(axis=0) - 0.5), kind="stable") if len(right) else np.arange(HASH_BITS)
    order = even.reshape(WIDTH, QUARTERS).T.ravel()
    one, two = (np.ascontiguousarray(np.packbits(side[:, order], axis=1)).view(">u8").ravel().astype(np.uint64) for side in sides)
    return one, two


def _turns(nearest: int) -> list[int]:
    """Changes of a quarter in at most so many bits."""
    return [sum(1 << bit for bit in bits) for count in range(nearest + 1) for bits in combinations(range(WIDTH), count)]


def _looked_up(left: Hashes, right: Hashes, *, quarter: int, reach: Sequence[int], distance: int, once: bool) -> Iterator[Found]:
    """Near pairs that one quarter finds and no earlier one has: all hashes of one value are compared with the lists near it."""
    if reach[quarter] < 0 or not len(left) or not len(right):
        return
    queries, values = (_quarter(side, quarter) for side in (left, right))
    asking, order = (np.argsort(side, kind="stable") for side in (queries, values))
    listed = right[order]  # each list in one piece: comparing it needs no look-up
    sizes = np.bincount(values, minlength=LISTS)
    starts = np.cumsum(sizes) - sizes
    turns = np.array(_turns(reach[quarter]))
    asked, begins = np.unique(queries[asking], return_index=True)
    for value, rows in zip(asked, np.split(asking, begins[1:]), strict=True):
        lists = value ^ turns
        places = _spread(starts[lists], sizes[lists])
        theirs = listed[places]
        step = max(1, CHUNK // max(len(places), 1))
        for own in (rows[start : start + step] for start in range(0, len(rows), step)):
            change = left[own][:, None] ^ theirs
            bits = np.bitwise_count(change)
            hit = np.flatnonzero(bits <= distance)
            if not len(hit):
                continue
            row, column = np.divmod(hit, len(places))
            first, second, differing = own[row], order[places[column]], change.ravel()[hit]
            fresh = first < second if once else np.ones(len(hit), dtype=bool)
            for earlier in range(quarter):
                fresh &= np.bitwise_count(_quarter(differing, earlier)) > reach[earlier]
            yield first[fresh], second[fresh], bits.ravel()[hit[fresh]]


def _quarter(hashes: Hashes, quarter: int) -> NDArray[np.int64]:
    return ((hashes >> np.uint64(quarter * WIDTH)) & np.uint64(LISTS - 1)).astype(np.int64)


def _spread(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of all entries of several lists."""
    return np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())


def _gathered(parts: Iterator[Found]) -> Iterator[Found]:
    """Join many small parts to few of about ``STEP`` pairs."""
    waiting: list[Found] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part[0])
        if count >= STEP:
            yield _joined(waiting)
            waiting, count = [], 0
    if count:
        yield _joined(waiting)


def _joined(parts: Sequence[Found]) -> Found:
    first, second, bits = (np.concatenate(side) for side in zip(*parts, strict=True))
    return first, second, bits


def _compared(left: Hashes, right: Hashes, *, distance: int, once: bool) -> Iterator[Found]:
    """Compare all pairs, block by block."""
    for row in range(0, len(left), BLOCK):
        for column in range(row if once else 0, len(right), BLOCK):
            bits = np.bitwise_count(left[row : row + BLOCK, None] ^ right[None, column : column + BLOCK])
            near = bits <= distance
            first, second = np.nonzero(np.triu(near, 1) if once and row == column else near)
            if len(first):
                yield first + row, second + column, bits[first, second]
