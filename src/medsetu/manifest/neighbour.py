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
STEP = 1 << 21  # pairs compared at a time: bounds the memory
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
        Positions in left, positions in right, and differing bits; a pair is found once.

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
    keys = [np.empty(0, dtype=np.int64)]
    one, two = _dealt(turned, other)
    for quarter in range(QUARTERS):
        nearest = distance // QUARTERS - (quarter > distance % QUARTERS)  # not all quarters can be as far as the first ones
        if nearest >= 0:
            keys += _looked_up(one, two, quarter=quarter, turns=_turns(nearest), distance=distance, once=right is None)
    pairs = np.unique(np.concatenate(keys))
    first, second = (part.astype(np.intp) for part in np.divmod(pairs, len(other)))
    if len(pairs):
        yield first, second, np.bitwise_count(turned[first] ^ other[second])


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


def _looked_up(left: Hashes, right: Hashes, *, quarter: int, turns: Sequence[int], distance: int, once: bool) -> list[NDArray[np.int64]]:
    """Keys (position in left x m + position in right) of the near pairs that one quarter finds."""
    shift = np.uint64(quarter * WIDTH)
    queries, values = (((side >> shift) & np.uint64(LISTS - 1)).astype(np.int64) for side in (left, right))
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(np.bincount(values, minlength=LISTS))
    starts = ends - np.bincount(values, minlength=LISTS)
    found = []
    for turn in turns:
        wanted = queries ^ turn
        sizes = ends[wanted] - starts[wanted]
        asking = np.flatnonzero(sizes)
        total = np.cumsum(sizes[asking])
        for part in np.split(asking, np.searchsorted(total, np.arange(STEP, total[-1], STEP))) if len(asking) else ():
            count = sizes[part]
            first = np.repeat(part, count)
            inside = np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
            second = order[np.repeat(starts[wanted[part]], count) + inside]
            near = np.bitwise_count(left[first] ^ right[second]) <= distance
            near &= (first < second) if once else True
            found.append(first[near] * np.int64(len(right)) + second[near])
    return found


def _compared(left: Hashes, right: Hashes, *, distance: int, once: bool) -> Iterator[Found]:
    """Compare all pairs, block by block."""
    for row in range(0, len(left), BLOCK):
        for column in range(row if once else 0, len(right), BLOCK):
            bits = np.bitwise_count(left[row : row + BLOCK, None] ^ right[None, column : column + BLOCK])
            near = bits <= distance
            first, second = np.nonzero(np.triu(near, 1) if once and row == column else near)
            if len(first):
                yield first + row, second + column, bits[first, second]
