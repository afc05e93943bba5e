# SPDX-License-Identifier: Apache-2.0
"""A tiny mini-MIAS: pairs of films, a preamble, films with several rows, rows without coordinates."""

from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import SENTINEL, eight_bit, film

ROWS = ("G CIRC B 535 425 197", "D NORM ", "F CALC M *NOTE 3*", "F NORM ")


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release; of four films the first is benign, the third malignant, the others are normal."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    lines = [f"INFORMATION by {SENTINEL}", "1st column: MIAS database reference number.", ""]
    for number in range(1, 4 * per_class + 1):
        row = ROWS[(number - 1) % 4]
        spots = [5] if "NORM" not in row else []
        picture = film(rng, spots=spots, brightness=brightness + (0.1 if " M" in row else 0.0))
        Image.fromarray(eight_bit(picture)).save(root / f"mdb{number:03d}.pgm")
        lines += [f"mdb{number:03d} {row}"] * (2 if spots and number % 8 == 1 else 1)
    (root / "Info.txt").write_text("\n".join(lines) + "\n")
    return root
