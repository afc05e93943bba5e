# SPDX-License-Identifier: Apache-2.0
"""Looking up finds exactly what comparing all pairs finds."""

import itertools

import numpy as np
import pytest

from medsetu.manifest import neighbour
from medsetu.manifest.neighbour import near_pairs
from medsetu.manifest.similarity import MIRROR, NEGATIVE


def crowd(count, *, seed=0, centres=12):
    """Hashes in clouds of up to 20 turned bits, so that there are pairs at every distance and lists of very unequal length."""
    rng = np.random.default_rng(seed)
    middle = rng.integers(0, 2**64, centres, dtype=np.uint64)
    turned = np.array(
        [sum(1 << int(bit) for bit in rng.choice(64, rng.integers(0, 20), replace=False)) for _ in range(count)], dtype=np.uint64
    )
    return middle[rng.integers(0, centres, count)] ^ turned


def found(*sides, **options):
    rows = [(int(i), int(j), int(bits)) for part in near_pairs(*sides, **options) for i, j, bits in zip(*part, strict=True)]
    assert len(rows) == len(set(rows))
    return set(rows)


def expected(left, right=None, *, distance, mask=0):
    places = itertools.combinations(range(len(left)), 2) if right is None else itertools.product(range(len(left)), range(len(right)))
    other = left if right is None else right
    pairs = ((i, j, (int(left[i]) ^ int(other[j]) ^ mask).bit_count()) for i, j in places)
    return {pair for pair in pairs if pair[2] <= distance}


@pytest.fixture(params=[(0.0, 4), (1e15, 4), (0.0, 7), (50.0, 6)], ids=["lists", "one by one", "seven parts", "both"])
def tables(request, monkeypatch):
    """Look up whatever it costs: list against lists, hash by hash, or as the prices say."""
    monkeypatch.setattr(neighbour, "FEW", 0)
    monkeypatch.setattr(neighbour, "STEP", 50)
    monkeypatch.setattr(neighbour, "CHUNK", 64)
    monkeypatch.setattr(neighbour, "ALL", 1e30)
    monkeypatch.setattr(neighbour, "PARTS", (4, *request.param[1:]))
    monkeypatch.setattr(neighbour, "CALL", request.param[0])
    if request.param[1] > 4:
        dear = neighbour._cost
        monkeypatch.setattr(neighbour, "_cost", lambda *sides, **options: dear(*sides, **options) + 1e20 * (len(sides[2]) < 5))


@pytest.mark.parametrize("mask", [0, NEGATIVE, MIRROR, MIRROR ^ NEGATIVE])
@pytest.mark.parametrize("distance", [0, 10])
def test_tables_find_what_comparing_all_finds(tables, distance, mask):
    left = crowd(80)
    left[5], left[6] = left[4] ^ np.uint64(mask), left[4] ^ np.uint64(mask) ^ np.uint64(1)
    wanted = expected(left, distance=distance, mask=mask)
    assert (4, 5) in {pair[:2] for pair in wanted}
    assert found(left, distance=distance, mask=mask) == wanted
    right = crowd(30, seed=1, centres=3) ^ np.uint64(mask)
    right[:4] = left[:4] ^ np.uint64(mask)
    assert found(left, right, distance=distance, mask=mask) == expected(left, right, distance=distance, mask=mask)


@pytest.mark.parametrize("mask", [0, 0b101])
def test_equal_hashes_are_compared_once_and_every_pair_is_told(tables, mask):
    left = crowd(60)
    left[:25], left[30:40] = left[0], left[0] ^ np.uint64(7)
    assert found(left, distance=3, mask=mask) == expected(left, distance=3, mask=mask)
    right = np.repeat(left[:3] ^ np.uint64(1), 9)
    assert found(left, right, distance=3, mask=mask) == expected(left, right, distance=3, mask=mask)


def test_a_heap_of_equal_hashes_is_handed_on_in_parts(monkeypatch):
    """Two thousand blank pictures are two million pairs, of which no more than a part is in memory."""
    monkeypatch.setattr(neighbour, "STEP", 10_000)
    heap = np.full(2_000, 5, dtype=np.uint64)
    parts = [len(first) for first, _, _ in near_pairs(heap, distance=10)]
    assert sum(parts) == 2_000 * 1_999 // 2
    assert max(parts) <= 10_000 + 2_000
    monkeypatch.setattr(neighbour, "_compared", lambda left, right, **_: pytest.fail(f"{len(left)} hashes") if len(left) > 1 else iter(()))
    assert sum(len(first) for first, _, _ in near_pairs(heap, distance=10)) == 2_000 * 1_999 // 2


def test_the_entries_of_the_lists_around_a_value_are_counted_shell_by_shell():
    sizes = np.random.default_rng(0).integers(0, 5, 32)
    for reach in range(5):
        part = neighbour._Part(shift=0, width=5, reach=reach)
        around = [sum(sizes[other] for other in range(32) if (value ^ other).bit_count() <= reach) for value in range(32)]
        assert part.around(sizes).tolist() == around
        assert len(part.turns()) == sum((value).bit_count() <= reach for value in range(32))


@pytest.mark.parametrize("distance", range(16))
def test_parts_leave_no_pair_out(distance):
    """A pair that every part misses differs in more bits than are asked for."""
    for number in neighbour.PARTS:
        parts = neighbour._parts(number, distance)
        assert sum(part.reach + 1 for part in parts) >= distance + 1
        assert sorted(bit for part in parts for bit in range(part.shift, part.shift + part.width))[-1] < 64
        assert len({bit for part in parts for bit in range(part.shift, part.shift + part.width)}) == sum(part.width for part in parts)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_few_hashes_are_compared_in_blocks(monkeypatch, block):
    monkeypatch.setattr(neighbour, "BLOCK", block)
    left, right = crowd(30), crowd(20, seed=2)
    assert found(left, distance=12) == expected(left, distance=12)
    assert found(left, right, distance=31) == expected(left, right, distance=31)


def test_far_distances_are_compared_however_many(monkeypatch):
    monkeypatch.setattr(neighbour, "FEW", 0)
    monkeypatch.setattr(neighbour, "_looked_up", lambda *_, **__: pytest.fail("looked up"))
    left = crowd(60)
    assert found(left, distance=40) == expected(left, distance=40)


def test_nothing_has_no_neighbour(monkeypatch):
    monkeypatch.setattr(neighbour, "FEW", -1)
    none = np.empty(0, dtype=np.uint64)
    assert found(none, distance=3) == found(crowd(5), none, distance=3) == found(none, crowd(5), distance=3) == set()


def test_many_hashes_are_looked_up_and_not_compared(monkeypatch):
    """Sixty thousand hashes: 1.8 billion pairs, which the tables do not touch."""
    monkeypatch.setattr(neighbour, "_compared", lambda *_, **__: pytest.fail("all pairs were compared"))
    hashes = np.random.default_rng(0).integers(0, 2**64, 60_000, dtype=np.uint64)
    hashes[40_000] = hashes[7] ^ np.uint64(0b1000100010001000100010001000100010001 << 9)
    assert (7, 40_000, 10) in found(hashes, distance=10)
