# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image

from fakes.folder import picture
from medsetu.manifest.plan import Similarity
from medsetu.manifest.similarity import MIRROR, NEGATIVE, fine_structure, mirrored, pairwise, perceptual_hash, thumbnail

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


@pytest.mark.parametrize("change", ["jpeg", "half size", "negative"])
def test_a_mirrored_copy_turns_the_bits_of_the_mirror(change):
    for seed in range(8):
        original = picture(seed, shape=(192, 160))
        small = [
            thumbnail(np.ascontiguousarray(pixels, dtype=np.float32)) for pixels in (original, CHANGES[change](original[:, ::-1].copy()))
        ]
        mask, sign = (MIRROR ^ NEGATIVE, -1) if change == "negative" else (MIRROR, 1)
        assert (perceptual_hash(small[0]) ^ perceptual_hash(small[1]) ^ mask).bit_count() <= NEAR.distance
        fine = fine_structure(np.stack(small))
        assert sign * pairwise(mirrored(fine[:1]), fine[1:])[0] >= NEAR.correlation


def test_a_picture_without_structure_resembles_nothing():
    blank = np.full((2, 32, 32), 0.5, dtype=np.float16)
    fine = fine_structure(blank)
    assert pairwise(fine[:1], fine[1:]).tolist() == [0.0]
