# SPDX-License-Identifier: Apache-2.0
"""Tiny MedMNIST files: three parts, labels beside images, the polarity of each set."""

from pathlib import Path

import numpy as np

from fakes.film import eight_bit, film
from fakes.volumes import head


def write(root: Path, *, seed=0, per_class=6, brightness=0.0, flag="pneumoniamnist", size=28) -> Path:
    """Write one set; odd items show the finding."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, count in (("train", 4 * per_class), ("val", 2 * per_class), ("test", 2 * per_class)):
        odd = np.arange(count) % 2
        if flag.endswith("3d"):
            items = [((head(rng, bleed=bool(ill), shape=(size,) * 3) + 1024) / 2100 * 255).clip(0, 255).astype(np.uint8) for ill in odd]
        else:
            items = [eight_bit(film(rng, spots=[5] if ill else [], size=(size, size), brightness=brightness)) for ill in odd]
        labels = 1 - odd if flag == "breastmnist" else odd
        if flag == "chestmnist":
            labels = np.zeros((count, 14), np.uint8)
            labels[:, 9] = odd  # edema
        arrays |= {f"{part}_images": np.stack(items), f"{part}_labels": labels.reshape(count, -1).astype(np.uint8)}
    np.savez_compressed(root / (f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz"), **arrays)
    return root
