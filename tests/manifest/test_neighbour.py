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


@pytest.mark.parametrize("mask", [0, NEGATIVE, MIRROR, MIRROR ^ NEGATIVE])
@pytest.mark.parametrize("distance", [0, 2, 4, 7, 10])
def test_tables_find_what_comparing_all_finds(monkeypatch, distance, mask):
    monkeypatch.setattr(neighbour, "FEW", 0)
    monkeypatch.setattr(neighbour, "STEP", 50)
    left = crowd(120)
    left[5], left[6] = left[4] ^ np.uint64(mask), left[4] ^ np.uint64(mask) ^ np.uint64(1)
    wanted = expected(left, distance=distance, mask=mask)
    assert (4, 5) in {pair[:2] for pair in wanted}
    assert found(left, distance=distance, mask=mask) == wanted
    right = crowd(40, seed=1, centres=3) ^ np.uint64(mask)
    right[:4] = left[:4] ^ np.uint64(mask)
    assert found(left, right, distance=distance, mask=mask) == expected(left, right, distance=distance, mask=mask)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_few_hashes_are_compared_in_blocks(monkeypatch, block):
    monkeypatch.setattr(neighbour, "BLOCK", block)
    left, right = crowd(30), crowd(20, seed=2)
    assert found(left, distance=12) == expected(left, distance=12)
    assert found(left, right, distance=31) == expected(left, right, distance=31)


def test_far_distances_are_compared_however_many(monkeypatch):
    monkeypatch.setattr(neighbour, "FEW", 0)
    left = crowd(60)
    assert found(left, distance=20) == expected(left, distance=20)


def test_nothing_has_no_neighbour(monkeypatch):
    monkeypatch.setattr(neighbour, "FEW", -1)
    none = np.empty(0, dtype=np.uint64)
    assert found(none, distance=3) == found(crowd(5), none, distance=3) == found(none, crowd(5), distance=3) == set()
