# SPDX-License-Identifier: Apache-2.0
"""A tiny set of knees: two trees of the same pictures under names that carry the grade, so that no name is common to both."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import eight_bit, film

GRADES = ("Normal", "Doubtful", "Mild", "Moderate", "Severe")
SECOND = {3: 1, 9: 2}  # knee -> grade of the second expert where it differs from number % 5
TWICE, ONCE = 5, 6  # a knee that the first expert filed under two grades, and one that the second never saw


def write(root: Path, *, seed=0, per_class=6, brightness=0.1) -> Path:
    """Write the release: knee i has grade i modulo 5."""
    rng = np.random.default_rng(seed)
    count: dict[tuple[str, int], int] = {}
    for knee in range(2 * per_class):
        data = io.BytesIO()
        picture = film(rng, spots=[5] if knee % 5 >= 2 else [], brightness=brightness, size=(48, 80))
        Image.fromarray(eight_bit(picture)).save(data, format="PNG")
        filed = [("MedicalExpert-I", knee % 5), ("MedicalExpert-II", SECOND.get(knee, knee % 5))]
        filed += [("MedicalExpert-I", 4)] if knee == TWICE else []
        for reader, grade in filed[:1] if knee == ONCE else filed:
            count[reader, grade] = count.get((reader, grade), 0) + 1
            folder = root / reader / f"{grade}{GRADES[grade]}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{GRADES[grade]}G{grade} ({count[reader, grade]}).png").write_bytes(data.getvalue())
    (root / "MedicalExpert-I" / "notes").mkdir()
    (root / "MedicalExpert-I" / "notes" / "scale.png").write_bytes(data.getvalue() + b"x")
    return root
