# SPDX-License-Identifier: Apache-2.0
"""A tiny BUSI: RGB and RGBA images with one, two or no lesion masks, a duplicate under two numbers, a file in a wrong folder."""

from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import eight_bit, film


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release: images of three classes; every second ill one has two masks; benign (1) and (2) are one image."""
    rng = np.random.default_rng(seed)
    top = root / "Dataset_BUSI_with_GT"
    for kind, spots in (("normal", []), ("benign", [9]), ("malignant", [5])):
        (top / kind).mkdir(parents=True)
        for number in range(1, per_class + 1):
            picture = Image.fromarray(eight_bit(film(rng, spots=spots, brightness=brightness)))
            if not (kind == "benign" and number == 2):
                picture.convert("RGBA" if number % 3 == 0 else "RGB").save(top / kind / f"{kind} ({number}).png")
            for ending in ("_mask", "_mask_1") if number % 2 == 0 and kind != "normal" else ("_mask",):
                mask = np.zeros((64, 64), dtype=np.uint8)
                if spots:
                    first = 30 if ending == "_mask_1" else 10
                    mask[first : first + 20, 12:40] = 255
                Image.fromarray(mask).save(top / kind / f"{kind} ({number}){ending}.png")
    (top / "benign" / "benign (2).png").write_bytes((top / "benign" / "benign (1).png").read_bytes())
    Image.new("L", (8, 8)).save(top / "benign" / "malignant (999).png")
    Image.new("L", (8, 8)).save(top / "normal" / "thumbs.png")
    return root
