# SPDX-License-Identifier: Apache-2.0
"""A tiny TB Chest Radiography Database: two folders, a spreadsheet nobody reads, and the true release's shortcut (contrast by origin)."""

from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import eight_bit, film


def write(root: Path, *, seed=0, per_class=8, brightness=0.0, shortcut=0.1) -> Path:
    """Write the release; tuberculosis films are brighter by ``shortcut``, whatever they show."""
    rng = np.random.default_rng(seed)
    for folder, positive in (("Tuberculosis", True), ("Normal", False)):
        (root / folder).mkdir(parents=True)
        for number in range(1, per_class + 1):
            picture = film(rng, spots=[5] if positive else [], brightness=brightness + shortcut * positive)
            Image.fromarray(eight_bit(picture)).save(root / folder / f"{folder}-{number}.png")
    (root / "Normal.metadata.xlsx").write_bytes(b"a spreadsheet that is not read")
    return root
