# SPDX-License-Identifier: Apache-2.0
"""A tiny Shenzhen: palette films, readings with the real irregularities, and a stray file."""

from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import SENTINEL, eight_bit, film

READINGS = ("male 45yrs", "femal 32yrs", "female24yrs", "male , 29yrs", "male 16month", "female 64days", "male 42", "")


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release; film i has reading i of ``READINGS``, in turn."""
    rng = np.random.default_rng(seed)
    folder = root / "ChinaSet_AllFiles"
    for part in ("CXR_png", "ClinicalReadings"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (root / "mask").mkdir(exist_ok=True)
    for number in range(2 * per_class):
        label = number % 2
        stem = f"CHNCXR_{number + 1:04d}_{label}"
        picture = Image.fromarray(eight_bit(film(rng, spots=[5] if label else [], brightness=brightness)))
        picture.convert("P").save(folder / "CXR_png" / f"{stem}.png")
        if number % 4:  # as published, some films have no mask
            lungs = np.zeros((64, 64), dtype=np.uint8)
            lungs[12:52, 8:26] = lungs[12:52, 38:56] = 255
            Image.fromarray(lungs).save(root / "mask" / f"{stem}_mask.png")
        reading = READINGS[number % len(READINGS)]
        (folder / "ClinicalReadings" / f"{stem}.txt").write_text(f"{reading}\n{'PTB in the left upper lung' if label else 'normal'}\n")
    Image.new("L", (8, 8)).save(folder / "CXR_png" / "Thumbs.png")
    (folder / "ClinicalReadings" / "notes.txt").write_text(SENTINEL)
    return root
