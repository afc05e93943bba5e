# SPDX-License-Identifier: Apache-2.0
"""The sketches lose no pair: what they find is what correlating all fine structures finds."""

import numpy as np
import pytest

from fakes.folder import picture
from medsetu.manifest import alike
from medsetu.manifest.alike import Sketches
from medsetu.manifest.similarity import fine_structure, mirrored, pairwise, thumbnail


@pytest.fixture(scope="module")
def small():
    """Forty pictures, and of each one less alike the further down: copies with noise, negatives and mirror images."""
    rng = np.random.default_rng(0)
    plain = np.stack([thumbnail(picture(seed)) for seed in range(40)]).astype(np.float64)
    copies = plain + rng.normal(0, 1, plain.shape) * np.linspace(0, 0.03, 40)[:, None, None]
    changed = [copies, 1 - copies, copies[:, :, ::-1], 1 - copies[:, :, ::-1]]
    return np.concatenate([plain, *changed]).astype(np.float16)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("least", [0.5, 0.95])
def test_the_sketches_lose_no_pair(small, monkeypatch, mirror, negative, least):
    monkeypatch.setattr(alike, "ROWS", 1000)
    monkeypatch.setattr(alike, "FILMS", 70)
    rows = np.arange(len(small))[::-1].copy()
    left, right = np.triu_indices(len(small), 1)
    fine = fine_structure(small[rows])
    value = pairwise(mirrored(fine[left]) if mirror else fine[left], fine[right])
    wanted = np.flatnonzero((-value if negative else value) >= least)
    sure, found = Sketches(small, rows).alike(left, right, least=least, mirror=mirror, negative=negative)
    assert 20 < len(wanted) < len(left)
    assert sure.tolist() == wanted.tolist()
    assert found.tolist() == value[wanted].tolist()


def test_the_thumbnails_of_few_pairs_are_read(small):
    class Counted:
        asked = 0

        def __len__(self):
            return len(small)

        def __getitem__(self, rows):
            self.asked += len(rows)
            return small[rows]

    pictures = Counted()
    sketches = Sketches(pictures, np.arange(40))
    built = pictures.asked
    left, right = np.triu_indices(40, 1)
    sketches.alike(left, right, least=0.95, mirror=False, negative=False)
    assert built == 40
    assert pictures.asked - built < 40


def test_no_picture_has_no_pair(small):
    none = np.empty(0, dtype=np.intp)
    sure, found = Sketches(small, none).alike(none, none, least=0.9, mirror=False, negative=False)
    assert len(sure) == len(found) == 0
