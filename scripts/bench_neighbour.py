# SPDX-License-Identifier: Apache-2.0
"""Near pairs among many perceptual hashes: seconds of one core for all four changes, against comparing all pairs block by block.

python -m scripts.bench_neighbour [--films FILE.npz of scripts.bench_duplicates --keep] [--counts 100000 1000000] [--distance 10]
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from medsetu.manifest.leakage import CHANGES
from medsetu.manifest.neighbour import _compared, near_pairs
from medsetu.manifest.similarity import perceptual_hash

SAMPLE = 30_000  # hashes compared with each other, from which comparing all pairs is extrapolated
TURNED = 0.08  # share of bits that are turned in the hash of a real film


def uniform(count: int) -> np.ndarray:
    """Hashes that have nothing in common."""
    return np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64)


def flipped(count: int, hashes: np.ndarray) -> np.ndarray:
    """Hashes of real films with some bits turned."""
    rng = np.random.default_rng(0)
    found = hashes[rng.integers(0, len(hashes), count)]
    for bit in range(64):
        found ^= (rng.random(count) < TURNED).astype(np.uint64) << np.uint64(bit)
    return found


def blended(count: int, small: np.ndarray) -> np.ndarray:
    """Hashes as alike as chest films are: of blends of two real films with noise."""
    rng = np.random.default_rng(0)
    found = np.empty(count, dtype=np.uint64)
    for place in range(count):
        one, other = small[rng.integers(0, len(small), 2)].astype(np.float64)
        share = rng.uniform(0.3, 0.7)
        found[place] = perceptual_hash(share * one + (1 - share) * other + rng.normal(0, 0.05, (32, 32)))
    return found


def with_blanks(hashes: np.ndarray) -> np.ndarray:
    """One hash in a hundred is that of the same blank picture."""
    return np.where(np.random.default_rng(1).random(len(hashes)) < 0.01, np.uint64(1), hashes)


def timed(name: str, hashes: np.ndarray, distance: int) -> None:
    """Time both ways on one set of hashes."""
    part = hashes[:SAMPLE]
    begun = time.process_time()
    for mask in CHANGES.values():
        sum(len(found[0]) for found in _compared(part ^ np.uint64(mask), part, distance=distance, once=True))
    loop = (time.process_time() - begun) * (len(hashes) / len(part)) ** 2
    begun, clock = time.process_time(), time.perf_counter()
    found = sum(len(one[0]) for mask in CHANGES.values() for one in near_pairs(hashes, distance=distance, mask=mask))
    took, wall = time.process_time() - begun, time.perf_counter() - clock
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    told = f"{name}, {len(hashes)}: {took:.1f} s of one core ({wall:.1f} s by the clock) for {found} pairs, at most {memory:.1f} GB"
    print(f"{told}; all pairs block by block {loop:.0f} s, {loop / took:.1f} times", flush=True)


def main() -> None:
    """Run every kind of hashes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[100_000])
    parser.add_argument("--distance", type=int, default=10)
    options = parser.parse_args()
    for count in options.counts:
        timed("uniform", uniform(count), options.distance)
        if options.films:
            stored = np.load(options.films, allow_pickle=False)
            hashes = np.array([int(text, 16) for text in stored["phash"]], dtype=np.uint64)
            timed("real films, bits turned", flipped(count, hashes), options.distance)
            blends = blended(count, stored["thumbnail"])
            timed("real films, blended", blends, options.distance)
            timed("blended, one in a hundred blank", with_blanks(blends), options.distance)


if __name__ == "__main__":
    main()
