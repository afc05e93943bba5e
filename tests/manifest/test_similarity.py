# SPDX-License-Identifier: Apache-2.0
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from fakes.folder import picture
from medsetu.manifest.plan import Similarity
from medsetu.manifest.similarity import candidate_pairs, fine_structure, pairwise, perceptual_hash, thumbnail

NEAR = Similarity()


def resize(pixels, shape):
    return np.asarray(Image.fromarray(pixels).resize(shape, Image.Resampling.BICUBIC)).clip(0, 1)


def jpeg(pixels):
    stream = io.BytesIO()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(stream, "JPEG", quality=40)
    return np.asarray(Image.open(stream), dtype=np.float32) / 255


def quantise(pixels, bits):
    top = 2**bits - 1
    return (np.round(pixels * top) / top).astype(np.float32)


CHANGES = {
    "half size": lambda x: resize(x, (80, 96)),
    "larger": lambda x: resize(x, (300, 320)),
    "another aspect": lambda x: resize(x, (128, 128)),
    "jpeg": jpeg,
    "8 bit": lambda x: quantise(x, 8),
    "16 bit": lambda x: quantise(x, 16),
    "gamma": lambda x: x ** np.float32(0.8),
    "negative": lambda x: 1 - x,
    "negative with another curve": lambda x: (1 - x) ** np.float32(1.2),
}


def bits_and_correlation(first, second):
    small = [thumbnail(np.ascontiguousarray(pixels, dtype=np.float32)) for pixels in (first, second)]
    fine = fine_structure(np.stack(small))
    return (perceptual_hash(small[0]) ^ perceptual_hash(small[1])).bit_count(), float(pairwise(fine[:1], fine[1:])[0])


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_recognised(change):
    for seed in range(8):
        original = picture(seed, shape=(192, 160))
        bits, alike = bits_and_correlation(original, CHANGES[change](original))
        if change.startswith("negative"):
            bits, alike = 64 - bits, -alike
        assert bits <= NEAR.distance
        assert alike >= NEAR.correlation


def test_other_pictures_are_not():
    small = np.stack([thumbnail(picture(seed)) for seed in range(60)])
    fine = fine_structure(small).astype(float)
    assert np.abs(np.triu(fine @ fine.T, 1)).max() < 0.8


@pytest.mark.parametrize("block", [1, 3, 100])
def test_candidates_equal_brute_force(block):
    generator = np.random.default_rng(0)
    left = generator.integers(0, 2**64, 20, dtype=np.uint64)
    left[3], left[7], left[9] = left[2] ^ np.uint64(5), ~left[2], ~left[2] ^ np.uint64(1)
    right = np.concatenate([left[:4], ~left[5:6]])

    def found(*sides):
        return {
            (int(i), int(j)): int(b) for rows in candidate_pairs(*sides, distance=2, block=block) for i, j, b in zip(*rows, strict=True)
        }

    def expected(pairs, other):
        bits = {(i, j): (int(left[i]) ^ int(other[j])).bit_count() for i, j in pairs}
        return {pair: count for pair, count in bits.items() if count <= 2 or count >= 62}

    assert found(left) == expected(itertools.combinations(range(20), 2), left)
    assert found(left, right) == expected(itertools.product(range(20), range(5)), right)
    assert len(found(left)) == 6


def test_a_picture_without_structure_resembles_nothing():
    blank = np.full((2, 32, 32), 0.5, dtype=np.float16)
    fine = fine_structure(blank)
    assert pairwise(fine[:1], fine[1:]).tolist() == [0.0]
