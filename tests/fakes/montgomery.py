# SPDX-License-Identifier: Apache-2.0
"""A tiny Montgomery: readings with sex and age on lines of their own, two films of one patient, a film on its side."""

from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import SENTINEL, eight_bit, film


def write(root: Path, *, seed=0, per_class=6, brightness=0.05) -> Path:
    """Write the release; film 3 says that it is of the same patient as film 1."""
    rng = np.random.default_rng(seed)
    folder = root / "MontgomerySet"
    for part in ("CXR_png", "ClinicalReadings", "ManualMask/leftMask", "ManualMask/rightMask"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(1, 2 * per_class + 1):
        label = number % 2
        size = (64, 80) if number % 4 else (80, 64)
        stem = f"MCUCXR_{number:04d}_{label}"
        picture = film(rng, spots=[5] if label else [], size=size, brightness=brightness)
        Image.fromarray(eight_bit(picture)).save(folder / "CXR_png" / f"{stem}.png")
        for side, first in (("right", 10), ("left", size[1] // 2 + 4)):  # the right lung is on the left of the film
            mask = np.zeros(size, dtype=np.uint8)
            mask[12:-12, first : first + 20] = 255
            Image.fromarray(mask).convert("1").save(folder / "ManualMask" / f"{side}Mask" / f"{stem}.png")
        same = "same pt as MCUCXR_0001_1" if number == 3 else "clear"
        sex = "FMO"[number % 3]
        text = f"Patient's Sex: {sex}\nPatient's Age: {20 + number:03d}Y\n{same} {SENTINEL}\n"
        (folder / "ClinicalReadings" / f"{stem}.txt").write_text(text)
    return root
