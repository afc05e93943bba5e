# SPDX-License-Identifier: Apache-2.0
"""Near pairs among many 64-bit hashes without comparing all pairs: multi-index hashing (Norouzi, Punjani and Fleet, CVPR 2012, 3108).

Equal hashes are compared once. Two hashes within r bits agree within r // m bits on one of m parts of their bits. Each part has a table of
lists, one for each value; a hash is compared with the lists of those values alone that are so near. Bits are dealt to the parts by how
evenly they are turned: films of one body part share many of them, and a part of shared bits would tell nothing apart. How many parts are
cheapest is counted beforehand from the lengths of the lists; where all pairs are cheaper, all pairs are compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

HASH_BITS = 64
PARTS = (4, 5, 6, 7)  # numbers of parts that are weighed: lists of 16 to 9 bits
FARTHEST = 4  # bits of a part; more changes than these are never cheaper than comparing all
FEW = 1 << 22  # pairs up to which comparing all is quicker than looking them up
STEP = 1 << 20  # near pairs handed on at a time, and
CHUNK = 1 << 18  # pairs compared at a time: few enough for the cache of the processor
BLOCK = 2048
LOOK, ALONE, TOGETHER, CALL = 4.0, 8.0, 1.3, 50_000.0  # ns for a list looked up, a pair by itself, a pair of two lists, two lists
ALL = 1.0  # ns for a pair when all are compared

Hashes = NDArray[np.uint64]
Places = NDArray[np.intp]
Sizes = NDArray[np.int64]
Found = tuple[Places, Places, NDArray[np.uint8]]


@dataclass(frozen=True)
class _Part:
    """Some bits of every hash: where they begin, how many they are, and within how many of them pairs are looked up."""

    shift: int
    width: int
    reach: int

    def of(self, hashes: Hashes) -> Sizes:
        return ((hashes >> np.uint64(self.shift)) & np.uint64((1 << self.width) - 1)).astype(np.int64)

    def turns(self) -> Sizes:
        """Changes in at most ``reach`` bits."""
        return np.array(
            [sum(1 << bit for bit in bits) for count in range(self.reach + 1) for bits in combinations(range(self.width), count)]
        )

    def around(self, sizes: Sizes) -> NDArray[np.float64]:
        """Entries of all lists within ``reach`` bits of each value, shell by shell."""
        shells = [sizes.astype(np.float64)]
        for count in range(1, self.reach + 1):
            flipped = [shells[-1].reshape(-1, 2, 1 << bit)[:, ::-1].reshape(-1) for bit in range(self.width)]
            back = (self.width - count + 2) * shells[-2] if count > 1 else 0.0
            shells.append((np.sum(flipped, axis=0) - back) / count)
        total: NDArray[np.float64] = np.sum(shells, axis=0)
        return total


@dataclass(frozen=True)
class _Members:
    """Equal hashes: the distinct ones, and the positions of each."""

    distinct: Hashes
    order: Places
    starts: Places
    sizes: Places


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
    one = _members(left)
    two = one if right is None else _members(right)
    found = _distinct_pairs(one.distinct ^ np.uint64(mask), two.distinct, distance=distance, once=right is None)
    yield from _expanded(_gathered(found), one, two, once=right is None)
    if right is None and mask.bit_count() <= distance:
        yield from _equal(one, bits=mask.bit_count())


def _members(hashes: Hashes) -> _Members:
    distinct, place, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
    return _Members(distinct, np.argsort(place, kind="stable"), np.cumsum(sizes) - sizes, sizes)


def _equal(one: _Members, *, bits: int) -> Iterator[Found]:
    """Pairs of positions that have the same hash."""
    several = np.flatnonzero(one.sizes > 1)
    place = _spread(one.starts[several], one.sizes[several])
    later = np.repeat(one.starts[several] + one.sizes[several], one.sizes[several]) - place - 1
    for part in _pieces(later, STEP):
        second = one.order[_spread(place[part] + 1, later[part])]
        yield np.repeat(one.order[place[part]], later[part]), second, np.full(len(second), bits, dtype=np.uint8)


def _expanded(found: Iterator[Found], one: _Members, two: _Members, *, once: bool) -> Iterator[Found]:
    """Turn pairs of distinct hashes into pairs of positions, of which there may be many more."""
    for first, second, bits in found:
        for pairs in _pieces(one.sizes[first] * two.sizes[second], STEP):
            many = one.sizes[first[pairs]]
            own = one.order[_spread(one.starts[first[pairs]], many)]
            others, differ = np.repeat(second[pairs], many), np.repeat(bits[pairs], many)
            for part in _pieces(two.sizes[others], STEP):
                many = two.sizes[others[part]]
                low, high = np.repeat(own[part], many), two.order[_spread(two.starts[others[part]], many)]
                if once:  # the smaller position first: turning the mask in either of two hashes leaves the same distance
                    low, high = np.minimum(low, high), np.maximum(low, high)
                yield low, high, np.repeat(differ[part], many)


def _distinct_pairs(left: Hashes, right: Hashes, *, distance: int, once: bool) -> Iterator[Found]:
    """Near pairs of distinct hashes; within one table each pair once, and none with itself."""
    if not len(left) or not len(right):
        return
    if len(left) * len(right) > FEW:
        one, two = _dealt(left, right)
        parts = min((_parts(number, distance) for number in PARTS), key=lambda some: _cost(one, two, some, once=once))
        if _cost(one, two, parts, once=once) < ALL * len(left) * len(right) / (1 + once):
            for number in range(len(parts)):
                yield from _looked_up(one, two, parts=parts[: number + 1], distance=distance, once=once)
            return
    yield from _compared(left, right, distance=distance, once=once)


def _dealt(left: Hashes, right: Hashes) -> tuple[Hashes, Hashes]:
    """The same bits in another order on both sides, the most even ones one by one to the parts; distances stay."""
    sides = [np.unpackbits(side.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1) for side in (left, right)]
    even = np.argsort(np.abs(sides[1].mean(axis=0) - 0.5), kind="stable")
    order = even.reshape(-1, PARTS[0]).T.ravel()
    one, two = (np.ascontiguousarray(np.packbits(side[:, order], axis=1)).view(">u8").ravel().astype(np.uint64) for side in sides)
    return one, two


def _parts(number: int, distance: int) -> list[_Part]:
    """Deal the bits to so many parts; not all of them can be as far as the first ones, and those that cannot be near are left out."""
    widths = [HASH_BITS // number + (place < HASH_BITS % number) for place in range(number)]
    reach = [distance // number - (place > distance % number) for place in range(number)]
    return [_Part(sum(widths[:place]), widths[place], reach[place]) for place in range(number) if reach[place] >= 0]


def _cost(left: Hashes, right: Hashes, parts: Sequence[_Part], *, once: bool) -> float:
    """Nanoseconds that looking up will take."""
    if max(part.reach for part in parts) > FARTHEST:
        return np.inf
    total = 0.0
    for part in parts:
        asked, sizes = (np.bincount(part.of(side), minlength=1 << part.width) for side in (left, right))
        single, together = _prices(asked, part.around(sizes) / (1 + once), turns=len(part.turns()))
        total += float(np.minimum(single, together)[asked > 0].sum())
    return total


def _prices(asked: Sizes, around: NDArray[np.float64], *, turns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nanoseconds by value: its hashes looked up one by one, or its list compared with all lists around."""
    return asked * (LOOK * turns + ALONE * around), CALL + TOGETHER * asked * around


class _Table:
    """The lists of one part: hashes sorted by their value there."""

    def __init__(self, left: Hashes, right: Hashes, part: _Part, *, once: bool) -> None:
        self.left, self.once, self.turns = left, once, part.turns()
        self.queries, self.values = part.of(left), part.of(right)
        self.keys = self.values if once else self.queries
        self.order = np.argsort(self.values, kind="stable")
        self.listed = right[self.order]
        self.sizes = np.bincount(self.values, minlength=1 << part.width)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.around = part.around(self.sizes) / (1 + once)

    def one_by_one(self, rows: Places) -> Iterator[tuple[Places, Places, Hashes]]:
        """Compare each of some hashes with the lists around it: left, right and differing bits of all pairs."""
        step = max(1, 4 * CHUNK // len(self.turns))
        for some in (rows[start : start + step] for start in range(0, len(rows), step)):
            lists = self.queries[some][:, None] ^ self.turns
            sizes = self.sizes[lists]
            if self.once:  # lists of a smaller value have compared themselves with this one
                sizes[lists < self.keys[some][:, None]] = 0
            hit = np.flatnonzero(sizes)
            asking, lists, sizes = some[hit // len(self.turns)], lists.ravel()[hit], sizes.ravel()[hit]
            for part in _pieces(sizes, CHUNK):
                place = _spread(self.starts[lists[part]], sizes[part])
                yield np.repeat(asking[part], sizes[part]), place, np.repeat(self.left[asking[part]], sizes[part]) ^ self.listed[place]

    def together(self, rows: Places) -> Iterator[tuple[Places, Places, Hashes]]:
        """Compare hashes of one value with the lists around it."""
        lists = self.queries[rows[0]] ^ self.turns
        lists = lists[lists >= self.keys[rows[0]]] if self.once else lists
        place = _spread(self.starts[lists], self.sizes[lists])
        theirs = self.listed[place]
        step = max(1, CHUNK // max(len(place), 1))
        for own in (rows[start : start + step] for start in range(0, len(rows), step)):
            yield own, place, self.left[own][:, None] ^ theirs


def _looked_up(left: Hashes, right: Hashes, *, parts: Sequence[_Part], distance: int, once: bool) -> Iterator[Found]:
    """Near pairs that the last of some parts finds and no earlier one has."""
    table = _Table(left, right, parts[-1], once=once)
    asking = np.argsort(table.keys, kind="stable")
    _, begins, counts = np.unique(table.keys[asking], return_index=True, return_counts=True)
    single, together = _prices(counts, table.around[table.queries[asking[begins]]], turns=len(table.turns))
    few = single <= together
    for first, place, change in table.one_by_one(asking[np.repeat(few, counts)]):
        bits = np.bitwise_count(change)
        hit = np.flatnonzero(bits <= distance)
        yield _fresh(table, (first[hit], place[hit], bits[hit]), change[hit], earlier=parts[:-1])
    for begin, count in zip(begins[~few], counts[~few], strict=True):
        for own, place, change in table.together(asking[begin : begin + count]):
            bits = np.bitwise_count(change)
            hit = np.flatnonzero(bits <= distance)
            if len(hit):
                row, column = np.divmod(hit, len(place))
                yield _fresh(table, (own[row], place[column], bits.ravel()[hit]), change.ravel()[hit], earlier=parts[:-1])


def _fresh(table: _Table, found: Found, change: Hashes, *, earlier: Sequence[_Part]) -> Found:
    """Keep what no earlier part has found, and of two hashes in one list each pair once."""
    first, second, bits = found[0], table.order[found[1]], found[2]
    keep = (first < second) | (table.values[first] != table.values[second]) if table.once else np.ones(len(first), dtype=bool)
    for part in earlier:
        keep &= np.bitwise_count(part.of(change)) > part.reach
    return first[keep], second[keep], bits[keep]


def _spread(starts: Places, sizes: Places) -> Places:
    """Places of all entries of several lists."""
    return np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())


def _pieces(counts: Sizes, most: int) -> Iterator[slice]:
    """Cut a list of counts into pieces of about so many together."""
    ends = np.cumsum(counts)
    cuts = np.searchsorted(ends, np.arange(most, ends[-1], most)) + 1 if len(ends) else np.empty(0, dtype=np.intp)
    edges = np.unique(np.concatenate([[0], cuts, [len(counts)]]))
    for begin, end in pairwise(edges):
        yield slice(int(begin), int(end))


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
